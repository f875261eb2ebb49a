/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The parts of the spawner (lguest-sep-init), to each other.
 */
#ifndef PARENT_INIT_INIT_H
#define PARENT_INIT_INIT_H

#include <sys/types.h>

#include "common/spawn_proto.h"
#include "common/util.h"

/* Shared between the spawner and the child that becomes a role, until it does. */
struct child_state {
	volatile int error;
	volatile bool untraced; /* the host lets nobody be traced */
};

/* parent/init/place.c: in the child. Does not return. */
void role_start(const struct spawn_msg *m, const int *fds, struct child_state *state) NORETURN;

/* parent/init/main.c: in the child, where nobody may be traced: it says itself that it is about to start. */
void tell_untraced(void);

/* parent/init/trace.c. The one role that there can be. */
struct traced {
	pid_t pid;
	bool options_set; /* the first stop, of execveat(), has been seen */
	bool no_exec_event;
	struct spawn_msg end; /* filled when it stops on its way out */
};

enum trace_event { TRACE_STARTED, TRACE_ENDED, TRACE_NOTHING };
/* What @status of waitpid() for t->pid means; lets a stopped role go on. */
enum trace_event trace_event(struct traced *t, int status);

#endif
