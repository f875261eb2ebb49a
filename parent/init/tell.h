/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Messages from the spawner to the supervisor, over the socket IFD_CMD. */
#ifndef PARENT_INIT_TELL_H
#define PARENT_INIT_TELL_H

#include "common/spawn_proto.h"

/* Send @m; waits until the socket has room for it. Exits if the supervisor has ended. */
void tell(const struct spawn_msg *m);
/* Send a message that consists of its type and one value. */
void tell_value(enum spawn_type type, uint32_t value);
/*
 * In the child, on a host that forbids tracing: send SPAWN_STARTED before exec, because the spawner cannot observe the
 * exec there.
 */
void tell_untraced(void);

#endif
