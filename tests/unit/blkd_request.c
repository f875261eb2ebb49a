/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Tests the checks of blkd/request.c and blkd/options.c, and common/bucket.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "blkd/options.h"
#include "blkd/request.h"
#include "blkd/transfer.h"
#include "common/bucket.h"

#define DISK (1024 * SECTOR_SIZE)

static const struct blk_shape writable = { .capacity = DISK, .discard = true, .write_zeroes = true };
static const struct blk_shape read_only = {
	.capacity = DISK, .read_only = true, .discard = true, .write_zeroes = true
};
static const struct blk_shape plain = { .capacity = DISK };

static struct blk_req r;
static struct vq_chain chain;
static uint8_t out_mem[4096], in_mem[1 << 17];

/* A chain of one readable and one writable piece; sizes 0 leave it out. */
static enum guest_fault judge(const struct blk_shape *s, uint32_t type, uint64_t sector, uint32_t out_extra,
			      uint32_t in_len)
{
	struct virtio_blk_outhdr hdr = { .type = htole32(type), .sector = htole64(sector) };

	memcpy(out_mem, &hdr, sizeof(hdr));
	memset(&r, 0xee, sizeof(r));
	r.iov[0] = (struct iovec){ out_mem, sizeof(hdr) + out_extra };
	r.iov[1] = (struct iovec){ in_mem, in_len };
	chain = (struct vq_chain){
		.head = 3, .nout = 1, .nin = in_len ? 1 : 0, .out_len = sizeof(hdr) + out_extra, .in_len = in_len
	};
	return blk_judge(s, &chain, &r);
}

static void verdict_is(const struct blk_shape *s, uint32_t type, uint64_t sector, uint32_t out_extra, uint32_t in_len,
		       uint8_t verdict)
{
	assert_int_equal(judge(s, type, sector, out_extra, in_len), FAULT_NONE);
	assert_int_equal(r.verdict, verdict);
}

static void read_whole_sectors(void **state)
{
	(void)state;
	verdict_is(&writable, VIRTIO_BLK_T_IN, 2, 0, 1025, BLK_GO);
	assert_int_equal(r.off, 1024);
	assert_int_equal(r.left, 1024);
	assert_int_equal(r.head, 3);
	assert_ptr_equal(r.status_at, in_mem + 1024);
	assert_ptr_equal(r.iov[r.first].iov_base, in_mem);
	assert_int_equal(r.iov[r.first].iov_len, 1024);
	assert_int_equal(r.n, 1);
	verdict_is(&writable, VIRTIO_BLK_T_IN, 2, 0, 1024, VIRTIO_BLK_S_IOERR);
	verdict_is(&writable, VIRTIO_BLK_T_IN, 2, 0, 513 + 511, VIRTIO_BLK_S_IOERR);
	verdict_is(&writable, VIRTIO_BLK_T_OUT, 0, 513, 1, VIRTIO_BLK_S_IOERR);
}

static void ranges_cannot_wrap(void **state)
{
	static const uint64_t bad[] = { 1024,
					1025,
					UINT64_MAX,
					UINT64_MAX - 1,
					1ull << 55,
					(1ull << 55) + 1,
					UINT64_MAX / 512,
					UINT64_MAX / 512 + 1,
					1ull << 63,
					1ull << 32 };

	(void)state;
	verdict_is(&writable, VIRTIO_BLK_T_IN, 1023, 0, 513, BLK_GO);
	verdict_is(&writable, VIRTIO_BLK_T_IN, 1023, 0, 1025, VIRTIO_BLK_S_IOERR);
	verdict_is(&writable, VIRTIO_BLK_T_OUT, 1023, 512, 1, BLK_GO);
	verdict_is(&writable, VIRTIO_BLK_T_OUT, 1023, 1024, 1, VIRTIO_BLK_S_IOERR);
	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
		verdict_is(&writable, VIRTIO_BLK_T_IN, bad[i], 0, 513, VIRTIO_BLK_S_IOERR);
		verdict_is(&writable, VIRTIO_BLK_T_OUT, bad[i], 512, 1, VIRTIO_BLK_S_IOERR);
	}
	/* A request of no bytes at the very end is valid, one beyond the end is not. */
	verdict_is(&writable, VIRTIO_BLK_T_IN, 1024, 0, 1, VIRTIO_BLK_S_OK);
	verdict_is(&writable, VIRTIO_BLK_T_IN, 1025, 0, 1, VIRTIO_BLK_S_IOERR);
}

