/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Hostile frames and receive buffers (virtio 1.2, 5.1.6), against netd with its tight filter
 * on and a real tap. Invalid frames must be dropped and counted by their kind; a broken
 * ring must stop only its own queue.
 */
#include <linux/virtio_net.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/hostile/hostile.h"

#define SIZE  64
#define FRAME (DATA + 16)
#define BIG   D_GPA /* frames that do not fit elsewhere */

static const uint8_t other_mac[6] = { 0x52, 0x54, 0, 9, 9, 9 };

static struct dev *get(void)
{
	return dev_get(&(struct dev_options){ .kind = NETD, .disk = -1, .size = SIZE });
}

static void go(struct dev *d, const struct front_buf *b, unsigned n)
{
	front_offer(d->q[d->victim], front_chain(d->q[d->victim], b, n));
	front_kick(d->q[d->victim]);
}

/* Returns the name of the counter that one frame has changed. */
static const char *moved(struct dev *d)
{
	const struct stats *s = dev_stats(d), *b = &d->before;

	need(s->frames_out - b->frames_out + s->dropped_spoof - b->dropped_spoof + s->dropped_bad - b->dropped_bad +
		     s->io_errors - b->io_errors ==
	     1);
	return s->frames_out != b->frames_out	      ? "sent"
	       : s->dropped_spoof != b->dropped_spoof ? "dropped: MAC"
	       : s->dropped_bad != b->dropped_bad     ? "dropped: bad"
						      : "error";
}

static void put_frame(struct dev *d, uint64_t gpa, uint32_t len, const uint8_t *mac)
{
	uint8_t *p = at(d, gpa);

	memset(p, 0, MIN(len, 2048u));
	memset(p, 0xff, 6);
	memcpy(p + 6, mac, 6);
	p[12] = 0x08;
}

/* ---- transmit ---- */

struct frame {
	const char *name, *want;
	uint32_t len; /* of the frame, without header */
	const uint8_t *mac;
	struct virtio_net_hdr h;
};
#define CSUM VIRTIO_NET_HDR_F_NEEDS_CSUM
#define TSO4 VIRTIO_NET_HDR_GSO_TCPV4

/* Valid segmentation fields for a frame of 2000 bytes are { CSUM, TSO4, 54, 1000, 34, 16 }. */
static const struct frame frames[] = {
	{ "a good frame", "sent", 60, guest_mac, { 0 } },
	{ "frame of no bytes", "dropped: bad", 0, guest_mac, { 0 } },
	{ "frame of 1 byte", "dropped: bad", 1, guest_mac, { 0 } },
	{ "frame of 13 bytes", "dropped: bad", 13, guest_mac, { 0 } },
	{ "frame of 64 KiB and header", "dropped: bad", 65536 + 14, guest_mac, { 0 } },
	{ "frame of 1 GiB", "dropped: bad", 1u << 30, guest_mac, { 0 } },
	{ "good segmentation", "sent", 2000, guest_mac, { CSUM, TSO4, 54, 1000, 34, 16 } },
	{ "header length beyond the frame", "dropped: bad", 2000, guest_mac, { CSUM, TSO4, 2001, 1000, 34, 16 } },
	{ "segments of size 0", "dropped: bad", 2000, guest_mac, { CSUM, TSO4, 54, 0, 34, 16 } },
	{ "unknown segmentation 0x7f", "dropped: bad", 2000, guest_mac, { CSUM, 0x7f, 54, 1000, 34, 16 } },
	{ "unknown segmentation 2", "dropped: bad", 2000, guest_mac, { CSUM, 2, 54, 1000, 34, 16 } },
	{ "UDP fragmentation, which is not offered",
	  "dropped: bad",
	  2000,
	  guest_mac,
	  { CSUM, VIRTIO_NET_HDR_GSO_UDP, 54, 1000, 34, 6 } },
	{ "ECN without segmentation",
	  "dropped: bad",
	  2000,
	  guest_mac,
	  { CSUM, VIRTIO_NET_HDR_GSO_ECN, 54, 1000, 34, 16 } },
	{ "segmentation without a checksum", "dropped: bad", 2000, guest_mac, { 0, TSO4, 54, 1000, 34, 16 } },
	{ "headers that end beyond the frame", "dropped: bad", 60, guest_mac, { CSUM, TSO4, 54, 1000, 41, 16 } },
	{ "checksum start past the end", "dropped: bad", 60, guest_mac, { CSUM, 0, 0, 0, 61, 0 } },
	{ "checksum over the end", "dropped: bad", 60, guest_mac, { CSUM, 0, 0, 0, 43, 16 } },
	{ "checksum offset 65535", "dropped: bad", 60, guest_mac, { CSUM, 0, 0, 0, 34, 65535 } },
	{ "checksum start 65535, offset 65535", "dropped: bad", 60, guest_mac, { CSUM, 0, 0, 0, 65535, 65535 } },
	{ "checksum in the Ethernet header", "dropped: bad", 60, guest_mac, { CSUM, 0, 0, 0, 0, 6 } },
	{ "all flags but that for a checksum", "sent", 60, guest_mac, { 0xfe, 0, 1, 2, 3, 4 } },
	{ "somebody else's MAC", "dropped: MAC", 60, other_mac, { 0 } },
	{ "somebody else's MAC, segmented", "dropped: MAC", 2000, other_mac, { CSUM, TSO4, 54, 1000, 34, 16 } },
};

