/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Tells files of this host's own file systems from those with a server: see local.h. Runs
 * in the parent before, in and after the window. None of its calls asks a server of FUSE or
 * NFS: openat2(2) with RESOLVE_CACHED fails instead, statx(2) with AT_STATX_DONT_SYNC
 * returns the type that the kernel knows, and statmount(2) returns what it knows of the
 * mount, while statfs(2) asks the server. Only 9p asks its server for any statx(2).
 */
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/util.h"
#include "parent/setup/local.h"

/* The headers of Debian 12 do not define these. */
#define NR_STATMOUNT	457
#define MNT_ID_UNIQUE	0x4000 /* STATX_MNT_ID_UNIQUE */
#define STATMOUNT_BASIC 0x1    /* STATMOUNT_SB_BASIC */
#ifndef BTRFS_SUPER_MAGIC
#define BTRFS_SUPER_MAGIC 0x9123683e
#endif
#ifndef XFS_SUPER_MAGIC
#define XFS_SUPER_MAGIC 0x58465342
#endif

struct mount_request { /* struct mnt_id_req */
	uint32_t size, spare;
	uint64_t mount, param;
};

struct mount_facts { /* struct statmount */
	uint32_t size, options;
	uint64_t mask;
	uint32_t dev_major, dev_minor;
	uint64_t magic;
	uint64_t others[60];
};

/* Not overlayfs and EROFS: layers of the one can be anywhere, data of the other in a file or with a cache's daemon. */
static bool is_local_kind(uint64_t magic)
{
	static const uint32_t kinds[] = { EXT4_SUPER_MAGIC, XFS_SUPER_MAGIC,	BTRFS_SUPER_MAGIC, TMPFS_MAGIC,
					  RAMFS_MAGIC,	    DEVPTS_SUPER_MAGIC, SQUASHFS_MAGIC,	   ISOFS_SUPER_MAGIC };

	for (unsigned i = 0; i < ARRAY_SIZE(kinds); i++)
		if (magic == kinds[i])
			return true;
	return false;
}

bool file_is_local(int fd)
{
	struct mount_request asked = { .size = sizeof(asked), .param = STATMOUNT_BASIC };
	struct mount_facts got = { 0 };
	struct statx st;

	/* syscall(), because libc's statx() falls back to stat(2), which may wait. */
	if (syscall(SYS_statx, fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_TYPE | MNT_ID_UNIQUE, &st) < 0)
		return false;
	if (S_ISFIFO(st.stx_mode) || S_ISSOCK(st.stx_mode))
		return true;
	if (!(st.stx_mask & MNT_ID_UNIQUE))
		return false;
	asked.mount = st.stx_mnt_id;
	return syscall(NR_STATMOUNT, &asked, &got, sizeof(got), 0) == 0 && (got.mask & STATMOUNT_BASIC) &&
	       is_local_kind(got.magic);
}

bool path_is_local(const char *path)
{
	struct open_how how = { .flags = O_PATH | O_CLOEXEC, .resolve = RESOLVE_CACHED };
	int fd = (int)syscall(SYS_openat2, AT_FDCWD, path, &how, sizeof(how));
	bool local = fd >= 0 && file_is_local(fd);

	if (fd >= 0)
		close(fd);
	return local;
}