static void size_of_one_request_is_bounded(void **state)
{
	struct blk_shape big = { .capacity = 1ull << 40 };

	(void)state;
	verdict_is(&big, VIRTIO_BLK_T_IN, 0, 0, BLK_MAX_DATA + 1, BLK_GO);
	verdict_is(&big, VIRTIO_BLK_T_IN, 0, 0, BLK_MAX_DATA + 513, VIRTIO_BLK_S_IOERR);
}

static void read_only_refuses_changes(void **state)
{
	(void)state;
	verdict_is(&read_only, VIRTIO_BLK_T_IN, 0, 0, 513, BLK_GO);
	verdict_is(&read_only, VIRTIO_BLK_T_OUT, 0, 512, 1, VIRTIO_BLK_S_IOERR);
	memset(out_mem, 0, sizeof(out_mem));
	verdict_is(&read_only, VIRTIO_BLK_T_DISCARD, 0, 16, 1, VIRTIO_BLK_S_IOERR);
	verdict_is(&read_only, VIRTIO_BLK_T_WRITE_ZEROES, 0, 16, 1, VIRTIO_BLK_S_IOERR);
}

static void no_room_for_the_status(void **state)
{
	(void)state;
	assert_int_equal(judge(&writable, VIRTIO_BLK_T_OUT, 0, 512, 0), FAULT_NO_WRITABLE);
}

static void header_of_any_length(void **state)
{
	(void)state;
	for (uint32_t len = 0; len < 16; len++) {
		judge(&writable, VIRTIO_BLK_T_FLUSH, 0, 0, 1);
		r.iov[0].iov_len = chain.out_len = len;
		r.iov[1].iov_len = 1;
		chain.nout = len ? 1 : 0;
		if (!len)
			r.iov[0] = r.iov[1];
		assert_int_equal(blk_judge(&writable, &chain, &r), FAULT_SHORT_HEADER);
	}
	/* One byte behind the header is data, but not a whole sector. */
	verdict_is(&writable, VIRTIO_BLK_T_OUT, 0, 1, 1, VIRTIO_BLK_S_IOERR);
	verdict_is(&writable, VIRTIO_BLK_T_IN, 0, 1, 513, BLK_GO);
}

static void header_and_data_in_any_pieces(void **state)
{
	struct virtio_blk_outhdr hdr = { .type = htole32(VIRTIO_BLK_T_OUT), .sector = htole64(7) };
	uint8_t *p = out_mem;

	(void)state;
	memcpy(p, &hdr, sizeof(hdr));
	memset(&r, 0, sizeof(r));
	/* 1 + 3 + (12 of the header and 100 of data) + 412 of data, then 2 for the status. */
	r.iov[0] = (struct iovec){ p, 1 };
	r.iov[1] = (struct iovec){ p + 1, 3 };
	r.iov[2] = (struct iovec){ p + 4, 112 };
	r.iov[3] = (struct iovec){ p + 116, 412 };
	r.iov[4] = (struct iovec){ in_mem, 2 };
	chain = (struct vq_chain){ .nout = 4, .nin = 1, .out_len = 528, .in_len = 2 };
	assert_int_equal(blk_judge(&writable, &chain, &r), FAULT_NONE);
	assert_int_equal(r.verdict, BLK_GO);
	assert_int_equal(r.off, 7 * 512);
	assert_int_equal(r.left, 512);
	assert_int_equal(r.first, 2);
	assert_int_equal(r.n, 2);
	assert_ptr_equal(r.iov[2].iov_base, p + 16);
	assert_int_equal(r.iov[2].iov_len, 100);
	assert_ptr_equal(r.status_at, in_mem + 1);
}

static void unknown_types_are_unsupported(void **state)
{
	static const uint32_t types[] = { 2, 3, 5, 6, 7, 9, 10, 12, 14, 0x80000000u, 0x80000001u, UINT32_MAX };

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(types); i++)
		verdict_is(&writable, types[i], 0, 0, 513, VIRTIO_BLK_S_UNSUPP);
}

