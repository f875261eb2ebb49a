/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A histogram of a fixed size: counts values so that percentiles of any number of them can be computed. Values below 64
 * are counted exactly; above, 32 buckets divide each power of two, so a bucket is at most 1/32 of its values wide.
 */
#ifndef COMMON_HISTOGRAM_H
#define COMMON_HISTOGRAM_H

#include <stdint.h>

#define HISTOGRAM_BITS	  5  /* 2^5 buckets for each power of two */
#define HISTOGRAM_TOP	  24 /* Values from 2^24 - 1 on share the last bucket */
#define HISTOGRAM_BUCKETS ((HISTOGRAM_TOP - HISTOGRAM_BITS + 1) << HISTOGRAM_BITS)

struct histogram {
	uint64_t total; /* Values counted */
	uint64_t bucket[HISTOGRAM_BUCKETS];
};

/* Count @value. */
void histogram_add(struct histogram *h, uint64_t value);
/*
 * The percentile @percent (1 to 100): the largest value of the first bucket up to which at least that share of all
 * values was counted. For values that share the last bucket that is 2^24 - 1. Returns 0 if nothing was counted.
 */
uint64_t histogram_percentile(const struct histogram *h, unsigned percent);

#endif
