/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The network device for the loop of common/backend.h: features, configuration space, and
 * which queue serves which tap. Runs in netd, confined. The loop has validated each
 * message of the front-end before it calls a function here.
 */
#include <string.h>
#include <sys/epoll.h>

#include "netd/device.h"
#include "netd/netd.h"
#include "netd/rx.h"
#include "netd/tap.h"
#include "netd/tx.h"

/* Without VERSION_1, a driver may use any buffer layout only with this feature (virtio 1.2, 6.3). */
#ifndef VIRTIO_F_ANY_LAYOUT
#define VIRTIO_F_ANY_LAYOUT 27
#endif

/* Every feature that netd implements. netd_init() offers those that the tap supports. */
#define NETD_FEATURES                                                                                              \
	(BIT64(VIRTIO_NET_F_CSUM) | BIT64(VIRTIO_NET_F_GUEST_CSUM) | BIT64(VIRTIO_NET_F_HOST_TSO4) |               \
	 BIT64(VIRTIO_NET_F_HOST_TSO6) | BIT64(VIRTIO_NET_F_HOST_ECN) | BIT64(VIRTIO_NET_F_HOST_USO) |             \
	 BIT64(VIRTIO_NET_F_GUEST_TSO4) | BIT64(VIRTIO_NET_F_GUEST_TSO6) | BIT64(VIRTIO_NET_F_GUEST_ECN) |         \
	 BIT64(VIRTIO_NET_F_GUEST_USO4) | BIT64(VIRTIO_NET_F_GUEST_USO6) | BIT64(VIRTIO_NET_F_MRG_RXBUF) |         \
	 BIT64(VIRTIO_NET_F_MAC) | BIT64(VIRTIO_NET_F_MTU) | BIT64(VIRTIO_NET_F_STATUS) | BIT64(VIRTIO_NET_F_MQ) | \
	 BIT64(VIRTIO_NET_F_CTRL_VQ) | BIT64(VIRTIO_F_ANY_LAYOUT))

/* Smallest MTU that a device may offer, in bytes (5.1.4.1). */
#define MTU_MIN 68

/* DHCP requests and router solicitations answered a second, and at once. A client asks once in some seconds. */
#define DHCP_RATE  10
#define DHCP_BURST 8

static unsigned pairs_of(const struct netd *n)
{
	return MIN(MAX(n->c.queue_pairs, 1u), (unsigned)NETD_MAX_PAIRS);
}

uint64_t netd_init(struct netd *n, const struct net_config *c)
{
	static const uint8_t no_mac[ETH_ALEN];
	uint64_t f = BIT64(VIRTIO_NET_F_MRG_RXBUF) | BIT64(VIRTIO_NET_F_STATUS) | BIT64(VIRTIO_F_ANY_LAYOUT);
	uint64_t now = now_us();

	n->c = *c;
	n->c.queue_pairs = (uint8_t)pairs_of(n);
	n->tap_hdr = c->vnet_hdr ? TAP_HDR_LEN : 0;
	for (unsigned i = 0; i < NETD_MAX_PAIRS; i++) {
		n->pair[i].index = i;
		n->pair[i].tap = HFD_TAP0 + (int)i;
		/* Frames may have arrived before epoll watched the tap. */
		n->pair[i].tap_readable = true;
	}
	n->limited = c->rate_packets || c->rate_bytes;
	bucket_init(&n->tx_packets, c->rate_packets, 1, now);
	bucket_init(&n->rx_packets, c->rate_packets, 1, now);
	bucket_init(&n->tx_bytes, c->rate_bytes, FRAME_MAX, now);
	bucket_init(&n->rx_bytes, c->rate_bytes, FRAME_MAX, now);
	bucket_init(&n->dhcp, DHCP_RATE, DHCP_BURST, now);
	n->ra_due_ms = now / 1000 + c->ra.interval_ms;

	if (c->vnet_hdr && c->offload)
		f |= frame_offered(c->tap_offloads);
	if (memcmp(c->mac, no_mac, ETH_ALEN) != 0)
		f |= BIT64(VIRTIO_NET_F_MAC);
	if (c->mtu >= MTU_MIN)
		f |= BIT64(VIRTIO_NET_F_MTU);
	/*
	 * The front-end serves the control queue. When the driver enables more queue pairs
	 * there, the front-end sends us SET_VRING_ENABLE (vhost-user specification,
	 * "Multiple queue support").
	 */
	if (n->c.queue_pairs > 1)
		f |= BIT64(VIRTIO_NET_F_MQ) | BIT64(VIRTIO_NET_F_CTRL_VQ);
	return f;
}

