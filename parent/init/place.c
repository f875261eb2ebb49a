/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Between the spawner's fork and the role's exec: moves every descriptor to its number,
 * closes all others, sets limits and executes the role's program. Runs in the child. On
 * failure the child writes the reason to memory shared with the spawner, and exits.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/closefds.h"
#include "common/ctl.h"
#include "common/fdtab.h"
#include "common/sandbox.h"
#include "parent/init/place.h"
#include "parent/init/tell.h"

#ifndef AT_EMPTY_PATH
#define AT_EMPTY_PATH 0x1000
#endif

/* Close all descriptors below @limit except IFD_DIAG, the pipe that becomes the role's standard error. */
static void close_below(unsigned limit)
{
	close(0);
	close(1);
	close_fds(IFD_DIAG + 1, limit - 1, limit);
}

/*
 * The number that a descriptor was received at may be one that another descriptor is to
 * get. So move all of them above the table first, then empty the table, then fill it.
 * exec closes the copies above the table, which are close-on-exec.
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
	if (sandbox_no_core(NULL) < 0 || limit(RLIMIT_FSIZE, m->fsize) < 0 ||
	    limit(RLIMIT_NOFILE, m->nofile + m->more) < 0)
		return -1;
	if (m->as && limit(RLIMIT_AS, m->as) < 0)
		return -1;
	return m->threads ? 0 : limit(RLIMIT_NPROC, 0);
}

/* Make an array of arguments, @argv with NULL at its end, of the list @args, in which NUL ends each word. */
static void split(char *args, char **argv)
{
	unsigned n = 0;

	for (char *p = args; p < args + SPAWN_ARGS_MAX && *p && n < SPAWN_ARGC_MAX; n++) {
		argv[n] = p;
		while (p < args + SPAWN_ARGS_MAX - 1 && *p)
			p++;
		*p++ = '\0';
	}
	argv[n] = NULL;
}

void role_start(const struct spawn_msg *m, const int *fds, struct child_state *state)
{
	static char name[ROLE_COUNT][24] = {
		[ROLE_VCPU] = "lguest-sep-vcpu",	 [ROLE_NETD] = "lguest-sep-netd",
		[ROLE_BLKD] = "lguest-sep-blkd",	 [ROLE_PASST] = "passt",
		[ROLE_CONTROLD] = "lguest-sep-controld", [ROLE_FSD] = "lguest-sep-fsd",
	};
	static char args[SPAWN_ARGS_MAX];
	static char *argv[SPAWN_ARGC_MAX + 1];
	char supervised[] = "--supervised";
	char *envp[] = { NULL };
	sigset_t none;
	int exe;

	argv[0] = name[m->role];
	argv[1] = supervised;
	if (m->role == ROLE_PASST) {
		memcpy(args, m->words, sizeof(args));
		split(args, argv);
	}
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	/* Needed only if the role has no pid namespace, where the spawner's end would not end it. */
	prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	sandbox_undumpable();
	if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) < 0) {
		state->untraced = true;
		tell_untraced();
	}
	if (place(m, fds, &exe) == 0 && limits(m) == 0)
		syscall(__NR_execveat, exe, "", argv, envp, AT_EMPTY_PATH);
#ifdef __i386__
	if (errno == ENOSYS)
		execve(SPAWN_ROLE_PATH, argv, envp);
#endif
	state->error = errno;
	_exit(127);
}
