/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The block load as a vhost-user front-end: keeps --depth requests in flight on each
 * queue, as a guest's driver does (event index, one kick for all requests that are added
 * together, sleep until notified). Part of bench/blkload.
 */
#include <errno.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench/blkload.h"
#include "tests/lib/front.h"

#define WINDOW 0x10000u /* of a queue (front_queue()) */
#define SMALL  4096u	/* headers of one slot: request, status */
#define BIT(n) (1ull << (n))

struct slot {
	uint64_t off, began;
	struct virtio_blk_outhdr *hdr;
	uint8_t *data, *status;
};

static struct front front;
static struct slot slots[LOAD_MAX_QUEUES][LOAD_MAX_SLOTS];
static struct blk_next next;
static uint64_t begun, limit; /* requests; the limit of --count */

static void lay_out(const struct blk_load *l, struct front_queue *q, uint64_t gpa)
{
	for (unsigned i = 0; i < l->depth; i++, gpa += SMALL + l->bs) {
		struct slot *s = &slots[q->index][i];
		struct front_buf b[3] = {
			{ gpa, sizeof(*s->hdr), false },
			{ gpa + SMALL, (uint32_t)l->bs, !l->write },
			{ gpa + 64, 1, true },
		};

		s->hdr = front_ptr(&front, gpa);
		s->status = front_ptr(&front, gpa + 64);
		s->data = front_ptr(&front, gpa + SMALL);
		s->hdr->type = l->write ? VIRTIO_BLK_T_OUT : VIRTIO_BLK_T_IN;
		front_chain(q, b, 3);
	}
}

/* Connect to the back-end, negotiate features, share memory and start the queues. */
static void start(const struct blk_load *l)
{
	uint64_t per_queue = l->depth * (SMALL + l->bs), capacity = 0;
	uint64_t want = BIT(VIRTIO_F_VERSION_1) | BIT(VHU_F_PROTOCOL_FEATURES) | BIT(VIRTIO_BLK_F_FLUSH) |
			BIT(VIRTIO_BLK_F_BLK_SIZE) | BIT(VIRTIO_BLK_F_SEG_MAX) |
			(l->queues > 1 ? BIT(VIRTIO_BLK_F_MQ) : 0) |
			(l->no_event_idx ? 0 : BIT(VIRTIO_RING_F_EVENT_IDX));
	uint64_t size = (l->queues * (WINDOW + per_queue) + 0x1fffff) & ~0x1fffffull;
	uint16_t ring = 128;

	while (ring < 3 * l->depth)
		ring *= 2;
	if (!front_memory(&front, size, 0, true) || !front_connect(&front, l->socket))
		bench_die(l->socket);
	if (!front_negotiate(&front, want, BIT(VHU_PF_MQ) | BIT(VHU_PF_REPLY_ACK) | BIT(VHU_PF_CONFIG)) ||
	    !front_get_config(&front, 0, sizeof(capacity), &capacity) || !front_send_table(&front)) {
		fprintf(stderr, "blkload: the back-end does not agree\n");
		exit(1);
	}
	if (capacity * 512 < l->size) {
		fprintf(stderr, "blkload: the disk is smaller than --size\n");
		exit(1);
	}
	for (unsigned i = 0; i < l->queues; i++) {
		struct front_queue *q = front_queue(&front, i, ring, (uint64_t)i * WINDOW);

		lay_out(l, q, l->queues * WINDOW + i * per_queue);
		if (!front_queue_start(q)) {
			fprintf(stderr, "blkload: queue %u does not start\n", i);
			exit(1);
		}
	}
}

/* Write the request of slot @i to the ring, without publishing it. */
static void add(const struct blk_load *l, struct front_queue *q, unsigned i, uint64_t now)
{
	struct slot *s = &slots[q->index][i];

	s->off = blk_next(l, &next);
	s->began = now;
	s->hdr->sector = s->off / 512;
	*s->status = 0xff;
	if (l->write)
		blk_mark(l, s->data, s->off);
	q->avail->ring[q->avail_idx++ & (q->size - 1)] = (uint16_t)(3 * i);
	begun++;
}

static void publish(struct front_queue *q, uint16_t added, struct bench_result *r)
{
	const uint16_t *event = (const uint16_t *)&q->used->ring[q->size];
	bool wanted;

	front_set_avail(q, q->avail_idx); /* a full barrier as well */
	if (q->event_idx)
		wanted = vring_need_event(__atomic_load_n(event, __ATOMIC_RELAXED), q->avail_idx,
					  (uint16_t)(q->avail_idx - added));
	else
		wanted = !(__atomic_load_n(&q->used->flags, __ATOMIC_RELAXED) & VRING_USED_F_NO_NOTIFY);
	if (wanted) {
		r->kicks++;
		front_kick(q);
	}
}

