/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fstat(2) through a system call that takes no path. libc's fstat() calls newfstatat()
 * on some architectures and statx() on others. Both take a path in addition to a
 * descriptor, and a seccomp filter cannot see a path, so no filter allows them. Runs in
 * every process.
 */
#ifndef COMMON_FDSTAT_H
#define COMMON_FDSTAT_H

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

/*
 * As fstat(2). Returns 0, or -1 with errno set. The Makefile asks for 64-bit offsets, so
 * struct stat has the kernel's layout.
 */
static inline int fd_stat(int fd, struct stat *st)
{
#ifdef SYS_fstat64
	return (int)syscall(SYS_fstat64, fd, st);
#else
	return (int)syscall(SYS_fstat, fd, st);
#endif
}

/*
 * Set device, inode, type, mode, owner and size of the file at @path in *@st, from what
 * the kernel has cached. Never waits for the server of the file system (FUSE, NFS), which
 * may not answer. Returns 0, or -1 with errno set; ENOSYS on hosts before Linux 4.11.
 */
static inline int stat_cached(const char *path, struct stat *st)
{
	struct statx x;

	/* syscall(), because libc's statx() falls back to stat(2), which may wait. */
	if (syscall(SYS_statx, AT_FDCWD, path, AT_STATX_DONT_SYNC | AT_NO_AUTOMOUNT, STATX_BASIC_STATS, &x) < 0)
		return -1;
	memset(st, 0, sizeof(*st));
	st->st_dev = makedev(x.stx_dev_major, x.stx_dev_minor);
	st->st_rdev = makedev(x.stx_rdev_major, x.stx_rdev_minor);
	st->st_ino = (ino_t)x.stx_ino;
	st->st_mode = x.stx_mode;
	st->st_uid = x.stx_uid;
	st->st_size = (off_t)x.stx_size;
	return 0;
}

#endif
