/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Gives up privileges permanently. */
#ifndef PARENT_ROOM_CONFINE_H
#define PARENT_ROOM_CONFINE_H

#include "parent/room/spawn.h"

/*
 * Give up every privilege permanently: groups, user and group ID, capabilities and the
 * bounding set, no_new_privs, dumpable 0. @uid -1: keep user, group and groups. Returns 0,
 * or -1 after logging the reason.
 */
int confine_self(uid_t uid, gid_t gid);

/*
 * Empty the bounding and ambient sets of this process. Spawners inherit the empty sets, so that they need not drop each
 * capability themselves; a new user namespace begins with a full bounding set, which confine_self() then empties. Does
 * nothing without CAP_SETPCAP. The capabilities that the process has stay until confine_self(). A program that it
 * executes meanwhile gets none. Returns 0, or -1 after logging the reason.
 */
int confine_bounds(void);

/* Returns NULL if this process can switch to user @uid and group @gid, or the reason why it cannot. */
const char *cannot_become(uid_t uid, gid_t gid);

/*
 * Find the subordinate ID number @n (counted from 0) that @file (/etc/subuid or subgid, see
 * subuid(5)) grants to the user with name @user and ID @id, over all lines that name either.
 * Writes it to *@which. Returns 0, or -1 with errno set (ENOENT: the user has fewer).
 */
int subid_nth(const char *file, const char *user, uid_t id, unsigned n, uid_t *which);

#endif
