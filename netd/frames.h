/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Judging Ethernet frames and their virtio-net headers. Pure functions on
 * copies: no I/O, no state, no shared memory. Used by netd alone.
 */
#ifndef NETD_FRAMES_H
#define NETD_FRAMES_H

#include <linux/if.h>
#include <linux/if_ether.h>
#include <linux/if_tun.h>
#include <linux/virtio_config.h>
#include <linux/virtio_net.h>

#include "common/util.h"

/* Bits that Linux headers before 6.2 lack. */
#ifndef VIRTIO_NET_F_GUEST_USO4
#define VIRTIO_NET_F_GUEST_USO4 54
#define VIRTIO_NET_F_GUEST_USO6 55
#define VIRTIO_NET_F_HOST_USO	56
#endif
#ifndef VIRTIO_NET_HDR_GSO_UDP_L4
#define VIRTIO_NET_HDR_GSO_UDP_L4 5
#endif
#ifndef TUN_F_USO4
#define TUN_F_USO4 0x20
#define TUN_F_USO6 0x40
#endif

#define BIT(n) (UINT64_C(1) << (n))

/* The header as the tap has it, always (TUNSETVNETHDRSZ). */
#define TAP_HDR_LEN 12
/* The guest's header without VERSION_1 and MRG_RXBUF (virtio 1.2, 5.1.6.1). */
#define LEGACY_HDR_LEN 10

/* An IP packet of 65,535 bytes in Ethernet: the largest segmented frame. */
#define FRAME_MAX (65535 + ETH_HLEN)
/* Room for an 802.1Q tag beside the MTU. */
#define FRAME_VLAN 4

enum frame_verdict {
	FRAME_OK,
	FRAME_SIZE,  /* under 14 bytes, or longer than any IP packet */
	FRAME_SPOOF, /* source address is not the guest's */
	FRAME_CSUM,  /* checksum fields that lie, or without the feature */
	FRAME_GSO,   /* segmentation fields that lie, or without the feature */
};

/* Bytes of the guest's header under @features (5.1.6.1). */
static inline unsigned frame_hdr_len(uint64_t features)
{
	return features & (BIT(VIRTIO_F_VERSION_1) | BIT(VIRTIO_NET_F_MRG_RXBUF)) ? TAP_HDR_LEN : LEGACY_HDR_LEN;
}

/* Largest frame that the tap may deliver under @features; @mtu of the link, 0: 1500. */
uint32_t frame_rx_max(uint64_t features, unsigned mtu);

/* Offload features to offer, from the TUN_F_* that the tap confirmed. */
uint64_t frame_offered(uint32_t tap_offloads);
/* What the guest took, without bits that lack what they build on (5.1.3.1). */
uint64_t frame_effective(uint64_t acked);
/* TUN_F_* for the tap under the (effective) @features, inside @confirmed. */
uint32_t frame_tap_offloads(uint64_t features, uint32_t confirmed);

/*
 * A frame from the guest. @h is the local copy of its header; on FRAME_OK it
 * has become what the tap may be given: unknown flags and unused fields cleared.
 * @eth: the first ETH_HLEN bytes of the frame, a copy (not read if @len is less).
 * @mac: the only source address allowed; NULL: any.
 */
enum frame_verdict frame_judge_tx(struct virtio_net_hdr_mrg_rxbuf *h, const uint8_t *eth, uint64_t len,
				  uint64_t features, const uint8_t *mac);

/*
 * A frame from the tap, before the guest sees its header @h: frames that were
 * queued under an earlier driver's features may ask for more than this one took.
 */
enum frame_verdict frame_judge_rx(struct virtio_net_hdr_mrg_rxbuf *h, uint64_t len, uint64_t features);

#endif
