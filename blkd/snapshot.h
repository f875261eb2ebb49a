/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Snapshots: the guest can write to its disk, but the image (the *base*) stays unchanged. A
 * write goes to an unlinked sparse file of the disk's size (the *delta*), at the same
 * offset. A map has one bit per cluster: 1 if the cluster is present in the delta. Absent
 * clusters are read from the base, which is open for reading only. The map is only in
 * memory, so a snapshot ends with the guest.
 *
 * With --checkpoint the delta has two places for each cluster. What is there at the checkpoint is kept: a write to such
 * a cluster copies it to its other place, which becomes the current one. A reset makes the kept place current again, and
 * a checkpoint keeps the current one. Both only copy those pages of the maps that have changed.
 *
 * With --reset=fresh another process serves the disk after the checkpoint, and after each reset. What was in the delta then is
 * the *lower* level: a file that it can only read, with a map that nobody can write any more. Its delta begins empty.
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
	/* With --reset=fresh, after the checkpoint; low_bits NULL: there is no lower level. */
	struct image_file lower;
	const uint64_t *low_bits; /* Map of the clusters in @lower that are not in the delta */
	/* With --checkpoint; kept_now NULL: there are no levels. common/snapmap.h has the layout. */
	struct image_file other;	 /* The second places in the delta */
	uint64_t *kept_now;		 /* 1: there is a checkpoint */
	uint64_t *side;			 /* Cluster is in its second place */
	uint64_t *kept_bits, *kept_side; /* @bits and @side at the checkpoint */
	uint64_t *changed;		 /* Bit n: page n of a map may differ from the kept one */
	size_t levels_len;		 /* Length of the mapping that begins at kept_now, in bytes */
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
 * Use the sealed memfd @fd for the maps of a snapshot with levels, with its contents. False with errno set if it does
 * not fit.
 */
bool snapshot_levels(struct snapshot *s, int fd);
/*
 * The file @fd, opened for reading only, is the lower level, and the memfd @map, which nobody can write, its map. @slot: of
 * the file among those of the io_uring. @begins: make the delta empty. False with errno set if they do not fit.
 */
bool snapshot_lower(struct snapshot *s, int fd, int map, unsigned slot, bool begins);
/* Keep the present state as that of a checkpoint, or with @back return to it. Not while a request is in progress. */
void snapshot_checkpoint(struct snapshot *s, bool back);

/*
 * Find the next run of clusters from *@cluster on that are all in one place, which is not the base, at most @max bytes of
 * them. Sets *@cluster to the first one and *@f to the file that holds the run. Returns the number of clusters; 0: there
 * are no more.
 */
uint64_t snapshot_next(struct snapshot *s, uint64_t *cluster, uint64_t max, struct image_file **f);
/* Make the snapshot empty, and forget its checkpoint: for a guest that starts from a file. */
void snapshot_clear(struct snapshot *s);
/* Mark the @n clusters from @cluster on as present: their data has been written to the delta. */
void snapshot_have(struct snapshot *s, uint64_t cluster, uint64_t n);

/*
 * The file that holds the data at @off; reduces *@len to the part that is in that file. For
 * a write: the delta if the cluster is present and not kept; otherwise NULL, use snapshot_write().
 */
struct image_file *snapshot_map(struct snapshot *s, bool write, uint64_t off, uint64_t *len);

/*
 * Write to an absent or kept cluster, for which snapshot_map() returned NULL. A cluster that is
 * written only in part is completed from the base, or from its kept place. Waits for the disk. Returns the number
 * of bytes written, at least 1 and perhaps less than @len, or -errno.
 */
ssize_t snapshot_write(struct snapshot *s, const struct iovec *iov, unsigned n, uint64_t off, uint64_t len);
/* Zero [off, off + len). @discard: it is enough to zero whole clusters. Waits. Returns 0 or -errno. */
int snapshot_zero(struct snapshot *s, uint64_t off, uint64_t len, bool discard);

#endif
