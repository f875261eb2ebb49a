/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * netd's receive queues: frames arrive whole, in order and inside the guest's buffers, merged
 * if that was negotiated; frames that need features which the driver did not negotiate do not
 * arrive; a hostile driver stops only its own queue.
 */
#include "tests/unit/netd_rig.h"

/* Offer @n receive buffers of @len bytes, @stride apart from @gpa on; filled with 0xa5. */
static void give(struct front_queue *q, uint64_t gpa, unsigned n, uint32_t len, uint32_t stride)
{
	for (unsigned i = 0; i < n; i++) {
		const struct front_buf b = { gpa + (uint64_t)i * stride, len, true };

		memset(at(b.gpa), 0xa5, stride);
		front_offer(q, front_chain(q, &b, 1));
	}
	front_kick(q);
}

static struct virtio_net_hdr_mrg_rxbuf header_at(uint64_t gpa)
{
	struct virtio_net_hdr_mrg_rxbuf h;

	memcpy(&h, at(gpa), sizeof(h));
	return h;
}

static void small_frames_take_one_buffer_each(void **state)
{
	uint32_t id, len;

	(void)state;
	begin(MODERN | OFFLOADS);
	give(rig.rx, BUFFERS, 64, 1526, 2048);
	for (unsigned i = 0; i < 40; i++)
		tap_send(0, &plain, 60 + i, i);
	for (unsigned i = 0; i < 40; i++) {
		uint64_t gpa = BUFFERS + (uint64_t)i * 2048;

		assert_true(front_wait_used(rig.rx, &id, &len, PATIENCE_MS));
		assert_int_equal(id, i);
		assert_int_equal(len, HDR + 60 + i);
		assert_int_equal(header_at(gpa).num_buffers, 1);
		expect_frame(at(gpa + HDR), 60 + i, i);
		assert_int_equal(*at(gpa + HDR + 60 + i), 0xa5);
	}
	assert_false(front_used(rig.rx, &id, &len));
	assert_int_equal(stats().frames_in, 40);
	end();
}

/* A frame of @size arrives in as many buffers of 1526 bytes as it takes, from *@buffer on. */
static void arrives(size_t size, uint32_t tag, unsigned *buffer)
{
	static uint8_t frame[FRAME_MAX + HDR];
	unsigned want = (unsigned)(size + HDR + 1525) / 1526;
	uint64_t first = BUFFERS + (uint64_t)*buffer * 1526;
	uint32_t id, len;
	size_t have = 0;

	tap_send(0, &plain, size, tag);
	for (unsigned k = 0; k < want; k++, (*buffer)++) {
		assert_true(front_wait_used(rig.rx, &id, &len, PATIENCE_MS));
		assert_int_equal(id, *buffer);
		assert_true(len <= 1526);
		memcpy(frame + have, at(BUFFERS + (uint64_t)*buffer * 1526), len);
		have += len;
	}
	assert_int_equal(have, size + HDR);
	assert_int_equal(header_at(first).num_buffers, want);
	expect_frame(frame + HDR, size, tag);
}

static void large_frames_are_merged(void **state)
{
	static const size_t sizes[] = { 1514, 1515, 3000, FRAME_MAX, 60, FRAME_MAX };
	unsigned buffer = 0;
	uint32_t id, len;

	(void)state;
	begin(MODERN | OFFLOADS);
	give(rig.rx, BUFFERS, 250, 1526, 1526);
	for (unsigned i = 0; i < ARRAY_SIZE(sizes); i++)
		arrives(sizes[i], i, &buffer);
	assert_false(front_used(rig.rx, &id, &len));
	end();
}

