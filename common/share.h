/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A private view of a directory tree for fsd. */
#ifndef COMMON_SHARE_H
#define COMMON_SHARE_H

#include "common/util.h"

/*
 * Clone the mount of the directory @path, with the mounts below it: read-only, without set-user-ID programs and
 * device files, attached nowhere. Needs CAP_SYS_ADMIN and Linux 5.12. Returns a descriptor of its root (O_PATH,
 * close-on-exec), which keeps it; or -1 with errno set, ENOSYS on older hosts.
 */
int share_clone(const char *path);
/*
 * The same for a guest that may write: without the mounts below the directory, so that no name in it leads to another
 * file system. @userns: user namespace that maps the directory's owner to the user of fsd (mount_setattr(2),
 * MOUNT_ATTR_IDMAP); -1: none. errno is EINVAL if the file system cannot be mapped, or if the caller, in a user namespace,
 * may not uncover what the mounts below hide.
 */
int share_clone_writable(const char *path, int userns);
/*
 * share_clone_writable() for a caller without privileges: a child makes the clone in a user namespace and ends. Returns
 * and fails like that function; errno is EPERM or ENOSPC if this host gives the user no user namespace.
 */
int share_clone_as_user(const char *path);
/*
 * Make a user namespace for such a clone in which @owner and @group, those of the directory, are @uid and @gid, those of
 * fsd. No process stays in it. Needs CAP_SYS_ADMIN and CAP_SETUID. Returns its descriptor, or -1 with errno set.
 */
int share_owner_namespace(uint32_t owner, uint32_t group, uint32_t uid, uint32_t gid);

#endif
