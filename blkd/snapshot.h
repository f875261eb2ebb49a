/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A snapshot: what the guest writes goes into an unlinked sparse file of the
 * disk's size (the delta) at the same offsets; a bitmap says which clusters are
 * there. Everything else is read from the base, which is open for reading only.
 * The bitmap lives in memory alone: the snapshot ends with the process.
 */
#ifndef BLKD_SNAPSHOT_H
#define BLKD_SNAPSHOT_H

#include "blkd/image.h"
#include "common/snapmap.h"

struct snapshot {
	bool on;
	uint64_t capacity;		 /* bytes */
	uint32_t cluster;		 /* bytes, a power of two */
	uint64_t *bits;			 /* one per cluster: its contents are in the delta */
	size_t bits_len;		 /* bytes, for munmap */
	struct image_file *base, *delta; /* the caller's */
};

/* Allocates the bitmap (zero pages until touched), before confinement. 0 or -errno. */
int snapshot_init(struct snapshot *s, struct image_file *base, struct image_file *delta, uint64_t capacity);
/*
 * Use the memory file @fd (sealed, of snapmap_bytes() bytes) for the map, with
 * what it says already: it outlives the process. False with errno if it is not fit.
 */
bool snapshot_share(struct snapshot *s, int fd);
void snapshot_end(struct snapshot *s);

/*
 * The file that holds [off, off + *len), *len cut to what is in one file. For a
 * write: the delta where all of it is there already, else NULL (snapshot_write()).
 */
struct image_file *snapshot_map(const struct snapshot *s, bool write, uint64_t off, uint64_t *len);

/*
 * Write the beginning of [off, off + len) where snapshot_map() gave NULL: whole
 * clusters as they are, partial ones filled up from the base. Waits. Bytes
 * written (at least 1), or -errno; a cluster counts as there only once it is whole.
 */
ssize_t snapshot_write(struct snapshot *s, const struct iovec *iov, unsigned n, uint64_t off, uint64_t len);
/* Zero a range; @discard: whole clusters alone need be zeroed. 0 or -errno. */
int snapshot_zero(struct snapshot *s, uint64_t off, uint64_t len, bool discard);

#endif