/* A row of small frames takes a faster path, which must not truncate a large frame at its end. */
static void a_large_frame_after_many_small_ones_is_whole(void **state)
{
	static const size_t large[] = { 2048, 2049, FRAME_MAX };
	unsigned buffer = 0;

	(void)state;
	begin(MODERN | OFFLOADS);
	give(rig.rx, BUFFERS, 250, 1526, 1526);
	for (unsigned i = 0; i < ARRAY_SIZE(large); i++) {
		for (unsigned k = 0; k < 40; k++)
			arrives(60 + k, k, &buffer);
		arrives(large[i], i, &buffer);
	}
	assert_int_equal(stats().dropped_full, 0);
	end();
}

/* Of 100 frames that wait, the driver hears at least after each BATCH_MAX: it can take them while netd reads the rest. */
static void the_guest_hears_of_frames_while_more_are_read(void **state)
{
	uint64_t calls;

	(void)state;
	begin(MODERN);
	for (unsigned i = 0; i < 100; i++)
		tap_send(0, &plain, 60, i);
	give(rig.rx, BUFFERS, 250, 1526, 1526);
	for (unsigned i = 0; i < PATIENCE_MS && stats().frames_in < 100; i++)
		usleep(1000);
	assert_int_equal(read(rig.rx->call, &calls, sizeof(calls)), sizeof(calls));
	assert_in_range(calls, 100 / BATCH_MAX, 100);
	end();
}

static void many_are_read_from_a_tap_without_headers(void **state)
{
	struct net_config c = base_config();
	uint8_t frame[1514];

	(void)state;
	c.vnet_hdr = c.offload = false;
	rig_batch = true;
	begin_with(&c, MODERN);
	for (unsigned i = 0; i < 100; i++) {
		put_frame(frame, 60 + i, i);
		assert_int_equal(send(rig.tap[0], frame, 60 + i, 0), 60 + i);
	}
	give(rig.rx, BUFFERS, 250, 1526, 1526);
	for (unsigned i = 0; i < 100; i++) {
		uint32_t id, len;

		assert_true(front_wait_used(rig.rx, &id, &len, PATIENCE_MS));
		assert_int_equal(len, HDR + 60 + i);
		assert_int_equal(header_at(BUFFERS + id * 1526).num_buffers, 1);
		expect_frame(at(BUFFERS + id * 1526 + HDR), 60 + i, i);
	}
	end();
	rig_batch = false;
}

static void split_buffers_are_filled_in_order(void **state)
{
	struct front_buf b[100];
	uint32_t id, len;

	(void)state;
	begin(MODERN);
	/* 5 + 3 + 20 + 1 + 1 + … bytes: the header ends inside the third piece. */
	for (unsigned i = 0, off = 0; i < ARRAY_SIZE(b); i++) {
		uint32_t l = i == 0 ? 5 : i == 1 ? 3 : i == 2 ? 20 : i < 90 ? 1 : 500;

		b[i] = (struct front_buf){ BUFFERS + off, l, true };
		off += l;
	}
	front_offer(rig.rx, front_chain(rig.rx, b, ARRAY_SIZE(b)));
	front_kick(rig.rx);
	tap_send(0, &plain, 1514, 4);
	assert_true(front_wait_used(rig.rx, &id, &len, PATIENCE_MS));
	assert_int_equal(len, HDR + 1514);
	expect_frame(at(BUFFERS + HDR), 1514, 4);
	end();
}

