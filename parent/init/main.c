/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * lguest-sep-init, the spawner: process 1 of one role's namespaces. It starts
 * that role when the supervisor says so, reports how it ended, and ends when the
 * supervisor does, which ends everything in its namespaces. It was confined
 * before it was executed, holds nothing of the guest, and opens nothing.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/ctl.h"
#include "common/sandbox.h"
#include "init.h"

/* Numbers below this are the role's at most; above it descriptors wait for their place. */
#define MOST_FDS VFD_LIMIT

static struct traced role;
static struct child_state *child;
static volatile sig_atomic_t child_changed;

static void on_child(int sig)
{
	(void)sig;
	child_changed = 1;
}

static void tell(const struct spawn_msg *m)
{
	struct iovec iov = { (void *)(uintptr_t)m, sizeof(*m) };
	struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1 };

	/* It may wait for the supervisor: there is nothing else to do. */
	while (sendmsg(IFD_CMD, &mh, MSG_NOSIGNAL) < 0)
		if (errno != EINTR)
			_exit(0);
}

static void tell_value(enum spawn_type type, uint32_t value)
{
	struct spawn_msg m = { .type = type, .value = value };

	tell(&m);
}

void tell_untraced(void)
{
	struct spawn_msg m = { .type = SPAWN_STARTED, .value = (uint32_t)getpid(), .missing = LAYER_BIT(LAYER_TRACE) };

	child->untraced = true;
	tell(&m);
}

/* One packet with its descriptors; fds[] has *@n of them. 1; 0: none there; -1: the supervisor is gone. */
static int hear(struct spawn_msg *m, int *fds, unsigned *n)
{
	union {
		char buf[CMSG_SPACE(SPAWN_MAX_FDS * sizeof(int))];
		struct cmsghdr align;
	} control;
	struct iovec iov = { m, sizeof(*m) };
	struct msghdr mh = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control)
	};
	ssize_t got = recvmsg(IFD_CMD, &mh, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	struct cmsghdr *c;

	*n = 0;
	if (got < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -1;
	if (got == 0)
		return -1;
	c = CMSG_FIRSTHDR(&mh);
	if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS) {
		*n = (unsigned)((c->cmsg_len - CMSG_LEN(0)) / sizeof(int));
		memcpy(fds, CMSG_DATA(c), *n * sizeof(int));
	}
	if ((size_t)got != sizeof(*m) || (mh.msg_flags & (MSG_TRUNC | MSG_CTRUNC)))
		m->type = 0; /* not a request: refused below */
	return 1;
}

static int judge(const struct spawn_msg *m, unsigned n)
{
	if (m->nfds != n || n > SPAWN_MAX_FDS || m->nofile == 0 || m->nofile > MOST_FDS || m->role > 2)
		return EINVAL;
	for (unsigned i = 0; i < n; i++)
		if (m->number[i] >= m->nofile)
			return EINVAL;
	return role.pid ? EBUSY : 0;
}

static void start(const struct spawn_msg *m, const int *fds, unsigned n)
{
	int error = judge(m, n);
	pid_t pid;

	if (error) {
		tell_value(SPAWN_FAILED, (uint32_t)error);
		return;
	}
	memset(&role, 0, sizeof(role));
	child->error = 0;
	child->untraced = false;
	pid = fork();
	if (pid == 0)
		role_start(m, fds, child);
	if (pid < 0) {
		tell_value(SPAWN_FAILED, (uint32_t)errno);
		return;
	}
	role.pid = pid;
}

static void request(void)
{
	static struct spawn_msg m;
	int fds[SPAWN_MAX_FDS], got;
	unsigned n;

	got = hear(&m, fds, &n);
	if (got < 0)
		_exit(0);
	if (got == 0)
		return;
	if (m.type == SPAWN_START)
		start(&m, fds, n);
	else if (m.type == SPAWN_KILL && role.pid)
		kill(role.pid, SIGKILL);
	while (n)
		close(fds[--n]);
}

static void role_event(int status)
{
	bool had_started = role.options_set || child->untraced;

	switch (trace_event(&role, status)) {
	case TRACE_STARTED:
		tell_value(SPAWN_STARTED, (uint32_t)role.pid);
		break;
	case TRACE_ENDED:
		role.pid = 0;
		if (!had_started) {
			tell_value(SPAWN_FAILED, child->error ? (uint32_t)child->error : ECANCELED);
			break;
		}
		role.end.type = SPAWN_ENDED;
		tell(&role.end);
		break;
	default:
		break;
	}
}

/* Process 1 also buries what others left behind. */
static void reap(void)
{
	int status;
	pid_t pid;

	for (;;) {
		pid = waitpid(-1, &status, WNOHANG | __WALL);
		if (pid <= 0)
			return;
		if (pid == role.pid)
			role_event(status);
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

	prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
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
