/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The network load as a vhost-user front-end, the way Linux's driver has it:
 * event index, mergeable receive buffers, transmit completions collected when
 * the ring runs full. Part of bench/netload.
 */
#include <errno.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench/netload.h"
#include "tests/lib/front.h"

#define RING   256
#define BATCH  32	/* frames of --batch */
#define WINDOW 0x10000u /* of a queue (front_queue()) */
#define PIECE  32768u	/* a segment's bytes come in pieces, as a socket's pages do */
#define BIT(n) (1ull << (n))

static struct front front;
static struct front_queue *rx, *tx;
static unsigned rx_buffer, tx_descs; /* bytes; descriptors of a frame */

static uint64_t wanted_features(void)
{
	return BIT(VIRTIO_F_VERSION_1) | BIT(VHU_F_PROTOCOL_FEATURES) | BIT(VIRTIO_RING_F_EVENT_IDX) |
	       BIT(VIRTIO_NET_F_MRG_RXBUF) | BIT(VIRTIO_NET_F_CSUM) | BIT(VIRTIO_NET_F_GUEST_CSUM) |
	       BIT(VIRTIO_NET_F_HOST_TSO4) | BIT(VIRTIO_NET_F_HOST_TSO6) | BIT(VIRTIO_NET_F_GUEST_TSO4) |
	       BIT(VIRTIO_NET_F_GUEST_TSO6);
}

static void say(struct front_queue *q, struct bench_result *r, uint16_t added)
{
	const uint16_t *event = (const uint16_t *)&q->used->ring[q->size];

	front_set_avail(q, q->avail_idx); /* a full barrier as well */
	if (!vring_need_event(__atomic_load_n(event, __ATOMIC_RELAXED), q->avail_idx, (uint16_t)(q->avail_idx - added)))
		return;
	r->kicks++;
	front_kick(q);
}

static void start(const struct net_load *l)
{
	uint64_t frame = (NET_HDR + l->size + 0xfff) & ~0xfffull;
	uint64_t at = 2 * WINDOW, size;
	struct front_buf b[4];

	rx_buffer = l->size > NET_LARGE ? 4096 : 1536;
	tx_descs = (unsigned)((NET_HDR + l->size + PIECE - 1) / PIECE);
	size = (at + RING * (uint64_t)rx_buffer + RING / tx_descs * frame + 0x1fffff) & ~0x1fffffull;
	if (!front_memory(&front, size, 0, true) || !front_connect(&front, l->socket))
		bench_die(l->socket);
	if (!front_negotiate(&front, wanted_features(), BIT(VHU_PF_MQ) | BIT(VHU_PF_REPLY_ACK)) ||
	    !front_send_table(&front)) {
		fprintf(stderr, "netload: the back-end does not agree\n");
		exit(1);
	}
	if (!(front.features & BIT(VIRTIO_NET_F_MRG_RXBUF)) || !(front.features & BIT(VIRTIO_RING_F_EVENT_IDX)))
		fprintf(stderr, "netload: the back-end lacks mergeable buffers or the event index\n");
	rx = front_queue(&front, 0, RING, 0);
	tx = front_queue(&front, 1, RING, WINDOW);
	for (unsigned i = 0; i < RING; i++, at += rx_buffer) {
		b[0] = (struct front_buf){ at, rx_buffer, true };
		front_chain(rx, b, 1);
		rx->avail->ring[i] = (uint16_t)i;
	}
	/* With --batch they are published when the frames are in the tap. */
	rx->avail_idx = l->batch ? BATCH : RING;
	if (!l->batch)
		front_set_avail(rx, RING);
	at = (at + 0xfff) & ~0xfffull;
	for (unsigned i = 0; i < RING / tx_descs; i++, at += frame) {
		uint32_t len = net_frame(front_ptr(&front, at), (uint32_t)l->size, false);

		for (unsigned d = 0; d < tx_descs; d++)
			b[d] = (struct front_buf){ at + d * PIECE, d + 1 < tx_descs ? PIECE : len - d * PIECE, false };
		front_chain(tx, b, tx_descs);
	}
	if (!front_queue_start(rx) || !front_queue_start(tx)) {
		fprintf(stderr, "netload: the queues do not start\n");
		exit(1);
	}
}

