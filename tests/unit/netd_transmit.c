/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * netd's transmit queues: the tap gets exactly the bytes that were checked, a correct driver's
 * frames arrive whole and in order, and a hostile driver stops only its own queue.
 */
#include <pthread.h>

#include "tests/unit/netd_rig.h"

static void frames_reach_the_tap(void **state)
{
	static const size_t sizes[] = { ETH_HLEN, 60, 114, 128, 129, 1514, FRAME_MAX };

	(void)state;
	begin(MODERN | OFFLOADS);
	for (unsigned i = 0; i < ARRAY_SIZE(sizes); i++)
		frame_passes(HDR, sizes[i], i);
	assert_int_equal(stats().frames_out, ARRAY_SIZE(sizes));
	end();
}

static void any_layout_will_do(void **state)
{
	struct front_buf b[200];
	uint8_t got[HDR + 200];

	(void)state;
	begin(MODERN);
	memset(at(BUFFERS), 0, HDR);
	put_frame(at(BUFFERS + HDR), 188, 5);
	for (unsigned i = 0; i < 200; i++)
		b[i] = (struct front_buf){ BUFFERS + i, 1, false };
	assert_true(offer(rig.tx, b, 200));
	assert_int_equal(tap_got(0, got, sizeof(got), PATIENCE_MS), HDR + 188);
	expect_frame(got + HDR, 188, 5);
	end();
}

static void a_chain_of_1024_pieces_is_sent_whole(void **state)
{
	static struct front_buf b[1024];
	static uint8_t got[HDR + FRAME_MAX];

	(void)state;
	begin(MODERN);
	assert_true(front_queue_stop(rig.tx) >= 0);
	rig.tx = front_queue(&rig.f, 1, 1024, 0x10000);
	assert_true(front_queue_start(rig.tx));
	memset(at(BUFFERS), 0, HDR);
	put_frame(at(BUFFERS + HDR), 300 + 1023 * 20 - HDR, 9);
	b[0] = (struct front_buf){ BUFFERS, 300, false };
	for (unsigned i = 1; i < 1024; i++)
		b[i] = (struct front_buf){ BUFFERS + 300 + 20 * (i - 1), 20, false };
	assert_true(offer(rig.tx, b, 1024));
	assert_int_equal(tap_got(0, got, sizeof(got), PATIENCE_MS), 300 + 1023 * 20);
	expect_frame(got + HDR, 300 + 1023 * 20 - HDR, 9);
	end();
}

static void legacy_headers_have_ten_bytes(void **state)
{
	(void)state;
	begin(BIT64(VHU_F_PROTOCOL_FEATURES));
	frame_passes(LEGACY_HDR_LEN, 60, 3);
	end();
}

static void a_tap_without_header_gets_none(void **state)
{
	struct net_config c = base_config();
	uint8_t got[100];

	(void)state;
	c.vnet_hdr = false;
	begin_with(&c, ~0ull);
	assert_int_equal(rig.f.features & OFFLOADS, 0);
	memset(at(BUFFERS), 0, HDR);
	put_frame(at(BUFFERS + HDR), 60, 3);
	assert_true(send_frame(HDR, 60));
	assert_int_equal(tap_got(0, got, sizeof(got), PATIENCE_MS), 60);
	expect_frame(got, 60, 3);
	end();
}

static void the_header_is_cleaned(void **state)
{
	struct virtio_net_hdr_mrg_rxbuf h, zero = { 0 };
	uint8_t got[HDR + 60];

	(void)state;
	begin(MODERN | OFFLOADS);
	memset(&h, 0xff, sizeof(h));
	h.hdr.flags = VIRTIO_NET_HDR_F_DATA_VALID;
	h.hdr.gso_type = VIRTIO_NET_HDR_GSO_NONE;
	memcpy(at(BUFFERS), &h, HDR);
	put_frame(at(BUFFERS + HDR), 60, 3);
	assert_true(send_frame(HDR, 60));
	assert_int_equal(tap_got(0, got, sizeof(got), PATIENCE_MS), HDR + 60);
	assert_memory_equal(got, &zero, HDR);
	end();
}

static void a_short_header_stops_the_queue(void **state)
{
	(void)state;
	for (uint32_t len = 1; len < HDR; len += 5) {
		const struct front_buf b = { BUFFERS, len, false };

		begin(MODERN);
		front_offer(rig.tx, front_chain(rig.tx, &b, 1));
		front_kick(rig.tx);
		assert_int_equal(next_fault(), FAULT_SHORT_HEADER);
		heals(rig.tx);
		end();
	}
}

