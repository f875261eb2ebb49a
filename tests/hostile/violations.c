/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Violations are reported: the real lguest-sep runs with a test role in place of one of its
 * roles, which becomes ready and then makes one forbidden call. It must be killed at once,
 * one line must name it, the call and its first arguments, and nothing may be left. The
 * supervisor is made to call it through ptrace. Needs root.
 */
#include <signal.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/hostile/launch.h"

static const struct launch plain = { .option = { "--max-restarts=0", "--share=/usr" } };

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

/* The guest goes on without it. */
static void control_betrays(const void *arg)
{
	static const struct launch named = { .option = { "--max-restarts=0", "--name=hostile" } };
	char line[1024] = "";
	int status;
	pid_t pid;

	(void)arg;
	launch_prepare("controld");
	pid = launch(&named);
	need(launch_runs(pid, "blkd"));
	for (unsigned i = 0; i < PATIENCE && !launch_said("is not started again", NULL, 0); i++)
		usleep(1000);
	need(launch_said("ended by its filter", line, sizeof(line)) == 1);
	need(strstr(line, "(openat), arguments 0x7 0x8 0x9") != NULL);
	need(strncmp(line, "lguest-sep: control: ", 21) == 0);
	need(launch_runs(pid, "blkd"));
	need(kill(pid, SIGQUIT) == 0);
	status = launch_end(pid, 4 * PATIENCE);
	need(WIFEXITED(status) && WEXITSTATUS(status) == 131);
	need(launch_gone());
	counted("named");
}

#ifdef __x86_64__
/* The supervisor waits in a system call: replace that by another one through ptrace. */
static void put_call_into(pid_t pid, long nr)
{
	struct user_regs_struct regs;
	int status;

	for (unsigned i = 0; i < PATIENCE; i++, usleep(1000)) {
		need(ptrace(PTRACE_ATTACH, pid, NULL, NULL) == 0);
		need(waitpid(pid, &status, 0) == pid && WIFSTOPPED(status));
		need(ptrace(PTRACE_GETREGS, pid, NULL, &regs) == 0);
		if (regs.orig_rax != (unsigned long)-1)
			break;
		need(ptrace(PTRACE_DETACH, pid, NULL, NULL) == 0);
	}
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
	need(launch_runs(pid, "blkd"));
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
		{ "fsd", "fs0", "(openat), arguments 0x4 0x5 0x6", __NR_openat },
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
	play("a forbidden call of controld, and the guest goes on", "named", control_betrays, NULL);
#ifdef __x86_64__
	static const long calls[] = { __NR_execve, __NR_socket, __NR_openat };

	for (unsigned i = 0; i < ARRAY_SIZE(calls); i++) {
		snprintf(text, sizeof(text), "a forbidden call of the supervisor (%ld)", calls[i]);
		play(text, "ended", supervisor_betrays, &calls[i]);
	}
#endif
}