static void get_id_of_any_length(void **state)
{
	(void)state;
	memset(in_mem, 0x55, 64);
	verdict_is(&plain, VIRTIO_BLK_T_GET_ID, 0, 0, 21, BLK_GO);
	assert_int_equal(blk_get_id(&r, "disk0"), 20);
	assert_memory_equal(in_mem, "disk0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x55", 21);
	assert_int_equal(blk_written(&r, 20), 21);
	memset(in_mem, 0x55, 64);
	verdict_is(&plain, VIRTIO_BLK_T_GET_ID, 0, 0, 4, BLK_GO);
	assert_int_equal(blk_get_id(&r, "12345678901234567890"), 3);
	assert_memory_equal(in_mem, "123\x55", 4);
	memset(in_mem, 0x55, 64);
	verdict_is(&plain, VIRTIO_BLK_T_GET_ID, 0, 0, 41, BLK_GO);
	assert_int_equal(blk_get_id(&r, "12345678901234567890"), 20);
	assert_memory_equal(in_mem, "12345678901234567890\x55", 21);
	assert_int_equal(blk_written(&r, 20), 20);
	verdict_is(&plain, VIRTIO_BLK_T_GET_ID, 0, 0, 1, BLK_GO);
	assert_int_equal(blk_get_id(&r, "x"), 0);
}

static void used_length_counts_what_was_written(void **state)
{
	(void)state;
	verdict_is(&plain, VIRTIO_BLK_T_IN, 0, 0, 1025, BLK_GO);
	assert_int_equal(blk_written(&r, 1024), 1025);
	assert_int_equal(blk_written(&r, 512), 512);
	verdict_is(&plain, VIRTIO_BLK_T_OUT, 0, 512, 1, BLK_GO);
	assert_int_equal(blk_written(&r, 0), 1);
	verdict_is(&plain, VIRTIO_BLK_T_OUT, 0, 512, 9, BLK_GO);
	assert_int_equal(blk_written(&r, 0), 0);
}

static void seg(unsigned i, uint64_t sector, uint32_t count, uint32_t flags)
{
	struct virtio_blk_discard_write_zeroes s = { htole64(sector), htole32(count), htole32(flags) };

	memcpy(out_mem + 16 + 16 * i, &s, sizeof(s));
}

static void discard_is_judged_per_segment(void **state)
{
	(void)state;
	seg(0, 1, 1023, 0);
	verdict_is(&writable, VIRTIO_BLK_T_DISCARD, 0, 16, 1, BLK_GO);
	assert_int_equal(r.nranges, 1);
	assert_int_equal(r.range[0].off, 512);
	assert_int_equal(r.range[0].len, 1023 * 512);
	assert_true(r.range[0].unmap);
	seg(1, 1, 1024, 0);
	verdict_is(&writable, VIRTIO_BLK_T_DISCARD, 0, 32, 1, VIRTIO_BLK_S_IOERR);
	seg(1, UINT64_MAX, 2, 0);
	verdict_is(&writable, VIRTIO_BLK_T_DISCARD, 0, 32, 1, VIRTIO_BLK_S_IOERR);
	seg(1, 0, UINT32_MAX, 0);
	verdict_is(&writable, VIRTIO_BLK_T_DISCARD, 0, 32, 1, VIRTIO_BLK_S_IOERR);
	seg(1, 0, 1, VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP);
	verdict_is(&writable, VIRTIO_BLK_T_DISCARD, 0, 32, 1, VIRTIO_BLK_S_UNSUPP);
	seg(1, 0, 1, 2);
	verdict_is(&writable, VIRTIO_BLK_T_DISCARD, 0, 32, 1, VIRTIO_BLK_S_UNSUPP);
	verdict_is(&writable, VIRTIO_BLK_T_DISCARD, 0, 0, 1, VIRTIO_BLK_S_IOERR);
	verdict_is(&writable, VIRTIO_BLK_T_DISCARD, 0, 15, 1, VIRTIO_BLK_S_IOERR);
	verdict_is(&writable, VIRTIO_BLK_T_DISCARD, 0, 17, 1, VIRTIO_BLK_S_IOERR);
	for (unsigned i = 0; i <= BLK_MAX_SEGS; i++)
		seg(i, i, 1, 0);
	verdict_is(&writable, VIRTIO_BLK_T_DISCARD, 0, 16 * BLK_MAX_SEGS, 1, BLK_GO);
	assert_int_equal(r.nranges, BLK_MAX_SEGS);
	verdict_is(&writable, VIRTIO_BLK_T_DISCARD, 0, 16 * (BLK_MAX_SEGS + 1), 1, VIRTIO_BLK_S_IOERR);
	verdict_is(&plain, VIRTIO_BLK_T_DISCARD, 0, 16, 1, VIRTIO_BLK_S_UNSUPP);
}

