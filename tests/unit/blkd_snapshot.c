/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Tests blkd/snapshot.c: the base never changes, and a read returns the last write. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "blkd/snapshot.h"
#include "common/shm.h"

/* Not a whole number of clusters. */
#define SIZE (40 * 4096 + 1536)

static struct image_file base, delta;
static struct snapshot s;
static uint8_t original[SIZE], model[SIZE], buf[SIZE];

static int memory_file(const void *content)
{
	int fd = memfd_create("blkd_snapshot", 0);

	if (content)
		assert_int_equal(pwrite(fd, content, SIZE, 0), SIZE);
	else
		assert_int_equal(ftruncate(fd, SIZE), 0);
	return fd;
}

static int begin(void **state)
{
	(void)state;
	for (unsigned i = 0; i < SIZE; i++)
		original[i] = (uint8_t)(i * 13 + i / 512);
	memcpy(model, original, SIZE);
	image_probe(&base, memory_file(original), 0, false, 0, SIZE);
	image_probe(&delta, memory_file(NULL), 1, false, 0, SIZE);
	return snapshot_init(&s, &base, &delta, SIZE);
}

static int end(void **state)
{
	(void)state;
	munmap(s.bits, s.bits_len);
	close(base.fd);
	close(delta.fd);
	return 0;
}

static void put(uint64_t off, uint64_t len, uint8_t fill)
{
	memset(model + off, fill, len);
	while (len) {
		struct iovec v[2] = { { model + off, 512 }, { model + off + 512, len - 512 } };
		unsigned n = len > 512 ? 2 : 1;
		uint64_t part = len;
		struct image_file *f = snapshot_map(&s, true, off, &part);
		ssize_t done;

		if (f) {
			assert_ptr_equal(f, &delta);
			done = pwrite(f->fd, model + off, part, (off_t)off);
		} else {
			done = snapshot_write(&s, v, n, off, len);
		}
		assert_true(done > 0 && (uint64_t)done <= len);
		off += (uint64_t)done;
		len -= (uint64_t)done;
	}
}

static void all_as_modelled(void)
{
	uint64_t off = 0;

	while (off < SIZE) {
		uint64_t part = SIZE - off;
		struct image_file *f = snapshot_map(&s, false, off, &part);

		assert_true(part > 0 && part <= SIZE - off);
		assert_int_equal(pread(f->fd, buf + off, part, (off_t)off), part);
		off += part;
	}
	assert_memory_equal(buf, model, SIZE);
	assert_int_equal(pread(base.fd, buf, SIZE, 0), SIZE);
	assert_memory_equal(buf, original, SIZE);
}

static void untouched_reads_come_from_the_base(void **state)
{
	uint64_t part = SIZE;

	(void)state;
	assert_ptr_equal(snapshot_map(&s, false, 0, &part), &base);
	assert_int_equal(part, SIZE);
	all_as_modelled();
}

static void sectors_inside_a_cluster_keep_their_neighbours(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 8; i++) {
		put(i * 5 * 4096 + i * 512, 512, (uint8_t)(0xa0 + i));
		all_as_modelled();
	}
}

static void any_range(void **state)
{
	unsigned seed = 1;

	(void)state;
	for (unsigned i = 0; i < 400; i++) {
		uint64_t first, len;

		seed = seed * 1103515245 + 12345;
		first = (seed >> 8) % (SIZE / 512);
		seed = seed * 1103515245 + 12345;
		len = 1 + (seed >> 8) % MIN(SIZE / 512 - first, 40);
		if (i % 5 == 4) {
			assert_int_equal(snapshot_zero(&s, first * 512, len * 512, false), 0);
			memset(model + first * 512, 0, len * 512);
		} else {
			put(first * 512, len * 512, (uint8_t)i);
		}
		all_as_modelled();
	}
}

static void discard_spares_what_it_does_not_cover(void **state)
{
	(void)state;
	put(4096, 3 * 4096, 0x11);
	assert_int_equal(snapshot_zero(&s, 4096 + 512, 2 * 4096, true), 0);
	memset(model + 2 * 4096, 0, 4096);
	all_as_modelled();
}

static void the_end_of_the_disk(void **state)
{
	(void)state;
	put(SIZE - 512, 512, 0x77);
	all_as_modelled();
	put(40 * 4096, 1536, 0x78);
	all_as_modelled();
	assert_int_equal(lseek(delta.fd, 0, SEEK_END), SIZE);
}

static void failed_write_leaves_the_base_visible(void **state)
{
	struct iovec v = { buf, 8192 };
	uint64_t part = 8192;
	int good = delta.fd;

	(void)state;
	memset(buf, 0x5a, 8192);
	delta.fd = open("/dev/full", O_RDWR);
	assert_true(snapshot_write(&s, &v, 1, 8192, 8192) < 0);
	assert_true(snapshot_write(&s, &v, 1, 512, 512) < 0);
	close(delta.fd);
	delta.fd = good;
	assert_ptr_equal(snapshot_map(&s, false, 8192, &part), &base);
	all_as_modelled();
}

static void base_that_shrank_is_an_error(void **state)
{
	struct iovec v = { buf, 512 };

	(void)state;
	assert_int_equal(ftruncate(base.fd, 4096), 0);
	assert_true(snapshot_write(&s, &v, 1, 3 * 4096 + 512, 512) < 0);
}

/* blkd was killed: its successor has the same delta and the same map. */
static void the_map_outlives_the_process(void **state)
{
	uint64_t part = 8192;
	bool sealed;
	int map = shm_create(4096, &sealed), other = memory_file(NULL);

	(void)state;
	/* A map that is too small, or can be truncated, is refused; the private map stays in use. */
	assert_int_equal(ftruncate(other, 1), 0);
	assert_false(snapshot_share(&s, other));
	assert_int_equal(ftruncate(other, 4096), 0);
	assert_false(snapshot_share(&s, other));
	assert_true(snapshot_share(&s, map));
	put(4096, 4096, 0x31);
	put(5 * 4096 + 512, 512, 0x32);
	assert_int_equal(snapshot_zero(&s, 8 * 4096, 4096, false), 0);
	memset(model + 8 * 4096, 0, 4096);
	munmap(s.bits, s.bits_len);

	assert_int_equal(snapshot_init(&s, &base, &delta, SIZE), 0);
	assert_ptr_equal(snapshot_map(&s, false, 4096, &part), &base);
	assert_true(snapshot_share(&s, map));
	all_as_modelled();
	close(map);
	close(other);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(untouched_reads_come_from_the_base, begin, end),
		cmocka_unit_test_setup_teardown(sectors_inside_a_cluster_keep_their_neighbours, begin, end),
		cmocka_unit_test_setup_teardown(any_range, begin, end),
		cmocka_unit_test_setup_teardown(discard_spares_what_it_does_not_cover, begin, end),
		cmocka_unit_test_setup_teardown(the_end_of_the_disk, begin, end),
		cmocka_unit_test_setup_teardown(failed_write_leaves_the_base_visible, begin, end),
		cmocka_unit_test_setup_teardown(base_that_shrank_is_an_error, begin, end),
		cmocka_unit_test_setup_teardown(the_map_outlives_the_process, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
