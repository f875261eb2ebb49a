/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Checks the first and last bytes of a disk's image, inside the privileged window. */
#ifndef PARENT_SETUP_DISK_IMAGE_H
#define PARENT_SETUP_DISK_IMAGE_H

#include "parent/setup/setup.h"

/* Refuse files that are not a raw disk, unless @o has format=raw. Returns 0, or -1 after logging the reason. */
int disk_check_format(const struct disk_option *o, int fd, const struct stat *st);
/*
 * For a regular file whose capacity is in @b: warn if the last sector is incomplete, and
 * refuse direct I/O if it could not write the last block. May set b->blk_size, the
 * alignment of direct I/O in bytes. Returns 0, or -1 after logging the reason.
 */
int disk_check_tail(const struct disk_option *o, int fd, const struct stat *st, struct blk_config *b);

#endif
