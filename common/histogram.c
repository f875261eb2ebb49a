/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Percentiles without a list of values: see histogram.h. Runs in the vCPU process, confined. It never allocates. */
#include "common/histogram.h"
#include "common/util.h"

#define EACH (UINT64_C(1) << HISTOGRAM_BITS) /* Buckets for each power of two */

static unsigned bucket_of(uint64_t value)
{
	unsigned shift;

	value = MIN(value, (UINT64_C(1) << HISTOGRAM_TOP) - 1);
	if (value < 2 * EACH)
		return (unsigned)value;
	/* The highest HISTOGRAM_BITS + 1 bits of the value, of which the first is 1. */
	shift = 63 - (unsigned)__builtin_clzll(value) - HISTOGRAM_BITS;
	return (shift << HISTOGRAM_BITS) + (unsigned)(value >> shift);
}

static uint64_t largest_in(unsigned bucket)
{
	unsigned shift;

	if (bucket < 2 * EACH)
		return bucket;
	shift = (bucket >> HISTOGRAM_BITS) - 1;
	return ((bucket % EACH + EACH + 1) << shift) - 1;
}

void histogram_add(struct histogram *h, uint64_t value)
{
	h->bucket[bucket_of(value)]++;
	h->total++;
}

uint64_t histogram_percentile(const struct histogram *h, unsigned percent)
{
	/* Rounded up, without a product that could overflow. */
	uint64_t wanted = h->total / 100 * percent + (h->total % 100 * percent + 99) / 100, counted = 0;

	for (unsigned i = 0; i < HISTOGRAM_BUCKETS && h->total; i++) {
		counted += h->bucket[i];
		if (counted >= wanted)
			return largest_in(i);
	}
	return 0;
}
