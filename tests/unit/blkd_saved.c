/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Promise: what a guest has changed on a snapshot is written to a file, and another snapshot of the same image has it from
 * there, whatever was written, zeroed or discarded, with checkpoints and without; an old snapshot becomes empty before. A file
 * that was cut, changed or made by an attacker is refused, and nothing beyond the disk is written.
 */
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
#include <zlib.h>

#include <cmocka.h>

#include "blkd/device.h"
#include "blkd/io_sync.h"
#include "blkd/saved.h"
#include "common/shm.h"

/* More than one call writes; not a whole number of clusters. */
#define CLUSTERS 2500
#define SIZE	 (CLUSTERS * 4096 + 1536)
#define AT	 8192u /* Where the part of the disk begins */

static struct image_file base, delta;
static struct snapshot s;
static uint8_t original[SIZE], model[SIZE], buf[SIZE];
static int map, levels, file = -1;
static uint64_t part_end;

static void attach(bool with_levels)
{
	assert_int_equal(snapshot_init(&s, &base, &delta, SIZE), 0);
	assert_true(snapshot_share(&s, map));
	assert_true(!with_levels || snapshot_levels(&s, levels));
}

static void make(bool with_levels)
{
	bool sealed;
	int fd = memfd_create("base", 0), other = memfd_create("delta", 0);

	assert_int_equal(ftruncate(fd, SIZE), 0);
	assert_int_equal(ftruncate(other, (off_t)snapmap_delta_bytes(SIZE, with_levels)), 0);
	assert_int_equal(pwrite(fd, original, SIZE, 0), SIZE);
	image_probe(&base, fd, 0, false, 0, SIZE);
	image_probe(&delta, other, 1, false, 0, SIZE);
	map = shm_create(snapmap_map(SIZE), &sealed);
	levels = shm_create(snapmap_levels_bytes(SIZE), &sealed);
	attach(with_levels);
}

static void drop(void)
{
	munmap(s.bits, s.bits_len);
	if (s.kept_now)
		munmap(s.kept_now, s.levels_len);
	close(base.fd);
	close(delta.fd);
	close(map);
	close(levels);
}

static void put(uint64_t off, size_t len, uint8_t seed)
{
	for (size_t i = 0; i < len; i++)
		buf[i] = (uint8_t)(seed + i * 7 + i / 4096);
	memcpy(model + off, buf, len);
	for (size_t done = 0; done < len;) {
		uint64_t n = len - done;
		struct image_file *f = snapshot_map(&s, true, off + done, &n);
		struct iovec v = { buf + done, f ? n : len - done };
		ssize_t got = f ? io_wait(f, true, &v, 1, off + done, false)
				: snapshot_write(&s, &v, 1, off + done, len - done);

		assert_true(got > 0);
		done += (size_t)got;
	}
}

static void expect_model(void)
{
	for (size_t done = 0; done < SIZE;) {
		uint64_t n = SIZE - done;
		struct image_file *f = snapshot_map(&s, false, done, &n);
		struct iovec v = { buf + done, n };
		ssize_t got = io_wait(f, false, &v, 1, done, false);

		assert_true(got > 0);
		done += (size_t)got;
	}
	assert_memory_equal(buf, model, SIZE);
}

/* All calls of a front-end. Returns the last reply. */
static struct vhu_saved all(bool load)
{
	struct vhu_saved m = { .at = AT };

	for (unsigned calls = 0; m.state == VHU_SAVED_MORE; calls++) {
		assert_true(calls < 200);
		if (load)
			saved_read(&s, file, &m);
		else
			saved_write(&s, file, &m);
	}
	return m;
}

static void change_disk(void)
{
	/* Single clusters, more than one call takes; long runs; parts of clusters; the end of the disk. */
	for (unsigned i = 0; i < 100; i++)
		put(i * 3 * 4096, 4096, (uint8_t)i);
	put(400 * 4096 + 100, 300 * 4096, 3);
	put(SIZE - 2000, 2000, 4);
	assert_int_equal(snapshot_zero(&s, 1000 * 4096, 1000 * 4096, false), 0);
	memset(model + 1000 * 4096, 0, 1000 * 4096);
}

static void save_it(bool with_levels)
{
	struct vhu_saved m;

	make(with_levels);
	change_disk();
	snapshot_checkpoint(&s, false);
	/* Clusters in their second place */
	if (with_levels)
		put(410 * 4096, 8 * 4096, 5);
	file = memfd_create("file", 0);
	m = all(false);
	assert_int_equal(m.state, VHU_SAVED_DONE);
	assert_int_equal(m.count, 100 + 301 + 2 + 1000);
	part_end = m.at;
	assert_int_equal(lseek(file, 0, SEEK_END), part_end);
	drop();
}

