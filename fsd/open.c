/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Opens files of the share. Runs in fsd, confined. Every path that is opened here is one name in a directory that fsd
 * holds, so it cannot lead out of the share: openat2(2) follows no symbolic link, no "..", and enters no other mount. For
 * a share that the guest may write to, openat(2) with O_NOFOLLOW does the same, because its clone has one mount only:
 * there the filter sees flags and mode.
 */
#include <errno.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/fdstat.h"
#include "fsd/open.h"

/* How often an open is tried again that the host's renames have disturbed. */
#define OPEN_TRIES 8

static int open_once(const struct fsd *d, int dir, const char *name, const struct open_how *how)
{
	if (!d->cfg.read_write)
		return (int)syscall(SYS_openat2, dir, name, how, sizeof(*how));
	return (int)syscall(SYS_openat, dir, name, (unsigned)how->flags | O_LARGEFILE, (unsigned)how->mode);
}

int fsd_open_at(const struct fsd *d, int dir, const char *name, uint64_t flags, mode_t mode, uint64_t resolve)
{
	struct open_how how = { .flags = flags | O_CLOEXEC | O_NOFOLLOW, .mode = mode, .resolve = resolve };
	int fd = -1;

	for (unsigned i = 0; i < OPEN_TRIES && fd < 0; i++) {
		fd = open_once(d, dir, name, &how);
		if (fd < 0 && errno != EAGAIN && errno != EINTR)
			return -errno;
	}
	if (fd < 0)
		return -EIO;
	if (fd < FSD_FD0) {
		/* Only with a foreign front-end: with our own, device.c has filled the table. */
		int up = fcntl(fd, F_DUPFD_CLOEXEC, FSD_FD0), err = errno;

		close(fd);
		return up < 0 ? -err : up;
	}
	return fd;
}

int fsd_find_at(const struct fsd *d, int dir, const char *name, const struct node *n)
{
	int fd = fsd_open_at(d, dir, name, O_PATH, 0, FSD_SAME_MOUNT);
	struct stat st;

	if (fd < 0)
		return fd;
	if (fd_stat(fd, &st) == 0 && node_is(n, &st))
		return fd;
	close(fd);
	return -ESTALE;
}