int netd_watch(struct netd *n, struct backend *be)
{
	for (unsigned i = 0; i < n->c.queue_pairs; i++)
		if (backend_watch(be, n->pair[i].tap, EPOLLIN | EPOLLOUT | EPOLLET) != 0)
			return -1;
	/* Edge-triggered: one wake-up per expiry, and no more until rate_timer_again() reads the timer. */
	if (n->limited)
		return backend_watch(be, HFD_TIMER, EPOLLIN | EPOLLET);
	return 0;
}

static bool is_rx(const struct vq *vq)
{
	return vq->index % 2 == 0;
}

/*
 * The receive queue for frames of @p's tap: that of the same pair, or queue 0 if the
 * driver has not enabled that pair (5.1.6.5.5: only queues in use receive frames).
 */
static struct vq *rx_target(struct backend *be, const struct net_pair *p)
{
	struct vq *vq = &be->vq[2 * p->index];

	return vq->running ? vq : &be->vq[0];
}

/*
 * Set the offloads of the tap that the driver's features allow. The ioctl needs a lock of
 * the kernel (RTNL), which other programs can hold for seconds while they configure the
 * network. The front-end would give up the device if a reply took that long, so the ioctl
 * is not made while a message is processed. It is made in the loop, once both queues of
 * pair 0 run, or after the driver has sent a frame (@sent). It must not be later: until
 * then the kernel drops segmented frames for the guest.
 */
static void apply_offloads(struct backend *be, bool sent)
{
	struct netd *n = netd_of(be);
	uint32_t want;

	if (!n->offloads_due || (!sent && !(be->vq[0].running && be->vq[1].running)))
		return;
	n->offloads_due = false;
	want = frame_tap_offloads(n->features, n->c.tap_offloads);
	if (want == n->tap_offloads)
		return;
	if (tap_set_offload(HFD_TAP0, want) != 0)
		log_line(LOG_WARN, "cannot set the tap's offloads to 0x%x (TUNSETOFFLOAD): %m", want);
	else
		n->tap_offloads = want;
}

/*
 * Receive from all taps whose frames go to @vq. Kicks of @vq stay disabled unless a frame
 * waits for receive buffers. Returns true if there is more to do.
 */
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
	apply_offloads(be, false);
	if (starved && vq->running) {
		vq->quiet = false;
		more |= vq_enable_kicks(vq);
	}
	return more && vq->running;
}

/*
 * Transmit frames of @vq to its tap. Kicks of @vq stay disabled while the tap is full or
 * the rate limit is reached. Returns true if there is more to do.
 */
static bool tx_pass(struct backend *be, struct vq *vq, unsigned budget)
{
	struct net_pair *p = &netd_of(be)->pair[vq->index / 2];
	uint64_t before = vq->n_chains;
	bool more;

	if (!vq->running)
		return false;
	more = tx_work(be, p, vq, budget);
	apply_offloads(be, vq->n_chains != before);
	vq->quiet = p->tap_full || p->tx_throttled;
	return more && vq->running;
}

static bool netd_queue_work(struct backend *be, struct vq *vq, unsigned budget)
{
	return is_rx(vq) ? rx_pass(be, vq, budget) : tx_pass(be, vq, budget);
}

/*
 * A transmit queue that waited for the tap or the rate limit can continue. Let the loop
 * serve it, because the loop enables kicks afterwards; serving it here would leave kicks
 * disabled for ever.
 */
static void tx_resume(struct backend *be, unsigned pair)
{
	struct vq *vq = &be->vq[2 * pair + 1];

	if (vq->quiet)
		backend_wake(be, vq);
}

