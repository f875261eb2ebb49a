/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Promise: a histogram counts each value in one bucket, whose edges are where histogram.h says, and a percentile is never
 * less than the true one and at most 1/32 more, whatever the values are.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/histogram.h"

#define LAST ((UINT64_C(1) << 24) - 1)

static struct histogram h;

static int clear(void **state)
{
	(void)state;
	memset(&h, 0, sizeof(h));
	return 0;
}

static void nothing_has_no_percentile(void **state)
{
	(void)state;
	assert_int_equal(histogram_percentile(&h, 1), 0);
	assert_int_equal(histogram_percentile(&h, 50), 0);
	assert_int_equal(histogram_percentile(&h, 100), 0);
}

/* The largest value of the bucket in which @value is counted. Fails if it is not counted exactly once. */
static uint64_t end_of_bucket(uint64_t value)
{
	uint64_t n = 0;

	memset(&h, 0, sizeof(h));
	histogram_add(&h, value);
	for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++)
		n += h.bucket[i];
	assert_int_equal(n, 1);
	assert_int_equal(h.total, 1);
	return histogram_percentile(&h, 50);
}

static void small_values_are_exact(void **state)
{
	(void)state;
	for (uint64_t v = 0; v < 64; v++)
		assert_int_equal(end_of_bucket(v), v);
	assert_int_equal(end_of_bucket(64), 65);
	assert_int_equal(end_of_bucket(65), 65);
	assert_int_equal(end_of_bucket(66), 67);
}

/* Buckets follow each other without a gap: the edges of each power of two have those of the definition. */
static void edges_are_those_of_the_definition(void **state)
{
	(void)state;
	for (unsigned octave = 6; octave < 24; octave++) {
		uint64_t first = UINT64_C(1) << octave, width = first / 32;

		assert_int_equal(end_of_bucket(first - 1), first - 1);
		for (uint64_t i = 0; i < 32; i++) {
			uint64_t begin = first + i * width, end = begin + width - 1;

			assert_int_equal(end_of_bucket(begin), end);
			assert_int_equal(end_of_bucket(begin + width / 2), end);
			assert_int_equal(end_of_bucket(end), end);
		}
	}
}

static void what_is_too_large_is_in_the_last_bucket(void **state)
{
	const uint64_t large[] = { LAST, LAST + 1, UINT32_MAX, UINT64_C(1) << 32, INT64_MAX, UINT64_MAX };

	(void)state;
	for (unsigned i = 0; i < sizeof(large) / sizeof(large[0]); i++) {
		assert_int_equal(end_of_bucket(large[i]), LAST);
		assert_int_equal(h.bucket[HISTOGRAM_BUCKETS - 1], 1);
	}
}

static void every_bucket_is_used(void **state)
{
	(void)state;
	for (uint64_t v = 0; v <= LAST; v++)
		histogram_add(&h, v);
	assert_int_equal(h.total, LAST + 1);
	for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++)
		assert_int_equal(h.bucket[i], i < 64 ? 1 : UINT64_C(1) << (i / 32 - 1));
}

/* The value that is not less than @percent of all is the one: no rounding to the one before or after. */
static void shares_are_rounded_up(void **state)
{
	(void)state;
	for (uint64_t v = 1; v <= 10; v++)
		histogram_add(&h, v);
	assert_int_equal(histogram_percentile(&h, 1), 1);
	assert_int_equal(histogram_percentile(&h, 10), 1);
	assert_int_equal(histogram_percentile(&h, 11), 2);
	assert_int_equal(histogram_percentile(&h, 50), 5);
	assert_int_equal(histogram_percentile(&h, 51), 6);
	assert_int_equal(histogram_percentile(&h, 99), 10);
	assert_int_equal(histogram_percentile(&h, 100), 10);
	/* One of a hundred is not within 99 percent. */
	memset(&h, 0, sizeof(h));
	for (unsigned i = 0; i < 99; i++)
		histogram_add(&h, 7);
	histogram_add(&h, 50000);
	assert_int_equal(histogram_percentile(&h, 99), 7);
	assert_int_equal(histogram_percentile(&h, 100), end_of_bucket(50000));
}

static void counts_that_are_large_do_not_overflow(void **state)
{
	(void)state;
	h.bucket[3] = UINT64_MAX / 2;
	h.bucket[9] = UINT64_MAX - UINT64_MAX / 2 - 1;
	h.total = UINT64_MAX - 1;
	assert_int_equal(histogram_percentile(&h, 49), 3);
	assert_int_equal(histogram_percentile(&h, 51), 9);
	assert_int_equal(histogram_percentile(&h, 100), 9);
}

static int by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

/* Beside a sorted list of the same values. */
static void percentiles_are_those_of_the_list(void **state)
{
	static uint64_t list[5000];
	const unsigned n = sizeof(list) / sizeof(list[0]);
	uint64_t random = 88172645463325252u;

	(void)state;
	for (unsigned i = 0; i < n; i++) {
		random ^= random << 13;
		random ^= random >> 7;
		random ^= random << 17;
		/* Of all sizes up to 2^24. */
		list[i] = random >> 32 & LAST >> random % 24;
		histogram_add(&h, list[i]);
	}
	qsort(list, n, sizeof(list[0]), by_value);
	for (unsigned percent = 1; percent <= 100; percent++) {
		uint64_t exact = list[(n * percent + 99) / 100 - 1], got = histogram_percentile(&h, percent);

		assert_true(got >= exact && got <= exact + exact / 32);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(nothing_has_no_percentile, clear),
		cmocka_unit_test_setup(small_values_are_exact, clear),
		cmocka_unit_test_setup(edges_are_those_of_the_definition, clear),
		cmocka_unit_test_setup(what_is_too_large_is_in_the_last_bucket, clear),
		cmocka_unit_test_setup(every_bucket_is_used, clear),
		cmocka_unit_test_setup(shares_are_rounded_up, clear),
		cmocka_unit_test_setup(counts_that_are_large_do_not_overflow, clear),
		cmocka_unit_test_setup(percentiles_are_those_of_the_list, clear),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
