/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Writes a cpio archive in the format "newc", which Linux unpacks into its initial root
 * file system (Documentation/driver-api/early-userspace/buffer-format.rst).
 */
#ifndef PARENT_RUN_CPIO_H
#define PARENT_RUN_CPIO_H

#include <sys/types.h>

#include "common/util.h"

struct cpio {
	int fd;		  /* The file to write to; owned by the caller. */
	uint64_t off;	  /* Bytes written so far. */
	uint64_t max;	  /* Most bytes to write; more fails with ENOSPC. */
	unsigned entries; /* Number of entries so far; each has its own inode number. */
};

/* All functions return 0, or -1 with errno set. @path has no leading slash. */

/* Copy the first @size bytes of @from unchanged (another archive), then pad to a multiple of four bytes. */
int cpio_raw(struct cpio *c, int from, uint64_t size);
/* Add the directory @path and its parents. The guest accepts it if some of them exist already. */
int cpio_directory(struct cpio *c, const char *path);
/* Add a regular file with the permissions @mode and the @size bytes at @data. */
int cpio_data(struct cpio *c, const char *path, mode_t mode, const void *data, size_t size);
/* The same with the first @size bytes of the file @from. */
int cpio_file(struct cpio *c, const char *path, mode_t mode, int from, uint64_t size);
/* Write the end of the archive. */
int cpio_end(struct cpio *c);

#endif
