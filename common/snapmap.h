/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Size of a snapshot's map. With --block=FILE,snapshot, blkd writes changes to a second
 * file. The disk is divided into clusters; bit n of the map is set if cluster n is in the
 * second file. The parent creates the memory for the map, so that it outlives a crash of
 * blkd.
 */
#ifndef COMMON_SNAPMAP_H
#define COMMON_SNAPMAP_H

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

#endif
