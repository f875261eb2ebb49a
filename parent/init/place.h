/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The spawner's child, from fork until it executes the role's program. */
#ifndef PARENT_INIT_PLACE_H
#define PARENT_INIT_PLACE_H

#include "common/spawn_proto.h"
#include "common/util.h"

/* Memory shared between the spawner and its child, until the child executes the role's program. */
struct child_state {
	volatile int error;	/* errno of the step that failed; 0: none. */
	volatile bool untraced; /* This host forbids tracing. */
};

/* In the child: execute the role that @m asks for; the caller has checked @m. Does not return. */
void role_start(const struct spawn_msg *m, const int *fds, struct child_state *state) NORETURN;

#endif