/* Ask for a notification after @more used entries. Returns true if they are there already. */
static bool want_call(struct front_queue *q, uint16_t more)
{
	__atomic_store_n(&q->avail->ring[q->size], (uint16_t)(q->used_seen + more - 1), __ATOMIC_SEQ_CST);
	return (uint16_t)(__atomic_load_n(&q->used->idx, __ATOMIC_ACQUIRE) - q->used_seen) >= more;
}

/* Sleep until the back-end notifies. Returns false after @ms milliseconds. */
static bool wait_call(struct front_queue *q, struct bench_result *r, uint16_t more, int ms)
{
	struct pollfd p = { .fd = q->call, .events = POLLIN };
	uint64_t v;

	if (want_call(q, more))
		return true;
	if (poll(&p, 1, ms) <= 0)
		return false;
	if (read(q->call, &v, sizeof(v)) > 0)
		r->calls++;
	return true;
}

static void send_all(const struct net_load *l, struct bench_result *r)
{
	unsigned slots = l->batch ? BATCH : RING / tx_descs;
	uint64_t begun = slots, limit = l->count ? l->count : UINT64_MAX;
	uint64_t until = bench_ns() + l->ms * 1000000;
	bool more = true;

	if (begun > limit)
		begun = limit;
	for (unsigned i = 0; i < begun; i++)
		tx->avail->ring[i] = (uint16_t)(i * tx_descs);
	tx->avail_idx = (uint16_t)begun;
	say(tx, r, (uint16_t)begun);
	while (r->ops < begun) {
		uint16_t idx = __atomic_load_n(&tx->used->idx, __ATOMIC_ACQUIRE), added = 0;
		uint64_t left = begun - r->ops;

		uint16_t wait = (uint16_t)(l->batch ? left : more && left > 3 ? left * 3 / 4 : 1);

		if ((uint16_t)(idx - tx->used_seen) < (l->batch ? left : 1)) {
			/* Like virtqueue_enable_cb_delayed(): notify when three quarters are complete. */
			if (!l->poll && !wait_call(tx, r, wait, 10000)) {
				fprintf(stderr, "netload: no answer for ten seconds\n");
				exit(1);
			}
			continue;
		}
		if (l->batch)
			usleep(1000);
		more = more && (l->count || bench_ns() < until);
		for (; tx->used_seen != idx; tx->used_seen++, r->ops++) {
			if (!more || begun == limit)
				continue;
			tx->avail->ring[tx->avail_idx++ & (RING - 1)] =
				(uint16_t)tx->used->ring[tx->used_seen & (RING - 1)].id;
			begun++;
			added++;
		}
		if (added)
			say(tx, r, added);
	}
}

/* Take received frames and give their buffers back. Returns the number of whole frames. */
static unsigned receive(const struct net_load *l, struct bench_result *r)
{
	uint16_t idx = __atomic_load_n(&rx->used->idx, __ATOMIC_ACQUIRE), added = 0;
	static unsigned parts_left;
	unsigned frames = 0;

	for (; rx->used_seen != idx; rx->used_seen++, added++) {
		uint32_t id = rx->used->ring[rx->used_seen & (RING - 1)].id & (RING - 1);
		const uint8_t *b = front_ptr(&front, rx->desc[id].addr);

		if (!parts_left) {
			const struct virtio_net_hdr_mrg_rxbuf *h = (const void *)b;

			parts_left = h->num_buffers;
			r->bad += !parts_left || !net_is_frame(b + NET_HDR, (uint32_t)l->size);
			frames++;
		}
		parts_left -= !!parts_left;
		rx->avail->ring[rx->avail_idx++ & (RING - 1)] = (uint16_t)id;
	}
	if (added && !l->batch)
		say(rx, r, added);
	return frames;
}

