/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Promise: a snapshot with levels goes back to what it was at its last checkpoint, as often as wanted, whatever was written,
 * zeroed or discarded meanwhile; blkd's successor too, wherever the first one was killed; and the base never changes.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/shm.h"
#include "tests/unit/blkd_model.h"

/* A disk whose maps have three pages. */
#define LARGE (2 * 4096ull * 8 * 4096 + 5 * 4096)

static int map, levels;

static void attach(uint64_t size)
{
	assert_int_equal(snapshot_init(&s, &base, &delta, size), 0);
	assert_true(snapshot_share(&s, map));
	assert_true(snapshot_levels(&s, levels));
}

static void detach(void)
{
	munmap(s.bits, s.bits_len);
	munmap(s.kept_now, s.levels_len);
}

static void begin_with(uint64_t size)
{
	bool sealed;
	int fd = memfd_create("base", 0), other = memfd_create("delta", 0);

	assert_int_equal(ftruncate(fd, (off_t)size), 0);
	assert_int_equal(ftruncate(other, (off_t)snapmap_delta_bytes(size, true)), 0);
	assert_int_equal(pwrite(fd, original, SIZE, 0), SIZE);
	image_probe(&base, fd, 0, false, 0, size);
	image_probe(&delta, other, 1, false, 0, size);
	map = shm_create(snapmap_map(size), &sealed);
	levels = shm_create(snapmap_levels_bytes(size), &sealed);
	attach(size);
}

static int begin(void **state)
{
	(void)state;
	for (unsigned i = 0; i < SIZE; i++)
		original[i] = (uint8_t)(i * 13 + i / 512);
	memcpy(model, original, SIZE);
	memcpy(kept, original, SIZE);
	begin_with(SIZE);
	return 0;
}

static int end(void **state)
{
	(void)state;
	detach();
	close(base.fd);
	close(delta.fd);
	close(map);
	close(levels);
	return 0;
}

static void checkpoint(bool back)
{
	snapshot_checkpoint(&s, back);
	if (back)
		memcpy(model, kept, SIZE);
	else
		memcpy(kept, model, SIZE);
	all_as_modelled();
}

static void change(unsigned i)
{
	uint64_t first = (unsigned)rand() % (SIZE / 512);
	uint64_t len = 1 + (unsigned)rand() % MIN(SIZE / 512 - first, 40);

	if (i % 5 == 4) {
		assert_int_equal(snapshot_zero(&s, first * 512, len * 512, false), 0);
		memset(model + first * 512, 0, len * 512);
	} else {
		put(first * 512, len * 512, (uint8_t)rand());
	}
	all_as_modelled();
}

static void back_again_and_again(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 10; i++)
		change(i);
	checkpoint(false);
	for (unsigned n = 0; n < 200; n++) {
		for (unsigned i = 0; i < n % 7; i++)
			change(i + n);
		checkpoint(true);
	}
}

/* A later checkpoint keeps what is there then. Both places of a cluster are used by turns. */
static void any_order(void **state)
{
	(void)state;
	for (unsigned n = 0; n < 600; n++) {
		unsigned what = (unsigned)rand() % 8;

		if (what == 0)
			checkpoint(false);
		else if (what == 1 && *s.kept_now)
			checkpoint(true);
		else
			change(n);
	}
}

/* Killed between any two requests, and after half of a checkpoint or reset, which the front-end then repeats. */
static void the_successor_goes_back(void **state)
{
	(void)state;
	checkpoint(false);
	for (unsigned n = 0; n < 100; n++) {
		bool back = n % 4;

		for (unsigned i = 0; i < 4; i++)
			change(i + n);
		if (n % 3 == 0) {
			memcpy(back ? s.side : s.kept_side, back ? s.kept_side : s.side, 4);
			if (n % 2)
				memcpy(back ? s.bits : s.kept_bits, back ? s.kept_bits : s.bits, 3);
		}
		detach();
		attach(SIZE);
		checkpoint(back);
	}
}

static void a_discard_is_taken_back(void **state)
{
	(void)state;
	put(4096, 3 * 4096, 0x11);
	checkpoint(false);
	assert_int_equal(snapshot_zero(&s, 4096 + 512, 2 * 4096, true), 0);
	memset(model + 2 * 4096, 0, 4096);
	all_as_modelled();
	checkpoint(true);
	/* What an earlier write has left in the other place does not show. */
	put(4096, 512, 0x22);
	all_as_modelled();
	checkpoint(true);
	assert_int_equal(snapshot_zero(&s, 4096, 512, false), 0);
	memset(model + 4096, 0, 512);
	all_as_modelled();
}

static void a_reset_without_a_checkpoint_changes_nothing(void **state)
{
	(void)state;
	put(0, 8192, 0x44);
	snapshot_checkpoint(&s, true);
	all_as_modelled();
}

/* Only the pages of the maps that have changed are copied, also the last one. */
static void large_maps(void **state)
{
	uint64_t last = LARGE - 4096, part = 4096;
	uint8_t block[4096], out[4096];
	struct iovec v = { block, sizeof(block) };

	end(state);
	begin_with(LARGE);
	snapshot_checkpoint(&s, false);
	for (unsigned i = 0; i < 4; i++) {
		memset(block, 1 + (int)i, sizeof(block));
		assert_int_equal(snapshot_write(&s, &v, 1, last, 4096), 4096);
		assert_int_equal(s.changed[0], 1u << 2);
		snapshot_checkpoint(&s, i & 1);
		assert_int_equal(s.changed[0], 0);
	}
	/* The third write was kept. */
	v.iov_base = out;
	memset(block, 3, sizeof(block));
	assert_int_equal(io_wait(snapshot_map(&s, false, last, &part), false, &v, 1, last, false), 4096);
	assert_memory_equal(out, block, sizeof(out));
	/* Bits that a compromised predecessor has set lead nowhere. */
	memset(s.changed, 0xff, snapmap_changed(LARGE));
	snapshot_checkpoint(&s, true);
}

static void memory_that_does_not_fit_is_refused(void **state)
{
	int small = memfd_create("small", MFD_ALLOW_SEALING);
	struct snapshot t = s;

	(void)state;
	assert_int_equal(ftruncate(small, (off_t)snapmap_levels_bytes(SIZE)), 0);
	assert_false(snapshot_levels(&t, small)); /* Not sealed */
	assert_false(snapshot_levels(&t, map));	  /* Too small */
	close(small);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(back_again_and_again, begin, end),
		cmocka_unit_test_setup_teardown(any_order, begin, end),
		cmocka_unit_test_setup_teardown(the_successor_goes_back, begin, end),
		cmocka_unit_test_setup_teardown(a_discard_is_taken_back, begin, end),
		cmocka_unit_test_setup_teardown(a_reset_without_a_checkpoint_changes_nothing, begin, end),
		cmocka_unit_test_setup_teardown(large_maps, begin, end),
		cmocka_unit_test_setup_teardown(memory_that_does_not_fit_is_refused, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
