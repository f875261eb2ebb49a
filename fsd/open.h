/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Opens one name in a directory of the share. */
#ifndef FSD_OPEN_H
#define FSD_OPEN_H

#include <fcntl.h>
#include <linux/openat2.h>

#include "fsd/fsd.h"

/* How names are resolved, for openat2(2): only beneath the directory. */
#define FSD_BENEATH (RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_SYMLINKS)
/* The same, and only on the directory's mount. */
#define FSD_SAME_MOUNT (FSD_BENEATH | RESOLVE_NO_XDEV)

/*
 * Open @name in the directory at @dir with @flags. @mode: with O_CREAT. Returns a descriptor, at least FSD_FD0, or a
 * negative error number.
 */
int fsd_open_at(const struct fsd *d, int dir, const char *name, uint64_t flags, mode_t mode, uint64_t resolve);
/*
 * Open the file @name in the directory at @dir with O_PATH, if it is the file of @n. Returns a descriptor or a negative
 * error number: ESTALE if it is another file.
 */
int fsd_find_at(const struct fsd *d, int dir, const char *name, const struct node *n);

#endif
