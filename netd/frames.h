/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Checks of Ethernet frames and their virtio-net headers. Pure functions on copies: no
 * I/O, no state, no shared memory. Only netd uses them.
 */
#ifndef NETD_FRAMES_H
#define NETD_FRAMES_H

#include <linux/if.h>
#include <linux/if_ether.h>
#include <linux/if_tun.h>
#include <linux/virtio_config.h>
#include <linux/virtio_net.h>

#include "common/util.h"

/* Constants that kernel headers before Linux 6.2 lack. */
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

/* Bytes of the header on the tap (set with TUNSETVNETHDRSZ). */
#define TAP_HDR_LEN 12
/* Bytes of the guest's header without VERSION_1 and MRG_RXBUF (virtio 1.2, 5.1.6.1). */
#define LEGACY_HDR_LEN 10

/* Largest frame in bytes: an IP packet of 65,535 bytes and the Ethernet header. */
#define FRAME_MAX (65535 + ETH_HLEN)
/* Bytes of an 802.1Q (VLAN) tag, which the MTU does not include. */
#define FRAME_VLAN 4

enum frame_verdict {
	FRAME_OK,
	FRAME_SIZE,  /* Shorter than 14 bytes, or longer than FRAME_MAX */
	FRAME_CLAIM, /* It claims an IP address that is not the guest's (claims.h) */
	FRAME_SPOOF, /* The source address is not the guest's */
	FRAME_CSUM,  /* Checksum fields inconsistent with the frame, or feature not negotiated */
	FRAME_GSO,   /* Segmentation fields inconsistent with the frame, or feature not negotiated */
	FRAME_REACH, /* With --net=user: user_judge() returned the reason */
};

/* Why a frame with the verdict @v is dropped, as text for a capture file; NULL for FRAME_OK. */
const char *frame_drop_text(enum frame_verdict v);

/* Bytes of the header in guest buffers if the driver accepted @features (5.1.6.1). */
static inline unsigned frame_hdr_len(uint64_t features)
{
	return features & (BIT64(VIRTIO_F_VERSION_1) | BIT64(VIRTIO_NET_F_MRG_RXBUF)) ? TAP_HDR_LEN : LEGACY_HDR_LEN;
}

/*
 * Largest frame that the tap may deliver if the driver accepted @features, in bytes without
 * header. @mtu: of the link, in bytes; 0 means 1500.
 */
uint32_t frame_rx_max(uint64_t features, unsigned mtu);

/* Virtio features to offer for a tap that supports the TUN_F_* flags @tap_offloads. */
uint64_t frame_offered(uint32_t tap_offloads);
/* The features @acked by the driver, without those whose required features are missing (5.1.3.1). */
uint64_t frame_effective(uint64_t acked);
/* TUN_F_* flags to set on the tap for @features (after frame_effective()); only flags in @confirmed. */
uint32_t frame_tap_offloads(uint64_t features, uint32_t confirmed);

/*
 * Check a frame from the guest. @h: a local copy of its header; if the result is FRAME_OK,
 * unknown flags and unused fields have been cleared, and it may be given to the tap.
 * @eth: a copy of the first ETH_HLEN bytes of the frame (not read if @len is smaller).
 * @len: bytes of the frame without header. @mac: the only source address allowed; NULL: any.
 */
enum frame_verdict frame_judge_tx(struct virtio_net_hdr_mrg_rxbuf *h, const uint8_t *eth, uint64_t len,
				  uint64_t features, const uint8_t *mac);

/*
 * Check a frame from the tap before the guest gets its header @h. A frame that was queued
 * before the guest's driver was reset may use offloads that the new driver has not
 * accepted. @len: bytes of the frame without header.
 */
enum frame_verdict frame_judge_rx(struct virtio_net_hdr_mrg_rxbuf *h, uint64_t len, uint64_t features);

#endif
