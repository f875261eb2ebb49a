/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * netd's handling of single frames: which headers are accepted, how they are changed, which
 * offloads are offered for which tap, and the rate limit.
 */
// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
// clang-format on
#include <string.h>

#include "common/options.h"
#include "netd/options.h"

#define ALL_TUN (TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN | TUN_F_USO4 | TUN_F_USO6)

static const uint8_t mac[ETH_ALEN] = { 0x52, 0x54, 0, 1, 2, 3 };
static const uint8_t eth[ETH_HLEN] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x52, 0x54, 0, 1, 2, 3, 8, 0 };

/* A TCP segment of 3000 bytes that is to be cut: IPv4 without options. */
static struct virtio_net_hdr_mrg_rxbuf tso4(void)
{
	return (struct virtio_net_hdr_mrg_rxbuf){
		.hdr = { .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
			 .gso_type = VIRTIO_NET_HDR_GSO_TCPV4,
			 .hdr_len = 54,
			 .gso_size = 1448,
			 .csum_start = 34,
			 .csum_offset = 16 },
	};
}

static enum frame_verdict tx(struct virtio_net_hdr_mrg_rxbuf h, uint64_t len)
{
	return frame_judge_tx(&h, eth, len, frame_offered(ALL_TUN), mac);
}

static void length_is_bounded(void **state)
{
	struct virtio_net_hdr_mrg_rxbuf h = { 0 };

	(void)state;
	assert_int_equal(tx(h, 0), FRAME_SIZE);
	assert_int_equal(tx(h, ETH_HLEN - 1), FRAME_SIZE);
	assert_int_equal(tx(h, ETH_HLEN), FRAME_OK);
	assert_int_equal(tx(h, FRAME_MAX), FRAME_OK);
	assert_int_equal(tx(h, FRAME_MAX + 1), FRAME_SIZE);
	assert_int_equal(tx(h, UINT32_MAX), FRAME_SIZE);
	assert_int_equal(frame_judge_rx(&h, ETH_HLEN - 1, 0), FRAME_SIZE);
	assert_int_equal(frame_judge_rx(&h, FRAME_MAX + 1, 0), FRAME_SIZE);
}

static void source_must_be_the_guests(void **state)
{
	struct virtio_net_hdr_mrg_rxbuf h = { 0 };
	uint8_t other[ETH_HLEN];

	(void)state;
	for (unsigned i = 0; i < ETH_ALEN; i++) {
		memcpy(other, eth, sizeof(other));
		other[ETH_ALEN + i] ^= 1;
		assert_int_equal(frame_judge_tx(&h, other, 60, 0, mac), FRAME_SPOOF);
		assert_int_equal(frame_judge_tx(&h, other, 60, 0, NULL), FRAME_OK);
	}
	assert_int_equal(frame_judge_tx(&h, eth, 60, 0, mac), FRAME_OK);
}

static void checksum_lies_inside_the_frame(void **state)
{
	struct virtio_net_hdr_mrg_rxbuf h = {
		.hdr = { .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM, .csum_start = 34, .csum_offset = 16 },
	};

	(void)state;
	assert_int_equal(tx(h, 52), FRAME_OK);
	assert_int_equal(tx(h, 51), FRAME_CSUM);
	assert_int_equal(frame_judge_tx(&h, eth, 60, 0, mac), FRAME_CSUM);
	h.hdr.csum_start = ETH_HLEN - 1;
	assert_int_equal(tx(h, 60), FRAME_CSUM);
	h.hdr.csum_start = 0xffff;
	h.hdr.csum_offset = 0xffff;
	assert_int_equal(tx(h, FRAME_MAX), FRAME_CSUM);
}

static void unused_fields_do_not_reach_the_tap(void **state)
{
	struct virtio_net_hdr_mrg_rxbuf h;
	static const struct virtio_net_hdr_mrg_rxbuf zero;

	(void)state;
	memset(&h, 0xff, sizeof(h));
	h.hdr.gso_type = VIRTIO_NET_HDR_GSO_NONE;
	h.hdr.flags = (uint8_t)~VIRTIO_NET_HDR_F_NEEDS_CSUM;
	assert_int_equal(frame_judge_tx(&h, eth, 60, frame_offered(ALL_TUN), mac), FRAME_OK);
	assert_memory_equal(&h, &zero, sizeof(h));
}