static int setup(void **state)
{
	(void)state;
	for (unsigned i = 0; i < SIZE; i++)
		original[i] = (uint8_t)(i * 13 + i / 512 + 1);
	memcpy(model, original, SIZE);
	save_it(true);
	make(false);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	drop();
	close(file);
	return 0;
}

static void another_snapshot_has_the_changes(void **state)
{
	struct vhu_saved m;

	(void)state;
	m = all(true);
	assert_int_equal(m.state, VHU_SAVED_DONE);
	assert_int_equal(m.at, part_end);
	expect_model();
	/* Zeros take no room in the file. */
	assert_true(part_end < (100 + 301 + 2) * 4096 + 700 * 24 + AT);
	/* The image is as it was. */
	assert_int_equal(pread(base.fd, buf, SIZE, 0), SIZE);
	assert_memory_equal(buf, original, SIZE);
}

static void it_can_go_back_to_them(void **state)
{
	uint8_t saved[8192];

	(void)state;
	drop();
	make(true);
	/* An earlier start of the guest: none of this is left. */
	put(0, 4096, 77);
	put(2100 * 4096, 20 * 4096, 78);
	snapshot_checkpoint(&s, false);
	put(2100 * 4096, 20 * 4096, 79);
	put(1500 * 4096, 4096, 80);
	memset(model + 1500 * 4096, 0, 4096);
	memcpy(model + 2100 * 4096, original + 2100 * 4096, 20 * 4096);
	for (unsigned i = 0; i < 4096; i++)
		model[i] = (uint8_t)(i * 7 + i / 4096);
	assert_int_equal(all(true).state, VHU_SAVED_DONE);
	expect_model();
	snapshot_checkpoint(&s, false);
	memcpy(saved, model, sizeof(saved));
	put(0, 8192, 80);
	snapshot_checkpoint(&s, true);
	memcpy(model, saved, sizeof(saved));
	expect_model();
}

static void a_disk_without_changes_has_an_end_only(void **state)
{
	struct vhu_saved m;

	(void)state;
	assert_int_equal(ftruncate(file, 0), 0);
	m = all(false);
	assert_int_equal(m.state, VHU_SAVED_DONE);
	assert_int_equal(m.at, AT + 24);
	put(4096, 100, 9);
	assert_int_equal(all(true).state, VHU_SAVED_DONE);
	memcpy(model, original, SIZE);
	expect_model();
}

static void damaged(void)
{
	struct vhu_saved m = all(true);

	assert_int_equal(m.state, VHU_SAVED_FAILED);
	assert_int_equal(m.error, 0);
}

static void a_file_that_was_cut_or_changed_is_refused(void **state)
{
	uint8_t was, now;

	(void)state;
	for (uint64_t at = AT; at < part_end;
	     at += at < AT + 24 || at >= part_end - 24 ? 1 : MIN(50021, part_end - 24 - at)) {
		assert_int_equal(pread(file, &was, 1, (off_t)at), 1);
		now = was ^ 0x10;
		assert_int_equal(pwrite(file, &now, 1, (off_t)at), 1);
		damaged();
		assert_int_equal(pwrite(file, &was, 1, (off_t)at), 1);
	}
	assert_int_equal(all(true).state, VHU_SAVED_DONE);
	for (uint64_t len = part_end - 1; len >= AT; len -= MIN(len, len > part_end - 30 ? 1 : 300007)) {
		assert_int_equal(ftruncate(file, (off_t)len), 0);
		damaged();
	}
}

/* One run with @bytes of data whose checksum fits, as the first of the part. */
static void hostile(uint64_t cluster, uint32_t bytes, uint32_t zeros)
{
	struct saved_run run = { .cluster = cluster, .bytes = bytes, .zeros = zeros }, end = { .cluster = 1 };

	memset(buf, 0x5a, sizeof(buf));
	if (zeros)
		memset(buf, 0, sizeof(buf));
	run.crc = (uint32_t)crc32(0, buf, MIN(bytes, (uint32_t)sizeof(buf)));
	assert_int_equal(pwrite(file, &run, sizeof(run), AT), sizeof(run));
	assert_int_equal(pwrite(file, buf, 200000, AT + sizeof(run)), 200000);
	/* A right end, so that nothing else is wrong */
	end.crc = (uint32_t)crc32(0, (const uint8_t *)&end.cluster, sizeof(end.cluster));
	assert_int_equal(pwrite(file, &end, sizeof(end), AT + sizeof(run) + (zeros ? 0 : MIN(bytes, 200000u))),
			 sizeof(end));
	damaged();
	assert_int_equal(lseek(delta.fd, 0, SEEK_END), snapmap_delta_bytes(SIZE, false));
}

