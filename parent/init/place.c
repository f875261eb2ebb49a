/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Between the spawner's fork and the role's execution: every descriptor to its
 * number, nothing else left open, limits, and then the one program. Runs in the
 * child; on failure it leaves the reason where the spawner sees it and ends.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/closefds.h"
#include "common/fdtab.h"
#include "init.h"

#ifndef AT_EMPTY_PATH
#define AT_EMPTY_PATH 0x1000
#endif

/* Everything below @limit but the pipe for last words, which the role inherits. */
static void close_below(unsigned limit)
{
	close(0);
	close(1);
	close_fds(IFD_DIAG + 1, limit - 1, limit);
}

/*
 * Numbers that are asked for may be the ones that descriptors came in at: first
 * everything moves above the table, then the table is emptied, then filled.
 * What lies above goes when the program is executed.
 */
static int place(const struct spawn_msg *m, const int *fds, int *exe)
{
	int high[SPAWN_MAX_FDS];
	unsigned i;

	*exe = fcntl(IFD_EXE, F_DUPFD_CLOEXEC, (int)m->nofile);
	if (*exe < 0)
		return -1;
	for (i = 0; i < m->nfds; i++) {
		high[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, (int)m->nofile);
		if (high[i] < 0)
			return -1;
	}
	close_below(m->nofile);
	for (i = 0; i < m->nfds; i++)
		if (dup3(high[i], m->number[i], 0) < 0)
			return -1;
	return 0;
}

static int limit(int which, uint64_t value)
{
	struct rlimit old, new;

	if (getrlimit((__rlimit_resource_t)which, &old) < 0)
		return -1;
	new.rlim_max = MIN((rlim_t)value, old.rlim_max);
	new.rlim_cur = new.rlim_max;
	return setrlimit((__rlimit_resource_t)which, &new);
}

static int limits(const struct spawn_msg *m)
{
	if (limit(RLIMIT_CORE, 0) < 0 || limit(RLIMIT_FSIZE, m->fsize) < 0 || limit(RLIMIT_NOFILE, m->nofile) < 0)
		return -1;
	if (m->as && limit(RLIMIT_AS, m->as) < 0)
		return -1;
	return m->threads ? 0 : limit(RLIMIT_NPROC, 0);
}

void role_start(const struct spawn_msg *m, const int *fds, struct child_state *state)
{
	static char name[3][24] = { "lguest-sep-vcpu", "lguest-sep-netd", "lguest-sep-blkd" };
	char supervised[] = "--supervised";
	char *argv[] = { name[m->role], supervised, NULL }, *envp[] = { NULL };
	sigset_t none;
	int exe;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	/* Only where the role has no pid namespace does this add anything. */
	prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) < 0)
		tell_untraced();
	if (place(m, fds, &exe) == 0 && limits(m) == 0)
		syscall(__NR_execveat, exe, "", argv, envp, AT_EMPTY_PATH);
#ifdef __i386__
	if (errno == ENOSYS)
		execve(SPAWN_ROLE_PATH, argv, envp);
#endif
	state->error = errno;
	_exit(127);
}
