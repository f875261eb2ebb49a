/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Violations speak: the real lguest-sep runs with a test role in the place of one
 * of its roles, which gets ready and then makes one forbidden call. It is ended at
 * once, one line names it, the call and its first arguments, and nothing is left.
 * The supervisor itself has the call put into it from outside. Needs root.
 */
#include <signal.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include "launch.h"

static const struct launch plain = { .option = { "--max-restarts=0" } };

struct violation {
	const char *role, *name, *want;
	long nr;
};

static void role_betrays(const void *arg)
{
	const struct violation *v = arg;
	char line[1024] = "", call[200];
	int status;

	launch_prepare(v->role);
	status = launch_end(launch(&plain), 4 * PATIENCE);
	need(WIFEXITED(status) && WEXITSTATUS(status) != 0 && WEXITSTATUS(status) < 95);
	need(launch_said("ended by its filter", line, sizeof(line)) == 1);
	snprintf(call, sizeof(call), "system call %ld %s", v->nr, v->want);
	need(strstr(line, call) != NULL);
	need(strncmp(line, "lguest-sep: ", 12) == 0 && strstr(line, v->name) != NULL);
	need(launch_gone());
	counted("named");
}

#ifdef __x86_64__
/* The supervisor waits in a system call: it is made to make another one in its place. */
static void put_call_into(pid_t pid, long nr)
{
	struct user_regs_struct regs;
	int status;

	need(ptrace(PTRACE_ATTACH, pid, NULL, NULL) == 0);
	need(waitpid(pid, &status, 0) == pid && WIFSTOPPED(status));
	need(ptrace(PTRACE_GETREGS, pid, NULL, &regs) == 0);
	need(regs.orig_rax != (unsigned long)-1);
	regs.rip -= 2;
	regs.rax = (unsigned long)nr;
	regs.orig_rax = (unsigned long)-1;
	regs.rdi = regs.rsi = regs.rdx = 0;
	need(ptrace(PTRACE_SETREGS, pid, NULL, &regs) == 0);
	need(ptrace(PTRACE_DETACH, pid, NULL, NULL) == 0);
}

static void supervisor_betrays(const void *arg)
{
	pid_t pid;
	int status;

	launch_prepare(NULL);
	pid = launch(&plain);
	for (unsigned i = 0; i < PATIENCE && launch_left() < 5; i++)
		usleep(1000);
	need(launch_left() >= 5); /* supervisor, spawners, helpers */
	usleep(300000);
	put_call_into(pid, *(const long *)arg);
	status = launch_end(pid, 4 * PATIENCE);
	need(WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS);
	need(launch_gone());
	counted("ended");
}
#endif

void violations_group(void)
{
	static const struct violation violations[] = {
		{ "blkd", "blk0", "(execve), arguments 0x11 0x22 0x33", __NR_execve },
		{ "netd", "net0", "(socket), arguments 0x2 0x1 0x6", __NR_socket },
		{ "vcpu", "vcpu", "(ptrace), arguments 0x10 0x1 0x0", __NR_ptrace },
	};
	char text[100];

	if (sanitized || geteuid() != 0)
		return;
	group("violations speak");
	for (unsigned i = 0; i < ARRAY_SIZE(violations); i++) {
		snprintf(text, sizeof(text), "a forbidden call of %s, mid-run", violations[i].role);
		play(text, "named", role_betrays, &violations[i]);
	}
#ifdef __x86_64__
	static const long calls[] = { __NR_execve, __NR_socket, __NR_openat };

	for (unsigned i = 0; i < ARRAY_SIZE(calls); i++) {
		snprintf(text, sizeof(text), "a forbidden call of the supervisor (%ld)", calls[i]);
		play(text, "ended", supervisor_betrays, &calls[i]);
	}
#endif
}
