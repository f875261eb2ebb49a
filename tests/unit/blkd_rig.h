/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The whole block device behind a socket, for tests: an image, one or more queues, and a
 * front-end that sends requests and waits for the answers.
 */
#ifndef TESTS_BLKD_RIG_H
#define TESTS_BLKD_RIG_H

#include <errno.h>
#include <fcntl.h>
#include <linux/virtio_config.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "blkd/device.h"
#include "tests/lib/front.h"

#define DISK	   (1u << 20)
#define SECTORS	   (DISK / SECTOR_SIZE)
#define MEM	   (8u << 20)
#define RING_AT(q) (0x10000u + (q)*0x10000u)
#define HDR	   0x80000u /* headers of 16 bytes */
#define STATUS	   0x90000u
#define DATA	   0x100000u
#define ALL	   (~0ull & ~(1ull << VIRTIO_F_RING_RESET))

struct world {
	struct front f;
	struct front_queue *q;
	struct blk_config cfg;
	uint64_t want;
	bool small_files, unprivileged;
	/*
	 * The child's image is one end of a socket pair and w.image is the other: its
	 * reads stay in the ring until the test writes, and its writes finish at once.
	 */
	bool stalls;
	int image, delta;
	int served; /* what the child has as its image */
	int ctl[2]; /* supervisor's end, child's end */
};

static struct world w;
static uint8_t plane;
static struct blkd device;
static struct backend loop;

static inline int move_high(int fd)
{
	return fcntl(fd, F_DUPFD_CLOEXEC, 200);
}

/* In the child: do what main() of blkd does, without confinement. */
static inline void serve(int sock)
{
	struct rlimit small = { 1u << 16, 1u << 16 }, none = { 0, 0 };
	struct backend_config bc = { .poll_us = 0, .log_pages = true };
	int disk = move_high(w.served), delta = move_high(w.delta), front = move_high(sock);
	int ctl = move_high(w.ctl[1]);
	char why[LOG_LINE_MAX];

	log_to_fd(2, "blkd", LOG_ERROR);
	for (int fd = 3; fd < HFD_LIMIT; fd++)
		close(fd);
	dup2(disk, HFD_DISK);
	dup2(delta, HFD_DELTA);
	dup2(front, HFD_FRONT);
	dup2(ctl, HFD_CTL);
	close(ctl);
	close(disk);
	close(delta);
	close(front);
	signal(SIGXFSZ, SIG_IGN);
	if (w.small_files)
		setrlimit(RLIMIT_FSIZE, &small);
	if (w.unprivileged) {
		setrlimit(RLIMIT_NPROC, &none);
		if (setgid(65534) || setuid(65534))
			_exit(9);
	}
	if (blkd_init(&device, &w.cfg, HFD_DISK, HFD_DELTA, why, sizeof(why)) < 0)
		_exit(7);
	blkd_backend(&device, "blk", &bc);
	if (backend_prepare(&loop, &bc) || blkd_watch(&device, &loop))
		_exit(8);
	_exit(backend_run(&loop));
}

static inline uint8_t expected(uint64_t at)
{
	return (uint8_t)(at * 31 + at / 512 + at / 65536);
}

static inline int new_file(void)
{
	char name[] = "/var/tmp/blkd_device.XXXXXX";
	int fd = mkstemp(name);

	unlink(name);
	return fd;
}

static inline void open_image(void)
{
	static uint8_t content[DISK];
	int pair[2];

	if (w.stalls) {
		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
		w.image = pair[0];
		w.served = pair[1];
		w.delta = new_file();
		return;
	}
	for (unsigned i = 0; i < DISK; i++)
		content[i] = expected(i);
	w.image = new_file();
	w.delta = new_file();
	assert_int_equal(pwrite(w.image, content, DISK, 0), DISK);
	assert_int_equal(ftruncate(w.delta, DISK), 0);
	if (w.cfg.direct) {
		char name[64];
		int fd;

		fmt_line(name, sizeof(name), "/proc/self/fd/%d", w.image);
		fd = open(name, O_RDWR | O_DIRECT);
		assert_true(fd >= 0);
		dup2(fd, w.image);
		close(fd);
	}
	w.served = w.image;
}

/* Returns the device's counters. */
static inline struct stats stats(void)
{
	struct ctl_msg m = { .type = CTL_GET_STATS };

	assert_true(send(w.ctl[0], &m, sizeof(m), 0) == (ssize_t)sizeof(m));
	do
		assert_true(recv(w.ctl[0], &m, sizeof(m), 0) == (ssize_t)sizeof(m));
	while (m.type != CTL_STATS);
	return m.stats;
}

static inline void start_queue(unsigned q)
{
	struct front_queue *fq = front_queue(&w.f, q, 128, RING_AT(q));

	assert_true(front_queue_start(fq));
}

