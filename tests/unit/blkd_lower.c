/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Promise: with --reset=fresh a snapshot is after each reset what it was at the checkpoint, whatever its process has written
 * since, by the book or not: that process cannot change the lower level's file or map, and its own file and map are empty
 * for the next one.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/shm.h"
#include "tests/unit/blkd_model.h"

#define SLOT 2

static int map, first, second, lower, low_map; /* As in struct disk_host */

/* A process of blkd, before the checkpoint or after it. */
static void attach(void)
{
	image_probe(&delta, lower < 0 ? first : second, 1, false, 0, SIZE);
	assert_int_equal(snapshot_init(&s, &base, &delta, SIZE), 0);
	assert_true(snapshot_share(&s, map));
}

static void detach(void)
{
	munmap(s.bits, s.bits_len);
	if (s.low_bits)
		munmap((void *)(uintptr_t)s.low_bits, s.bits_len);
}

static int reopen(int fd, int flags)
{
	char path[40];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return open(path, flags);
}

static int begin(void **state)
{
	int fd = memfd_create("base", 0);

	(void)state;
	for (unsigned i = 0; i < SIZE; i++)
		original[i] = (uint8_t)(i * 13 + i / 512);
	memcpy(model, original, SIZE);
	first = memfd_create("delta", 0);
	second = memfd_create("delta", 0);
	lower = -1;
	map = shm_create_to_freeze("map", snapmap_map(SIZE));
	assert_int_equal(pwrite(fd, original, SIZE, 0), SIZE);
	assert_int_equal(ftruncate(first, SIZE) + ftruncate(second, SIZE), 0);
	image_probe(&base, fd, 0, false, 0, SIZE);
	attach();
	/* Before the checkpoint: whole clusters, parts of them, the end */
	put(0, 3 * 4096, 1);
	put(5 * 4096 + 100, 300, 2);
	put(SIZE - 1000, 1000, 3);
	assert_int_equal(snapshot_zero(&s, 8 * 4096, 4096, false), 0);
	memset(model + 8 * 4096, 0, 4096);
	all_as_modelled();
	detach();
	memcpy(kept, model, SIZE);
	assert_int_equal(shm_freeze(map), 0);
	low_map = map;
	map = shm_create_to_freeze("map", snapmap_map(SIZE));
	lower = reopen(first, O_RDONLY);
	assert_true(map >= 0 && lower >= 0);
	return 0;
}

static int end(void **state)
{
	const int fd[] = { base.fd, first, second, map, low_map, lower };

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(fd); i++)
		close(fd[i]);
	return 0;
}

/* The next process, after a reset. */
static void next(void)
{
	close(map);
	map = shm_create_to_freeze("map", snapmap_map(SIZE));
	memcpy(model, kept, SIZE);
	attach();
	assert_true(snapshot_lower(&s, lower, low_map, SLOT, true));
	all_as_modelled();
}

static void each_process_begins_at_the_checkpoint(void **state)
{
	(void)state;
	srandom(7);
	for (unsigned i = 0; i < 100; i++) {
		next();
		for (unsigned j = 0; j < 30; j++) {
			uint64_t off = (uint64_t)random() % SIZE, len = 1 + (uint64_t)random() % (SIZE - off);

			len = MIN(len, 3 * 4096);
			if (random() % 3) {
				put(off, len, (uint8_t)random());
			} else {
				assert_int_equal(snapshot_zero(&s, off, len, false), 0);
				memset(model + off, 0, len);
			}
		}
		all_as_modelled();
		detach();
	}
	next();
	detach();
}

/* One that is killed is followed by one that has its changes. */
static void a_process_that_is_killed_loses_nothing(void **state)
{
	(void)state;
	next();
	put(4096 + 7, 9000, 9);
	detach();
	attach();
	assert_true(snapshot_lower(&s, lower, low_map, SLOT, false));
	all_as_modelled();
	detach();
}

static void a_taken_process_cannot_change_the_lower_level(void **state)
{
	const uint8_t other[4096] = { 0xee };

	(void)state;
	next();
	assert_true(pwrite(lower, other, sizeof(other), 0) < 0 && errno == EBADF);
	assert_true(ftruncate(lower, 0) < 0);
	assert_true(pwrite(low_map, other, 8, 0) < 0 && errno == EPERM);
	assert_true(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, low_map, 0) == MAP_FAILED);
	assert_true(mprotect((void *)(uintptr_t)s.low_bits, 4096, PROT_READ | PROT_WRITE) == 0);
	/* That is a copy of its own. */
	((uint8_t *)(uintptr_t)s.low_bits)[0] ^= 0xff;
	/* Data behind the map's back */
	assert_int_equal(pwrite(second, other, sizeof(other), 20 * 4096), sizeof(other));
	memset(s.bits, 0xff, s.bits_len);
	detach();
	next();
	detach();
	assert_int_equal(pread(second, buf, 4096, 20 * 4096), 4096);
	for (unsigned i = 0; i < 4096; i++)
		assert_int_equal(buf[i], 0);
}

static void what_could_still_be_changed_is_refused(void **state)
{
	int writable = reopen(first, O_RDWR), open_map = shm_create_to_freeze("map", snapmap_map(SIZE)),
	    small = shm_create_to_freeze("map", 4096);
	void *m;

	(void)state;
	attach();
	assert_false(snapshot_lower(&s, writable, low_map, SLOT, true));
	assert_false(snapshot_lower(&s, lower, open_map, SLOT, true));
	assert_false(snapshot_lower(&s, -1, low_map, SLOT, true) || snapshot_lower(&s, lower, -1, SLOT, true));
	assert_null(s.low_bits);
	detach();
	/* One that somebody could write cannot be frozen. */
	m = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, open_map, 0);
	assert_true(shm_freeze(open_map) < 0 && errno == EBUSY);
	munmap(m, 4096);
	assert_int_equal(shm_freeze(open_map), 0);
	assert_int_equal(shm_freeze(small), 0);
	assert_int_equal(snapshot_init(&s, &base, &delta, 4096ull * 8 * 4096 * 2), 0);
	assert_false(snapshot_lower(&s, lower, small, SLOT, false));
	munmap(s.bits, s.bits_len);
	close(writable);
	close(open_map);
	close(small);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(each_process_begins_at_the_checkpoint),
		TEST(a_process_that_is_killed_loses_nothing),
		TEST(a_taken_process_cannot_change_the_lower_level),
		TEST(what_could_still_be_changed_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
