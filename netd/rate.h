/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Token buckets for one direction of one NIC: frames a second and bytes a
 * second. Pure: the caller gives the time. Used by netd alone.
 */
#ifndef NETD_RATE_H
#define NETD_RATE_H

#include "common/util.h"

/* Largest rate that is accepted, a second: products with a second's microseconds fit 63 bits. */
#define RATE_MAX UINT64_C(1000000000000)
/* How often a limited NIC looks at its buckets while it waits; also the shortest burst. */
#define RATE_TICK_MS 5

struct bucket {
	uint64_t rate;	/* tokens a second; 0: no limit */
	int64_t tokens; /* may go below zero by one frame: it is paid back before the next */
	int64_t burst;
	uint64_t last_us;
};

/* Starts full, at a tenth of a second's worth but at least @min. */
void bucket_init(struct bucket *b, uint64_t rate, uint64_t min, uint64_t now_us);
/* True if a frame may pass at @now_us. */
bool bucket_open(struct bucket *b, uint64_t now_us);
void bucket_take(struct bucket *b, uint64_t tokens);

#endif
