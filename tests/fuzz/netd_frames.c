/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Fuzz: virtio-net headers and frames in both directions. An accepted frame uses only
 * negotiated features, and no field points outside the frame.
 */
#include <linux/virtio_config.h>

#include "netd/frames.h"
#include "tests/fuzz/fuzz.h"

#define OFFLOADS (TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN | TUN_F_USO4 | TUN_F_USO6)

static bool has(uint64_t features, unsigned bit)
{
	return features >> bit & 1;
}

static void check_csum(const struct virtio_net_hdr_mrg_rxbuf *h, uint64_t len)
{
	uint64_t start = le16toh(h->hdr.csum_start), offset = le16toh(h->hdr.csum_offset);

	if (h->hdr.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM)
		PROMISE(start + offset + 2 <= len);
}

static void check_gso(const struct virtio_net_hdr_mrg_rxbuf *h, uint64_t len)
{
	uint8_t type = h->hdr.gso_type & (uint8_t)~VIRTIO_NET_HDR_GSO_ECN;

	if (h->hdr.gso_type == VIRTIO_NET_HDR_GSO_NONE)
		return;
	PROMISE(type == VIRTIO_NET_HDR_GSO_TCPV4 || type == VIRTIO_NET_HDR_GSO_TCPV6 ||
		type == VIRTIO_NET_HDR_GSO_UDP_L4);
	PROMISE(h->hdr.gso_size != 0);
	PROMISE(le16toh(h->hdr.hdr_len) <= len);
}

static void transmit(struct input *in, uint64_t features, uint64_t len)
{
	static const uint8_t mac[ETH_ALEN] = { 0x52, 0x54, 0, 1, 2, 3 };
	struct virtio_net_hdr_mrg_rxbuf h;
	uint8_t eth[ETH_HLEN], what = take8(in);
	const uint8_t *only = what & 1 ? mac : NULL;

	take(in, &h, sizeof(h));
	take(in, eth, sizeof(eth));
	if (what & 2)
		memcpy(eth + ETH_ALEN, mac, sizeof(mac));
	if (frame_judge_tx(&h, eth, len, features, only) != FRAME_OK)
		return;
	PROMISE(len >= ETH_HLEN && len <= FRAME_MAX);
	PROMISE(!only || !memcmp(eth + ETH_ALEN, mac, sizeof(mac)));
	PROMISE(!(h.hdr.flags & ~VIRTIO_NET_HDR_F_NEEDS_CSUM));
	PROMISE(!h.hdr.flags || has(features, VIRTIO_NET_F_CSUM));
	PROMISE((h.hdr.flags && h.hdr.gso_type) || !h.hdr.gso_type);
	if ((h.hdr.gso_type & ~VIRTIO_NET_HDR_GSO_ECN) == VIRTIO_NET_HDR_GSO_TCPV4)
		PROMISE(has(features, VIRTIO_NET_F_HOST_TSO4));
	if ((h.hdr.gso_type & ~VIRTIO_NET_HDR_GSO_ECN) == VIRTIO_NET_HDR_GSO_TCPV6)
		PROMISE(has(features, VIRTIO_NET_F_HOST_TSO6));
	check_csum(&h, len);
	check_gso(&h, len);
}

static void receive(struct input *in, uint64_t features, uint64_t len)
{
	struct virtio_net_hdr_mrg_rxbuf h;

	take(in, &h, sizeof(h));
	if (frame_judge_rx(&h, len, features) != FRAME_OK)
		return;
	PROMISE(len >= ETH_HLEN && len <= FRAME_MAX);
	PROMISE(!(h.hdr.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) || has(features, VIRTIO_NET_F_GUEST_CSUM));
	if (h.hdr.gso_type != VIRTIO_NET_HDR_GSO_NONE)
		PROMISE(has(features, VIRTIO_NET_F_GUEST_CSUM));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, data + size };
	uint32_t tap = take8(&in) % (2 * OFFLOADS);
	uint64_t offered = frame_offered(tap & OFFLOADS), acked = take64(&in), features;

	features = frame_effective(acked);
	PROMISE(!(features & ~acked));
	PROMISE(frame_effective(features) == features);
	PROMISE(!(frame_tap_offloads(features & offered, tap & OFFLOADS) & ~(tap & OFFLOADS)));
	PROMISE(frame_rx_max(features, take16(&in)) <= FRAME_MAX + FRAME_VLAN);
	while (left(&in)) {
		uint64_t len = take32(&in);

		if (len & 0x80000000)
			len = take64(&in);
		else
			len &= 0x1ffff;
		transmit(&in, features, len);
		receive(&in, features, len);
	}
	return 0;
}