static void write_zeroes_takes_one_segment(void **state)
{
	struct blk_shape big = { .capacity = 1ull << 40, .discard = true, .write_zeroes = true };

	(void)state;
	seg(0, 0, 8, 1);
	seg(1, 8, 8, 1);
	verdict_is(&writable, VIRTIO_BLK_T_WRITE_ZEROES, 0, 16, 1, BLK_GO);
	assert_true(r.range[0].unmap);
	verdict_is(&writable, VIRTIO_BLK_T_WRITE_ZEROES, 0, 32, 1, VIRTIO_BLK_S_IOERR);
	seg(0, 0, 8, 0);
	verdict_is(&writable, VIRTIO_BLK_T_WRITE_ZEROES, 0, 16, 1, BLK_GO);
	assert_false(r.range[0].unmap);
	seg(0, 0, BLK_MAX_ZEROES, 0);
	verdict_is(&big, VIRTIO_BLK_T_WRITE_ZEROES, 0, 16, 1, BLK_GO);
	seg(0, 0, BLK_MAX_ZEROES + 1, 0);
	verdict_is(&big, VIRTIO_BLK_T_WRITE_ZEROES, 0, 16, 1, VIRTIO_BLK_S_IOERR);
	seg(0, 0, BLK_MAX_DISCARD + 1, 0);
	verdict_is(&big, VIRTIO_BLK_T_DISCARD, 0, 16, 1, VIRTIO_BLK_S_IOERR);
}

static void limits_let_through_what_they_say(void **state)
{
	struct limit l;
	uint64_t now = 1000;
	unsigned n = 0;

	(void)state;
	limit_init(&l, 1000, 0, now);
	for (; now < 2001000; now += 100)
		while (limit_ready(&l, now)) {
			limit_take(&l, 4096);
			n++;
		}
	/* Two seconds, and the tenth of a second that the bucket held. */
	assert_in_range(n, 2000, 2200);
	limit_init(&l, 0, 1 << 20, 0);
	assert_true(limit_ready(&l, 0));
	limit_take(&l, 4 << 20);
	assert_false(limit_ready(&l, 1000000));
	assert_false(limit_ready(&l, 2000000));
	assert_false(limit_ready(&l, 3000000));
	assert_true(limit_ready(&l, 3950000));
	limit_init(&l, 0, 0, 0);
	limit_take(&l, UINT32_MAX);
	assert_true(limit_ready(&l, 0));
	limit_init(&l, UINT64_MAX, UINT64_MAX, 0);
	assert_true(limit_ready(&l, UINT64_MAX));
}

static const char *why; /* of the last parse() */

static int parse(struct blkd_options *o, const char *a, const char *b, const char *c)
{
	char prog[] = "blkd";
	char *argv[] = { prog, (char *)(uintptr_t)a, (char *)(uintptr_t)b, (char *)(uintptr_t)c, NULL };

	return blkd_options(o, c ? 4 : b ? 3 : 2, argv, &why);
}

