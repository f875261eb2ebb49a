/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Size of a snapshot's map. With --block=FILE,snapshot, blkd writes changes to a second
 * file. The disk is divided into clusters; bit n of the map is set if cluster n is in the
 * second file. The parent creates the memory for the map, so that it outlives a crash of
 * blkd.
 */
#ifndef COMMON_SNAPMAP_H
#define COMMON_SNAPMAP_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Smallest and largest cluster, in bytes. The smallest size is used with which the map has
 * at most SNAP_MAX_BITS bits: 4 KiB for a disk of up to 1 TiB.
 */
#define SNAP_MIN_CLUSTER 4096u
#define SNAP_MAX_CLUSTER 65536u
#define SNAP_MAX_BITS	 (1ull << 28)

/* Cluster size for a disk of @capacity bytes: in bytes, a power of two. */
static inline uint32_t snapmap_cluster(uint64_t capacity)
{
	uint32_t cluster = SNAP_MIN_CLUSTER;

	while (cluster < SNAP_MAX_CLUSTER && capacity / cluster > SNAP_MAX_BITS)
		cluster *= 2;
	return cluster;
}

/* Size of the map for a disk of @capacity bytes: in bytes, a multiple of 8. */
static inline uint64_t snapmap_bytes(uint64_t capacity)
{
	return (capacity / snapmap_cluster(capacity) / 64 + 1) * sizeof(uint64_t);
}

/*
 * With --checkpoint the guest can return to an earlier state of the snapshot. The second file then has two places for each
 * cluster, the other one snapmap_places() bytes behind. More memory, which outlives blkd as well, holds: a page whose first
 * 8 bytes are 1 once there is a checkpoint; and maps, each of snapmap_map() bytes: in which place a cluster is; the
 * first map and this one as they were at the checkpoint; and a map of the pages of these that have changed since.
 */
#define SNAPMAP_PAGE 4096u

static inline uint64_t snapmap_places(uint64_t capacity)
{
	return (capacity + SNAP_MAX_CLUSTER - 1) & ~(uint64_t)(SNAP_MAX_CLUSTER - 1);
}

/* Size of the second file; @levels: with --checkpoint. */
static inline uint64_t snapmap_delta_bytes(uint64_t capacity, bool levels)
{
	return levels ? snapmap_places(capacity) + capacity : capacity;
}

static inline uint64_t snapmap_map(uint64_t capacity)
{
	return (snapmap_bytes(capacity) + SNAPMAP_PAGE - 1) & ~(uint64_t)(SNAPMAP_PAGE - 1);
}

/* Pages of the last map: one bit for each page of another map. */
static inline uint64_t snapmap_changed(uint64_t capacity)
{
	return (snapmap_map(capacity) / SNAPMAP_PAGE / 8 + SNAPMAP_PAGE) & ~(uint64_t)(SNAPMAP_PAGE - 1);
}

static inline uint64_t snapmap_levels_bytes(uint64_t capacity)
{
	return SNAPMAP_PAGE + 3 * snapmap_map(capacity) + snapmap_changed(capacity);
}

#endif
