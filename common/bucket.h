/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Token buckets: limits on frames, requests and bytes a second. Used by netd and blkd, and for log messages.
 * Pure arithmetic: the caller passes the time.
 */
#ifndef COMMON_BUCKET_H
#define COMMON_BUCKET_H

#include "common/util.h"

/* Largest rate, in tokens a second: this times 1,000,000 microseconds fits 63 bits. */
#define RATE_MAX UINT64_C(1000000000000)
/* How often a device that waits for tokens checks its buckets, in milliseconds. */
#define BUCKET_TICK_MS 5

/*
 * Times are microseconds, and rates are tokens a second. Callers may use another unit of time throughout: then the
 * rate is tokens in BUCKET_UNITS of it.
 */
#define BUCKET_UNITS 1000000
struct bucket {
	uint64_t rate;	  /* Tokens a second; 0: no limit */
	int64_t tokens;	  /* Negative after a frame or request that was larger than what was left */
	int64_t burst;	  /* Most tokens that can accumulate */
	uint64_t last_us; /* Time up to which tokens were added */
};

/* Start with a full bucket. Its size is a tenth of @rate (what 100 ms bring), but at least @min tokens. */
void bucket_init(struct bucket *b, uint64_t rate, uint64_t min, uint64_t now_us);
/* Add the tokens due at @now_us. Returns true if there is at least one, or no limit. */
bool bucket_open(struct bucket *b, uint64_t now_us);
/* Remove @tokens, even if there are fewer: the debt is paid before bucket_open() returns true again. */
void bucket_take(struct bucket *b, uint64_t tokens);

/* Two buckets: things (frames or requests) a second, and bytes a second. */
struct limit {
	bool on; /* At least one of the two has a rate */
	struct bucket things, bytes;
};

void limit_init(struct limit *l, uint64_t things, uint64_t bytes, uint64_t now_us);
/* Add the tokens due at @now_us. True if another frame or request may begin. */
bool limit_ready(struct limit *l, uint64_t now_us);
/* Account for one frame or request of @bytes. */
void limit_take(struct limit *l, uint64_t bytes);

#endif
