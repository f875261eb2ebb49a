/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Token buckets (limit.h). Runs in blkd; makes no system call. */
#include "blkd/limit.h"

#define UNIT	  1000000ll
#define WINDOW_US 100000ull
/* Above this a rate is no limit on any machine, and the arithmetic stays inside 63 bits. */
#define RATE_MAX (1ull << 42)

static void bucket_init(struct bucket *b, uint64_t rate)
{
	b->rate = MIN(rate, RATE_MAX);
	b->level = (int64_t)(b->rate * WINDOW_US);
}

static void bucket_fill(struct bucket *b, uint64_t us)
{
	int64_t full = MAX((int64_t)(b->rate * WINDOW_US), UNIT);

	b->level = MIN(b->level + (int64_t)(b->rate * us), full);
}

void limit_init(struct limit *l, uint64_t ops, uint64_t bytes, uint64_t now_us)
{
	bucket_init(&l->ops, ops);
	bucket_init(&l->bytes, bytes);
	l->on = ops || bytes;
	l->last_us = now_us;
}

bool limit_ready(struct limit *l, uint64_t now_us)
{
	/* A second at most: a long sleep fills a bucket anyway, unless it is deep in debt. */
	uint64_t us = MIN(now_us - l->last_us, 1000000ull);

	if (!l->on)
		return true;
	l->last_us = now_us;
	bucket_fill(&l->ops, us);
	bucket_fill(&l->bytes, us);
	return (!l->ops.rate || l->ops.level > 0) && (!l->bytes.rate || l->bytes.level > 0);
}

void limit_take(struct limit *l, uint64_t bytes)
{
	if (l->ops.rate)
		l->ops.level -= UNIT;
	if (l->bytes.rate)
		l->bytes.level -= (int64_t)bytes * UNIT;
}
