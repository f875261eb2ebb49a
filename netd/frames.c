/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Decides which frames may pass, in each direction, and with which virtio-net header. Runs
 * in netd on copies of the header and the frame; never touches guest memory and does no
 * I/O.
 *
 * Field names and rules: virtio 1.2, 5.1.6.2 (transmission) and 5.1.6.4 (reception). Only
 * x86 is supported, so the header of legacy drivers is little-endian too.
 */
#include <string.h>

#include "netd/frames.h"

/* Sizes and offsets of TCP and UDP headers, in bytes. */
enum {
	TCP_MIN_HLEN = 20,
	TCP_CSUM_OFFSET = 16,
	UDP_HLEN = 8,
	UDP_CSUM_OFFSET = 6,
	CSUM_BYTES = 2,
};

#define HOST_GSO                                                                                        \
	(BIT64(VIRTIO_NET_F_HOST_TSO4) | BIT64(VIRTIO_NET_F_HOST_TSO6) | BIT64(VIRTIO_NET_F_HOST_ECN) | \
	 BIT64(VIRTIO_NET_F_HOST_USO))
#define GUEST_GSO                                                                                          \
	(BIT64(VIRTIO_NET_F_GUEST_TSO4) | BIT64(VIRTIO_NET_F_GUEST_TSO6) | BIT64(VIRTIO_NET_F_GUEST_ECN) | \
	 BIT64(VIRTIO_NET_F_GUEST_USO4) | BIT64(VIRTIO_NET_F_GUEST_USO6))

const char *frame_drop_text(enum frame_verdict v)
{
	static const char *const text[] = {
		[FRAME_OK] = NULL,
		[FRAME_SIZE] = "dropped: too short or too long for a frame",
		[FRAME_CLAIM] = "dropped: it claims an IP address that is not the guest's",
		[FRAME_SPOOF] = "dropped: the source address is not the guest's",
		[FRAME_CSUM] = "dropped: its header asks for an impossible checksum",
		[FRAME_GSO] = "dropped: its header asks for an impossible segmentation",
		[FRAME_REACH] = "dropped: not to be reached",
	};

	return text[v];
}

uint32_t frame_rx_max(uint64_t features, unsigned mtu)
{
	if (features & GUEST_GSO)
		return FRAME_MAX;
	if (!mtu)
		mtu = ETH_DATA_LEN;
	return MIN(mtu + ETH_HLEN + FRAME_VLAN, (unsigned)FRAME_MAX);
}

uint64_t frame_offered(uint32_t t)
{
	uint64_t f = 0;

	if (!(t & TUN_F_CSUM))
		return 0;
	f |= BIT64(VIRTIO_NET_F_CSUM) | BIT64(VIRTIO_NET_F_GUEST_CSUM);
	if (t & TUN_F_TSO4)
		f |= BIT64(VIRTIO_NET_F_HOST_TSO4) | BIT64(VIRTIO_NET_F_GUEST_TSO4);
	if (t & TUN_F_TSO6)
		f |= BIT64(VIRTIO_NET_F_HOST_TSO6) | BIT64(VIRTIO_NET_F_GUEST_TSO6);
	if ((t & TUN_F_TSO_ECN) && (t & (TUN_F_TSO4 | TUN_F_TSO6)))
		f |= BIT64(VIRTIO_NET_F_HOST_ECN) | BIT64(VIRTIO_NET_F_GUEST_ECN);
	/* A tap supports UDP segmentation for IPv4 and IPv6, or for neither. */
	if ((t & TUN_F_USO4) && (t & TUN_F_USO6))
		f |= BIT64(VIRTIO_NET_F_HOST_USO) | BIT64(VIRTIO_NET_F_GUEST_USO4) | BIT64(VIRTIO_NET_F_GUEST_USO6);
	return f;
}

uint64_t frame_effective(uint64_t f)
{
	/* 5.1.3.1: segmentation needs the checksum feature of its direction, ECN needs TSO. */
	if (!(f & BIT64(VIRTIO_NET_F_CSUM)))
		f &= ~HOST_GSO;
	if (!(f & BIT64(VIRTIO_NET_F_GUEST_CSUM)))
		f &= ~GUEST_GSO;
	if (!(f & (BIT64(VIRTIO_NET_F_HOST_TSO4) | BIT64(VIRTIO_NET_F_HOST_TSO6))))
		f &= ~BIT64(VIRTIO_NET_F_HOST_ECN);
	if (!(f & (BIT64(VIRTIO_NET_F_GUEST_TSO4) | BIT64(VIRTIO_NET_F_GUEST_TSO6))))
		f &= ~BIT64(VIRTIO_NET_F_GUEST_ECN);
	return f;
}

uint32_t frame_tap_offloads(uint64_t f, uint32_t confirmed)
{
	uint32_t t = 0;

	if (f & BIT64(VIRTIO_NET_F_GUEST_CSUM))
		t |= TUN_F_CSUM;
	if (f & BIT64(VIRTIO_NET_F_GUEST_TSO4))
		t |= TUN_F_TSO4;
	if (f & BIT64(VIRTIO_NET_F_GUEST_TSO6))
		t |= TUN_F_TSO6;
	if (f & BIT64(VIRTIO_NET_F_GUEST_ECN))
		t |= TUN_F_TSO_ECN;
	/* The tun driver (set_offload()) refuses one of these two without the other. */
	if ((f & BIT64(VIRTIO_NET_F_GUEST_USO4)) && (f & BIT64(VIRTIO_NET_F_GUEST_USO6)))
		t |= TUN_F_USO4 | TUN_F_USO6;
	return t & confirmed;
}

