/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Token buckets. Runs in netd and blkd. It does no I/O and reads no clock, and no
 * guest input can make its arithmetic overflow.
 */
#include "common/bucket.h"

void bucket_init(struct bucket *b, uint64_t rate, uint64_t min, uint64_t now_us)
{
	b->rate = MIN(rate, RATE_MAX);
	b->burst = (int64_t)MAX(b->rate / 10, min);
	b->tokens = b->burst;
	b->last_us = now_us;
}

bool bucket_open(struct bucket *b, uint64_t now_us)
{
	uint64_t elapsed, gained;

	if (!b->rate)
		return true;
	elapsed = now_us > b->last_us ? now_us - b->last_us : 0;
	if (elapsed >= (uint64_t)BUCKET_UNITS) {
		gained = b->rate;
		b->last_us = now_us;
	} else {
		gained = b->rate * elapsed / (uint64_t)BUCKET_UNITS;
		/* Advance only by the time of whole tokens, so that fractions are not lost. */
		b->last_us += gained * (uint64_t)BUCKET_UNITS / b->rate;
	}
	b->tokens += (int64_t)gained;
	if (b->tokens > b->burst)
		b->tokens = b->burst;
	return b->tokens > 0;
}

void bucket_take(struct bucket *b, uint64_t tokens)
{
	if (b->rate)
		b->tokens -= (int64_t)tokens;
}

void limit_init(struct limit *l, uint64_t things, uint64_t bytes, uint64_t now_us)
{
	bucket_init(&l->things, things, 1, now_us);
	bucket_init(&l->bytes, bytes, 1, now_us);
	l->on = things || bytes;
}

bool limit_ready(struct limit *l, uint64_t now_us)
{
	bool things, bytes;

	if (!l->on)
		return true;
	things = bucket_open(&l->things, now_us);
	bytes = bucket_open(&l->bytes, now_us);
	return things && bytes;
}

void limit_take(struct limit *l, uint64_t bytes)
{
	bucket_take(&l->things, 1);
	bucket_take(&l->bytes, bytes);
}
