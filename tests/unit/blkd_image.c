/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Tests blkd/image.c, blkd/io_sync.c and common/ring.c on real files. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
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

#include "blkd/device.h"
#include "blkd/image.h"
#include "blkd/io_sync.h"
#include "common/fdtab.h"
#include "common/ring.h"

#define SIZE (1u << 20)

static char path[] = "/var/tmp/blkd_image.XXXXXX";
static uint8_t buf[SIZE] __attribute__((aligned(4096)));
static uint8_t ref[SIZE];

static int setup(void **state)
{
	int fd = mkstemp(path);

	(void)state;
	for (unsigned i = 0; i < SIZE; i++)
		ref[i] = (uint8_t)(i * 7 + i / 4096);
	if (fd < 0 || write(fd, ref, SIZE) != SIZE)
		return -1;
	return close(fd);
}

static int teardown(void **state)
{
	(void)state;
	return unlink(path);
}

static void skipping(void **state)
{
	struct iovec v[3] = { { buf, 10 }, { buf + 100, 20 }, { buf + 200, 30 } };

	(void)state;
	assert_int_equal(iov_skip(v, 3, 0), 0);
	assert_int_equal(iov_skip(v, 3, 10), 1);
	assert_int_equal(iov_skip(v + 1, 2, 5), 0);
	assert_ptr_equal(v[1].iov_base, buf + 105);
	assert_int_equal(v[1].iov_len, 15);
	assert_int_equal(iov_skip(v + 1, 2, 44), 1);
	assert_int_equal(v[2].iov_len, 1);
	assert_int_equal(iov_skip(v + 2, 1, 1), 1);
}

static void alignment(void **state)
{
	struct image_file f = { .direct = true, .mem_align = 512, .off_align = 4096 };
	struct iovec v[2] = { { buf + 512, 4096 }, { buf + 8192, 8192 } };

	(void)state;
	assert_true(image_aligned(&f, v, 2, 8192));
	assert_false(image_aligned(&f, v, 2, 512));
	v[1].iov_len = 512;
	assert_false(image_aligned(&f, v, 2, 8192));
	v[1].iov_len = 4096;
	v[0].iov_base = buf + 1;
	assert_false(image_aligned(&f, v, 2, 8192));
	f.direct = false;
	assert_true(image_aligned(&f, v, 2, 1));
}

static void opening_and_locking(void **state)
{
	struct image_open o = { .path = path };
	struct blk_config bc = { 0 };
	char why[LOG_LINE_MAX];
	int fd, other;

	(void)state;
	fd = image_open(&o, &bc, why, sizeof(why));
	assert_true(fd >= 0);
	assert_int_equal(bc.capacity, SIZE);
	/* One writer keeps everyone else out; readers share. */
	assert_int_equal(image_open(&o, &bc, why, sizeof(why)), -1);
	assert_non_null(strstr(why, "in use"));
	/* Unless it is told that this is intended. */
	o.no_lock = true;
	other = image_open(&o, &bc, why, sizeof(why));
	assert_true(other >= 0);
	close(other);
	o.no_lock = false;
	o.read_only = true;
	assert_int_equal(image_open(&o, &bc, why, sizeof(why)), -1);
	close(fd);
	fd = image_open(&o, &bc, why, sizeof(why));
	o.snapshot = true;
	other = image_open(&o, &bc, why, sizeof(why));
	assert_true(fd >= 0 && other >= 0);
	/* Neither can write the base. */
	assert_int_equal(pwrite(other, "x", 1, 0), -1);
	close(fd);
	close(other);
	o.path = "/";
	assert_int_equal(image_open(&o, &bc, why, sizeof(why)), -1);
	o.path = "/dev/null";
	assert_int_equal(image_open(&o, &bc, why, sizeof(why)), -1);
	o.path = "/no/such/image";
	assert_int_equal(image_open(&o, &bc, why, sizeof(why)), -1);
}

