/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How large a snapshot's map is: one bit per cluster of the disk. blkd uses the
 * map; the parent makes the memory for it, which outlives every blkd.
 */
#ifndef COMMON_SNAPMAP_H
#define COMMON_SNAPMAP_H

#include <stdint.h>

/* Clusters begin at this size and double until the map has at most SNAP_MAX_BITS. */
#define SNAP_MIN_CLUSTER 4096u
#define SNAP_MAX_CLUSTER 65536u
#define SNAP_MAX_BITS	 (1ull << 28)

/* Bytes, a power of two. */
static inline uint32_t snapmap_cluster(uint64_t capacity)
{
	uint32_t cluster = SNAP_MIN_CLUSTER;

	while (cluster < SNAP_MAX_CLUSTER && capacity / cluster > SNAP_MAX_BITS)
		cluster *= 2;
	return cluster;
}

/* Bytes of the whole map. */
static inline uint64_t snapmap_bytes(uint64_t capacity)
{
	return (capacity / snapmap_cluster(capacity) / 64 + 1) * sizeof(uint64_t);
}

#endif