static void transmit(const void *arg)
{
	const struct frame *f = arg;
	struct dev *d = get();
	uint64_t gpa = f->len > 0x10000 ? BIG : FRAME;
	struct front_buf b[2] = { { DATA, 12, false }, { gpa, f->len, false } };
	uint32_t id, len;

	memset(at(d, DATA), 0, 12);
	memcpy(at(d, DATA), &f->h, sizeof(f->h));
	put_frame(d, gpa, f->len, f->mac);
	go(d, b, f->len ? 2 : 1);
	need(front_wait_used(d->q[d->victim], &id, &len, PATIENCE));
	need(len == 0);
	counted("%s", moved(d));
	dev_judge(d, false);
}

/* ---- layouts ---- */

struct layout {
	const char *name, *want;
	unsigned n;
	struct front_buf b[2];
};
static const struct layout layouts[] = {
	{ "header of 1 byte", "SHORT_HEADER", 1, { { DATA, 1, false } } },
	{ "header of 11 bytes", "SHORT_HEADER", 1, { { DATA, 11, false } } },
	{ "transmit buffer that can be written", "BAD_LAYOUT", 2, { { DATA, 12, false }, { FRAME, 60, true } } },
	{ "nothing but room to write", "BAD_LAYOUT", 1, { { DATA, 128, true } } },
};

static void bad_layout(const void *arg)
{
	const struct layout *l = arg;
	struct dev *d = get();

	put_frame(d, FRAME, 60, guest_mac);
	go(d, l->b, l->n);
	dev_judge(d, true);
}

static void split_everything(const void *arg)
{
	struct dev *d = get();
	struct front_buf b[12 + 14 + 1];
	uint32_t id, len;

	(void)arg;
	memset(at(d, DATA), 0, 12);
	put_frame(d, FRAME, 60, guest_mac);
	for (unsigned i = 0; i < 12; i++)
		b[i] = (struct front_buf){ DATA + i, 1, false };
	for (unsigned i = 0; i < 14; i++)
		b[12 + i] = (struct front_buf){ FRAME + i, 1, false };
	b[26] = (struct front_buf){ FRAME + 14, 46, false };
	go(d, b, 27);
	need(front_wait_used(d->q[d->victim], &id, &len, PATIENCE));
	counted("%s", moved(d));
	dev_judge(d, false);
}

/* ---- a source that changes ---- */

static volatile uint8_t *source;

static void flip_source(void *arg)
{
	(void)arg;
	for (unsigned i = 0; i < 6; i++)
		source[i] = other_mac[i];
	for (unsigned i = 0; i < 6; i++)
		source[i] = guest_mac[i];
}

/* Returns the number of the guest's frames on the wire; each must have its own source address. */
static unsigned on_the_wire(void)
{
	struct pollfd p = { .fd = wire, .events = POLLIN };
	uint8_t frame[2048];
	unsigned n = 0;

	while (poll(&p, 1, 0) == 1 && recv(wire, frame, sizeof(frame), 0) >= 14) {
		if (frame[12] != 0x88 || frame[13] != 0xb6)
			continue;
		need(memcmp(frame + 6, guest_mac, 6) == 0);
		n++;
	}
	return n;
}

static void source_flips(const void *arg)
{
	struct dev *d = get();
	const struct front_buf b = { DATA, 12 + 60, false };
	uint32_t id, len;
	unsigned seen = 0;

	(void)arg;
	memset(at(d, DATA), 0, 12);
	put_frame(d, DATA + 12, 60, guest_mac);
	((uint8_t *)at(d, DATA))[24] = 0x88;
	((uint8_t *)at(d, DATA))[25] = 0xb6;
	source = (uint8_t *)at(d, DATA) + 18;
	on_the_wire();
	thread_start(flip_source, NULL);
	for (unsigned i = 0; i < 3000; i++) {
		go(d, &b, 1);
		need(front_wait_used(d->q[d->victim], &id, &len, PATIENCE));
		seen += on_the_wire();
	}
	threads_stop();
	dev_stats(d);
	/* A frame may arrive a moment after it was written. */
	for (unsigned i = 0; i < PATIENCE && seen < d->stats.frames_out - d->before.frames_out; i++, usleep(1000))
		seen += on_the_wire();
	usleep(1000);
	seen += on_the_wire();
	/* Some frames must have been sent, and some dropped. */
	need(seen && seen == d->stats.frames_out - d->before.frames_out);
	need(d->stats.dropped_spoof > d->before.dropped_spoof);
	counted("never sent");
	dev_judge(d, false);
}