static void segmentation_that_lies_is_refused(void **state)
{
	struct virtio_net_hdr_mrg_rxbuf h = tso4();

	(void)state;
	assert_int_equal(tx(h, 3000), FRAME_OK);
	h.hdr.gso_size = 0;
	assert_int_equal(tx(h, 3000), FRAME_GSO);
	h = tso4();
	h.hdr.hdr_len = 3001;
	assert_int_equal(tx(h, 3000), FRAME_GSO);
	h = tso4();
	h.hdr.flags = 0;
	assert_int_equal(tx(h, 3000), FRAME_GSO);
	h = tso4();
	h.hdr.csum_offset = 6;
	assert_int_equal(tx(h, 3000), FRAME_GSO);
	h = tso4();
	assert_int_equal(tx(h, 53), FRAME_GSO);
	h.hdr.csum_start = 65520;
	h.hdr.hdr_len = 0;
	assert_int_equal(tx(h, FRAME_MAX), FRAME_GSO);
	for (unsigned type = 2; type < 256; type++) {
		bool known = type == 4 || type == 0x81 || type == 0x84;

		h = tso4();
		h.hdr.gso_type = (uint8_t)type;
		assert_int_equal(tx(h, 3000), known ? FRAME_OK : FRAME_GSO);
	}
	h = tso4();
	h.hdr.gso_type = VIRTIO_NET_HDR_GSO_UDP_L4;
	h.hdr.csum_offset = 6;
	assert_int_equal(tx(h, 3000), FRAME_OK);
	h.hdr.gso_type |= VIRTIO_NET_HDR_GSO_ECN;
	assert_int_equal(tx(h, 3000), FRAME_GSO);
}

static void header_length_is_only_a_hint(void **state)
{
	struct virtio_net_hdr_mrg_rxbuf h = tso4();

	(void)state;
	h.hdr.hdr_len = 0;
	assert_int_equal(frame_judge_tx(&h, eth, 3000, frame_offered(ALL_TUN), mac), FRAME_OK);
	assert_int_equal(h.hdr.hdr_len, 54);
}

static void segmentation_needs_its_feature(void **state)
{
	static const struct {
		uint8_t type;
		unsigned bit;
	} kinds[] = { { VIRTIO_NET_HDR_GSO_TCPV4, VIRTIO_NET_F_HOST_TSO4 },
		      { VIRTIO_NET_HDR_GSO_TCPV6, VIRTIO_NET_F_HOST_TSO6 },
		      { VIRTIO_NET_HDR_GSO_UDP_L4, VIRTIO_NET_F_HOST_USO } };

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(kinds); i++) {
		struct virtio_net_hdr_mrg_rxbuf h = tso4();
		uint64_t with = BIT64(VIRTIO_NET_F_CSUM) | BIT64(kinds[i].bit);

		h.hdr.gso_type = kinds[i].type;
		if (kinds[i].type == VIRTIO_NET_HDR_GSO_UDP_L4)
			h.hdr.csum_offset = 6;
		assert_int_equal(frame_judge_tx(&h, eth, 3000, with, mac), FRAME_OK);
		assert_int_equal(frame_judge_tx(&h, eth, 3000, frame_offered(ALL_TUN) & ~BIT64(kinds[i].bit), mac),
				 FRAME_GSO);
	}
}

static void the_guest_gets_only_what_it_took(void **state)
{
	struct virtio_net_hdr_mrg_rxbuf h = tso4();
	uint64_t csum = BIT64(VIRTIO_NET_F_GUEST_CSUM);

	(void)state;
	assert_int_equal(frame_judge_rx(&h, 3000, csum | BIT64(VIRTIO_NET_F_GUEST_TSO4)), FRAME_OK);
	assert_int_equal(frame_judge_rx(&h, 3000, csum | BIT64(VIRTIO_NET_F_GUEST_TSO6)), FRAME_GSO);
	assert_int_equal(frame_judge_rx(&h, 3000, BIT64(VIRTIO_NET_F_GUEST_TSO4)), FRAME_CSUM);
	h.hdr.gso_type |= VIRTIO_NET_HDR_GSO_ECN;
	assert_int_equal(frame_judge_rx(&h, 3000, csum | BIT64(VIRTIO_NET_F_GUEST_TSO4)), FRAME_GSO);
	h = (struct virtio_net_hdr_mrg_rxbuf){ .hdr.flags = VIRTIO_NET_HDR_F_DATA_VALID };
	assert_int_equal(frame_judge_rx(&h, 60, 0), FRAME_OK);
	assert_int_equal(h.hdr.flags, 0);
}