static void a_writable_transmit_buffer_stops_the_queue(void **state)
{
	const struct front_buf b[] = { { BUFFERS, 100, false }, { BUFFERS + 4096, 1, true } };

	(void)state;
	begin(MODERN);
	memset(at(BUFFERS + 4096), 0x5a, 1);
	front_offer(rig.tx, front_chain(rig.tx, b, 2));
	front_kick(rig.tx);
	assert_int_equal(next_fault(), FAULT_BAD_LAYOUT);
	assert_int_equal(*at(BUFFERS + 4096), 0x5a);
	heals(rig.tx);
	end();
}

static void bad_frames_are_dropped_and_counted(void **state)
{
	static const size_t sizes[] = { 0, 1, ETH_HLEN - 1, FRAME_MAX + 1, FRAME_MAX + 4096 };
	struct virtio_net_hdr_mrg_rxbuf h = { 0 };
	uint8_t got[HDR + 100];
	unsigned dropped = 0;

	(void)state;
	begin(MODERN | OFFLOADS);
	memset(at(BUFFERS), 0, HDR);
	put_frame(at(BUFFERS + HDR), FRAME_MAX, 0);
	for (unsigned i = 0; i < ARRAY_SIZE(sizes); i++, dropped++)
		assert_true(send_frame(HDR, sizes[i]));
	h.hdr.gso_type = VIRTIO_NET_HDR_GSO_TCPV4; /* and no size, no checksum */
	memcpy(at(BUFFERS), &h, HDR);
	assert_true(send_frame(HDR, 1514));
	dropped++;
	h.hdr.gso_type = 0;
	h.hdr.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
	h.hdr.csum_start = 1510;
	h.hdr.csum_offset = 16;
	memcpy(at(BUFFERS), &h, HDR);
	assert_true(send_frame(HDR, 1514));
	dropped++;
	assert_int_equal(stats().dropped_bad, dropped);
	assert_int_equal(stats().faults, 0);
	assert_int_equal(tap_got(0, got, sizeof(got), 50), -1);
	end();
}

static void foreign_sources_are_dropped_and_counted(void **state)
{
	struct net_config c = base_config();
	uint8_t got[HDR + 100];

	(void)state;
	for (int check = 1; check >= 0; check--) {
		c.spoof_check = check;
		begin_with(&c, MODERN);
		memset(at(BUFFERS), 0, HDR);
		put_frame(at(BUFFERS + HDR), 60, 0);
		*at(BUFFERS + HDR + 2 * ETH_ALEN - 1) ^= 1;
		assert_true(send_frame(HDR, 60));
		assert_int_equal(tap_got(0, got, sizeof(got), check ? 50 : PATIENCE_MS), check ? -1 : HDR + 60);
		assert_int_equal(stats().dropped_spoof, check);
		end();
	}
}

/* ip=: IPv4 of the guest's own address goes out, of another one it does not. */
static void claims_of_others_are_dropped_and_counted(void **state)
{
	struct net_config c = base_config();
	uint8_t got[HDR + 100];

	(void)state;
	c.own.n4 = 1;
	memcpy(c.own.ip4[0], "\12\143\0\2", 4);
	for (uint8_t host = 2; host <= 3; host++) {
		uint8_t *f;

		begin_with(&c, MODERN);
		memset(at(BUFFERS), 0, HDR);
		f = at(BUFFERS + HDR);
		put_frame(f, 60, 0);
		memcpy(f + 2 * ETH_ALEN, "\x08\x00\x45", 3);
		memcpy(f + ETH_HLEN + 12, "\12\143\0", 3);
		f[ETH_HLEN + 15] = host;
		assert_true(send_frame(HDR, 60));
		assert_int_equal(tap_got(0, got, sizeof(got), host == 3 ? 50 : PATIENCE_MS), host == 3 ? -1 : HDR + 60);
		assert_int_equal(stats().dropped_spoof, host == 3);
		end();
	}
}

static volatile int flipping;

static void *flip(void *p)
{
	volatile uint8_t *byte = p;

	while (flipping)
		*byte ^= 1;
	return NULL;
}

/* The checked bytes are the sent bytes, even if another CPU of the guest changes them meanwhile. */
static void a_source_changed_during_the_check_is_never_sent(void **state)
{
	uint8_t got[HDR + 2000];
	unsigned sent = 0;
	uint64_t dropped = 0;
	pthread_t t;

	(void)state;
	begin(MODERN);
	memset(at(BUFFERS), 0, HDR);
	put_frame(at(BUFFERS + HDR), 1514, 0);
	flipping = true;
	assert_int_equal(pthread_create(&t, NULL, flip, at(BUFFERS + HDR + 2 * ETH_ALEN - 1)), 0);
	/* On a busy machine the other thread may get its turn late. */
	for (unsigned i = 0; i < 20000 || (i < 1000000 && !(sent && dropped)); i++) {
		assert_true(send_frame(HDR, 1514));
		if (i % 1000 == 999)
			dropped = stats().dropped_spoof;
		while (recv(rig.tap[0], got, sizeof(got), MSG_DONTWAIT) > 0) {
			assert_memory_equal(got + HDR + ETH_ALEN, mac, ETH_ALEN);
			sent++;
		}
	}
	flipping = false;
	pthread_join(t, NULL);
	assert_true(sent > 0);
	assert_true(dropped > 0);
	end();
}