static void command_lines(void **state)
{
	struct blkd_options o;

	(void)state;
	assert_int_equal(parse(&o, "--socket-path=/s", "--blk-file=/i", "--read-only"), 0);
	assert_string_equal(o.socket_path, "/s");
	assert_string_equal(o.image, "/i");
	assert_true(o.blk.read_only);
	assert_int_equal(parse(&o, "--fd", "7", "--blk-file=/i"), 0);
	assert_int_equal(o.fd, 7);
	assert_int_equal(parse(&o, "--print-capabilities", NULL, NULL), 0);
	assert_int_equal(parse(&o, "--socket-path=/s", "--fd=3", "--blk-file=/i"), -1);
	assert_int_equal(parse(&o, "--socket-path=/s", NULL, NULL), -1);
	assert_int_equal(parse(&o, "--blk-file=/i", NULL, NULL), -1);
	assert_int_equal(parse(&o, "--fd=-1", "--blk-file=/i", NULL), -1);
	assert_int_equal(parse(&o, "--fd=3x", "--blk-file=/i", NULL), -1);
	assert_int_equal(parse(&o, "--fd=99999999999", "--blk-file=/i", NULL), -1);
	assert_int_equal(parse(&o, "--fd=3", "--blk-file=/i", "--queues=17"), -1);
	assert_int_equal(parse(&o, "--fd=3", "--blk-file=/i", "--queues=0"), -1);
	assert_int_equal(parse(&o, "--fd=3", "--blk-file=/i", "--serial=123456789012345678901"), -1);
	assert_int_equal(parse(&o, "--fd=3", "--blk-file=/i", "--serial=12345678901234567890"), 0);
	assert_int_equal(parse(&o, "--fd=3", "--blk-file=/i", "--cache=none"), 0);
	assert_true(o.blk.direct);
	assert_int_equal(parse(&o, "--fd=3", "--blk-file=/i", "--cache=some"), -1);
	assert_int_equal(parse(&o, "--fd=3", "--blk-file=/i", "--read-only=yes"), -1);
	assert_int_equal(parse(&o, "--fd=3", "--blk-file=/i", "--unknown"), -1);
	assert_int_equal(parse(&o, "--fd=3", "--blk-file=/i", "image"), -1);
	assert_int_equal(parse(&o, "--fd=3", "--blk-file=/i", "--io"), -1);
	assert_string_equal(why, "--io: a value is missing: --io=auto|uring|sync");
	assert_int_equal(parse(&o, "--fd=3", "--blk-file=/i", "--blk-file=/j"), -1);
	assert_string_equal(why, "--blk-file=/j: given twice; give it once");
	assert_int_equal(parse(&o, "--fd=3", "--blk-file=/i", "--bandwidth=20M"), 0);
	assert_int_equal(o.blk.rate_bytes, 20 << 20);
}

/* Requests that are finished and not told of, and chains that are left, until the driver is interrupted. */
static void when_the_driver_is_interrupted(void **state)
{
	static struct vring_avail ring;
	static struct blkd d;
	struct vq vq = { .size = 64, .running = true, .avail = &ring, .signalled = 65530 };

	(void)state;
	vq.next_used = (uint16_t)(vq.signalled + BLK_AHEAD);
	ring.idx = vq.avail_seen = (uint16_t)(vq.last_avail + BLK_AHEAD + 1);
	assert_false(blkd_call_due(&d, &vq, 0)); /* enough chains are left */
	ring.idx = --vq.avail_seen;
	assert_true(blkd_call_due(&d, &vq, 0));
	ring.idx++;
	assert_false(blkd_call_due(&d, &vq, 0)); /* a driver that adds chains is awake */
	d.waited = true;
	assert_true(blkd_call_due(&d, &vq, 0));
	assert_false(blkd_call_due(&d, &vq, BLK_BATCH_BYTES - 1)); /* told of */
	assert_true(blkd_call_due(&d, &vq, BLK_BATCH_BYTES));
	vq.next_used = (uint16_t)(vq.signalled + BLK_BATCH);
	assert_true(blkd_call_due(&d, &vq, 0));
	vq.next_used--;
	assert_false(blkd_call_due(&d, &vq, 0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(when_the_driver_is_interrupted),
		cmocka_unit_test(read_whole_sectors),
		cmocka_unit_test(ranges_cannot_wrap),
		cmocka_unit_test(size_of_one_request_is_bounded),
		cmocka_unit_test(read_only_refuses_changes),
		cmocka_unit_test(no_room_for_the_status),
		cmocka_unit_test(header_of_any_length),
		cmocka_unit_test(header_and_data_in_any_pieces),
		cmocka_unit_test(unknown_types_are_unsupported),
		cmocka_unit_test(get_id_of_any_length),
		cmocka_unit_test(used_length_counts_what_was_written),
		cmocka_unit_test(discard_is_judged_per_segment),
		cmocka_unit_test(write_zeroes_takes_one_segment),
		cmocka_unit_test(limits_let_through_what_they_say),
		cmocka_unit_test(command_lines),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