static void a_frame_waits_for_room(void **state)
{
	static uint8_t frame[3 * 1526];
	uint32_t id, len;
	unsigned have = 0;

	(void)state;
	begin(MODERN | OFFLOADS);
	/* Two buffers for a frame that needs three (CVE-2021-3748: nothing may go beyond them). */
	give(rig.rx, BUFFERS, 2, 1526, 1526);
	tap_send(0, &plain, 4000, 6);
	tap_send(0, &plain, 60, 7);
	assert_false(front_wait_used(rig.rx, &id, &len, 100));
	assert_int_equal(*at(BUFFERS + HDR + 20), 0xa5);
	give(rig.rx, BUFFERS + 2 * 1526, 2, 1526, 1526);
	for (unsigned k = 0; k < 3; k++) {
		assert_true(front_wait_used(rig.rx, &id, &len, PATIENCE_MS));
		assert_int_equal(id, k);
		memcpy(frame + have, at(BUFFERS + (uint64_t)k * 1526), len);
		have += len;
	}
	assert_int_equal(have, HDR + 4000);
	expect_frame(frame + HDR, 4000, 6);
	assert_int_equal(header_at(BUFFERS).num_buffers, 3);
	assert_true(front_wait_used(rig.rx, &id, &len, PATIENCE_MS));
	expect_frame(at(BUFFERS + 3 * 1526 + HDR), 60, 7);
	assert_int_equal(stats().dropped_full, 0);
	end();
}

static void a_frame_that_never_fits_does_not_block_the_queue(void **state)
{
	uint32_t id, len;

	(void)state;
	begin(MODERN | OFFLOADS);
	give(rig.rx, BUFFERS, 2, 200, 256);
	tap_send(0, &plain, 4000, 6);
	tap_send(0, &plain, 60, 7);
	assert_false(front_wait_used(rig.rx, &id, &len, 100));
	give(rig.rx, BUFFERS + 512, 1, 200, 256);
	assert_true(front_wait_used(rig.rx, &id, &len, PATIENCE_MS));
	expect_frame(at(BUFFERS + HDR), 60, 7);
	assert_int_equal(stats().dropped_full, 1);
	assert_int_equal(stats().faults, 0);
	end();
}

static void nothing_is_lost_while_there_are_no_buffers(void **state)
{
	uint32_t id, len;

	(void)state;
	begin(MODERN);
	for (unsigned i = 0; i < 30; i++)
		tap_send(0, &plain, 60, i);
	usleep(50000);
	assert_int_equal(stats().frames_in, 0);
	for (unsigned i = 0; i < 30; i++) {
		give(rig.rx, BUFFERS + (uint64_t)i * 2048, 1, 1526, 2048);
		assert_true(front_wait_used(rig.rx, &id, &len, PATIENCE_MS));
		expect_frame(at(BUFFERS + (uint64_t)i * 2048 + HDR), 60, i);
	}
	end();
}

static void an_empty_ring_does_not_spin(void **state)
{
	uint64_t before, woken = 0;

	(void)state;
	begin(MODERN);
	give(rig.rx, BUFFERS, 1, 1526, 2048);
	for (unsigned i = 0; i < 8; i++)
		tap_send(0, &plain, 60, i);
	/* Wait until netd sleeps; a busy loop would have more wake-ups. The request for counters is one wake-up itself. */
	for (unsigned tries = 0; tries < PATIENCE_MS / 200 && (woken < 1 || woken > 4); tries++) {
		before = stats().wakeups;
		usleep(200000);
		woken = stats().wakeups - before;
	}
	assert_in_range(woken, 1, 4);
	end();
}

static void kicks_are_wanted_only_without_buffers(void **state)
{
	uint32_t id, len;

	(void)state;
	begin(MODERN);
	give(rig.rx, BUFFERS, 4, 1526, 2048);
	for (unsigned i = 0; i < 3; i++) {
		tap_send(0, &plain, 60, i);
		assert_true(front_wait_used(rig.rx, &id, &len, PATIENCE_MS));
		usleep(20000);
		assert_int_equal(READ_ONCE(rig.rx->used->flags), VRING_USED_F_NO_NOTIFY);
	}
	tap_send(0, &plain, 60, 3);
	for (unsigned ms = 0; ms < PATIENCE_MS && READ_ONCE(rig.rx->used->flags); ms++)
		usleep(1000);
	assert_int_equal(READ_ONCE(rig.rx->used->flags), 0);
	end();
}

