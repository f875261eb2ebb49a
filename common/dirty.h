/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The log of written pages of vhost-user (QEMU's docs/interop/vhost-user.rst, "Migration"): a bitmap in memory that the
 * front-end sends. It has one bit for each page of 4096 bytes of guest physical memory, the lowest bit of byte 0 for
 * page 0. A back-end sets the bits of the pages that it has written; the front-end clears those of the pages that it
 * copies to another host. Both do so atomically, because the front-end may give one log to several back-ends.
 */
#ifndef COMMON_DIRTY_H
#define COMMON_DIRTY_H

#include "common/shm.h"

#define DIRTY_PAGE 4096u

struct dirty_log {
	uint8_t *bits;	/* NULL: there is no log */
	uint64_t bytes; /* Size of the bitmap */
	void *map;	/* Arguments for munmap(): address */
	size_t map_len; /* And length */
};

/*
 * Map bytes [offset, offset + bytes) of @fd as the log, in place of the one in @l. @fd stays open. Its size must be
 * sealed, as that of guest memory, unless @unsealed. Returns SHM_OK, or the reason with @l unchanged.
 */
enum shm_error dirty_map(struct dirty_log *l, bool unsealed, int fd, uint64_t offset, uint64_t bytes);
void dirty_unmap(struct dirty_log *l);

/* True if the log has a bit for each page of guest physical addresses [gpa, gpa + len). */
bool dirty_covers(const struct dirty_log *l, uint64_t gpa, uint64_t len);
/*
 * Set the bits of all pages of [gpa, gpa + len). Call it after the write: the front-end may clear a bit and copy its
 * page at any time. Returns false, and sets no bit, if the log does not cover them.
 */
bool dirty_mark(const struct dirty_log *l, uint64_t gpa, uint64_t len);

#endif
