/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A private view of a directory tree for fsd: see share.h. Runs before confinement, in the parent's child that makes
 * fsd's room, and in stand-alone fsd.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/share.h"

/* linux/mount.h conflicts with sys/mount.h on some C libraries, and Debian 12's lacks some of these. */
#define OPEN_TREE_CLONE_ 1
#define AT_RECURSIVE_	 0x8000
#define ATTR_RDONLY	 0x1
#define ATTR_NOSUID	 0x2
#define ATTR_NODEV	 0x4
#define ATTR_NOEXEC	 0x8
#define ATTR_IDMAP	 0x00100000
#define MS_PRIVATE_	 (1u << 18)
#ifndef __NR_open_tree
#define __NR_open_tree 428
#endif
#ifndef __NR_mount_setattr
#define __NR_mount_setattr 442
#endif

struct mount_attributes {
	uint64_t set, clear, propagation, userns_fd;
};

/* @recursive: AT_RECURSIVE_ or 0 */
static int clone_with(const char *path, unsigned recursive, const struct mount_attributes *a)
{
	int fd = (int)syscall(__NR_open_tree, AT_FDCWD, path, OPEN_TREE_CLONE_ | O_CLOEXEC | recursive), err;

	if (fd < 0)
		return -1;
	if (syscall(__NR_mount_setattr, fd, "", AT_EMPTY_PATH | recursive, a, sizeof(*a)) == 0)
		return fd;
	err = errno;
	close(fd);
	errno = err;
	return -1;
}

int share_clone(const char *path)
{
	const struct mount_attributes a = { .set = ATTR_RDONLY | ATTR_NOSUID | ATTR_NODEV, .propagation = MS_PRIVATE_ };

	return clone_with(path, AT_RECURSIVE_, &a);
}

int share_clone_writable(const char *path, int userns)
{
	struct mount_attributes a = { .set = ATTR_NOSUID | ATTR_NODEV | ATTR_NOEXEC, .propagation = MS_PRIVATE_ };

	if (userns >= 0) {
		a.set |= ATTR_IDMAP;
		a.userns_fd = (uint64_t)userns;
	}
	return clone_with(path, 0, &a);
}
