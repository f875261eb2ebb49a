/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The spawner looks at its role's end, so that a system call that the filter
 * forbade can be named. It never holds the role up: every other stop is passed
 * on at once, signals included. Only the role's first thread is traced.
 */
#include <errno.h>
#include <linux/audit.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>

#include "init.h"

static void go_on(pid_t pid, int sig)
{
	ptrace(PTRACE_CONT, pid, NULL, (void *)(uintptr_t)sig);
}

/*
 * At the stop before its end, the registers of a thread that its filter killed
 * are as they were before the call: the number is still (or again) in the
 * result's register. A thread that died with another one's fault has a result,
 * or the number of no call, there.
 */
static void read_call(pid_t pid, struct spawn_msg *end)
{
	struct user_regs_struct r;
	long number, result;

	if (ptrace(PTRACE_GETREGS, pid, NULL, &r) < 0)
		return;
#ifdef __x86_64__
	number = (long)r.orig_rax;
	result = (long)r.rax;
	end->arch = AUDIT_ARCH_X86_64;
	end->args[0] = r.rdi;
	end->args[1] = r.rsi;
	end->args[2] = r.rdx;
	end->args[3] = r.r10;
	end->args[4] = r.r8;
	end->args[5] = r.r9;
#else
	number = r.orig_eax;
	result = r.eax;
	end->arch = AUDIT_ARCH_I386;
	end->args[0] = (unsigned long)r.ebx;
	end->args[1] = (unsigned long)r.ecx;
	end->args[2] = (unsigned long)r.edx;
	end->args[3] = (unsigned long)r.esi;
	end->args[4] = (unsigned long)r.edi;
	end->args[5] = (unsigned long)r.ebp;
#endif
	end->call = (uint64_t)number;
	end->call_known = number >= 0 && (result == number || result == -ENOSYS);
}

static void set_options(struct traced *t)
{
	uintptr_t options = PTRACE_O_TRACEEXIT | PTRACE_O_TRACEEXEC | PTRACE_O_EXITKILL;

	/* Before Linux 3.8 there is no EXITKILL; there the pid namespace does the same. */
	if (ptrace(PTRACE_SETOPTIONS, t->pid, NULL, (void *)options) < 0)
		ptrace(PTRACE_SETOPTIONS, t->pid, NULL, (void *)(options & ~(uintptr_t)PTRACE_O_EXITKILL));
	t->options_set = true;
}

enum trace_event trace_event(struct traced *t, int status)
{
	unsigned event = (unsigned)status >> 16;

	if (WIFEXITED(status) || WIFSIGNALED(status)) {
		t->end.value = (uint32_t)status;
		if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGSYS)
			t->end.call_known = 0;
		return TRACE_ENDED;
	}
	if (!WIFSTOPPED(status))
		return TRACE_NOTHING;
	if (!t->options_set && WSTOPSIG(status) == SIGTRAP) {
		set_options(t);
		go_on(t->pid, 0);
		return TRACE_STARTED;
	}
	if (event == PTRACE_EVENT_EXIT)
		read_call(t->pid, &t->end);
	go_on(t->pid, event ? 0 : WSTOPSIG(status));
	return TRACE_NOTHING;
}