static void runs_that_do_not_lie_on_the_disk_are_refused(void **state)
{
	(void)state;
	hostile(CLUSTERS + 1, 4096, 0);
	hostile(CLUSTERS, 4096, 0);
	hostile(CLUSTERS - 1, 8192, 0);
	hostile(UINT64_MAX, 4096, 0);
	hostile(UINT64_MAX / 4096, 4096, 0);
	hostile(1ull << 52, 4096, 1);
	hostile(0, SNAP_MAX_CLUSTER + 4096, 0);
	hostile(0, UINT32_MAX, 1);
	hostile(0, 1536, 0);
	hostile(0, 4096, 2);
}

static void runs_out_of_order_are_refused(void **state)
{
	struct saved_run run[2] = { { .cluster = 5, .bytes = 4096, .zeros = 1 },
				    { .cluster = 5, .bytes = 4096, .zeros = 1 } };

	(void)state;
	memset(buf, 0, 4096);
	run[0].crc = run[1].crc = (uint32_t)crc32(0, buf, 4096);
	assert_int_equal(pwrite(file, run, sizeof(run), AT), sizeof(run));
	damaged();
	run[1].cluster = 4;
	assert_int_equal(pwrite(file, run, sizeof(run), AT), sizeof(run));
	damaged();
}

/* A front-end may be compromised: it can send any numbers. */
static void numbers_of_a_front_end_lead_nowhere(void **state)
{
	static const uint64_t number[] = { CLUSTERS,   CLUSTERS + 1,	  CLUSTERS + 2,
					   1ull << 32, UINT64_MAX / 4096, UINT64_MAX };

	(void)state;
	assert_int_equal(all(true).state, VHU_SAVED_DONE);
	for (unsigned i = 0; i < ARRAY_SIZE(number); i++) {
		struct vhu_saved m = { .at = AT, .cluster = number[i], .count = number[i] };

		/* Only the last cluster, or nothing but the end, follows. */
		saved_write(&s, file, &m);
		assert_int_equal(m.state, VHU_SAVED_DONE);
		assert_int_equal(m.count, number[i] + (number[i] == CLUSTERS));
		m = (struct vhu_saved){ .at = AT, .cluster = number[i] + 1, .count = number[i] };
		saved_read(&s, file, &m);
		assert_true(m.state != VHU_SAVED_MORE);
		assert_int_equal(lseek(delta.fd, 0, SEEK_END), snapmap_delta_bytes(SIZE, false));
	}
	for (uint64_t c = CLUSTERS + 1; c < s.bits_len * 8; c++)
		assert_false(s.bits[c / 64] >> c % 64 & 1);
}

static void errors_of_the_host_are_named(void **state)
{
	struct vhu_saved m = { .at = INT64_MAX };
	int kept = file;

	(void)state;
	saved_read(&s, file, &m);
	assert_int_equal(m.state, VHU_SAVED_FAILED);
	m = (struct vhu_saved){ .at = INT64_MAX };
	saved_write(&s, file, &m);
	assert_int_equal(m.error, EFBIG);
	file = -1;
	m = all(true);
	assert_int_equal(m.state, VHU_SAVED_FAILED);
	assert_int_equal(m.error, EBADF);
	put(0, 4096, 1);
	assert_int_equal(all(false).error, EBADF);
	file = kept;
}

/* Its filter forbids what it would do; a compromised front-end asks all the same. */
static void without_save_and_from_a_disk_refuses(void **state)
{
	static struct backend be;
	static struct blkd d;
	struct vhu_saved m = { 0 };

	(void)state;
	blkd_backend(&d, "blk0", &be.c);
	d.snap = s;
	for (unsigned i = 0; i < 4; i++) {
		d.cfg.saved = i & 2;
		assert_int_equal(be.c.ops->saved(&be, i & 1, &m), d.cfg.saved);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(another_snapshot_has_the_changes, setup, teardown),
		cmocka_unit_test_setup_teardown(it_can_go_back_to_them, setup, teardown),
		cmocka_unit_test_setup_teardown(a_disk_without_changes_has_an_end_only, setup, teardown),
		cmocka_unit_test_setup_teardown(a_file_that_was_cut_or_changed_is_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(runs_that_do_not_lie_on_the_disk_are_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(runs_out_of_order_are_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(numbers_of_a_front_end_lead_nowhere, setup, teardown),
		cmocka_unit_test_setup_teardown(errors_of_the_host_are_named, setup, teardown),
		cmocka_unit_test_setup_teardown(without_save_and_from_a_disk_refuses, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
