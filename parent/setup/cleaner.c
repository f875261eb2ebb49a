/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The cleaner: see cleaner.h. cleaner_start() runs in the privileged window; all else in the
 * cleaner itself, most of it under its seccomp filter.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/closefds.h"
#include "common/fdtab.h"
#include "common/fmt.h"
#include "common/log.h"
#include "parent/room/apparmor.h"
#include "parent/room/confine.h"
#include "parent/setup/cleaner.h"
#include "policy/policies.h"

/* How long the cleaner may take to be ready, and the time between two attempts, in ms. */
#define START_MS 10000
#define STEP_MS	 10
/* Attempts while the supervisor waits for us (5 s), and after its end (60 s). */
#define FEW_TRIES  500
#define MANY_TRIES 6000

struct work {
	char name[48], own[32];
	char disable[64]; /* For LFD_ENABLED. */
	mode_t mode;	  /* Of the directory LFD_PARENT. */
	pid_t supervisor;
	char pid[16]; /* The same, as text. */
};

static void pause_a_step(void)
{
	const struct timespec step = { .tv_nsec = STEP_MS * 1000000 };

	(void)ppoll(NULL, 0, &step, NULL);
}

/*
 * Remove the cgroup @name. In the root of the hierarchy, not even its owner may write (mode 0555), and we have no
 * capability: allow it for that moment. Another cleaner may end that too early; then we try again.
 */
static bool removed(const struct work *w, const char *name)
{
	bool gone;

	gone = unlinkat(LFD_PARENT, name, AT_REMOVEDIR) == 0 || errno == ENOENT;
	if (gone || errno != EACCES)
		return gone;
	(void)fchmod(LFD_PARENT, w->mode | S_IWUSR);
	gone = unlinkat(LFD_PARENT, name, AT_REMOVEDIR) == 0 || errno == ENOENT;
	(void)fchmod(LFD_PARENT, w->mode & ~(mode_t)S_IWUSR);
	return gone;
}

/* Give the controllers back, and return the supervisor (if it still runs) and ourselves to the cgroup of the start. */
static void move_back(const struct work *w)
{
	(void)!write(LFD_ENABLED, w->disable, strlen(w->disable));
	if (getppid() == w->supervisor)
		(void)!write(LFD_PROCS, w->pid, strlen(w->pid));
	(void)!write(LFD_PROCS, "0", 1);
}

static NORETURN void clean(const struct work *w)
{
	bool gone = !*w->name, own_gone = !*w->own;
	char c;

	while (read(LFD_END, &c, 1) != 0)
		if (errno != EINTR)
			break;
	for (unsigned i = 0; i < MANY_TRIES && (i < FEW_TRIES || getppid() != w->supervisor); i++) {
		if (!gone)
			gone = removed(w, w->name);
		if (gone && !own_gone) {
			move_back(w);
			own_gone = removed(w, w->own);
		}
		if (gone && own_gone)
			_exit(0);
		if (!gone)
			(void)!write(LFD_KILL, "1", 1);
		pause_a_step();
	}
	_exit(1);
}

/* Move the descriptors @from to the numbers from 0 on, and close all others. Returns 0, or -1 with errno set. */
static int place(int from[LFD_COUNT])
{
	for (int i = 0; i < LFD_COUNT; i++) {
		if (from[i] < 0)
			continue;
		from[i] = fcntl(from[i], F_DUPFD_CLOEXEC, LFD_COUNT);
		if (from[i] < 0)
			return -1;
	}
	for (int i = 0; i < LFD_COUNT; i++) {
		close(i);
		if (from[i] >= 0 && dup2(from[i], i) < 0)
			return -1;
	}
	close_fds(LFD_COUNT, ~0U, 65536);
	return 0;
}

static NORETURN void child(const struct host *h, struct work *w, int from[LFD_COUNT])
{
	struct stat st;
	sigset_t all;

	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);
	(void)setpriority(PRIO_PROCESS, 0, h->nice);
	(void)prctl(PR_SET_NAME, "lguest-sep-tidy");
	/* Signals to the process group of the supervisor are not for us. */
	if (setsid() < 0 || place(from) < 0 || fstat(LFD_PARENT, &st) < 0)
		_exit(1);
	w->mode = st.st_mode & 07777;
	if (confine_self(geteuid() ? (uid_t)-1 : st.st_uid, st.st_gid) < 0 || chdir("/") < 0 ||
	    apparmor_change(APPARMOR_SELF, "lguest-sep-cleaner", false) < 0 ||
	    sandbox_filter(&policy_cleaner, NULL) < 0 || write(LFD_END, "", 1) != 1)
		_exit(1);
	clean(w);
}

/* Wait until the cleaner has confined itself. Returns 0, or -1 with errno set. */
static int wait_ready(int fd, pid_t pid)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	char c;

	int ready = poll(&p, 1, START_MS);

	if (ready == 1 && read(fd, &c, 1) == 1)
		return 0;
	kill(pid, SIGKILL);
	(void)waitpid(pid, NULL, 0);
	/* It ends at once if this host refuses a step of its confinement. */
	errno = ready ? ECHILD : ETIMEDOUT;
	return -1;
}

static void describe(struct work *w, const struct cgroup_place *p, const char *name)
{
	*w = (struct work){ .supervisor = getpid() };
	fmt_line(w->name, sizeof(w->name), "%s", name);
	fmt_line(w->own, sizeof(w->own), "%s", p->own);
	cgroup_names(p->enabled, "-", w->disable, sizeof(w->disable));
	fmt_line(w->pid, sizeof(w->pid), "%d", (int)w->supervisor);
}

int cleaner_start(struct host *h, const struct cgroup_place *p, const char *name, int group)
{
	int end[2], from[LFD_COUNT] = { [LFD_KILL] = -1, [LFD_ENABLED] = -1, [LFD_PROCS] = -1 }, result = -1;
	struct work w;
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, end) < 0)
		return -1;
	describe(&w, p, name);
	from[LFD_END] = end[1];
	from[LFD_PARENT] = p->dir;
	/* Not before Linux 5.14; then all processes end with the supervisor or their spawner. */
	if (group >= 0)
		from[LFD_KILL] = openat(group, "cgroup.kill", O_WRONLY | O_CLOEXEC);
	if (*p->own) {
		from[LFD_ENABLED] = openat(p->dir, "cgroup.subtree_control", O_WRONLY | O_CLOEXEC);
		from[LFD_PROCS] = openat(p->dir, "cgroup.procs", O_WRONLY | O_CLOEXEC);
	}
	pid = fork();
	if (pid == 0)
		child(h, &w, from);
	close(end[1]);
	for (unsigned i = LFD_KILL; i < LFD_COUNT; i++)
		if (from[i] >= 0)
			close(from[i]);
	if (pid > 0)
		result = wait_ready(end[0], pid);
	if (result < 0) {
		close(end[0]);
		return -1;
	}
	h->limits.alive = end[0];
	h->limits.cleaner = pid;
	return 0;
}