static void offers_follow_the_tap(void **state)
{
	uint64_t f = frame_offered(ALL_TUN);

	(void)state;
	assert_int_equal(frame_offered(0), 0);
	assert_int_equal(frame_offered(ALL_TUN & ~TUN_F_CSUM), 0);
	assert_true(f & BIT64(VIRTIO_NET_F_HOST_USO));
	assert_false(frame_offered(ALL_TUN & ~TUN_F_USO6) & BIT64(VIRTIO_NET_F_HOST_USO));
	assert_false(frame_offered(TUN_F_CSUM | TUN_F_TSO_ECN) & BIT64(VIRTIO_NET_F_HOST_ECN));
	assert_int_equal(frame_tap_offloads(f, ALL_TUN), ALL_TUN);
	assert_int_equal(frame_tap_offloads(f, TUN_F_CSUM), TUN_F_CSUM);
	assert_int_equal(frame_tap_offloads(0, ALL_TUN), 0);
	/* 5.1.3.1 */
	assert_int_equal(frame_effective(f & ~BIT64(VIRTIO_NET_F_CSUM)) & BIT64(VIRTIO_NET_F_HOST_TSO4), 0);
	assert_int_equal(frame_tap_offloads(frame_effective(f & ~BIT64(VIRTIO_NET_F_GUEST_CSUM)), ALL_TUN), 0);
	assert_int_equal(frame_hdr_len(0), LEGACY_HDR_LEN);
	assert_int_equal(frame_hdr_len(BIT64(VIRTIO_NET_F_MRG_RXBUF)), TAP_HDR_LEN);
	assert_int_equal(frame_hdr_len(BIT64(VIRTIO_F_VERSION_1)), TAP_HDR_LEN);
	assert_int_equal(frame_rx_max(f, 1500), FRAME_MAX);
	assert_int_equal(frame_rx_max(0, 0), 1518);
	assert_int_equal(frame_rx_max(0, 65535), FRAME_MAX);
}

static void buckets_hold_the_rate(void **state)
{
	struct bucket b;
	unsigned passed = 0;

	(void)state;
	bucket_init(&b, 1000, 1, 0);
	for (uint64_t us = 0; us < 10 * 1000000; us += 7)
		if (bucket_open(&b, us)) {
			bucket_take(&b, 1);
			passed++;
		}
	/* Ten seconds at 1000 a second, and the burst that it started with. */
	assert_in_range(passed, 10090, 10101);
	bucket_init(&b, RATE_MAX * 2, 1, 0);
	assert_true(bucket_open(&b, UINT64_MAX));
	bucket_take(&b, FRAME_MAX);
	assert_true(b.tokens <= b.burst);
	bucket_init(&b, 0, 1, 0);
	bucket_take(&b, UINT32_MAX);
	assert_true(bucket_open(&b, 1));
	/* A clock that stands still or goes back gives nothing. */
	bucket_init(&b, 10, 1, 1000);
	bucket_take(&b, 1);
	assert_false(bucket_open(&b, 500));
}

static const char *err; /* of the last parse() */

static int parse(struct netd_options *o, const char *args[], int n)
{
	char *argv[8] = { (char *)"netd" };

	for (int i = 0; i < n; i++)
		argv[i + 1] = (char *)(uintptr_t)args[i];
	return netd_parse(n + 1, argv, o, &err);
}
#define PARSE(o, ...) parse(o, (const char *[]){ __VA_ARGS__ }, (int)ARRAY_SIZE(((const char *[]){ __VA_ARGS__ })))