static void without_merging_a_small_buffer_costs_one_frame(void **state)
{
	uint32_t id, len;

	(void)state;
	begin(MODERN & ~BIT64(VIRTIO_NET_F_MRG_RXBUF));
	give(rig.rx, BUFFERS, 2, HDR + 100, 256);
	tap_send(0, &plain, 101, 1);
	tap_send(0, &plain, 100, 2);
	assert_true(front_wait_used(rig.rx, &id, &len, PATIENCE_MS));
	assert_int_equal(id, 0);
	assert_int_equal(len, HDR + 100);
	assert_int_equal(header_at(BUFFERS).num_buffers, 1);
	expect_frame(at(BUFFERS + HDR), 100, 2);
	assert_int_equal(*at(BUFFERS + HDR + 100), 0xa5);
	assert_int_equal(stats().dropped_full, 1);
	end();
}

static void legacy_headers_have_ten_bytes(void **state)
{
	uint32_t id, len;

	(void)state;
	begin(BIT64(VHU_F_PROTOCOL_FEATURES));
	give(rig.rx, BUFFERS, 2, 1600, 2048);
	tap_send(0, &plain, 60, 2);
	assert_true(front_wait_used(rig.rx, &id, &len, PATIENCE_MS));
	assert_int_equal(len, LEGACY_HDR_LEN + 60);
	expect_frame(at(BUFFERS + LEGACY_HDR_LEN), 60, 2);
	end();
}

static void offloads_not_taken_do_not_arrive(void **state)
{
	const struct virtio_net_hdr csum = { .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
					     .csum_start = 34,
					     .csum_offset = 16 };
	const struct virtio_net_hdr gso = { .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
					    .gso_type = VIRTIO_NET_HDR_GSO_TCPV4,
					    .gso_size = 1448,
					    .hdr_len = 54,
					    .csum_start = 34,
					    .csum_offset = 16 };
	uint32_t id, len;

	(void)state;
	begin(MODERN);
	give(rig.rx, BUFFERS, 8, 1526, 2048);
	tap_send(0, &csum, 100, 1);
	tap_send(0, &gso, 1500, 2);
	tap_send(0, &plain, 60, 3);
	assert_true(front_wait_used(rig.rx, &id, &len, PATIENCE_MS));
	assert_int_equal(id, 0);
	expect_frame(at(BUFFERS + HDR), 60, 3);
	assert_int_equal(stats().dropped_bad, 2);
	end();
	begin(MODERN | OFFLOADS);
	give(rig.rx, BUFFERS, 128, 1526, 2048);
	tap_send(0, &gso, 1500, 2);
	assert_true(front_wait_used(rig.rx, &id, &len, PATIENCE_MS));
	assert_int_equal(header_at(BUFFERS).hdr.gso_size, 1448);
	end();
}

static void a_buffer_without_room_for_the_header_stops_the_queue(void **state)
{
	(void)state;
	begin(MODERN);
	tap_send(0, &plain, 60, 1);
	give(rig.rx, BUFFERS, 1, HDR - 1, 64);
	assert_int_equal(next_fault(), FAULT_NO_WRITABLE);
	heals(rig.rx);
	end();
}

static void a_readable_receive_buffer_stops_the_queue(void **state)
{
	const struct front_buf b[] = { { BUFFERS, 100, false }, { BUFFERS + 4096, 2000, true } };

	(void)state;
	begin(MODERN);
	tap_send(0, &plain, 60, 1);
	front_offer(rig.rx, front_chain(rig.rx, b, 2));
	front_kick(rig.rx);
	assert_int_equal(next_fault(), FAULT_BAD_LAYOUT);
	heals(rig.rx);
	end();
}

