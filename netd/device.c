/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The network device that netd shows to the loop of common/backend.h: features,
 * configuration space, and which tap is served by which queue. Runs in netd,
 * confined; what the front-end says has been judged by the loop already.
 */
#include <string.h>
#include <sys/epoll.h>

#include "netd.h"

/* Legacy drivers may lay out buffers as they like too (virtio 1.2, 6.3). */
#ifndef VIRTIO_F_ANY_LAYOUT
#define VIRTIO_F_ANY_LAYOUT 27
#endif

/* Every feature that this device knows; an instance offers what its tap confirmed. */
#define NETD_FEATURES                                                                                      \
	(BIT(VIRTIO_NET_F_CSUM) | BIT(VIRTIO_NET_F_GUEST_CSUM) | BIT(VIRTIO_NET_F_HOST_TSO4) |             \
	 BIT(VIRTIO_NET_F_HOST_TSO6) | BIT(VIRTIO_NET_F_HOST_ECN) | BIT(VIRTIO_NET_F_HOST_USO) |           \
	 BIT(VIRTIO_NET_F_GUEST_TSO4) | BIT(VIRTIO_NET_F_GUEST_TSO6) | BIT(VIRTIO_NET_F_GUEST_ECN) |       \
	 BIT(VIRTIO_NET_F_GUEST_USO4) | BIT(VIRTIO_NET_F_GUEST_USO6) | BIT(VIRTIO_NET_F_MRG_RXBUF) |       \
	 BIT(VIRTIO_NET_F_MAC) | BIT(VIRTIO_NET_F_MTU) | BIT(VIRTIO_NET_F_STATUS) | BIT(VIRTIO_NET_F_MQ) | \
	 BIT(VIRTIO_NET_F_CTRL_VQ) | BIT(VIRTIO_F_ANY_LAYOUT))

/* 5.1.4.1: the least MTU that a device may offer. */
#define MTU_MIN 68

static unsigned pairs_of(const struct netd *n)
{
	return MIN(MAX(n->c.queue_pairs, 1u), (unsigned)NETD_MAX_PAIRS);
}

uint64_t netd_init(struct netd *n, const struct net_config *c)
{
	static const uint8_t no_mac[ETH_ALEN];
	uint64_t f = BIT(VIRTIO_NET_F_MRG_RXBUF) | BIT(VIRTIO_NET_F_STATUS) | BIT(VIRTIO_F_ANY_LAYOUT);
	uint64_t now = now_us();

	n->c = *c;
	n->c.queue_pairs = (uint8_t)pairs_of(n);
	n->tap_hdr = c->vnet_hdr ? TAP_HDR_LEN : 0;
	for (unsigned i = 0; i < NETD_MAX_PAIRS; i++) {
		n->pair[i].index = i;
		n->pair[i].tap = HFD_TAP0 + (int)i;
		/* Frames may be waiting from before the tap was watched. */
		n->pair[i].tap_readable = true;
	}
	n->limited = c->rate_packets || c->rate_bytes;
	bucket_init(&n->tx_packets, c->rate_packets, 1, now);
	bucket_init(&n->rx_packets, c->rate_packets, 1, now);
	bucket_init(&n->tx_bytes, c->rate_bytes, FRAME_MAX, now);
	bucket_init(&n->rx_bytes, c->rate_bytes, FRAME_MAX, now);

	if (c->vnet_hdr && c->offload)
		f |= frame_offered(c->tap_offloads);
	if (memcmp(c->mac, no_mac, ETH_ALEN) != 0)
		f |= BIT(VIRTIO_NET_F_MAC);
	if (c->mtu >= MTU_MIN)
		f |= BIT(VIRTIO_NET_F_MTU);
	/*
	 * The control queue is the front-end's own: what it does there reaches us as
	 * SET_VRING_ENABLE (vhost-user specification, "Multiple queue support").
	 */
	if (n->c.queue_pairs > 1)
		f |= BIT(VIRTIO_NET_F_MQ) | BIT(VIRTIO_NET_F_CTRL_VQ);
	return f;
}

int netd_watch(struct netd *n, struct backend *be)
{
	for (unsigned i = 0; i < n->c.queue_pairs; i++)
		if (backend_watch(be, n->pair[i].tap, EPOLLIN | EPOLLOUT | EPOLLET) != 0)
			return -1;
	/* Edge-triggered: one wake-up an expiry, and the next one only when somebody waits. */
	if (n->limited)
		return backend_watch(be, HFD_TIMER, EPOLLIN | EPOLLET);
	return 0;
}

static bool is_rx(const struct vq *vq)
{
	return vq->index % 2 == 0;
}

/*
 * Where frames of @p's tap go: its own receive queue, or the first one while the
 * driver has not enabled that (5.1.6.5.5: only queues in use receive).
 */
static struct vq *rx_target(struct backend *be, const struct net_pair *p)
{
	struct vq *vq = &be->vq[2 * p->index];

	return vq->running ? vq : &be->vq[0];
}