/* Send on the host's side and receive on the guest's in turn, with at most a window of frames in flight. */
static void receive_all(const struct net_load *l, struct bench_result *r)
{
	struct net_sender *s = net_sender(l->tap, (uint32_t)l->size);
	uint64_t window = l->size > NET_LARGE ? NET_WINDOW_LARGE : NET_WINDOW, sent = 0, lost = 0;
	uint64_t until = bench_ns() + l->ms * 1000000;

	for (;;) {
		bool more = l->count ? sent < l->count : bench_ns() < until;

		if (more && sent - r->ops - lost < window)
			sent += net_send(s, (unsigned)(window - (sent - r->ops - lost)));
		r->ops += receive(l, r);
		if (!more && sent <= r->ops + lost)
			return;
		if (sent - r->ops - lost < window && more)
			continue;
		if (!l->poll && !wait_call(rx, r, 1, 200))
			lost = sent - r->ops;
	}
}

/* The guest has no buffers until a batch of frames is in the tap, so how many are read at once depends on no time. */
static void receive_batches(const struct net_load *l, struct bench_result *r)
{
	struct net_sender *s = net_sender(l->tap, (uint32_t)l->size);

	while (r->ops < l->count) {
		unsigned sent = 0, got = 0;

		while (sent < BATCH)
			sent += net_send(s, BATCH - sent);
		usleep(10000);
		say(rx, r, BATCH);
		while (got < BATCH) {
			if (!wait_call(rx, r, (uint16_t)(BATCH - got), 10000))
				bench_die("frames through the back-end");
			got += receive(l, r);
		}
		r->ops += got;
	}
}

/* One frame at a time, until a socket of the host has received it. */
static void send_each(const struct net_load *l, struct bench_result *r)
{
	uint64_t until = bench_ns() + l->ms * 1000000, began;
	int sock = net_receiver(l->tap);

	while (l->count ? r->ops < l->count : bench_ns() < until) {
		began = bench_ns();
		tx->avail->ring[tx->avail_idx++ & (RING - 1)] = 0;
		say(tx, r, 1);
		r->bad += !net_received(sock, (uint32_t)l->size);
		net_took(r, began);
		/* A driver asks for no notification here: it frees the frame with the next one. */
		while (__atomic_load_n(&tx->used->idx, __ATOMIC_ACQUIRE) != tx->avail_idx)
			if (bench_ns() - began > 10000000000u)
				bench_die("frame through the back-end");
	}
	tx->used_seen = tx->avail_idx;
	close(sock);
}

static void receive_each(const struct net_load *l, struct bench_result *r)
{
	struct net_sender *s = net_sender(l->tap, (uint32_t)l->size);
	uint64_t until = bench_ns() + l->ms * 1000000, began;

	while (l->count ? r->ops < l->count : bench_ns() < until) {
		unsigned frames = 0;

		began = bench_ns();
		if (net_send(s, 1) != 1)
			bench_die("frame through the tap");
		while (!frames) {
			if (!l->poll && !wait_call(rx, r, 1, 10000))
				bench_die("frame through the back-end");
			frames = receive(l, r);
		}
		net_took(r, began);
	}
}

void net_front(const struct net_load *l, struct bench_result *r)
{
	uint64_t took, cpu, began;

	start(l);
	took = net_tap_took(l->tap);
	cpu = bench_cpu_ns(bench_peer(front.sock));
	began = bench_ns();
	if (l->latency)
		(l->receive ? receive_each : send_each)(l, r);
	else
		(!l->receive ? send_all : l->batch ? receive_batches : receive_all)(l, r);
	r->ns = bench_ns() - began;
	r->bytes = r->ops * l->size;
	r->cpu_ns = bench_cpu_ns(bench_peer(front.sock)) - cpu;
	/* Check that every frame which the ring returned has passed the tap. */
	if (!l->receive && *l->tap && net_tap_took(l->tap) - took < r->ops)
		r->bad += r->ops - (net_tap_took(l->tap) - took);
	front_queue_stop(rx);
	front_queue_stop(tx);
	front_close(&front);
}
