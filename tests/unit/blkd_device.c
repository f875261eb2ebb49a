/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The whole block device over its socket: it answers every request once and correctly,
 * whatever the request looks like, with io_uring and without.
 */
#include "tests/unit/blkd_rig.h"

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
	static const uint64_t sectors[] = { SECTORS,	SECTORS + 1,	  UINT64_MAX, UINT64_MAX - 7,
					    1ull << 55, (1ull << 55) + 1, 1ull << 63, UINT64_MAX / 512 + 1 };
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

/* 2.7.8.2: the used length covers only what was written, counted from the first byte. */
static void a_refused_read_wrote_no_data(void **state)
{
	static const struct {
		uint64_t sector;
		uint32_t bytes;
	} refused[] = { { SECTORS, 512 }, { SECTORS - 1, 1024 }, { 0, 511 }, { UINT64_MAX, 4096 } };
	uint32_t id, len;

	(void)state;
	begin();
	for (unsigned i = 0; i < ARRAY_SIZE(refused); i++) {
		offer(w.q, 0, VIRTIO_BLK_T_IN, refused[i].sector, DATA, refused[i].bytes);
		front_kick(w.q);
		assert_true(front_wait_used(w.q, &id, &len, PATIENCE_MS));
		assert_int_equal(status(0), VIRTIO_BLK_S_IOERR);
		assert_int_equal(len, 0);
	}
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
	assert_true(front_wait_used(w.q, &id, &len, PATIENCE_MS));
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
	assert_true(front_wait_used(w.q, &id, &len, PATIENCE_MS));
	assert_int_equal(status(1), VIRTIO_BLK_S_OK);
	image_is(20 * 512, p, 512);
}

/* Offer the chain @b, which breaks a rule: its queue stops, the other one keeps working, and a restart repairs it. */
static void one_fault(struct front_buf *b, unsigned n)
{
	struct front_queue *other = &w.f.q[1];
	uint32_t id, len;

	front_offer(w.q, front_chain(w.q, b, n));
	front_kick(w.q);
	assert_true(front_wait_err(w.q, PATIENCE_MS));
	assert_false(front_wait_used(w.q, &id, &len, 20));
	offer(other, 7, VIRTIO_BLK_T_IN, 0, DATA, 512);
	front_kick(other);
	assert_true(front_wait_used(other, &id, &len, PATIENCE_MS));
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
	/* Neighbouring sectors are unchanged. */
	assert_int_equal(ask(VIRTIO_BLK_T_IN, 10, DATA, 512), VIRTIO_BLK_S_OK);
	data_is(DATA, 10 * 512, 512);
	assert_int_equal(ask(VIRTIO_BLK_T_IN, 2, DATA, 512), VIRTIO_BLK_S_OK);
	data_is(DATA, 2 * 512, 512);
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

/* Offer @n reads of @len bytes at once, to a stopped device. Returns how often it interrupts for them. */
static uint64_t calls_for(unsigned n, uint32_t len)
{
	uint64_t before = stats().calls;
	uint32_t id, used;

	assert_int_equal(kill(w.f.pid, SIGSTOP), 0);
	for (unsigned i = 0; i < n; i++)
		offer(w.q, i, VIRTIO_BLK_T_IN, 0, DATA + i % 8 * len, len);
	front_kick(w.q);
	assert_int_equal(kill(w.f.pid, SIGCONT), 0);
	for (unsigned i = 0; i < n; i++)
		assert_true(front_wait_used(w.q, &id, &used, PATIENCE_MS));
	return stats().calls - before;
}

/* Without an event index, each time that the device decides to interrupt is an interrupt. */
static void interrupts_for_many_requests(void **state)
{
	(void)state;
	w.want = (1ull << VHU_F_PROTOCOL_FEATURES) | (1ull << VIRTIO_F_VERSION_1);
	begin();
	/* After 32, 8 before the end, so that the driver can refill the ring meanwhile, and at the end. */
	assert_int_equal(calls_for(42, 512), 3);
	assert_int_equal(calls_for(24, 512), 2);
	assert_int_equal(calls_for(8, 512), 1);
	/* Each 512 KiB, however few requests that are. */
	assert_int_equal(calls_for(8, 128u << 10), 2);
	assert_int_equal(calls_for(4, 128u << 10), 1);
}

/* A request that waited for the disk took longer than an interrupt: the driver does not wait for the next one as well. */
static void a_request_that_waits_is_told_of_at_once(void **state)
{
	const uint8_t before = plane;

	(void)state;
	w.want = (1ull << VHU_F_PROTOCOL_FEATURES) | (1ull << VIRTIO_F_VERSION_1);
	w.cfg.direct = true;
	plane = BLK_IO_SYNC; /* With the io_uring none of them waits. */
	begin();
	plane = before;
	assert_int_equal(calls_for(6, 4096), 6);
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
	/* Fields that only a newer front-end knows are zero. */
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
	/* Write-through gives the same results as write-back. */
	assert_int_equal(ask(VIRTIO_BLK_T_OUT, 0, DATA, 4096), VIRTIO_BLK_S_OK);
	assert_int_equal(ask_range(VIRTIO_BLK_T_WRITE_ZEROES, 0, 8, 1), VIRTIO_BLK_S_OK);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(reads_and_writes),
		T(bad_requests_are_errors),
		T(a_refused_read_wrote_no_data),
		T(any_layout),
		T(no_status_and_short_headers_are_faults),
		T(read_only_disk),
		T(names),
		T(discard_and_write_zeroes),
		T(many_at_once_on_many_queues),
		T(interrupts_for_many_requests),
		T(a_request_that_waits_is_told_of_at_once),
		T(without_any_ring_feature),
		T(configuration_space),
	};

	return RUN_ON_BOTH(tests);
}
