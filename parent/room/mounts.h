/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The root of a new mount namespace. */
#ifndef PARENT_ROOM_MOUNTS_H
#define PARENT_ROOM_MOUNTS_H

#include "parent/room/room.h"

/*
 * Stop the propagation of mounts to other mount namespaces. May change the root to a
 * bind mount of the same directory. Returns 0, or -1 with errno set.
 */
int room_private(void);

/*
 * Make the working directory, which is a mount point, the root directory. No path leads
 * back to the old root. Returns 0, or -1 with errno set.
 */
int room_leave_old_root(void);

#endif
