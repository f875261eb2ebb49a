/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Resets with requests in flight: 128 requests, then GET_VRING_BASE, RESET_DEVICE, status 0
 * or the end of the connection. A request that completes afterwards must not touch guest
 * memory (class of CVE-2026-45782).
 */
#include <fcntl.h>
#include <linux/virtio_blk.h>
#include <string.h>
#include <unistd.h>

#include "tests/hostile/hostile.h"

#define IN_FLIGHT 128
#define SIZE	  512

static const struct dev_options uring = { .kind = BLKD, .disk = -1, .size = SIZE };
static const struct dev_options direct = { .kind = BLKD, .disk = -1, .size = SIZE, .direct = true };
static const struct dev_options sync_io = { .kind = BLKD, .disk = -1, .size = SIZE, .sync = true };
static const struct dev_options nic = { .kind = NETD, .disk = -1, .size = SIZE };

static uint64_t body(unsigned i)
{
	return D_GPA + i * 0x1000ull;
}

/* Offer 128 requests at once: reads and writes in turn, each with its own sector, data and status. */
static void fill_disk_queue(struct dev *d, struct front_queue *q)
{
	for (unsigned i = 0; i < IN_FLIGHT; i++) {
		bool in = i % 2;
		struct virtio_blk_outhdr h = { .type = in ? VIRTIO_BLK_T_IN : VIRTIO_BLK_T_OUT,
					       .sector = in ? 200 : 300 + 2 * i };
		uint64_t head = DATA + i * 32;
		const struct front_buf b[] = { { head, 16, false }, { body(i), 1024, in }, { head + 16, 1, true } };
		uint32_t *data = at(d, body(i));

		memcpy(at(d, head), &h, sizeof(h));
		for (unsigned k = 0; k < 256; k++)
			data[k] = in ? 0xdead : h.sector + k / 128;
		front_offer(q, front_chain(q, b, 3));
	}
}

static void fill_nic_queue(struct dev *d, struct front_queue *q)
{
	for (unsigned i = 0; i < IN_FLIGHT; i++) {
		const struct front_buf b = { body(i), 12 + 60, false };
		uint8_t *p = at(d, body(i));

		memset(p, 0, 72);
		memset(p + 12, 0xff, 6);
		memcpy(p + 18, guest_mac, 6);
		p[24] = 0x88;
		p[25] = 0xb5;
		front_offer(q, front_chain(q, &b, 1));
	}
}

/* Check that no byte of guest memory changes after the device has acknowledged the reset. */
static void nothing_moves(struct dev *d, struct front_queue *q)
{
	static uint8_t ring[0x1000];
	uint16_t idx = q->used->idx;
	static uint32_t data[IN_FLIGHT];

	memcpy(ring, q->used, sizeof(ring));
	for (unsigned i = 0; i < IN_FLIGHT; i++) {
		data[i] = 0xbeef0000u + i;
		memcpy(at(d, body(i)), &data[i], 4);
	}
	for (unsigned n = 0; n < 5; n++) {
		front_kick(q);
		usleep(4000);
	}
	need(q->used->idx == idx && memcmp(ring, q->used, sizeof(ring)) == 0);
	for (unsigned i = 0; i < IN_FLIGHT; i++)
		need(memcmp(at(d, body(i)), &data[i], 4) == 0);
}

static struct front_queue *flood(struct dev *d)
{
	struct front_queue *q = d->q[d->victim];

	/* Empty the page cache, so that reads use io_uring. */
	if (d->o.kind == BLKD && fdatasync(d->disk) == 0)
		posix_fadvise(d->disk, 0, 0, POSIX_FADV_DONTNEED);
	if (d->o.kind == BLKD)
		fill_disk_queue(d, q);
	else
		fill_nic_queue(d, q);
	front_kick(q);
	return q;
}

static void stop_queue(const void *arg)
{
	struct dev *d = dev_get(arg);

	for (unsigned round = 0; round < 8; round++) {
		struct front_queue *q = flood(d);
		int base;

		if (round % 2)
			usleep(200);
		base = front_queue_stop(q);
		/* Every taken request was answered: base and used index are equal. */
		need(base >= 0 && base == q->used->idx && base <= IN_FLIGHT);
		nothing_moves(d, q);
		need(dev_serves(d, d->sibling));
		dev_fresh(d, d->victim, SIZE);
	}
	counted("drained");
	report.sibling = dev_serves(d, d->sibling) ? YES : NO;
	report.alive = dev_serves(d, d->victim) ? YES : NO;
	need(dev_stats(d)->faults == d->before.faults);
}

static void after_whole_reset(struct dev *d)
{
	need(front_ack_u64(&d->f, VHU_SET_FEATURES, d->f.features) == 0);
	for (unsigned q = 0; q < d->nq; q++)
		dev_fresh(d, q, SIZE);
}

static void reset_device(const void *arg)
{
	struct dev *d = dev_get(arg);

	for (unsigned round = 0; round < 4; round++) {
		struct front_queue *q = flood(d);

		if (round % 2)
			need(front_ack(&d->f, VHU_RESET_DEVICE, NULL, 0, NULL, 0) == 0);
		else
			need(front_ack_u64(&d->f, VHU_SET_STATUS, 0) == 0);
		nothing_moves(d, q);
		after_whole_reset(d);
	}
	counted("drained");
	report.sibling = dev_serves(d, d->sibling) ? YES : NO;
	report.alive = dev_serves(d, d->victim) ? YES : NO;
}

static void disable(const void *arg)
{
	struct dev *d = dev_get(arg);
	struct front_queue *q = flood(d);
	uint32_t id, len;
	unsigned n = 0;

	need(front_queue_enable(q, false));
	n = q->used->idx;
	usleep(20000);
	need(n == q->used->idx);
	/* After it is enabled again, the queue continues with the next request; none is lost or repeated. */
	need(front_queue_enable(q, true));
	for (n = 0; n < IN_FLIGHT; n++)
		need(front_wait_used(q, &id, &len, PATIENCE));
	need(!front_wait_used(q, &id, &len, 20));
	counted("drained");
	dev_judge(d, false);
}

/* The front-end disconnects with requests in flight: the process must exit in order. */
static void connection_ends(const void *arg)
{
	struct dev *d = dev_get(arg);

	flood(d);
	need(dev_end(d) == 0);
	counted("ended");
}

static void one(const struct dev_options *o, const char *title)
{
	group(title);
	play("GET_VRING_BASE with 128 requests in flight", "drained", stop_queue, o);
	play("device reset with 128 requests in flight", "drained", reset_device, o);
	play("queue disabled with 128 requests in flight", "drained", disable, o);
	play("connection ends with 128 requests in flight", "ended", connection_ends, o);
}

void reset_group(void)
{
	one(&uring, "resets, blkd");
	one(&direct, "resets, blkd with direct I/O");
	one(&sync_io, "resets, blkd without a ring");
	one(&nic, "resets, netd");
}
