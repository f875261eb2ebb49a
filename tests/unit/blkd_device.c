/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Promises of the whole block device over its socket: every request is answered
 * once and rightly, whatever it looks like, with io_uring and without.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/virtio_config.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "blkd/device.h"
#include "tests/lib/front.h"

#define DISK	   (1u << 20)
#define SECTORS	   (DISK / SECTOR_SIZE)
#define MEM	   (8u << 20)
#define RING_AT(q) (0x10000u + (q) * 0x10000u)
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
	int image, delta;
};

static struct world w;
static uint8_t plane;
static struct blkd device;
static struct backend loop;

static int move_high(int fd)
{
	return fcntl(fd, F_DUPFD_CLOEXEC, 200);
}

/* The child: what blkd's main does, less the confinement. */
static void serve(int sock)
{
	struct rlimit small = { 1u << 16, 1u << 16 }, none = { 0, 0 };
	struct backend_config bc = { .poll_us = 0 };
	int disk = move_high(w.image), delta = move_high(w.delta), front = move_high(sock);
	char why[LOG_LINE_MAX];

	log_to_fd(2, "blkd", LOG_ERROR);
	for (int fd = 3; fd < HFD_LIMIT; fd++)
		close(fd);
	dup2(disk, HFD_DISK);
	dup2(delta, HFD_DELTA);
	dup2(front, HFD_FRONT);
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

static uint8_t expected(uint64_t at)
{
	return (uint8_t)(at * 31 + at / 512 + at / 65536);
}

static int new_file(void)
{
	char name[] = "/var/tmp/blkd_device.XXXXXX";
	int fd = mkstemp(name);

	unlink(name);
	return fd;
}

static void open_image(void)
{
	static uint8_t content[DISK];

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
}

static void start_queue(unsigned q)
{
	struct front_queue *fq = front_queue(&w.f, q, 128, RING_AT(q));

	assert_true(front_queue_start(fq));
}

static void begin(void)
{
	int pair[2];

	w.cfg.capacity = DISK;
	w.cfg.io = plane;
	w.cfg.discard = true;
	w.cfg.queues = MAX(w.cfg.queues, 1);
	open_image();
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	w.f.pid = fork();
	if (!w.f.pid) {
		close(pair[0]);
		serve(pair[1]);
	}
	close(pair[1]);
	w.f.sock = pair[0];
	assert_true(front_memory(&w.f, MEM, 0, true));
	assert_true(front_negotiate(&w.f, w.want ? w.want : ALL, ALL));
	assert_true(front_send_memory(&w.f));
	for (unsigned q = 0; q < w.cfg.queues; q++)
		start_queue(q);
	w.q = &w.f.q[0];
}

static int fresh(void **state)
{
	(void)state;
	memset(&w, 0, sizeof(w));
	return 0;
}

static int finish(void **state)
{
	(void)state;
	close(w.image);
	close(w.delta);
	/* The device process has not died of anything. */
	return front_close(&w.f) ? -1 : 0;
}

static void header(unsigned i, uint32_t type, uint64_t sector)
{
	struct virtio_blk_outhdr *h = front_ptr(&w.f, HDR + 16 * i);

	h->type = type;
	h->ioprio = 0;
	h->sector = sector;
	*(uint8_t *)front_ptr(&w.f, STATUS + i) = 0xaa;
}

static uint8_t status(unsigned i)
{
	return *(volatile uint8_t *)front_ptr(&w.f, STATUS + i);
}

/* Offer header, @len bytes at @gpa and a status byte on @q; returns the head. */
static uint16_t offer(struct front_queue *q, unsigned i, uint32_t type, uint64_t sector, uint64_t gpa,
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

/* One request from beginning to end: its status. */
static uint8_t ask(uint32_t type, uint64_t sector, uint64_t gpa, uint32_t len)
{
	uint32_t id, used;
	uint16_t head = offer(w.q, 0, type, sector, gpa, len);

	front_kick(w.q);
	assert_true(front_wait_used(w.q, &id, &used, 5000));
	assert_int_equal(id, head);
	return status(0);
}

static void data_is(uint64_t gpa, uint64_t at, uint32_t len)
{
	const uint8_t *p = front_ptr(&w.f, gpa);

	for (uint32_t i = 0; i < len; i++)
		if (p[i] != expected(at + i))
			fail_msg("byte %u of the disk is wrong", (unsigned)(at + i));
}

static void image_is(uint64_t at, const void *want, size_t len)
{
	static uint8_t got[DISK] __attribute__((aligned(4096)));

	assert_int_equal(pread(w.image, got, DISK, 0), DISK);
	assert_memory_equal(got + at, want, len);
}

static void reads_and_writes(void **state)
{
	uint8_t *p;

	(void)state;
	begin();
	p = front_ptr(&w.f, DATA);
	assert_int_equal(ask(VIRTIO_BLK_T_IN, 3, DATA, 8192), VIRTIO_BLK_S_OK);
	data_is(DATA, 3 * 512, 8192);
	memset(p, 0x5c, 4096);
	assert_int_equal(ask(VIRTIO_BLK_T_OUT, 100, DATA, 4096), VIRTIO_BLK_S_OK);
	assert_int_equal(ask(VIRTIO_BLK_T_FLUSH, 0, 0, 0), VIRTIO_BLK_S_OK);
	image_is(100 * 512, p, 4096);
	assert_int_equal(ask(VIRTIO_BLK_T_IN, SECTORS - 1, DATA, 512), VIRTIO_BLK_S_OK);
	data_is(DATA, DISK - 512, 512);
	/* All of the disk at once. */
	assert_int_equal(ask(VIRTIO_BLK_T_OUT, 100, DATA + DISK, 4096), VIRTIO_BLK_S_OK);
	assert_int_equal(ask(VIRTIO_BLK_T_IN, 0, DATA, DISK), VIRTIO_BLK_S_OK);
	data_is(DATA, 0, 100 * 512);
	data_is(DATA + 101 * 512 + 4096, 101 * 512 + 4096, 65536);
}

static void bad_requests_are_errors(void **state)
{
	static const uint64_t sectors[] = { SECTORS, SECTORS + 1, UINT64_MAX, UINT64_MAX - 7, 1ull << 55,
					    (1ull << 55) + 1, 1ull << 63, UINT64_MAX / 512 + 1 };
	uint8_t before[512];

	(void)state;
	begin();
	assert_int_equal(pread(w.image, before, 512, 512), 512);
	for (unsigned i = 0; i < ARRAY_SIZE(sectors); i++) {
		assert_int_equal(ask(VIRTIO_BLK_T_IN, sectors[i], DATA, 512), VIRTIO_BLK_S_IOERR);
		assert_int_equal(ask(VIRTIO_BLK_T_OUT, sectors[i], DATA, 512), VIRTIO_BLK_S_IOERR);
	}
	assert_int_equal(ask(VIRTIO_BLK_T_IN, SECTORS - 1, DATA, 1024), VIRTIO_BLK_S_IOERR);
	for (uint32_t len = 1; len < 1024; len += 93) {
		assert_int_equal(ask(VIRTIO_BLK_T_IN, 0, DATA, len), VIRTIO_BLK_S_IOERR);
		assert_int_equal(ask(VIRTIO_BLK_T_OUT, 0, DATA, len), VIRTIO_BLK_S_IOERR);
	}
	assert_int_equal(ask(2, 0, DATA, 512), VIRTIO_BLK_S_UNSUPP);
	assert_int_equal(ask(0xffffffff, 0, DATA, 512), VIRTIO_BLK_S_UNSUPP);
	image_is(512, before, 512);
	assert_int_equal(lseek(w.image, 0, SEEK_END), DISK);
}

static void any_layout(void **state)
{
	struct front_buf b[12];
	uint32_t id, len;
	unsigned n = 0;
	uint8_t *p;

	(void)state;
	begin();
	/* A header in four pieces, data in three, and the status at the end of the last one. */
	header(0, VIRTIO_BLK_T_IN, 9);
	b[n++] = (struct front_buf){ HDR, 1, false };
	b[n++] = (struct front_buf){ HDR + 1, 7, false };
	b[n++] = (struct front_buf){ HDR + 8, 5, false };
	b[n++] = (struct front_buf){ HDR + 13, 3, false };
	b[n++] = (struct front_buf){ DATA + 1, 1000, true };
	b[n++] = (struct front_buf){ DATA + 5001, 24, true };
	b[n++] = (struct front_buf){ DATA + 9001, 513, true };
	front_offer(w.q, front_chain(w.q, b, n));
	front_kick(w.q);
	assert_true(front_wait_used(w.q, &id, &len, 5000));
	assert_int_equal(len, 1537);
	data_is(DATA + 1, 9 * 512, 1000);
	data_is(DATA + 5001, 9 * 512 + 1000, 24);
	data_is(DATA + 9001, 9 * 512 + 1024, 512);
	p = front_ptr(&w.f, DATA + 9001 + 512);
	assert_int_equal(*p, VIRTIO_BLK_S_OK);
	/* Header and data in one descriptor. */
	header(1, VIRTIO_BLK_T_OUT, 20);
	p = front_ptr(&w.f, HDR + 32);
	memset(p, 0x3d, 512);
	b[0] = (struct front_buf){ HDR + 16, 16 + 512, false };
	b[1] = (struct front_buf){ STATUS + 1, 1, true };
	front_offer(w.q, front_chain(w.q, b, 2));
	front_kick(w.q);
	assert_true(front_wait_used(w.q, &id, &len, 5000));
	assert_int_equal(status(1), VIRTIO_BLK_S_OK);
	image_is(20 * 512, p, 512);
}

/* The chain in @b breaks a rule: the queue stops, the other one goes on, and a new start heals it. */
static void one_fault(struct front_buf *b, unsigned n)
{
	struct front_queue *other = &w.f.q[1];
	uint32_t id, len;

	front_offer(w.q, front_chain(w.q, b, n));
	front_kick(w.q);
	assert_true(front_wait_err(w.q, 5000));
	assert_false(front_wait_used(w.q, &id, &len, 20));
	offer(other, 7, VIRTIO_BLK_T_IN, 0, DATA, 512);
	front_kick(other);
	assert_true(front_wait_used(other, &id, &len, 5000));
	assert_int_equal(status(7), VIRTIO_BLK_S_OK);
	assert_true(front_queue_stop(w.q) >= 0);
	start_queue(0);
	assert_int_equal(ask(VIRTIO_BLK_T_IN, 1, DATA, 512), VIRTIO_BLK_S_OK);
	data_is(DATA, 512, 512);
}

static void no_status_and_short_headers_are_faults(void **state)
{
	struct front_buf b[3] = { { HDR, 16, false }, { DATA, 512, false }, { STATUS, 1, false } };

	(void)state;
	w.cfg.queues = 2;
	begin();
	header(0, VIRTIO_BLK_T_OUT, 0);
	one_fault(b, 3);
	one_fault(b, 1);
	b[1] = (struct front_buf){ STATUS, 1, true };
	b[0].len = 15;
	one_fault(b, 2);
	b[0].len = 1;
	one_fault(b, 2);
	one_fault(b + 1, 1);
}

static void read_only_disk(void **state)
{
	uint8_t before[512];

	(void)state;
	w.cfg.read_only = true;
	begin();
	assert_true(w.f.features & (1ull << VIRTIO_BLK_F_RO));
	assert_false(w.f.features & (1ull << VIRTIO_BLK_F_DISCARD));
	assert_false(w.f.features & (1ull << VIRTIO_BLK_F_WRITE_ZEROES));
	assert_int_equal(pread(w.image, before, 512, 0), 512);
	assert_int_equal(ask(VIRTIO_BLK_T_OUT, 0, DATA, 512), VIRTIO_BLK_S_IOERR);
	assert_int_equal(ask(VIRTIO_BLK_T_DISCARD, 0, DATA, 16), VIRTIO_BLK_S_UNSUPP);
	assert_int_equal(ask(VIRTIO_BLK_T_FLUSH, 0, 0, 0), VIRTIO_BLK_S_OK);
	assert_int_equal(ask(VIRTIO_BLK_T_IN, 0, DATA, 512), VIRTIO_BLK_S_OK);
	image_is(0, before, 512);
}

static void names(void **state)
{
	(void)state;
	memcpy(w.cfg.serial, "serial-1", 9);
	begin();
	memset(front_ptr(&w.f, DATA), 0xff, 32);
	assert_int_equal(ask(VIRTIO_BLK_T_GET_ID, 0, DATA, 20), VIRTIO_BLK_S_OK);
	assert_memory_equal(front_ptr(&w.f, DATA), "serial-1\0\0\0\0\0\0\0\0\0\0\0\0\xff", 21);
	memset(front_ptr(&w.f, DATA), 0xff, 32);
	assert_int_equal(ask(VIRTIO_BLK_T_GET_ID, 0, DATA, 3), VIRTIO_BLK_S_OK);
	assert_memory_equal(front_ptr(&w.f, DATA), "ser\xff", 4);
	assert_int_equal(ask(VIRTIO_BLK_T_GET_ID, 0, DATA, 4096), VIRTIO_BLK_S_OK);
}

static uint8_t ask_range(uint32_t type, uint64_t sector, uint32_t count, uint32_t flags)
{
	struct virtio_blk_discard_write_zeroes s = { sector, count, flags };

	memcpy(front_ptr(&w.f, DATA), &s, sizeof(s));
	return ask(type, 0, DATA, sizeof(s));
}

static void discard_and_write_zeroes(void **state)
{
	static const uint8_t zero[16 * 512];

	(void)state;
	begin();
	assert_int_equal(ask_range(VIRTIO_BLK_T_WRITE_ZEROES, 3, 7, 0), VIRTIO_BLK_S_OK);
	image_is(3 * 512, zero, 7 * 512);
	assert_int_equal(ask_range(VIRTIO_BLK_T_WRITE_ZEROES, 50, 16, 1), VIRTIO_BLK_S_OK);
	image_is(50 * 512, zero, 16 * 512);
	assert_int_equal(ask_range(VIRTIO_BLK_T_DISCARD, 128, 8, 0), VIRTIO_BLK_S_OK);
	assert_int_equal(ask_range(VIRTIO_BLK_T_DISCARD, 128, 8, 1), VIRTIO_BLK_S_UNSUPP);
	assert_int_equal(ask_range(VIRTIO_BLK_T_DISCARD, SECTORS, 1, 0), VIRTIO_BLK_S_IOERR);
	assert_int_equal(ask_range(VIRTIO_BLK_T_WRITE_ZEROES, SECTORS - 1, 2, 0), VIRTIO_BLK_S_IOERR);
	assert_int_equal(ask_range(VIRTIO_BLK_T_WRITE_ZEROES, UINT64_MAX, 2, 0), VIRTIO_BLK_S_IOERR);
	assert_int_equal(ask(VIRTIO_BLK_T_DISCARD, 0, 0, 0), VIRTIO_BLK_S_IOERR);
	assert_int_equal(ask_range(VIRTIO_BLK_T_WRITE_ZEROES, 0, 0, 0), VIRTIO_BLK_S_OK);
	assert_int_equal(lseek(w.image, 0, SEEK_END), DISK);
	/* What lies beside is untouched. */
	assert_int_equal(ask(VIRTIO_BLK_T_IN, 10, DATA, 512), VIRTIO_BLK_S_OK);
	data_is(DATA, 10 * 512, 512);
	assert_int_equal(ask(VIRTIO_BLK_T_IN, 2, DATA, 512), VIRTIO_BLK_S_OK);
	data_is(DATA, 2 * 512, 512);
}

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
	/* The first half fits, the second does not: an error, not a lie. */
	assert_int_equal(ask(VIRTIO_BLK_T_OUT, 124, DATA, 4096), VIRTIO_BLK_S_IOERR);
	assert_int_equal(ask(VIRTIO_BLK_T_OUT, 100, DATA, 4096), VIRTIO_BLK_S_OK);
	assert_int_equal(ask(VIRTIO_BLK_T_IN, 1000, DATA, 4096), VIRTIO_BLK_S_OK);
}

/* @n reads of different sectors at once; all come back once, rightly, with few calls. */
static void burst(struct front_queue *q, unsigned n)
{
	uint8_t seen[64] = { 0 };
	uint32_t id, len;

	for (unsigned i = 0; i < n; i++)
		offer(q, i, VIRTIO_BLK_T_IN, i * 5, DATA + i * 4096, 1024);
	front_kick(q);
	for (unsigned i = 0; i < n; i++) {
		assert_true(front_wait_used(q, &id, &len, 5000));
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

static void many_at_once_on_many_queues(void **state)
{
	(void)state;
	w.cfg.queues = 4;
	begin();
	for (unsigned round = 0; round < 8; round++)
		for (unsigned q = 0; q < 4; q++)
			burst(&w.f.q[q], 42);
}

static void without_any_ring_feature(void **state)
{
	(void)state;
	/* As an old guest: no VERSION_1, no FLUSH, no event index. */
	w.want = 1ull << VHU_F_PROTOCOL_FEATURES;
	begin();
	assert_int_equal(w.f.features & (1ull << VIRTIO_F_VERSION_1), 0);
	burst(w.q, 40);
	memset(front_ptr(&w.f, DATA), 0x77, 512);
	assert_int_equal(ask(VIRTIO_BLK_T_OUT, 8, DATA, 512), VIRTIO_BLK_S_OK);
	image_is(8 * 512, front_ptr(&w.f, DATA), 512);
	assert_int_equal(ask_range(VIRTIO_BLK_T_DISCARD, 0, 1, 0), VIRTIO_BLK_S_UNSUPP);
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
		/* Taken and finished are the same, and nothing is written afterwards. */
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

static void configuration_space(void **state)
{
	struct virtio_blk_config c;
	struct vhu_config wce = { .offset = offsetof(struct virtio_blk_config, wce), .size = 1 };
	uint8_t more[128];

	(void)state;
	w.cfg.queues = 3;
	begin();
	assert_true(front_get_config(&w.f, 0, sizeof(c), &c));
	assert_int_equal(c.capacity, SECTORS);
	assert_int_equal(c.blk_size, 512);
	assert_int_equal(c.num_queues, 3);
	assert_int_equal(c.seg_max, BLK_SEG_MAX);
	assert_int_equal(c.wce, 1);
	assert_int_equal(c.max_discard_seg, BLK_MAX_SEGS);
	assert_true(front_get_config(&w.f, 0, sizeof(more), more));
	/* What a newer front-end knows of beyond ours is zero. */
	assert_memory_equal(more + sizeof(c), (uint8_t[128]){ 0 }, sizeof(more) - sizeof(c));
	assert_true(front_get_config(&w.f, 20, 4, more));
	assert_memory_equal(more, &c.blk_size, 4);
	assert_int_equal(front_ack(&w.f, VHU_SET_CONFIG, &wce, 13, NULL, 0), 0);
	assert_true(front_get_config(&w.f, 0, sizeof(c), &c));
	assert_int_equal(c.wce, 0);
	wce.data[0] = 2;
	assert_int_not_equal(front_ack(&w.f, VHU_SET_CONFIG, &wce, 13, NULL, 0), 0);
	wce.offset = 0;
	assert_int_not_equal(front_ack(&w.f, VHU_SET_CONFIG, &wce, 13, NULL, 0), 0);
	/* Write-through works like write-back, but for its price. */
	assert_int_equal(ask(VIRTIO_BLK_T_OUT, 0, DATA, 4096), VIRTIO_BLK_S_OK);
	assert_int_equal(ask_range(VIRTIO_BLK_T_WRITE_ZEROES, 0, 8, 1), VIRTIO_BLK_S_OK);
}

static void direct_with_any_buffer(void **state)
{
	uint8_t *p;

	(void)state;
	w.cfg.direct = true;
	w.cfg.cache = BLK_CACHE_NONE;
	begin();
	for (unsigned shift = 0; shift < 2000; shift += 333) {
		assert_int_equal(ask(VIRTIO_BLK_T_IN, 8 + shift / 333, DATA + shift, 9216),
				 VIRTIO_BLK_S_OK);
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
	/* Ten are free, thirty wait for 10 ms each. */
	assert_true(took > 0.25 && took < 3.0);
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

#define T(f) cmocka_unit_test_setup_teardown(f, fresh, finish)

static int run(uint8_t io, const char *name)
{
	const struct CMUnitTest tests[] = {
		T(reads_and_writes),
		T(bad_requests_are_errors),
		T(any_layout),
		T(no_status_and_short_headers_are_faults),
		T(read_only_disk),
		T(names),
		T(discard_and_write_zeroes),
		T(image_that_shrank),
		T(host_that_refuses_to_write),
		T(many_at_once_on_many_queues),
		T(without_any_ring_feature),
		T(stop_waits_for_what_is_in_flight),
		T(configuration_space),
		T(direct_with_any_buffer),
		T(snapshot_leaves_the_image_alone),
		T(rate_limits_delay_and_lose_nothing),
		T(kernel_without_workers),
	};

	plane = io;
	return cmocka_run_group_tests_name(name, tests, NULL, NULL);
}

int main(void)
{
	int bad = run(BLK_IO_SYNC, "preadv2 and pwritev2");

	return run(BLK_IO_AUTO, "io_uring where it is there") + bad;
}