static bool timer_ready(struct backend *be)
{
	struct netd *n = netd_of(be);
	bool more = false;

	for (unsigned i = 0; i < n->c.queue_pairs; i++) {
		more |= rx_pass(be, &be->vq[2 * i], BACKEND_CHAIN_BUDGET);
		tx_resume(be, i);
	}
	return more;
}

static bool netd_fd_ready(struct backend *be, int fd, uint32_t events)
{
	struct netd *n = netd_of(be);
	unsigned i = (unsigned)(fd - HFD_TAP0);

	if (n->limited && fd == HFD_TIMER)
		return timer_ready(be);
	if (fd < HFD_TAP0 || i >= n->c.queue_pairs)
		return false;
	if (events & (EPOLLIN | EPOLLERR | EPOLLHUP))
		n->pair[i].tap_readable = !n->pair[i].tap_dead;
	if (events & EPOLLOUT) {
		n->pair[i].tap_full = false;
		tx_resume(be, i);
	}
	return rx_pass(be, rx_target(be, &n->pair[i]), BACKEND_CHAIN_BUDGET);
}

/* During busy polling the loop does not call epoll, so try to read the taps. True if there was a frame. */
static bool netd_poll(struct backend *be)
{
	struct netd *n = netd_of(be);
	uint64_t before = be->stats.frames_in;
	bool more = false;

	for (unsigned i = 0; i < n->c.queue_pairs; i++) {
		struct net_pair *p = &n->pair[i];
		struct vq *vq = rx_target(be, p);

		if (p->rx_starved || p->tap_dead)
			continue;
		p->tap_readable = true;
		/* Edge-triggered epoll reports only new frames, so have the loop call again for queued ones. */
		if (rx_pass(be, vq, BACKEND_CHAIN_BUDGET)) {
			backend_wake(be, vq);
			more = true;
		}
	}
	return more || be->stats.frames_in != before;
}

/* Advertise the tap's network again before the guest's knowledge of it expires. */
static void netd_tick(struct backend *be)
{
	struct netd *n = netd_of(be);
	uint64_t now = now_ms();

	if (now < n->ra_due_ms || !be->vq[0].running)
		return;
	n->ra_due_ms = now + n->c.ra.interval_ms;
	tx_advertise(be);
}

static void netd_set_features(struct backend *be, uint64_t features)
{
	struct netd *n = netd_of(be);

	n->features = frame_effective(features);
	n->hdr_len = frame_hdr_len(features);
	n->rx_max = frame_rx_max(n->features, n->c.mtu);
	for (unsigned i = 0; i < n->c.queue_pairs; i++)
		rx_drop_waiting(&n->pair[i]);
	n->offloads_due = n->c.vnet_hdr;
}

static void netd_queue_start(struct backend *be, struct vq *vq)
{
	(void)be;
	vq->quiet = false;
}

static void netd_queue_stop(struct backend *be, struct vq *vq)
{
	struct net_pair *p = &netd_of(be)->pair[vq->index / 2];

	if (!is_rx(vq))
		return;
	/* Chains are never kept between calls, frames are. */
	rx_drop_waiting(p);
	/* Queue 0 serves this tap now (rx_target()), but epoll will not report frames queued before. */
	if (vq->index)
		backend_wake(be, &be->vq[0]);
}

/*
 * Going back, no frame may reach the guest that came for it before. Rate limits go on, because they protect the host;
 * the tap and passt are outside.
 */
static bool netd_checkpoint(struct backend *be, bool back)
{
	struct netd *n = netd_of(be);

	for (unsigned i = 0; back && i < n->c.queue_pairs; i++)
		rx_forget(be, &n->pair[i]);
	/* After frames of passt were dropped: these must not open anything for the guest. */
	if (n->c.user.on && back)
		n->user = n->kept_user;
	else if (n->c.user.on)
		n->kept_user = n->user;
	return true;
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
	/* 5.1.4.2: the driver may write no field (there is a control command for the MAC address). */
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
	.checkpoint = netd_checkpoint,
	.poll = netd_poll,
	.tick = netd_tick,
};