static void a_full_tap_keeps_order_and_loses_nothing(void **state)
{
	uint8_t got[HDR + 2000];
	uint32_t id, len;

	(void)state;
	begin(MODERN);
	for (uint32_t i = 0; i < 256; i++) {
		const struct front_buf b = { BUFFERS + i * 2048, HDR + 1514, false };

		memset(at(b.gpa), 0, HDR);
		put_frame(at(b.gpa + HDR), 1514, i);
		front_offer(rig.tx, front_chain(rig.tx, &b, 1));
	}
	front_kick(rig.tx);
	/* Wait until the tap is full: two equal counts. */
	for (uint64_t before = 1, now = 0; before != now || !now; usleep(20000)) {
		before = now;
		now = stats().frames_out;
	}
	/* The tap did fill up; otherwise this tests nothing. */
	assert_in_range(stats().frames_out, 1, 255);
	for (uint32_t i = 0; i < 256; i++) {
		assert_int_equal(tap_got(0, got, sizeof(got), PATIENCE_MS), HDR + 1514);
		expect_frame(got + HDR, 1514, i);
	}
	for (uint32_t i = 0; i < 256; i++)
		assert_true(front_wait_used(rig.tx, &id, &len, PATIENCE_MS));
	assert_int_equal(stats().frames_out, 256);
	end();
}

static void the_rate_is_held(void **state)
{
	struct net_config c = base_config();
	uint8_t got[HDR + 60];
	uint64_t began;
	uint32_t id, len;

	(void)state;
	c.rate_packets = 500; /* burst: 50 */
	begin_with(&c, MODERN);
	began = now_ms();
	for (uint32_t i = 0; i < 250; i++) {
		const struct front_buf b = { BUFFERS + i * 2048, HDR + 60, false };

		memset(at(b.gpa), 0, HDR);
		put_frame(at(b.gpa + HDR), 60, i);
		front_offer(rig.tx, front_chain(rig.tx, &b, 1));
	}
	front_kick(rig.tx);
	for (uint32_t i = 0; i < 250; i++) {
		assert_int_equal(tap_got(0, got, sizeof(got), PATIENCE_MS), HDR + 60);
		expect_frame(got + HDR, 60, i);
		assert_true(front_wait_used(rig.tx, &id, &len, PATIENCE_MS));
	}
	/* 200 frames beyond the burst, at 500 a second. */
	assert_in_range(now_ms() - began, 380, PATIENCE_MS);
	assert_true(stats().throttled > 0);
	end();
}

static void the_configuration_is_the_nics(void **state)
{
	struct virtio_net_config c;

	(void)state;
	begin(MODERN | BIT64(VIRTIO_NET_F_MAC) | BIT64(VIRTIO_NET_F_MTU));
	assert_true(front_get_config(&rig.f, 0, 12, &c));
	assert_memory_equal(c.mac, mac, ETH_ALEN);
	assert_int_equal(c.mtu, 1500);
	assert_int_equal(c.max_virtqueue_pairs, 1);
	assert_int_equal(c.status, VIRTIO_NET_S_LINK_UP);
	assert_true(rig.f.features & BIT64(VIRTIO_NET_F_MAC));
	assert_true(rig.f.features & BIT64(VIRTIO_NET_F_MTU));
	end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(frames_reach_the_tap),
		cmocka_unit_test(any_layout_will_do),
		cmocka_unit_test(a_chain_of_1024_pieces_is_sent_whole),
		cmocka_unit_test(legacy_headers_have_ten_bytes),
		cmocka_unit_test(a_tap_without_header_gets_none),
		cmocka_unit_test(the_header_is_cleaned),
		cmocka_unit_test(a_short_header_stops_the_queue),
		cmocka_unit_test(a_writable_transmit_buffer_stops_the_queue),
		cmocka_unit_test(bad_frames_are_dropped_and_counted),
		cmocka_unit_test(foreign_sources_are_dropped_and_counted),
		cmocka_unit_test(claims_of_others_are_dropped_and_counted),
		cmocka_unit_test(a_source_changed_during_the_check_is_never_sent),
		cmocka_unit_test(a_full_tap_keeps_order_and_loses_nothing),
		cmocka_unit_test(the_rate_is_held),
		cmocka_unit_test(the_configuration_is_the_nics),
	};
	int failed = cmocka_run_group_tests_name("each frame by itself", tests, NULL, NULL);

	rig_batch = true;
	return failed + cmocka_run_group_tests_name("many at once", tests, NULL, NULL);
}
