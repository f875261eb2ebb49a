/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The whole block device and its image: an image that shrinks or fails, direct I/O,
 * snapshots, rate limits; with io_uring and without.
 */
#include "tests/unit/blkd_rig.h"

static void image_that_shrank(void **state)
{
	(void)state;
	/* Through the ring, not the page cache. */
	w.cfg.direct = plane != BLK_IO_SYNC;
	begin();
	assert_int_equal(ftruncate(w.image, 65536 + 100), 0);
	assert_int_equal(ask(VIRTIO_BLK_T_IN, 1000, DATA, 4096), VIRTIO_BLK_S_IOERR);
	assert_int_equal(ask(VIRTIO_BLK_T_IN, 128, DATA, 512), VIRTIO_BLK_S_IOERR);
	assert_int_equal(ask(VIRTIO_BLK_T_IN, 64, DATA, 65536), VIRTIO_BLK_S_IOERR);
	assert_int_equal(ask(VIRTIO_BLK_T_IN, 0, DATA, 65536), VIRTIO_BLK_S_OK);
	data_is(DATA, 0, 65536);
}

static void host_that_refuses_to_write(void **state)
{
	(void)state;
	w.small_files = true;
	begin();
	assert_int_equal(ask(VIRTIO_BLK_T_OUT, 1000, DATA, 4096), VIRTIO_BLK_S_IOERR);
	/* The first half fits, the second does not: the request must fail. */
	assert_int_equal(ask(VIRTIO_BLK_T_OUT, 124, DATA, 4096), VIRTIO_BLK_S_IOERR);
	assert_int_equal(ask(VIRTIO_BLK_T_OUT, 100, DATA, 4096), VIRTIO_BLK_S_OK);
	assert_int_equal(ask(VIRTIO_BLK_T_IN, 1000, DATA, 4096), VIRTIO_BLK_S_OK);
}

static void stop_waits_for_what_is_in_flight(void **state)
{
	(void)state;
	w.cfg.direct = plane != BLK_IO_SYNC;
	begin();
	for (unsigned round = 0; round < 30; round++) {
		uint16_t used;
		int base;

		for (unsigned i = 0; i < 42; i++)
			offer(w.q, i, VIRTIO_BLK_T_IN, (i * 13 + round) % 2000, DATA + i * 4096, 4096);
		front_kick(w.q);
		base = front_queue_stop(w.q);
		assert_true(base >= 0);
		/* All taken requests are finished, and nothing is written afterwards. */
		used = __atomic_load_n(&w.q->used->idx, __ATOMIC_SEQ_CST);
		assert_int_equal(used, (uint16_t)base);
		memset(front_ptr(&w.f, DATA), 0xee, 42 * 4096);
		usleep(300);
		for (unsigned i = 0; i < 42 * 4096; i += 511)
			assert_int_equal(((uint8_t *)front_ptr(&w.f, DATA))[i], 0xee);
		start_queue(0);
	}
	assert_int_equal(ask(VIRTIO_BLK_T_IN, 0, DATA, 512), VIRTIO_BLK_S_OK);
}

static void direct_with_any_buffer(void **state)
{
	uint8_t *p;

	(void)state;
	w.cfg.direct = true;
	w.cfg.cache = BLK_CACHE_NONE;
	begin();
	for (unsigned shift = 0; shift < 2000; shift += 333) {
		assert_int_equal(ask(VIRTIO_BLK_T_IN, 8 + shift / 333, DATA + shift, 9216), VIRTIO_BLK_S_OK);
		data_is(DATA + shift, (8 + shift / 333) * 512, 9216);
	}
	p = front_ptr(&w.f, DATA + 5);
	memset(p, 0x6b, 300 * 1024);
	assert_int_equal(ask(VIRTIO_BLK_T_OUT, 1001, DATA + 5, 300 * 1024), VIRTIO_BLK_S_OK);
	assert_int_equal(ask(VIRTIO_BLK_T_OUT, 64, DATA, 4096), VIRTIO_BLK_S_OK);
	assert_int_equal(ask(VIRTIO_BLK_T_FLUSH, 0, 0, 0), VIRTIO_BLK_S_OK);
	image_is(1001 * 512, p, 300 * 1024);
	image_is(64 * 512, front_ptr(&w.f, DATA), 4096);
	assert_int_equal(ask(VIRTIO_BLK_T_IN, 1000, DATA, 512), VIRTIO_BLK_S_OK);
	data_is(DATA, 1000 * 512, 512);
}