/* Returns how many requests must be complete before the front-end handles them. */
static uint16_t awaited(const struct blk_load *l, const struct front_queue *q)
{
	return l->batch ? (uint16_t)(q->avail_idx - q->used_seen) : 1;
}

/* Handle completed requests and start as many new ones, unless the time is over. Returns how many were complete. */
static unsigned turn(const struct blk_load *l, struct front_queue *q, struct bench_result *r, bool more)
{
	uint16_t idx = __atomic_load_n(&q->used->idx, __ATOMIC_ACQUIRE);
	unsigned done = 0, added = 0;
	uint64_t now;

	if ((uint16_t)(idx - q->used_seen) < awaited(l, q))
		return 0;
	/* Give the back-end time to fall asleep, so that each round is the same. */
	if (l->batch)
		usleep(1000);
	now = bench_ns();
	for (; idx != q->used_seen; q->used_seen++, done++) {
		uint32_t id = q->used->ring[q->used_seen & (q->size - 1)].id / 3;
		struct slot *s = &slots[q->index][id < l->depth ? id : 0];

		r->bad +=
			id >= l->depth || *s->status != VIRTIO_BLK_S_OK || (!l->write && !blk_marked(s->data, s->off));
		bench_latency_add((struct bench_latency *)(uintptr_t)r->latency, now - s->began);
		if (more && begun < limit) {
			add(l, q, id, now);
			added++;
		}
	}
	if (added)
		publish(q, (uint16_t)added, r);
	return done;
}

/* Ask for a notification when enough requests are complete (used_event). Returns true if they are already. */
static bool want_call(const struct blk_load *l, struct front_queue *q)
{
	uint16_t n = awaited(l, q);

	if (q->event_idx)
		__atomic_store_n(&q->avail->ring[q->size], (uint16_t)(q->used_seen + n - 1), __ATOMIC_SEQ_CST);
	return (uint16_t)(__atomic_load_n(&q->used->idx, __ATOMIC_ACQUIRE) - q->used_seen) >= n;
}

static void wait_calls(const struct blk_load *l, struct bench_result *r)
{
	struct pollfd p[LOAD_MAX_QUEUES];

	for (unsigned i = 0; i < l->queues; i++) {
		if (want_call(l, &front.q[i]))
			return;
		p[i] = (struct pollfd){ .fd = front.q[i].call, .events = POLLIN };
	}
	if (poll(p, l->queues, 10000) <= 0) {
		fprintf(stderr, "blkload: no answer for ten seconds\n");
		exit(1);
	}
	for (unsigned i = 0; i < l->queues; i++) {
		uint64_t v;

		if (p[i].revents && read(p[i].fd, &v, sizeof(v)) > 0)
			r->calls++;
	}
}

static void run(const struct blk_load *l, struct bench_result *r)
{
	uint64_t began = bench_ns(), until = began + l->ms * 1000000, in_flight = 0;
	uint64_t before = bench_cpu_ns(bench_peer(front.sock));
	bool more = true;

	limit = l->count ? l->count : UINT64_MAX;
	for (unsigned q = 0; q < l->queues; q++) {
		unsigned i;

		for (i = 0; i < l->depth && begun < limit; i++)
			add(l, &front.q[q], i, began);
		in_flight += i;
		publish(&front.q[q], (uint16_t)i, r);
	}
	while (in_flight) {
		unsigned done = 0;

		for (unsigned q = 0; q < l->queues; q++)
			done += turn(l, &front.q[q], r, more);
		r->ops += done;
		in_flight = begun - r->ops;
		if (more && !l->count && bench_ns() >= until)
			more = false;
		if (in_flight && !done && !l->poll)
			wait_calls(l, r);
	}
	r->ns = bench_ns() - began;
	r->bytes = r->ops * l->bs;
	r->cpu_ns = bench_cpu_ns(bench_peer(front.sock)) - before;
}

void blk_front(const struct blk_load *l, struct bench_result *r)
{
	next = (struct blk_next){ .state = l->seed * 0x9e3779b97f4a7c15ull | 1 };
	start(l);
	run(l, r);
	for (unsigned q = 0; q < l->queues; q++)
		front_queue_stop(&front.q[q]);
	front_close(&front);
}