static inline void begin(void)
{
	int pair[2];

	w.cfg.capacity = DISK;
	w.cfg.io = plane;
	w.cfg.discard = true;
	w.cfg.queues = MAX(w.cfg.queues, 1);
	open_image();
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, w.ctl), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	w.f.pid = fork();
	if (!w.f.pid) {
		close(pair[0]);
		serve(pair[1]);
	}
	close(pair[1]);
	close(w.ctl[1]);
	if (w.stalls)
		close(w.served);
	w.f.sock = pair[0];
	assert_true(front_memory(&w.f, MEM, 0, true));
	assert_true(front_negotiate(&w.f, w.want ? w.want : ALL, ALL));
	assert_true(front_send_memory(&w.f));
	for (unsigned q = 0; q < w.cfg.queues; q++)
		start_queue(q);
	w.q = &w.f.q[0];
}

static inline int fresh(void **state)
{
	(void)state;
	memset(&w, 0, sizeof(w));
	return 0;
}

static inline int finish(void **state)
{
	int status;

	(void)state;
	/* With w.stalls this is also the end of every read that still waits. */
	close(w.image);
	close(w.delta);
	status = front_close(&w.f);
	close(w.ctl[0]);
	/* Fails if the device process did not exit in order. */
	return status ? -1 : 0;
}

static inline void header(unsigned i, uint32_t type, uint64_t sector)
{
	struct virtio_blk_outhdr *h = front_ptr(&w.f, HDR + 16 * i);

	h->type = type;
	h->ioprio = 0;
	h->sector = sector;
	*(uint8_t *)front_ptr(&w.f, STATUS + i) = 0xaa;
}

static inline uint8_t status(unsigned i)
{
	return *(volatile uint8_t *)front_ptr(&w.f, STATUS + i);
}

/* Offer header, @len bytes at @gpa and a status byte on @q; returns the head. */
static inline uint16_t offer(struct front_queue *q, unsigned i, uint32_t type, uint64_t sector, uint64_t gpa,
			     uint32_t len)
{
	bool in = type == VIRTIO_BLK_T_IN || type == VIRTIO_BLK_T_GET_ID;
	struct front_buf b[3] = { { HDR + 16 * i, 16, false }, { gpa, len, in }, { STATUS + i, 1, true } };
	uint16_t head;

	header(i, type, sector);
	if (!len)
		b[1] = b[2];
	head = front_chain(q, b, len ? 3 : 2);
	front_offer(q, head);
	return head;
}

/* Send one request and wait for its answer. Returns its status. */
static inline uint8_t ask(uint32_t type, uint64_t sector, uint64_t gpa, uint32_t len)
{
	uint32_t id, used;
	uint16_t head = offer(w.q, 0, type, sector, gpa, len);

	front_kick(w.q);
	assert_true(front_wait_used(w.q, &id, &used, PATIENCE_MS));
	assert_int_equal(id, head);
	return status(0);
}

static inline void data_is(uint64_t gpa, uint64_t at, uint32_t len)
{
	const uint8_t *p = front_ptr(&w.f, gpa);

	for (uint32_t i = 0; i < len; i++)
		if (p[i] != expected(at + i))
			fail_msg("byte %u of the disk is wrong", (unsigned)(at + i));
}

static inline void image_is(uint64_t at, const void *want, size_t len)
{
	static uint8_t got[DISK] __attribute__((aligned(4096)));

	assert_int_equal(pread(w.image, got, DISK, 0), DISK);
	assert_memory_equal(got + at, want, len);
}

static inline uint8_t ask_range(uint32_t type, uint64_t sector, uint32_t count, uint32_t flags)
{
	struct virtio_blk_discard_write_zeroes s = { sector, count, flags };

	memcpy(front_ptr(&w.f, DATA), &s, sizeof(s));
	return ask(type, 0, DATA, sizeof(s));
}

/* Send @n reads of different sectors at once; each must be answered once, correctly, with few notifications. */
static inline void burst(struct front_queue *q, unsigned n)
{
	uint8_t seen[64] = { 0 };
	uint32_t id, len;

	for (unsigned i = 0; i < n; i++)
		offer(q, i, VIRTIO_BLK_T_IN, i * 5, DATA + i * 4096, 1024);
	front_kick(q);
	for (unsigned i = 0; i < n; i++) {
		assert_true(front_wait_used(q, &id, &len, PATIENCE_MS));
		assert_int_equal(len, 1025);
		assert_true(id % 3 == 0 || q->size % 3);
		seen[i % 64]++;
	}
	for (unsigned i = 0; i < n; i++) {
		assert_int_equal(status(i), VIRTIO_BLK_S_OK);
		data_is(DATA + i * 4096, i * 5 * 512, 1024);
	}
	assert_false(front_used(q, &id, &len));
}

#define T(f) cmocka_unit_test_setup_teardown(f, fresh, finish)

/* Run the tests once with each kind of I/O. These are statements, because operands of a sum have no order. */
#define RUN_ON_BOTH(tests)                                                                             \
	({                                                                                             \
		int failed;                                                                            \
                                                                                                       \
		plane = BLK_IO_SYNC;                                                                   \
		failed = cmocka_run_group_tests_name("preadv2 and pwritev2", tests, NULL, NULL);       \
		plane = BLK_IO_AUTO;                                                                   \
		failed + cmocka_run_group_tests_name("io_uring where it is there", tests, NULL, NULL); \
	})

#endif
