/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Tracing of the spawner's role, to learn why it ended. */
#ifndef PARENT_INIT_TRACE_H
#define PARENT_INIT_TRACE_H

#include <sys/types.h>

#include "common/spawn_proto.h"
#include "common/util.h"

/*
 * A pause, in the order of its steps. The tracer sees the SIGSTOP twice: when the first thread receives it, and when
 * that thread has stopped. It does not see the stops of the others, but the kernel has told them to stop by then, and
 * none returns to the program any more: one that is in a system call finishes it in the kernel first, which takes long
 * if it waits for a disk, and one that runs on another CPU does so until the kernel's interrupt arrives there.
 */
enum trace_pause { PAUSE_NONE, PAUSE_SENT, PAUSE_RECEIVED, PAUSE_STOPPED };

struct traced {
	pid_t pid;	  /* 0: no role. */
	bool options_set; /* The stop after execveat() has been seen, and tracing options are set. */
	enum trace_pause pause;
	bool resume_wanted;    /* Resume the role as soon as @pause is complete. */
	uint32_t pause_number; /* Number of the request for @pause. */
	bool ended;	       /* The role was reaped; processes that it left behind are being killed. */
	struct spawn_msg end;  /* Why it ends; filled when it stops at its exit. */
};

enum trace_event { TRACE_STARTED, TRACE_ENDED, TRACE_PAUSED, TRACE_NOTHING };
/* Handle @status, which waitpid() returned for t->pid; resumes a stopped role. Returns what happened. */
enum trace_event trace_event(struct traced *t, int status);
/*
 * Stop all threads of the role t->pid; TRACE_PAUSED reports PAUSE_STOPPED. Returns true if there will be no report,
 * because the role was paused before, or is not traced: then the SIGSTOP has been sent, and no more is known.
 */
bool trace_pause(struct traced *t);
/* Let them run again; does nothing if the role is not paused. */
void trace_resume(struct traced *t);

#endif