static void snapshot_leaves_the_image_alone(void **state)
{
	static uint8_t before[DISK];

	(void)state;
	w.cfg.snapshot = true;
	begin();
	assert_int_equal(pread(w.image, before, DISK, 0), DISK);
	memset(front_ptr(&w.f, DATA), 0x42, 8192);
	assert_int_equal(ask(VIRTIO_BLK_T_OUT, 3, DATA, 8192), VIRTIO_BLK_S_OK);
	assert_int_equal(ask(VIRTIO_BLK_T_OUT, SECTORS - 1, DATA, 512), VIRTIO_BLK_S_OK);
	assert_int_equal(ask_range(VIRTIO_BLK_T_WRITE_ZEROES, 100, 9, 1), VIRTIO_BLK_S_OK);
	assert_int_equal(ask(VIRTIO_BLK_T_FLUSH, 0, 0, 0), VIRTIO_BLK_S_OK);
	assert_int_equal(ask(VIRTIO_BLK_T_IN, 0, DATA + 65536, 65536), VIRTIO_BLK_S_OK);
	data_is(DATA + 65536, 0, 1536);
	for (unsigned i = 0; i < 8192; i++)
		assert_int_equal(((uint8_t *)front_ptr(&w.f, DATA + 65536))[1536 + i], 0x42);
	data_is(DATA + 65536 + 1536 + 8192, 1536 + 8192, 1024);
	for (unsigned i = 0; i < 9 * 512; i++)
		assert_int_equal(((uint8_t *)front_ptr(&w.f, DATA + 65536))[100 * 512 + i], 0);
	data_is(DATA + 65536 + 109 * 512, 109 * 512, 512);
	image_is(0, before, DISK);
}

static void rate_limits_delay_and_lose_nothing(void **state)
{
	struct timespec a, b;
	double took;

	(void)state;
	w.cfg.rate_ops = 100;
	begin();
	clock_gettime(CLOCK_MONOTONIC, &a);
	burst(w.q, 40);
	clock_gettime(CLOCK_MONOTONIC, &b);
	took = (double)(b.tv_sec - a.tv_sec) + (double)(b.tv_nsec - a.tv_nsec) / 1e9;
	/* Ten requests are within the burst; the other thirty wait 10 ms each. */
	assert_true(took > 0.25 && took < 60);
}

static void kernel_without_workers(void **state)
{
	(void)state;
	if (getuid())
		skip();
	/* RLIMIT_NPROC 0 and no privilege: io_uring has no worker threads for fsync and fallocate. */
	w.unprivileged = true;
	begin();
	assert_int_equal(ask(VIRTIO_BLK_T_FLUSH, 0, 0, 0), VIRTIO_BLK_S_OK);
	assert_int_equal(ask_range(VIRTIO_BLK_T_WRITE_ZEROES, 1008, 8, 0), VIRTIO_BLK_S_OK);
	assert_int_equal(ask_range(VIRTIO_BLK_T_DISCARD, 1008, 8, 0), VIRTIO_BLK_S_OK);
	assert_int_equal(ask(VIRTIO_BLK_T_FLUSH, 0, 0, 0), VIRTIO_BLK_S_OK);
	burst(w.q, 42);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(image_that_shrank),	   T(host_that_refuses_to_write),      T(stop_waits_for_what_is_in_flight),
		T(direct_with_any_buffer), T(snapshot_leaves_the_image_alone), T(rate_limits_delay_and_lose_nothing),
		T(kernel_without_workers),
	};

	return RUN_ON_BOTH(tests);
}