static void a_restarted_queue_goes_on_where_it_was(void **state)
{
	uint32_t id, len;

	(void)state;
	begin(MODERN | OFFLOADS);
	give(rig.rx, BUFFERS, 100, 1526, 2048);
	tap_send(0, &plain, 60, 1);
	assert_true(front_wait_used(rig.rx, &id, &len, PATIENCE_MS));
	/* Exactly one chain is gone: none that was gathered for a larger frame is kept. */
	assert_int_equal(front_queue_stop(rig.rx), 1);
	tap_send(0, &plain, 60, 2);
	assert_true(front_queue_setup(rig.rx, 1));
	assert_true(front_queue_fds(rig.rx));
	assert_true(front_wait_used(rig.rx, &id, &len, PATIENCE_MS));
	assert_int_equal(id, 1);
	expect_frame(at(BUFFERS + 2048 + HDR), 60, 2);
	end();
}

static void frames_of_an_unused_pair_go_to_the_first(void **state)
{
	struct front_queue *rx1;
	uint32_t id, len;

	(void)state;
	begin_two_pairs();
	assert_true(rig.f.features & BIT64(VIRTIO_NET_F_MQ));
	give(rig.rx, BUFFERS, 4, 1526, 2048);
	tap_send(1, &plain, 60, 1);
	assert_true(front_wait_used(rig.rx, &id, &len, PATIENCE_MS));
	expect_frame(at(BUFFERS + HDR), 60, 1);
	rx1 = front_queue(&rig.f, 2, 256, 0x20000);
	assert_true(front_queue_start(rx1));
	give(rx1, BUFFERS + 0x10000, 4, 1526, 2048);
	tap_send(1, &plain, 60, 2);
	assert_true(front_wait_used(rx1, &id, &len, PATIENCE_MS));
	expect_frame(at(BUFFERS + 0x10000 + HDR), 60, 2);
	assert_false(front_used(rig.rx, &id, &len));
	end();
}

static void the_rate_is_held(void **state)
{
	struct net_config c = base_config();
	uint64_t began;
	uint32_t id, len;

	(void)state;
	c.rate_bytes = 1000000; /* burst: 100,000 bytes */
	begin_with(&c, MODERN);
	give(rig.rx, BUFFERS, 250, 1526, 2048);
	began = now_ms();
	for (unsigned i = 0; i < 200; i++) {
		tap_send(0, &plain, 1500, i);
		assert_true(front_wait_used(rig.rx, &id, &len, PATIENCE_MS));
		expect_frame(at(BUFFERS + (uint64_t)i * 2048 + HDR), 1500, i);
	}
	/* 200,000 bytes beyond the burst, at a million a second. */
	assert_in_range(now_ms() - began, 180, PATIENCE_MS);
	assert_true(stats().throttled > 0);
	end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(small_frames_take_one_buffer_each),
		cmocka_unit_test(large_frames_are_merged),
		cmocka_unit_test(a_large_frame_after_many_small_ones_is_whole),
		cmocka_unit_test(the_guest_hears_of_frames_while_more_are_read),
		cmocka_unit_test(many_are_read_from_a_tap_without_headers),
		cmocka_unit_test(split_buffers_are_filled_in_order),
		cmocka_unit_test(a_frame_waits_for_room),
		cmocka_unit_test(a_frame_that_never_fits_does_not_block_the_queue),
		cmocka_unit_test(nothing_is_lost_while_there_are_no_buffers),
		cmocka_unit_test(an_empty_ring_does_not_spin),
		cmocka_unit_test(kicks_are_wanted_only_without_buffers),
		cmocka_unit_test(without_merging_a_small_buffer_costs_one_frame),
		cmocka_unit_test(legacy_headers_have_ten_bytes),
		cmocka_unit_test(offloads_not_taken_do_not_arrive),
		cmocka_unit_test(a_buffer_without_room_for_the_header_stops_the_queue),
		cmocka_unit_test(a_readable_receive_buffer_stops_the_queue),
		cmocka_unit_test(a_restarted_queue_goes_on_where_it_was),
		cmocka_unit_test(frames_of_an_unused_pair_go_to_the_first),
		cmocka_unit_test(the_rate_is_held),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
