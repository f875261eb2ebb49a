/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Snapshots: the guest can write to its disk, but the image (the *base*) stays unchanged. A
 * write goes to an unlinked sparse file of the disk's size (the *delta*), at the same
 * offset. A map has one bit per cluster: 1 if the cluster is present in the delta. Absent
 * clusters are read from the base, which is open for reading only. The map is only in
 * memory, so a snapshot ends with the guest.
 */
#ifndef BLKD_SNAPSHOT_H
#define BLKD_SNAPSHOT_H

#include "blkd/image.h"
#include "common/snapmap.h"

struct snapshot {
	bool on;
	uint64_t capacity;		 /* In bytes */
	uint32_t cluster;		 /* Size of a cluster in bytes, a power of two */
	uint64_t *bits;			 /* The map: one bit per cluster */
	size_t bits_len;		 /* Length of the map's mapping, in bytes */
	struct image_file *base, *delta; /* Not owned */
};

/*
 * Initialise @s with an empty map, before confinement. @base and @delta must stay valid.
 * @capacity: of the disk, in bytes. Returns 0 or -errno.
 */
int snapshot_init(struct snapshot *s, struct image_file *base, struct image_file *delta, uint64_t capacity);
/*
 * Use the sealed memfd @fd, of at least snapmap_bytes() bytes, as the map, with its
 * contents. It outlives this process, so that blkd can be restarted. False with errno set
 * if it does not fit.
 */
bool snapshot_share(struct snapshot *s, int fd);

/*
 * The file that holds the data at @off; reduces *@len to the part that is in that file. For
 * a write: the delta if the cluster is present; otherwise NULL, use snapshot_write().
 */
struct image_file *snapshot_map(const struct snapshot *s, bool write, uint64_t off, uint64_t *len);

/*
 * Write to an absent cluster, for which snapshot_map() returned NULL. A cluster that is
 * written only in part is completed from the base. Waits for the disk. Returns the number
 * of bytes written, at least 1 and perhaps less than @len, or -errno.
 */
ssize_t snapshot_write(struct snapshot *s, const struct iovec *iov, unsigned n, uint64_t off, uint64_t len);
/* Zero [off, off + len). @discard: it is enough to zero whole clusters. Waits. Returns 0 or -errno. */
int snapshot_zero(struct snapshot *s, uint64_t off, uint64_t len, bool discard);

#endif