static void what_is_no_raw_disk_is_refused(void **state)
{
	char name[] = "/var/tmp/blkd_image.XXXXXX", why[LOG_LINE_MAX];
	struct image_open o = { .path = name };
	struct blk_config bc = { 0 };
	int fd = mkstemp(name), got;

	(void)state;
	assert_int_equal(ftruncate(fd, 1 << 20), 0);
	for (int direct = 0; direct < 2; direct++) {
		o.direct = direct;
		o.format_raw = false;
		assert_int_equal(pwrite(fd, "QFI\xfb\0\0\0\3", 8, 0), 8);
		assert_int_equal(image_open(&o, &bc, why, sizeof(why)), -1);
		assert_non_null(
			strstr(why, "is a qcow2 image; convert it with qemu-img convert -O raw, or use --format=raw"));
		o.format_raw = true;
		got = image_open(&o, &bc, why, sizeof(why));
		assert_true(got >= 0);
		close(got);
		o.format_raw = false;
		assert_int_equal(pwrite(fd, "\x1f\x8b\x08\0\0\0\0\0", 8, 0), 8);
		assert_int_equal(image_open(&o, &bc, why, sizeof(why)), -1);
		assert_non_null(strstr(why, "is compressed by gzip; unpack it with gzip -d"));
	}
	close(fd);
	unlink(name);
}

/* If direct I/O cannot write the last block, the start must fail, not the guest's write to it. */
static void direct_needs_whole_blocks_to_write(void **state)
{
	static struct blkd d;
	struct blk_config c = { .capacity = (1 << 20) + 512, .direct = true, .io = BLK_IO_SYNC, .queues = 1 };
	/* This file system does not report an alignment: blkd assumes 4096 bytes. */
	int fd = memfd_create("disk", MFD_CLOEXEC);
	char why[LOG_LINE_MAX];

	(void)state;
	assert_int_equal(blkd_init(&d, &c, fd, -1, why, sizeof(why)), -1);
	assert_non_null(strstr(why, "needs blocks of 4096 bytes"));
	c.blk_size = 512;
	assert_int_equal(blkd_init(&d, &c, fd, -1, why, sizeof(why)), 0);
	c.blk_size = 0;
	c.read_only = true;
	assert_int_equal(blkd_init(&d, &c, fd, -1, why, sizeof(why)), 0);
	c.read_only = false;
	c.capacity = 1 << 20;
	assert_int_equal(blkd_init(&d, &c, fd, -1, why, sizeof(why)), 0);
	close(fd);
}

static void capacity_in_whole_sectors(void **state)
{
	char name[] = "/var/tmp/blkd_image.XXXXXX", why[LOG_LINE_MAX];
	struct image_open o = { .path = name };
	struct blk_config bc = { 0 };
	int fd = mkstemp(name), got;

	(void)state;
	assert_int_equal(ftruncate(fd, 1023), 0);
	got = image_open(&o, &bc, why, sizeof(why));
	assert_true(got >= 0);
	close(got);
	assert_int_equal(bc.capacity, 512);
	assert_int_equal(ftruncate(fd, 511), 0);
	assert_int_equal(image_open(&o, &bc, why, sizeof(why)), -1);
	close(fd);
	unlink(name);
}

/* Every small case of offset and length through the bounce buffer, against plain pread and pwrite. */
static void bounced_transfers(void **state)
{
	int fd = open(path, O_RDWR), dfd = open(path, O_RDWR | O_DIRECT);
	struct image_file f;

	(void)state;
	if (dfd < 0)
		dfd = dup(fd);
	image_probe(&f, dfd, 0, true, 4096, SIZE);
	f.off_align = f.mem_align = 4096;
	for (unsigned off = 0; off <= 3 * 4096; off += 512) {
		for (unsigned len = 512; len <= 3 * 4096; len += 1536) {
			struct iovec v[2] = { { buf + 1, 300 }, { buf + 1000, len - 300 } };

			assert_int_equal(io_bounce(&f, false, v, 2, off, len, false), len);
			assert_memory_equal(buf + 1, ref + off, 300);
			assert_memory_equal(buf + 1000, ref + off + 300, len - 300);
			memset(buf + 1, (int)len, 300);
			memset(buf + 1000, (int)off / 512, len - 300);
			assert_int_equal(io_bounce(&f, true, v, 2, off, len, false), len);
			memset(ref + off, (int)len, 300);
			memset(ref + off + 300, (int)off / 512, len - 300);
			assert_int_equal(pread(fd, buf, SIZE, 0), SIZE);
			assert_memory_equal(buf, ref, SIZE);
		}
	}
	/* A larger one is cut at the buffer, and nothing is written past the limit. */
	assert_int_equal(io_bounce(&f, false, &(struct iovec){ buf, SIZE }, 1, 512, SIZE - 512, false),
			 BOUNCE_SIZE - 512);
	f.limit = SIZE - 512;
	assert_int_equal(io_bounce(&f, true, &(struct iovec){ buf, 512 }, 1, SIZE - 1024, 512, false), -EIO);
	assert_true(io_bounce_shares(&f, true, 512, 4096));
	assert_false(io_bounce_shares(&f, true, 4096, 8192));
	assert_false(io_bounce_shares(&f, false, 512, 512));
	close(fd);
	close(dfd);
}

