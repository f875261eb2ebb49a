/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The spawner traces its role to learn which system call the seccomp filter forbade
 * when the role ends. It resumes the role at once from every other stop, and passes
 * signals on. Only the role's first thread is traced. A role that is paused is left in
 * its stop.
 */
#include <errno.h>
#include <linux/audit.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include "parent/init/trace.h"

static void resume(pid_t pid, int sig)
{
	ptrace(PTRACE_CONT, pid, NULL, (void *)(uintptr_t)sig);
}

/*
 * If the filter killed this thread, its registers at PTRACE_EVENT_EXIT are those from
 * before the system call: the register for the result still holds the call's number.
 * If another thread's call was the reason, that register holds the result of this
 * thread's last call instead, or there was no call (number -1).
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

	/* Linux before 3.8 has no PTRACE_O_EXITKILL; the end of the pid namespace kills the role there. */
	if (ptrace(PTRACE_SETOPTIONS, t->pid, NULL, (void *)options) < 0)
		ptrace(PTRACE_SETOPTIONS, t->pid, NULL, (void *)(options & ~(uintptr_t)PTRACE_O_EXITKILL));
	t->options_set = true;
}

/*
 * SIGSTOP goes to the first thread, not to the process: another thread could take it otherwise, and the first one would
 * report one stop instead of two (see enum trace_pause).
 */
bool trace_pause(struct traced *t)
{
	t->resume_wanted = false;
	if (t->pause == PAUSE_NONE && syscall(SYS_tgkill, t->pid, t->pid, SIGSTOP) == 0)
		t->pause = t->options_set ? PAUSE_SENT : PAUSE_STOPPED;
	return t->pause == PAUSE_STOPPED;
}

/*
 * A pause is always completed first. Otherwise the stops of a pause that SIGCONT has cancelled could not be told from
 * those of the next one, and the first thread would be left in its first stop, in which the others still run.
 */
void trace_resume(struct traced *t)
{
	t->resume_wanted = t->pause == PAUSE_SENT || t->pause == PAUSE_RECEIVED;
	if (t->pause != PAUSE_STOPPED)
		return;
	t->pause = PAUSE_NONE;
	syscall(SYS_tgkill, t->pid, t->pid, SIGCONT);
	if (t->options_set)
		resume(t->pid, 0);
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
		resume(t->pid, 0);
		return TRACE_STARTED;
	}
	if (!event && WSTOPSIG(status) == SIGSTOP && t->pause == PAUSE_RECEIVED) {
		t->pause = PAUSE_STOPPED;
		if (!t->resume_wanted)
			return TRACE_PAUSED;
		trace_resume(t);
		return TRACE_NOTHING;
	}
	if (!event && WSTOPSIG(status) == SIGSTOP && t->pause == PAUSE_SENT)
		t->pause = PAUSE_RECEIVED;
	if (event == PTRACE_EVENT_EXIT)
		read_call(t->pid, &t->end);
	resume(t->pid, event ? 0 : WSTOPSIG(status));
	return TRACE_NOTHING;
}