/* The feature that a frame with segmentation @type requires; 0 if the type is unknown. */
static uint64_t gso_feature(uint8_t type, bool from_guest)
{
	switch (type) {
	case VIRTIO_NET_HDR_GSO_TCPV4:
		return from_guest ? BIT64(VIRTIO_NET_F_HOST_TSO4) : BIT64(VIRTIO_NET_F_GUEST_TSO4);
	case VIRTIO_NET_HDR_GSO_TCPV6:
		return from_guest ? BIT64(VIRTIO_NET_F_HOST_TSO6) : BIT64(VIRTIO_NET_F_GUEST_TSO6);
	case VIRTIO_NET_HDR_GSO_UDP_L4:
		return from_guest ? BIT64(VIRTIO_NET_F_HOST_USO)
				  : BIT64(VIRTIO_NET_F_GUEST_USO4) | BIT64(VIRTIO_NET_F_GUEST_USO6);
	default:
		return 0;
	}
}

/*
 * Check the segmentation fields of a frame from the guest. 5.1.6.2.1: it must have
 * NEEDS_CSUM, a gso_size, headers that lie inside the frame, and the checksum at the
 * offset of its protocol. hdr_len is only a hint (5.1.6.2.2): it is raised to the end of
 * the headers, and refused if it is larger than the frame.
 */
static enum frame_verdict judge_tx_gso(struct virtio_net_hdr *h, uint64_t len, uint64_t features)
{
	uint8_t type = h->gso_type & ~VIRTIO_NET_HDR_GSO_ECN;
	bool udp = type == VIRTIO_NET_HDR_GSO_UDP_L4;
	unsigned offset = udp ? UDP_CSUM_OFFSET : TCP_CSUM_OFFSET;
	uint64_t need = (uint64_t)h->csum_start + (udp ? UDP_HLEN : TCP_MIN_HLEN);

	if (!(features & gso_feature(type, true)))
		return FRAME_GSO;
	if ((h->gso_type & VIRTIO_NET_HDR_GSO_ECN) && (udp || !(features & BIT64(VIRTIO_NET_F_HOST_ECN))))
		return FRAME_GSO;
	if (!(h->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) || h->csum_offset != offset)
		return FRAME_GSO;
	if (!h->gso_size || h->hdr_len > len || need > len || need > UINT16_MAX)
		return FRAME_GSO;
	if (h->hdr_len < need)
		h->hdr_len = (uint16_t)need;
	return FRAME_OK;
}

enum frame_verdict frame_judge_tx(struct virtio_net_hdr_mrg_rxbuf *m, const uint8_t *eth, uint64_t len,
				  uint64_t features, const uint8_t *mac)
{
	struct virtio_net_hdr *h = &m->hdr;

	if (len < ETH_HLEN || len > FRAME_MAX)
		return FRAME_SIZE;
	if (mac && memcmp(eth + ETH_ALEN, mac, ETH_ALEN) != 0)
		return FRAME_SPOOF;

	m->num_buffers = 0;
	/* Only a device may set DATA_VALID and RSC_INFO (5.1.6.2.1); other flags are unknown. */
	h->flags &= VIRTIO_NET_HDR_F_NEEDS_CSUM;
	if (h->flags) {
		if (!(features & BIT64(VIRTIO_NET_F_CSUM)) || h->csum_start < ETH_HLEN ||
		    (uint64_t)h->csum_start + h->csum_offset + CSUM_BYTES > len)
			return FRAME_CSUM;
	} else {
		h->csum_start = 0;
		h->csum_offset = 0;
	}
	if (h->gso_type != VIRTIO_NET_HDR_GSO_NONE)
		return judge_tx_gso(h, len, features);
	h->hdr_len = 0;
	h->gso_size = 0;
	return FRAME_OK;
}

enum frame_verdict frame_judge_rx(struct virtio_net_hdr_mrg_rxbuf *m, uint64_t len, uint64_t features)
{
	struct virtio_net_hdr *h = &m->hdr;
	uint8_t type = h->gso_type & ~VIRTIO_NET_HDR_GSO_ECN;

	if (len < ETH_HLEN || len > FRAME_MAX)
		return FRAME_SIZE;
	h->flags &= VIRTIO_NET_HDR_F_NEEDS_CSUM | VIRTIO_NET_HDR_F_DATA_VALID;
	if (!(features & BIT64(VIRTIO_NET_F_GUEST_CSUM))) {
		if (h->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM)
			return FRAME_CSUM;
		h->flags = 0;
	}
	if (h->gso_type == VIRTIO_NET_HDR_GSO_NONE)
		return FRAME_OK;
	if (!(features & gso_feature(type, false)))
		return FRAME_GSO;
	if ((h->gso_type & VIRTIO_NET_HDR_GSO_ECN) && !(features & BIT64(VIRTIO_NET_F_GUEST_ECN)))
		return FRAME_GSO;
	return FRAME_OK;
}
