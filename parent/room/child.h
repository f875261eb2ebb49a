/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The cloned child, from the set-up of its namespaces to the execution of the spawner. */
#ifndef PARENT_ROOM_CHILD_H
#define PARENT_ROOM_CHILD_H

#include "parent/room/room.h"

/*
 * Set up namespaces, root directory and privileges as @r asks, then execute the spawner.
 * @sock is the child's end of the socket to the parent. @own_user: the child was cloned
 * into a user namespace. @missing: layers (LAYER_BIT()) that the clone lacks. Does not
 * return; on failure it sends SPAWN_NO_ROOM and exits.
 */
void spawn_child(const struct room *r, int sock, bool own_user, uint32_t missing) NORETURN;

#endif
