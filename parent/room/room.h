/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Sets up a room, the environment of one role: namespaces, root directory, sockets. The
 * cloned child does this before it executes the spawner.
 */
#ifndef PARENT_ROOM_H
#define PARENT_ROOM_H

#include "parent/room/spawn.h"

/* The step that failed. The child sends it to the parent, which prints the message. */
enum room_step {
	STEP_NONE,
	STEP_NAMESPACES,
	STEP_ROOT,
	STEP_QEMU_FILES,
	STEP_SHARE,
	STEP_SHARE_WRITABLE,
	STEP_LISTEN,
	STEP_DESCRIPTORS,
	STEP_IDS,
	STEP_LIMITS,
	STEP_APPARMOR,
	STEP_FILTER,
	STEP_EXEC,
	STEP_COUNT,
};
/* Returns the message for a failed step, to be followed by ": %m". */
const char *room_step_text(uint32_t step);

/*
 * Enter new mount, network (if @network), IPC, UTS and cgroup namespaces. (The child was cloned into its pid and user
 * namespaces.) Returns the layers (LAYER_BIT()) that the host refuses.
 */
uint32_t room_namespaces(bool network);
/*
 * Maps the IDs @uid and @gid inside a new user namespace to our own ones, @own_uid and @own_gid, outside.
 * Returns 0, or -1 with errno set.
 */
int room_map_ids(uid_t uid, gid_t gid, uid_t own_uid, gid_t own_gid);
/*
 * The user and group ID of controld inside its own user namespace. SO_PEERCRED shows all other users there as the
 * overflow ID, which is at most 65535 and may also be a real user's ID. This ID is larger, so that controld recognises
 * its owner.
 */
#define CONTROLD_INSIDE_ID 100000
/*
 * Make and enter the empty root, or QEMU's. Makes the r->nlisten listening sockets in it,
 * owned by @uid and @gid; their descriptors go to @listen_fd. Returns 0, or -1 with errno
 * set and the failed step in *@step. The caller has a mount namespace of its own.
 */
int room_root(const struct room *r, uid_t uid, gid_t gid, int *listen_fd, uint32_t *step);
/* True if this host can execute a program only by its path (before Linux 3.19): the root then contains it. */
bool room_needs_paths(void);

#endif
