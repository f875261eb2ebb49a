/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The state of netd, which serves one NIC of a guest. netd moves Ethernet frames between a
 * tap (a network interface of the host) and virtqueues of the guest. Pair k of queues has
 * its own tap descriptor: queue 2k receives (tap to guest), queue 2k + 1 transmits.
 */
#ifndef NETD_NETD_H
#define NETD_NETD_H

#include <stddef.h>

#include "common/backend.h"
#include "common/bucket.h"
#include "common/ctl.h"
#include "netd/capture.h"
#include "netd/frames.h"
#include "netd/stream.h"
#include "netd/user.h"

#define NETD_MAX_PAIRS (MAX_QUEUES / 2)

/* A frame that was read from the tap into private memory, until the guest has buffers for it. */
struct held_frame {
	bool full;	 /* There is a frame in here */
	uint32_t len;	 /* Bytes of the frame, without header */
	uint16_t chains; /* Receive chains that were available when it did not fit */
	struct virtio_net_hdr_mrg_rxbuf hdr;
	uint8_t data[FRAME_MAX + 1]; /* One spare byte, to detect oversized frames */
};
_Static_assert(offsetof(struct held_frame, data) == offsetof(struct held_frame, hdr) + TAP_HDR_LEN,
	       "header and frame must be adjacent");

struct net_pair {
	unsigned index;
	int tap;	   /* HFD_TAP0 + index */
	bool tap_readable; /* EPOLLIN was reported, and no read has returned EAGAIN since */
	bool tap_full;	   /* A write returned EAGAIN, and EPOLLOUT was not reported since */
	bool tap_dead;	   /* Reading failed with another error, which was logged once */
	bool rx_starved;   /* The last call of rx_work() ran out of receive buffers */
	bool tx_throttled; /* The last call of tx_work() reached the rate limit */
	uint8_t small_row; /* Number of small frames received in a row, up to RX_SMALL_ROW */
	uint8_t burst;	   /* Frames read since the tap was last empty, up to BATCH_MAX */
	struct held_frame held;
};

struct netd {
	struct net_config c;
	uint64_t features;     /* Features that the driver accepted, after frame_effective() */
	unsigned hdr_len;      /* Bytes of the virtio-net header in guest buffers */
	unsigned tap_hdr;      /* Bytes of the header on the tap: TAP_HDR_LEN, or 0 for a tap without it */
	uint32_t rx_max;       /* Largest frame that the tap may deliver, in bytes without header */
	uint32_t tap_offloads; /* TUN_F_* flags last set on the tap */
	bool offloads_due;     /* Features changed since the tap's offloads were set */
	bool limited;	       /* A rate limit is set, and HFD_TIMER exists */
	struct capture capture;
	/* --net=user: the one pair's "tap" is a socket to passt. */
	struct stream stream;
	bool stream_late; /* The first frame of @stream began before a reset: drop it once all of it is here */
	struct user user, kept_user; /* @kept_user: at the checkpoint */
	struct bucket dhcp;	     /* DHCP requests and router solicitations that are answered */
	uint64_t ra_due_ms;	     /* When the next unsolicited router advertisement is due */
	bool declined;		     /* A DHCPDECLINE was logged */
	struct bucket tx_packets, tx_bytes, rx_packets, rx_bytes;
	struct net_pair pair[NETD_MAX_PAIRS];
};

/* The struct netd of a back-end, which the loop stores as its device. */
static inline struct netd *netd_of(struct backend *be)
{
	return be->c.device;
}

#endif