static void zeroing(void **state)
{
	int fd = open(path, O_RDWR);
	struct image_file f;

	(void)state;
	image_probe(&f, fd, 0, false, 0, SIZE);
	assert_int_equal(io_zero(&f, 1536, 70000 / 512 * 512, false), 0);
	memset(ref + 1536, 0, 70000 / 512 * 512);
	assert_int_equal(io_zero(&f, 512 * 1000, 4096 * 3, true), 0);
	memset(ref + 512 * 1000, 0, 4096 * 3);
	assert_int_equal(io_discard(&f, 4096 * 150, 4096), 0);
	memset(ref + 4096 * 150, 0, 4096);
	assert_int_equal(io_zero(&f, SIZE - 512, 1024, true), -EIO);
	assert_int_equal(io_discard(&f, SIZE, 512), -EIO);
	assert_int_equal(pread(fd, buf, SIZE, 0), SIZE);
	assert_memory_equal(buf, ref, SIZE);
	assert_int_equal(lseek(fd, 0, SEEK_END), SIZE);
	close(fd);
}

static int open_ring(struct ring *r, const int *file)
{
	const struct ring_setup s = { .at = HFD_RING,
				      .event = HFD_RINGEV,
				      .entries = RING_ENTRIES,
				      .ops = blk_ring_ops,
				      .nops = BLK_RING_OPS,
				      .files = file,
				      .nfiles = 1 };

	return ring_open(r, &s);
}

/* Close the ring like the end of the process does, because the next test uses the same numbers. */
static void close_ring(struct ring *r)
{
	munmap(r->map, r->map_len);
	munmap(r->sqes, r->sqes_len);
	close(r->fd);
	close(r->event);
}

static int one(struct ring *r, struct io_uring_sqe *sqe, uint64_t addr, uint32_t len, uint64_t off)
{
	void *user = NULL;
	int res = -1;

	assert_non_null(sqe);
	sqe->addr = addr;
	sqe->len = len;
	sqe->off = off;
	assert_int_equal(ring_submit(r, 1), 0);
	assert_true(ring_reap(r, &user, &res));
	assert_ptr_equal(user, r);
	assert_false(ring_reap(r, &user, &res));
	return res;
}

static void ring_does_only_its_work(void **state)
{
	int fd = open(path, O_RDWR), slot = 0;
	struct io_uring_sqe *sqe;
	struct ring r;

	(void)state;
	if (open_ring(&r, &fd))
		skip();
	assert_int_equal(one(&r, ring_push(&r, IORING_OP_READ, 0, &r), (uintptr_t)buf, 4096, 8192), 4096);
	assert_memory_equal(buf, ref + 8192, 4096);
	/* Another operation, another slot, and a plain descriptor are all refused by the kernel. */
	assert_int_equal(one(&r, ring_push(&r, IORING_OP_NOP, 0, &r), 0, 0, 0), -EACCES);
	assert_int_equal(one(&r, ring_push(&r, IORING_OP_OPENAT, 0, &r), (uintptr_t) "/", 0, 0), -EACCES);
	/* This would allocate space behind the end of the image. */
	assert_int_equal(one(&r, ring_push(&r, IORING_OP_FALLOCATE, 0, &r), 4096, 1, 1 << 20), -EACCES);
	assert_int_equal(one(&r, ring_push(&r, IORING_OP_READ, 1, &r), (uintptr_t)buf, 512, 0), -EBADF);
	sqe = ring_push(&r, IORING_OP_READ, 0, &r);
	sqe->flags = 0;
	sqe->fd = fd;
	assert_int_equal(one(&r, sqe, (uintptr_t)buf, 512, 0), -EACCES);
	for (unsigned i = 0; i < RING_ENTRIES; i++) {
		sqe = ring_push(&r, IORING_OP_READ, (unsigned)slot, &r);
		assert_non_null(sqe);
	}
	assert_null(ring_push(&r, IORING_OP_READ, 0, &r));
	assert_int_equal(ring_unsubmitted(&r), RING_ENTRIES);
	close_ring(&r);
	close(fd);
}

