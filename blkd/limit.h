/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Rate limits: two token buckets, operations and bytes a second. Pure arithmetic
 * on the time that the caller gives. A bucket holds a tenth of a second's worth;
 * the request that empties it may overdraw it, and the debt is waited for.
 */
#ifndef BLKD_LIMIT_H
#define BLKD_LIMIT_H

#include "common/util.h"

/* How often a throttled device looks again. */
#define LIMIT_TICK_US 5000

struct bucket {
	uint64_t rate; /* units a second; 0: no limit */
	int64_t level; /* millionths of a unit */
};

struct limit {
	bool on;
	struct bucket ops, bytes;
	uint64_t last_us;
};

void limit_init(struct limit *l, uint64_t ops, uint64_t bytes, uint64_t now_us);
/* May another request begin? Refills first. */
bool limit_ready(struct limit *l, uint64_t now_us);
/* A request of @bytes has begun. */
void limit_take(struct limit *l, uint64_t bytes);

#endif