/* ---- receive ---- */

/* Returns a device whose second queue pair is disabled, so that all frames go to queue 0. */
static struct dev *get_receiver(void)
{
	struct dev *d = get();

	need(front_queue_stop(d->q[2]) >= 0);
	d->victim = 0;
	d->sibling = 1;
	return d;
}

static void give_back(struct dev *d)
{
	d->victim = 1;
	d->sibling = 3;
	dev_fresh(d, 2, SIZE);
}

static void frame_from_host(uint32_t len, uint8_t fill)
{
	uint8_t frame[1514];

	memset(frame, fill, sizeof(frame));
	memcpy(frame, guest_mac, 6);
	frame[6] = 2;
	frame[12] = 0x88;
	frame[13] = 0xb7;
	need(send(wire, frame, len, 0) == (ssize_t)len);
}

static const struct layout receive_layouts[] = {
	{ "first receive buffer smaller than the header", "NO_WRITABLE", 1, { { DATA, 4, true } } },
	{ "receive buffer that can only be read", "BAD_LAYOUT", 1, { { DATA, 2048, false } } },
	{ "receive buffer with a readable front", "BAD_LAYOUT", 2, { { DATA, 12, false }, { DATA + 64, 2048, true } } },
	{ "receive buffer outside memory", "ADDR_RANGE", 1, { { B_GPA + B_LEN - 12, 2048, true } } },
	{ "receive buffer of length zero", "ZERO_LEN", 1, { { DATA, 0, true } } },
};

static void bad_receive(const void *arg)
{
	const struct layout *l = arg;
	struct dev *d = get_receiver();

	go(d, l->b, l->n);
	frame_from_host(60, 1);
	dev_judge(d, true);
	give_back(d);
}

/* Read all frames that wait in the taps, up to a last one of our own. */
static void drain(struct dev *d)
{
	const struct front_buf b = { DATA + 0x2000, 2048, true };
	const uint8_t *frame = at(d, DATA + 0x2000 + sizeof(struct virtio_net_hdr_mrg_rxbuf));
	uint32_t id, len;

	frame_from_host(60, 0xd7);
	do {
		go(d, &b, 1);
		need(front_wait_used(d->q[0], &id, &len, PATIENCE));
	} while (frame[13] != 0xb7 || frame[59] != 0xd7);
	dev_fresh(d, 0, SIZE);
}

/* Offer buffers for a third of a merged frame: no part of it may arrive until the rest is offered, then all of it. */
static void buffers_run_out(const void *arg)
{
	struct dev *d = get_receiver();
	struct front_queue *q = d->q[0];
	uint32_t id, len, total = 0;
	unsigned n = 0;

	(void)arg;
	drain(d);
	q = d->q[0];
	for (unsigned i = 0; i < 4; i++) {
		const struct front_buf b = { DATA + 0x2000 + i * 0x200, 128, true };

		go(d, &b, 1);
	}
	frame_from_host(1500, 0x5a);
	report.sibling = dev_serves(d, 1) ? YES : NO;
	usleep(20000);
	need(!front_used(q, &id, &len));
	/* Offer all at once: with too few new buffers the frame would be dropped. */
	for (unsigned i = 4; i < 16; i++) {
		const struct front_buf b = { DATA + 0x2000 + i * 0x200, 128, true };

		front_chain(q, &b, 1);
		q->avail->ring[q->avail_idx++ % SIZE] = (uint16_t)i;
	}
	front_set_avail(q, q->avail_idx);
	front_kick(q);
	while (total < 1512) {
		need(front_wait_used(q, &id, &len, PATIENCE));
		need(len && len <= 128);
		total += len;
		n++;
	}
	need(total == 1512 && n == 12);
	need(((struct virtio_net_hdr_mrg_rxbuf *)at(d, DATA + 0x2000))->num_buffers == 12);
	need(*(uint8_t *)at(d, DATA + 0x2000 + 11 * 0x200 + 50) == 0x5a);
	need(dev_stats(d)->faults == d->before.faults);
	counted("whole");
	dev_fresh(d, 0, SIZE);
	report.alive = dev_serves(d, 0) ? YES : NO;
	give_back(d);
}

void net_group(void)
{
	group("frames");
	for (unsigned i = 0; i < ARRAY_SIZE(frames); i++)
		play(frames[i].name, frames[i].want, transmit, &frames[i]);
	for (unsigned i = 0; i < ARRAY_SIZE(layouts); i++)
		play(layouts[i].name, layouts[i].want, bad_layout, &layouts[i]);
	play("header and addresses in 26 pieces", "sent", split_everything, NULL);
	play("source MAC flips between check and send", "never sent", source_flips, NULL);
	for (unsigned i = 0; i < ARRAY_SIZE(receive_layouts); i++)
		play(receive_layouts[i].name, receive_layouts[i].want, bad_receive, &receive_layouts[i]);
	play("receive buffers run out in a merged frame", "whole", buffers_run_out, NULL);
}