static void options_are_checked_whole(void **state)
{
	struct netd_options o;

	(void)state;
	assert_int_equal(PARSE(&o, "--socket-path=/s", "--tap=t0", "--mac=52:54:00:01:02:03"), 0);
	assert_true(o.net.spoof_check && o.net.offload);
	assert_memory_equal(o.net.mac, mac, ETH_ALEN);
	assert_false(o.allow_unsealed);
	assert_int_equal(PARSE(&o, "--fd", "7", "--tap-fd", "8", "--allow-unsealed-memory"), 0);
	assert_int_equal(o.fd, 7);
	assert_int_equal(o.tap_fd, 8);
	assert_true(o.allow_unsealed);
	assert_int_equal(PARSE(&o, "--tap-fd=8", "--fd"), -1);
	assert_string_equal(err, "--fd: a value is missing: --fd=FDNUM");
	assert_int_equal(PARSE(&o, "--fdx=8"), -1);
	assert_string_equal(err, "--fdx=8: there is no such option (did you mean --fd?)");
	/* An error message always contains the reason. */
	assert_int_equal(PARSE(&o, "--mac=53:54:00:01:02:03"), -1);
	assert_string_equal(
		err,
		"--mac=53:54:00:01:02:03: is a multicast address; a NIC's own address has an even first byte, like 02:11:22:33:44:55");
	assert_int_equal(PARSE(&o, "--tap=t0", "--tap=t1"), -1);
	assert_string_equal(err, "--tap=t1: given twice; give it once");
	assert_int_equal(PARSE(&o, "--fd=7", "--tap=t0", "--bandwidth=20M", "--rate=2k"), 0);
	assert_int_equal(o.net.rate_bytes, 20 << 20);
	assert_int_equal(o.net.rate_packets, 2048);
	assert_int_equal(PARSE(&o, "--fd=7", "--tap-fd=8"), 0);
	assert_false(o.net.spoof_check);
	assert_int_equal(PARSE(&o, "--fd=7", "--socket-path=/s", "--tap=t0"), -1);
	assert_int_equal(PARSE(&o, "--tap=t0"), -1);
	assert_int_equal(PARSE(&o, "--fd=7"), -1);
	assert_int_equal(PARSE(&o, "--fd=7", "--tap=t0", "--tap-fd=3"), -1);
	assert_int_equal(PARSE(&o, "--fd=7", "--tap-fd=3", "--queue-pairs=2"), -1);
	assert_int_equal(PARSE(&o, "--fd=7", "--tap=t0", "--spoof-check=on"), -1);
	assert_int_equal(PARSE(&o, "--fd=7", "--tap=t0", "--spoof-check=off"), 0);
	assert_int_equal(PARSE(&o, "--print-capabilities"), 0);
	assert_int_equal(o.act, OPT_CAPABILITIES);
	static const char *const bad[] = {
		"--mac=52:54:00:01:02",
		"--mac=52:54:00:01:02:03:04",
		"--mac=53:54:00:01:02:03",
		"--mac=00:00:00:00:00:00",
		"--mac=5x:54:00:01:02:03",
		"--mtu=67",
		"--mtu=65536",
		"--mtu=+100",
		"--offload=maybe",
		"--queue-pairs=0",
		"--queue-pairs=9",
		"--rate=0",
		"--rate=1x",
		"--tap=sixteen-chars-xx",
		"--tap=a/b",
		"--tap=t%d",
		"--fd=-1",
		"--fd=99999999999999999999",
		"--nonsense",
		"extra",
	};
	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(PARSE(&o, bad[i], "--help"), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(length_is_bounded),
		cmocka_unit_test(source_must_be_the_guests),
		cmocka_unit_test(checksum_lies_inside_the_frame),
		cmocka_unit_test(unused_fields_do_not_reach_the_tap),
		cmocka_unit_test(segmentation_that_lies_is_refused),
		cmocka_unit_test(header_length_is_only_a_hint),
		cmocka_unit_test(segmentation_needs_its_feature),
		cmocka_unit_test(the_guest_gets_only_what_it_took),
		cmocka_unit_test(offers_follow_the_tap),
		cmocka_unit_test(buckets_hold_the_rate),
		cmocka_unit_test(options_are_checked_whole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