static bool event_counted(void)
{
	uint64_t n;

	return read(HFD_RINGEV, &n, sizeof(n)) == (ssize_t)sizeof(n);
}

/* An operation that is reaped at once raises no event; one that completes while nobody reaps does. */
static void ring_wakes_when_it_is_not_looked_at(void **state)
{
	int fd = open(path, O_RDWR);
	struct pollfd p = { .fd = HFD_RINGEV, .events = POLLIN };
	struct ring r;
	void *user;
	int res;

	(void)state;
	if (open_ring(&r, &fd))
		skip();
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(one(&r, ring_push(&r, IORING_OP_READ, 0, &r), (uintptr_t)buf, 4096, 0), 4096);
	assert_false(event_counted());
	assert_false(ring_listen(&r));

	/* An operation that completes after the last reap is reported, by the event or by ring_listen(). */
	(void)ring_push(&r, IORING_OP_FSYNC, 0, &r);
	assert_int_equal(ring_submit(&r, 0), 0);
	if (!ring_listen(&r)) {
		assert_int_equal(poll(&p, 1, 60000), 1);
		assert_true(event_counted());
		assert_int_equal(ring_submit(&r, 0), 0);
	}
	assert_true(ring_reap(&r, &user, &res));
	close_ring(&r);
	close(fd);
}

static void push_flushes(struct ring *r, unsigned n)
{
	while (n--)
		assert_non_null(ring_push(r, IORING_OP_FSYNC, 0, r));
}

/* An idle disk starts early, large operations do not wait; with many in flight, half as many more are collected. */
static void operations_are_submitted_in_batches(void **state)
{
	int fd = open(path, O_RDWR);
	struct ring r;
	void *user;
	int res;

	(void)state;
	if (open_ring(&r, &fd))
		skip();
	assert_false(ring_batch_due(&r, RING_BATCH_BYTES, 0));
	push_flushes(&r, RING_FIRST - 1);
	assert_false(ring_batch_due(&r, RING_BATCH_BYTES - 1, 0));
	assert_true(ring_batch_due(&r, RING_BATCH_BYTES, 0));
	assert_false(ring_batch_due(&r, 0, RING_BATCH));
	push_flushes(&r, 1);
	assert_false(ring_batch_due(&r, 0, RING_BATCH - RING_FIRST - 1));
	assert_true(ring_batch_due(&r, 0, RING_BATCH - RING_FIRST));
	assert_int_equal(ring_submit(&r, 0), 0);
	assert_int_equal(r.in_flight, RING_FIRST);
	push_flushes(&r, RING_BATCH - 1);
	assert_false(ring_batch_due(&r, RING_BATCH_BYTES - 1, RING_BATCH));
	push_flushes(&r, 1);
	assert_true(ring_batch_due(&r, 0, 0));
	push_flushes(&r, 2 * RING_BATCH - RING_FIRST);
	assert_int_equal(ring_submit(&r, 0), 0);
	assert_int_equal(r.in_flight, 3 * RING_BATCH);
	push_flushes(&r, RING_BATCH + RING_BATCH / 2);
	assert_false(ring_batch_due(&r, 0, 0));
	push_flushes(&r, 1);
	assert_true(ring_batch_due(&r, 0, 0));
	while (r.in_flight || ring_unsubmitted(&r)) {
		assert_int_equal(ring_submit(&r, !ring_unsubmitted(&r)), 0);
		while (ring_reap(&r, &user, &res))
			assert_int_equal(res, 0);
	}
	close_ring(&r);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(skipping),
		cmocka_unit_test(alignment),
		cmocka_unit_test(opening_and_locking),
		cmocka_unit_test(what_is_no_raw_disk_is_refused),
		cmocka_unit_test(direct_needs_whole_blocks_to_write),
		cmocka_unit_test(capacity_in_whole_sectors),
		cmocka_unit_test(bounced_transfers),
		cmocka_unit_test(zeroing),
		cmocka_unit_test(ring_does_only_its_work),
		cmocka_unit_test(ring_wakes_when_it_is_not_looked_at),
		cmocka_unit_test(operations_are_submitted_in_batches),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