/* All taps whose frames go to @vq. Leaves kicks off unless a tap waits for buffers. */
static bool rx_pass(struct backend *be, struct vq *vq, unsigned budget)
{
	struct netd *n = netd_of(be);
	bool more = false, starved = false;

	vq->quiet = true;
	if (!vq->running)
		return false;
	for (unsigned i = 0; i < n->c.queue_pairs && vq->running; i++) {
		struct net_pair *p = &n->pair[i];

		if (rx_target(be, p) != vq)
			continue;
		more |= rx_work(be, p, vq, budget);
		starved |= p->rx_starved;
	}
	if (starved && vq->running) {
		vq->quiet = false;
		more |= vq_enable_kicks(vq);
	}
	return more && vq->running;
}

/* @vq to its tap. Leaves kicks off while the tap is full or the rate is used up. */
static bool tx_pass(struct backend *be, struct vq *vq, unsigned budget)
{
	struct net_pair *p = &netd_of(be)->pair[vq->index / 2];
	bool more;

	if (!vq->running)
		return false;
	more = tx_work(be, p, vq, budget);
	vq->quiet = p->tap_full || p->tx_throttled;
	return more && vq->running;
}

static bool netd_queue_work(struct backend *be, struct vq *vq, unsigned budget)
{
	return is_rx(vq) ? rx_pass(be, vq, budget) : tx_pass(be, vq, budget);
}

static bool netd_fd_ready(struct backend *be, int fd, uint32_t events)
{
	struct netd *n = netd_of(be);
	unsigned i = (unsigned)(fd - HFD_TAP0);
	bool more = false;

	if (n->limited && fd == HFD_TIMER) {
		for (i = 0; i < 2u * n->c.queue_pairs; i++)
			more |= netd_queue_work(be, &be->vq[i], BACKEND_CHAIN_BUDGET);
		return more;
	}
	if (fd < HFD_TAP0 || i >= n->c.queue_pairs)
		return false;
	if (events & (EPOLLIN | EPOLLERR | EPOLLHUP))
		n->pair[i].tap_readable = !n->pair[i].tap_dead;
	more = rx_pass(be, rx_target(be, &n->pair[i]), BACKEND_CHAIN_BUDGET);
	if (events & EPOLLOUT)
		n->pair[i].tap_full = false;
	more |= tx_pass(be, &be->vq[2 * i + 1], BACKEND_CHAIN_BUDGET);
	return more;
}

/* While the loop polls, nobody waits in epoll for the tap's edge: look at the tap itself. */
static bool netd_poll(struct backend *be)
{
	struct netd *n = netd_of(be);
	uint64_t before = be->stats.frames_in;

	for (unsigned i = 0; i < n->c.queue_pairs; i++) {
		struct net_pair *p = &n->pair[i];

		if (p->rx_starved || p->tap_dead)
			continue;
		p->tap_readable = true;
		rx_pass(be, rx_target(be, p), BACKEND_CHAIN_BUDGET);
	}
	return be->stats.frames_in != before;
}

static void netd_set_features(struct backend *be, uint64_t features)
{
	struct netd *n = netd_of(be);
	uint32_t want;

	n->features = frame_effective(features);
	n->hdr_len = frame_hdr_len(features);
	n->rx_max = frame_rx_max(n->features, n->c.mtu);
	for (unsigned i = 0; i < n->c.queue_pairs; i++)
		n->pair[i].held.full = false;

	want = n->c.vnet_hdr ? frame_tap_offloads(n->features, n->c.tap_offloads) : 0;
	if (want == n->tap_offloads)
		return;
	/* Where it fails, frames that this driver did not ask for are dropped (frame_judge_rx()). */
	if (tap_set_offload(HFD_TAP0, want) != 0)
		log_line(LOG_WARN, "the tap refuses offloads 0x%x: %m", want);
	else
		n->tap_offloads = want;
}

static void netd_queue_start(struct backend *be, struct vq *vq)
{
	(void)be;
	vq->quiet = false;
}

static void netd_queue_stop(struct backend *be, struct vq *vq)
{
	struct net_pair *p = &netd_of(be)->pair[vq->index / 2];

	/* Nothing is held over a wake-up but a frame that did not fit. */
	if (is_rx(vq))
		p->held.full = false;
}

static void netd_get_config(struct backend *be, unsigned off, void *buf, unsigned len)
{
	const struct netd *n = netd_of(be);
	struct virtio_net_config c;

	memset(&c, 0, sizeof(c));
	memcpy(c.mac, n->c.mac, ETH_ALEN);
	c.status = htole16(VIRTIO_NET_S_LINK_UP);
	c.max_virtqueue_pairs = htole16(n->c.queue_pairs);
	c.mtu = htole16(n->c.mtu);
	memcpy(buf, (uint8_t *)&c + off, len);
}

static bool netd_set_config(struct backend *be, unsigned off, const void *buf, unsigned len)
{
	(void)be;
	(void)off;
	(void)buf;
	(void)len;
	/* 5.1.4.2: the driver writes nothing here (the MAC has its own command). */
	return false;
}

const struct backend_ops netd_ops = {
	.name = "net",
	.features = NETD_FEATURES,
	.set_features = netd_set_features,
	.queue_start = netd_queue_start,
	.queue_stop = netd_queue_stop,
	.queue_work = netd_queue_work,
	.fd_ready = netd_fd_ready,
	.config_len = sizeof(struct virtio_net_config),
	.get_config = netd_get_config,
	.set_config = netd_set_config,
	.poll = netd_poll,
};
