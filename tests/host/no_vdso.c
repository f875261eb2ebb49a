/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * no-vdso COMMAND…: runs COMMAND as on a host without a vDSO, by removing AT_SYSINFO_EHDR
 * from its auxiliary vector between execve(2) and its first instruction. For tests.
 */
#include <elf.h>
#include <errno.h>
#include <stdio.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

static long word(pid_t pid, unsigned long at)
{
	return ptrace(PTRACE_PEEKDATA, pid, at, NULL);
}

/* Past argc, the arguments and the environment, each with its null pointer. */
static int hide(pid_t pid)
{
	struct user_regs_struct r;
	unsigned long at;

	if (ptrace(PTRACE_GETREGS, pid, NULL, &r) < 0)
		return -1;
	at = (unsigned long)r.rsp + sizeof(long) * (2 + (unsigned long)word(pid, (unsigned long)r.rsp));
	while (word(pid, at))
		at += sizeof(long);
	for (at += sizeof(long); word(pid, at) != AT_NULL; at += 2 * sizeof(long))
		if (word(pid, at) == AT_SYSINFO_EHDR)
			return ptrace(PTRACE_POKEDATA, pid, at, (unsigned long)AT_IGNORE) < 0 ? -1 : 0;
	errno = ENOENT;
	return -1;
}

int main(int argc, char **argv)
{
	int status;
	pid_t pid;

	if (argc < 2)
		return 2;
	pid = fork();
	if (!pid) {
		ptrace(PTRACE_TRACEME, 0, NULL, NULL);
		execvp(argv[1], argv + 1);
		perror(argv[1]);
		_exit(127);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFSTOPPED(status) || hide(pid) < 0) {
		perror("no-vdso");
		return 126;
	}
	ptrace(PTRACE_DETACH, pid, NULL, NULL);
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return 126;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
