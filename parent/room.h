/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Furnishing a room, seen from parent/spawn.c: what the cloned child does before
 * it executes the spawner.
 */
#ifndef PARENT_ROOM_H
#define PARENT_ROOM_H

#include "spawn.h"

/* Room for a whole table of the vCPU process and as many descriptors on their way to it. */
#define SPAWNER_NOFILE (2 * VFD_LIMIT)

/* Where furnishing failed; said by the parent, since the child has no voice. */
enum room_step {
	STEP_NONE,
	STEP_ROOT,
	STEP_QEMU_FILES,
	STEP_LISTEN,
	STEP_DESCRIPTORS,
	STEP_IDS,
	STEP_LIMITS,
	STEP_FILTER,
	STEP_EXEC,
	STEP_COUNT,
};
const char *room_step_text(uint32_t step);

/* Namespaces that the child asks for by itself; the pid and user ones it was cloned into. */
uint32_t room_namespaces(void);
/* Own ids inside a new user namespace, each mapped to itself. 0 or -1 with errno. */
int room_map_ids(uid_t uid, gid_t gid);
/*
 * The empty root, or QEMU's. Listening sockets are made on the way: listen_fd[]
 * gets r->nlisten descriptors. 0, or -1 with errno and *@step; without mount
 * namespace it does nothing.
 */
int room_root(const struct room *r, uid_t uid, gid_t gid, int *listen_fd, uint32_t *step);
/*
 * parent/room_mounts.c: nothing that is mounted from here on reaches another
 * mount namespace; may change the root to a mount of the same folder. And the
 * working folder, which is a mount, becomes the root; no path leads back. 0 or
 * -1 with errno.
 */
int room_private(void);
int room_leave_old_root(void);
/* True on hosts where a program can only be executed by its path: then its room shows it. */
bool room_needs_paths(void);
/* parent/room_qemu.c: show QEMU's files below the current folder. 0 or -1 with errno. */
int room_qemu_files(void);
/* The same, once the root is entered, on hosts without mount_setattr (before Linux 5.12): all of it read-only. */
int room_qemu_seal(void);

/*
 * parent/spawn_child.c: the cloned child, from furnishing to the spawner's
 * execution. @sock is its end of the channel; @own_user: it was cloned into a
 * user namespace; @missing: layers that the clone had to do without.
 */
void spawn_child(const struct room *r, int sock, bool own_user, uint32_t missing) NORETURN;

#endif
