/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Token buckets: how many frames and bytes may pass now. Runs in netd; no I/O,
 * no clock of its own, and no content of a queue can make it overflow.
 */
#include "rate.h"

#define US_PER_S UINT64_C(1000000)

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
	if (elapsed >= US_PER_S) {
		gained = b->rate;
		b->last_us = now_us;
	} else {
		gained = b->rate * elapsed / US_PER_S;
		/* Time that has not yet made a whole token stays in the account. */
		b->last_us += gained * US_PER_S / b->rate;
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
