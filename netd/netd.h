/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One NIC as netd has it: a tap (or several, one per queue pair) on one side,
 * virtqueues on the other. Queue 2k receives (tap to guest), 2k + 1 transmits.
 */
#ifndef NETD_NETD_H
#define NETD_NETD_H

#include "common/backend.h"
#include "common/ctl.h"
#include "frames.h"
#include "rate.h"

#define NETD_MAX_PAIRS (MAX_QUEUES / 2)

/* A frame that was read when the guest had too little room for the largest one. */
struct held_frame {
	bool full;
	uint32_t len;	 /* bytes of the frame, without header */
	uint16_t chains; /* that the guest had offered when it did not fit */
	struct virtio_net_hdr_mrg_rxbuf hdr;
	uint8_t data[FRAME_MAX + 1]; /* one more: a longer frame shows */
};

struct net_pair {
	unsigned index;
	int tap;	   /* HFD_TAP0 + index */
	bool tap_readable; /* an edge was seen, and no EAGAIN since */
	bool tap_full;	   /* EAGAIN on a write, and no edge since */
	bool tap_dead;	   /* reading failed for good: said once */
	bool rx_starved;   /* the last pass ended for want of receive buffers */
	bool tx_throttled; /* the last pass ended for the rate's sake */
	uint8_t small_row; /* small frames received one after the other */
	struct held_frame held;
};

struct netd {
	struct net_config c;
	uint64_t features;     /* the driver's, effective (frame_effective()) */
	unsigned hdr_len;      /* of the guest */
	unsigned tap_hdr;      /* of the tap: TAP_HDR_LEN, or 0 for a tap without header */
	uint32_t rx_max;       /* largest frame that the tap may deliver */
	uint32_t tap_offloads; /* as last set */
	bool limited;	       /* a rate is set: HFD_TIMER ticks */
	struct bucket tx_packets, tx_bytes, rx_packets, rx_bytes;
	struct net_pair pair[NETD_MAX_PAIRS];
};

/* device.c: the table for the loop. be->c.device is the struct netd. */
extern const struct backend_ops netd_ops;
/*
 * @c is copied. The taps are at HFD_TAP0…; with a rate limit the interval timer
 * is at HFD_TIMER. Returns the features to offer (backend_config.features).
 */
uint64_t netd_init(struct netd *n, const struct net_config *c);
/*
 * Register taps and timer with the loop: after backend_prepare(), before the
 * filter. 0 or -1 with errno.
 */
int netd_watch(struct netd *n, struct backend *be);

static inline struct netd *netd_of(struct backend *be)
{
	return be->c.device;
}

/*
 * tx.c: at most @budget chains of @vq to the tap; returns true if the budget ended it.
 * rx.c: at most @budget frames of the tap to @vq; the same.
 */
bool tx_work(struct backend *be, struct net_pair *p, struct vq *vq, unsigned budget);
bool rx_work(struct backend *be, struct net_pair *p, struct vq *vq, unsigned budget);

/* tap.c. All return 0 or -1 with errno unless said otherwise. */
/* Before confinement: attach @pairs queues of tap @name at HFD_TAP0…; sets the real name. */
int tap_open(char name[IFNAMSIZ], unsigned pairs);
/* Before confinement, @fd is a tap: header size, non-blocking; *@vnet_hdr: it has a header. */
int tap_prepare(int fd, bool *vnet_hdr);
/* Before confinement: the TUN_F_* that this tap takes (left switched off). */
uint32_t tap_probe(int fd);
/* MTU of the tap's link, 0 if the host does not say. */
unsigned tap_mtu(int fd);
/* The one ioctl that the filter knows: which offloads frames to the guest may use. */
int tap_set_offload(int fd, uint32_t offloads);
/* An interval timer of RATE_TICK_MS at HFD_TIMER; reading it starts the next interval. */
int rate_timer_open(void);
/* Any time: let it expire once more. Nobody waits for the rate: nobody is woken. */
void rate_timer_again(void);

/* standalone.c: netd as a vhost-user back-end program. */
struct netd_options {
	const char *socket_path; /* or NULL */
	int fd;			 /* of --fd, or -1 */
	const char *tap_name;	 /* or NULL */
	int tap_fd;		 /* or -1 */
	bool have_mac, spoof_check_asked, help, version, capabilities;
	uint32_t poll_us;
	struct net_config net;
	bool allow_unsealed; /* guest memory without seals is taken */
};
/* options.c: 0; or -1 with one line in @err. No side effects. */
int netd_parse(int argc, char **argv, struct netd_options *o, char *err, size_t errlen);
extern const char netd_help_text[];
/* Returns the exit status: 0, 1 for the host's faults. */
int netd_standalone(struct netd_options *o);
/*
 * serve.c: confine this process, then serve one front-end until it goes: the one
 * connected at HFD_FRONT, or the first to come at HFD_LISTEN. The exit status.
 */
int netd_serve(const struct role_config *rc, bool supervised);

#endif
