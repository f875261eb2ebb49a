/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * lguest-sep-init, the spawner: process 1 of one role's namespaces. It starts that
 * role when the supervisor asks for it and reports how the role ended. It exits when
 * the supervisor does, and the kernel then kills everything in its namespaces. It is
 * confined before it is executed, has no access to the guest, and opens no file.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/ctl.h"
#include "common/fdpass.h"
#include "common/sandbox.h"
#include "parent/init/place.h"
#include "parent/init/tell.h"
#include "parent/init/trace.h"

/* Descriptors of the role have lower numbers than this. place() moves them above it while it fills the role's table. */
#define MAX_FDS VFD_LIMIT

static struct traced role;
static struct child_state *child;
static volatile sig_atomic_t child_changed;

static void on_child(int sig)
{
	(void)sig;
	child_changed = 1;
}

/* Check a SPAWN_START with @n descriptors. Returns 0, or an errno value. */
static int check_start(const struct spawn_msg *m, unsigned n)
{
	if (m->nfds != n || n > SPAWN_MAX_FDS || m->nofile == 0 || m->nofile > MAX_FDS || m->role >= ROLE_COUNT)
		return EINVAL;
	for (unsigned i = 0; i < n; i++)
		if (m->number[i] >= m->nofile)
			return EINVAL;
	return role.pid ? EBUSY : 0;
}

static void start(const struct spawn_msg *m, const int *fds, unsigned n)
{
	int error = check_start(m, n);
	pid_t pid;

	if (error) {
		tell_value(SPAWN_FAILED, (uint32_t)error);
		return;
	}
	memset(&role, 0, sizeof(role));
	child->error = 0;
	child->untraced = false;
	/* Unlike fork(3), without handlers and locks of libc, which touch pages that the spawner does not use. */
	pid = (pid_t)syscall(__NR_clone, SIGCHLD, 0UL, 0UL, 0UL, 0UL);
	if (pid == 0)
		role_start(m, fds, child);
	if (pid < 0) {
		tell_value(SPAWN_FAILED, (uint32_t)errno);
		return;
	}
	role.pid = pid;
}

/* How much processor time all threads of the role have used. clock_getcpuclockid(3) gives the clock's number. */
static void tell_usage(void)
{
	struct spawn_msg m = { .type = SPAWN_USAGE };
	struct timespec t;

	if (clock_gettime((clockid_t)(~(unsigned)role.pid << 3 | 2), &t) < 0)
		return;
	m.cpu_us = (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
	tell(&m);
}

static void pause_role(uint32_t number)
{
	role.pause_number = number;
	if (trace_pause(&role))
		tell_value(SPAWN_PAUSED, number);
}

static void request(void)
{
	static struct spawn_msg m;
	int fds[SPAWN_MAX_FDS], got;
	unsigned n = SPAWN_MAX_FDS;

	got = fdpass_recv(IFD_CMD, &m, sizeof(m), fds, &n);
	if (got == 0)
		return;
	if (got < 0 && errno != EPROTO)
		_exit(0); /* The supervisor has ended. */
	if (got < 0)
		m.type = 0; /* Not a request: only close its descriptors. */
	if (m.type == SPAWN_START)
		start(&m, fds, n);
	else if (m.type == SPAWN_KILL && role.pid && !role.ended)
		kill(role.pid, SIGKILL);
	else if (m.type == SPAWN_GET_USAGE && role.pid && !role.ended)
		tell_usage();
	else if (m.type == SPAWN_PAUSE && role.pid && !role.ended)
		pause_role(m.value);
	else if (m.type == SPAWN_RESUME && role.pid && !role.ended)
		trace_resume(&role);
	while (n)
		close(fds[--n]);
}

/*
 * Kill every process that the role has left behind. In process 1 of a pid namespace, kill(-1) reaches exactly the other
 * processes of that namespace; elsewhere it would reach processes of the host.
 */
static void kill_the_rest(void)
{
	if (getpid() == 1)
		kill(-1, SIGKILL);
}

static uint64_t us_of(struct timeval t)
{
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_usec;
}

static void role_event(int status, const struct rusage *usage)
{
	switch (trace_event(&role, status)) {
	case TRACE_STARTED:
		tell_value(SPAWN_STARTED, (uint32_t)role.pid);
		break;
	case TRACE_PAUSED:
		tell_value(SPAWN_PAUSED, role.pause_number);
		break;
	case TRACE_ENDED:
		role.end.cpu_us = us_of(usage->ru_utime) + us_of(usage->ru_stime);
		role.end.peak_rss_kib = (uint64_t)usage->ru_maxrss;
		role.ended = true;
		kill_the_rest();
		break;
	default:
		break;
	}
}

/* Report the role's end, once no process is left that it started: one would still hold its memory and descriptors. */
static void report_end(void)
{
	bool had_started = role.options_set || child->untraced;

	role.pid = 0;
	role.ended = false;
	if (!had_started) {
		tell_value(SPAWN_FAILED, child->error ? (uint32_t)child->error : ECANCELED);
		return;
	}
	role.end.type = SPAWN_ENDED;
	tell(&role.end);
}

/* As PID 1, reap orphans too. */
static void reap(void)
{
	struct rusage usage;
	int status;
	pid_t pid;

	for (;;) {
		pid = wait4(-1, &status, WNOHANG | __WALL, &usage);
		if (pid < 0 && errno == ECHILD && role.ended)
			report_end();
		if (pid <= 0)
			return;
		if (pid == role.pid && !role.ended)
			role_event(status, &usage);
	}
}

static uint32_t layers(const char *digits)
{
	uint32_t v = 0;

	for (; digits && *digits >= '0' && *digits <= '9'; digits++)
		v = v * 10 + (uint32_t)(*digits - '0');
	return v;
}

int main(int argc, char **argv)
{
	struct pollfd p = { .fd = IFD_CMD, .events = POLLIN };
	struct sigaction sa = { .sa_handler = on_child };
	sigset_t blocked, open;

	sandbox_undumpable();
	prctl(PR_SET_NAME, "lguest-sep-init"); /* After execveat(), Linux before 6.14 names us after the descriptor. */
	sigemptyset(&blocked);
	sigaddset(&blocked, SIGCHLD);
	sigprocmask(SIG_SETMASK, &blocked, NULL);
	sigemptyset(&open);
	child = mmap(NULL, sizeof(*child), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (sigaction(SIGCHLD, &sa, NULL) < 0 || child == MAP_FAILED)
		return 1;
	tell_value(SPAWN_READY, layers(argc > 1 ? argv[1] : NULL));
	for (;;) {
		int n = ppoll(&p, 1, NULL, &open);

		if (child_changed) {
			child_changed = 0;
			reap();
		}
		if (n > 0) {
			request();
			sandbox_forget_code();
		}
	}
}
