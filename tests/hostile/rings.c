/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Hostile rings, against both devices with their tight filters on: each case
 * breaks one rule of virtio 1.2, clause 2.7, on one queue.
 */
#include <linux/virtio_config.h>
#include <string.h>
#include <unistd.h>

#include "tests/hostile/hostile.h"
#include "tests/lib/chains.h"

#define N VRING_DESC_F_NEXT
#define W VRING_DESC_F_WRITE
#define I VRING_DESC_F_INDIRECT

static enum kind kind; /* of the device that cases are played on */

static struct dev *get(void)
{
	return dev_get(&(struct dev_options){ .kind = kind, .disk = -1 });
}

struct one {
	uint64_t addr;
	uint32_t len;
	uint16_t flags, next;
};

/* Descriptors of the queue's table and of the indirect table at TABLE. */
struct chain {
	const char *name;
	enum guest_fault fault;
	struct one d[4];
	struct one t[9];
	uint16_t head;
};

static const struct chain chains[] = {
	{ "head is the queue's size", FAULT_HEAD_RANGE, { { DATA, 16, 0, 0 } }, { { 0 } }, RING },
	{ "head is 65535", FAULT_HEAD_RANGE, { { DATA, 16, 0, 0 } }, { { 0 } }, 65535 },
	{ "next is the queue's size", FAULT_NEXT_RANGE, { { DATA, 16, N, RING } }, { { 0 } }, 0 },
	{ "next is 65535", FAULT_NEXT_RANGE, { { DATA, 16, N, 65535 } }, { { 0 } }, 0 },
	{ "a descriptor that follows itself", FAULT_CHAIN_LONG, { { DATA, 16, N, 0 } }, { { 0 } }, 0 },
	{ "a loop of two", FAULT_CHAIN_LONG, { { DATA, 16, N, 1 }, { DATA, 16, N, 0 } }, { { 0 } }, 0 },
	{ "a loop inside an indirect table",
	  FAULT_CHAIN_LONG,
	  { { TABLE, 32, I, 0 } },
	  { { DATA, 16, N, 1 }, { DATA, 16, N, 0 } },
	  0 },
	{ "a loop through descriptors and a table",
	  FAULT_CHAIN_LONG,
	  { { DATA, 16, N, 1 }, { TABLE, 16, I, 0 } },
	  { { DATA, 16, N, 0 } },
	  0 },
	{ "next outside an indirect table", FAULT_NEXT_RANGE, { { TABLE, 32, I, 0 } }, { { DATA, 16, N, 2 } }, 0 },
	{ "length zero, alone", FAULT_ZERO_LEN, { { DATA, 0, 0, 0 } }, { { 0 } }, 0 },
	{ "length zero, first", FAULT_ZERO_LEN, { { DATA, 0, N, 1 }, { DATA, 16, 0, 0 } }, { { 0 } }, 0 },
	{ "length zero, last", FAULT_ZERO_LEN, { { DATA, 16, N, 1 }, { DATA, 0, W, 0 } }, { { 0 } }, 0 },
	{ "length zero, all of a chain",
	  FAULT_ZERO_LEN,
	  { { DATA, 0, N, 1 }, { DATA, 0, N, 2 }, { DATA, 0, N, 3 }, { DATA, 0, W, 0 } },
	  { { 0 } },
	  0 },
	{ "address and length wrap", FAULT_ADDR_RANGE, { { UINT64_MAX - 15, 32, 0, 0 } }, { { 0 } }, 0 },
	{ "address is the last of all", FAULT_ADDR_RANGE, { { UINT64_MAX, 1, 0, 0 } }, { { 0 } }, 0 },
	{ "address is the last byte, length two", FAULT_ADDR_RANGE, { { C_GPA + C_LEN - 1, 2, 0, 0 } }, { { 0 } }, 0 },
	{ "one byte too long", FAULT_ADDR_RANGE, { { C_GPA + C_LEN - 512, 513, 0, 0 } }, { { 0 } }, 0 },
	{ "length 2^32 - 1", FAULT_ADDR_RANGE, { { DATA, UINT32_MAX, 0, 0 } }, { { 0 } }, 0 },
	{ "more than 4 GiB in one chain",
	  FAULT_TOTAL_LEN,
	  { { D_GPA, 0x80000000u, N, 1 }, { D_GPA, 0x80000000u, 0, 0 } },
	  { { 0 } },
	  0 },
	{ "address zero, below all memory", FAULT_ADDR_RANGE, { { 0, 16, 0, 0 } }, { { 0 } }, 0 },
	{ "a buffer in the hole", FAULT_ADDR_RANGE, { { B_GPA + B_LEN + 64, 16, 0, 0 } }, { { 0 } }, 0 },
	{ "a buffer that runs into the hole", FAULT_ADDR_RANGE, { { B_GPA + B_LEN - 8, 16, 0, 0 } }, { { 0 } }, 0 },
	{ "a buffer from one region into the hole and on",
	  FAULT_ADDR_RANGE,
	  { { B_GPA, (uint32_t)(C_GPA - B_GPA + 16), 0, 0 } },
	  { { 0 } },
	  0 },
	{ "a buffer over the end of the last region",
	  FAULT_ADDR_RANGE,
	  { { D_GPA + D_LEN - 8, 16, 0, 0 } },
	  { { 0 } },
	  0 },
	{ "readable after writable",
	  FAULT_WRITE_ORDER,
	  { { DATA, 16, N, 1 }, { DATA, 16, N | W, 2 }, { DATA, 16, 0, 0 } },
	  { { 0 } },
	  0 },
	{ "an indirect table inside a table",
	  FAULT_INDIRECT_NESTED,
	  { { TABLE, 32, I, 0 } },
	  { { DATA, 16, N, 1 }, { TABLE, 16, I, 0 } },
	  0 },
	{ "an indirect descriptor with NEXT",
	  FAULT_INDIRECT_NEXT,
	  { { TABLE, 16, I | N, 1 }, { DATA, 16, 0, 0 } },
	  { { DATA, 16, 0, 0 } },
	  0 },
	{ "a table of 24 bytes", FAULT_INDIRECT_LEN, { { TABLE, 24, I, 0 } }, { { DATA, 16, 0, 0 } }, 0 },
	{ "a table of no bytes", FAULT_INDIRECT_LEN, { { TABLE, 0, I, 0 } }, { { DATA, 16, 0, 0 } }, 0 },
	{ "a table longer than the queue",
	  FAULT_INDIRECT_LEN,
	  { { TABLE, 16 * (RING + 1), I, 0 } },
	  { { DATA, 16, 0, 0 } },
	  0 },
	{ "a table of 65537 entries", FAULT_INDIRECT_LEN, { { TABLE, 16 * 65537, I, 0 } }, { { DATA, 16, 0, 0 } }, 0 },
	{ "a table of 4 GiB less 16", FAULT_INDIRECT_LEN, { { TABLE, 0xfffffff0u, I, 0 } }, { { DATA, 16, 0, 0 } }, 0 },
	{ "a table across two regions", FAULT_INDIRECT_ADDR, { { B_GPA - 16, 32, I, 0 } }, { { 0 } }, 0 },
	{ "a table outside memory", FAULT_INDIRECT_ADDR, { { B_GPA + B_LEN, 32, I, 0 } }, { { 0 } }, 0 },
	{ "a table whose address wraps", FAULT_INDIRECT_ADDR, { { UINT64_MAX - 15, 32, I, 0 } }, { { 0 } }, 0 },
	{ "one more buffer than the queue has entries",
	  FAULT_CHAIN_LONG,
	  { { DATA, 16, N, 1 }, { TABLE, 16 * RING, I, 0 } },
	  EIGHT_LINKED(DATA, 16),
	  0 },
};

static void lay(struct dev *d, struct front_queue *q, const struct chain *c)
{
	struct vring_desc *t = at(d, TABLE);

	for (uint16_t i = 0; i < ARRAY_SIZE(c->d); i++)
		front_desc(q, i, c->d[i].addr, c->d[i].len, c->d[i].flags, c->d[i].next);
	for (unsigned i = 0; i < ARRAY_SIZE(c->t); i++)
		t[i] = (struct vring_desc){ c->t[i].addr, c->t[i].len, c->t[i].flags, c->t[i].next };
}

static void broken_chain(const void *arg)
{
	const struct chain *c = arg;
	struct dev *d = get();
	struct front_queue *q = d->q[d->victim];

	lay(d, q, c);
	front_offer(q, c->head);
	front_kick(q);
	dev_judge(d, true);
}

static void avail_jump(const void *arg)
{
	int by = *(const int *)arg;
	struct dev *d = get();
	struct front_queue *q = d->q[d->victim];

	need(dev_serves(d, d->victim));
	front_set_avail(q, (uint16_t)(q->avail_idx + by));
	front_kick(q);
	dev_judge(d, true);
}

static void indirect_not_negotiated(const void *arg)
{
	static const struct chain c = { "", FAULT_INDIRECT_OFF, { { TABLE, 16, I, 0 } }, { { DATA, 16, 0, 0 } }, 0 };
	struct dev *d = get();

	(void)arg;
	for (unsigned q = 0; q < d->nq; q++)
		need(front_queue_stop(d->q[q]) >= 0);
	need(front_ack_u64(&d->f, VHU_SET_FEATURES, d->f.features & ~BIT64(VIRTIO_RING_F_INDIRECT_DESC)) == 0);
	for (unsigned q = 0; q < d->nq; q++)
		dev_fresh(d, q, RING);
	lay(d, d->q[d->victim], &c);
	front_offer(d->q[d->victim], 0);
	front_kick(d->q[d->victim]);
	dev_judge(d, true);
	for (unsigned q = 0; q < d->nq; q++)
		need(front_queue_stop(d->q[q]) >= 0);
	need(front_ack_u64(&d->f, VHU_SET_FEATURES, d->f.features) == 0);
}

/* ---- unusual but valid chains ---- */

static void as_long_as_the_queue(const void *arg)
{
	struct dev *d = get();
	struct front_buf b[RING];

	(void)arg;
	front_offer(d->q[d->victim], front_chain(d->q[d->victim], b, good_chain(d, b, RING, DATA + 0x1000)));
	dev_takes(d, "served");
}

/* Bytes on both sides of the border must arrive, although A and B are not adjacent in the device's memory. */
static void across_two_regions(const void *arg)
{
	struct dev *d = get();
	struct front_buf b[3];
	uint32_t *data = at(d, B_GPA - 8);

	(void)arg;
	memset(data, 0xee, 512);
	front_offer(d->q[d->victim], front_chain(d->q[d->victim], b, good_chain(d, b, 3, B_GPA - 8)));
	dev_takes(d, "served");
	need(kind == NETD || (data[0] == 0 && data[127] == 0));
}

/* An indirect table with as many entries as the queue, and a chain that uses all of them. */
static void a_full_table(const void *arg)
{
	struct dev *d = get();
	struct vring_desc *t = at(d, TABLE);
	struct front_buf b[RING];

	(void)arg;
	good_chain(d, b, RING, DATA + 0x1000);
	for (uint16_t i = 0; i < RING; i++)
		t[i] = (struct vring_desc){ b[i].gpa, b[i].len,
					    (uint16_t)((b[i].writable ? W : 0) | (i + 1 < RING ? N : 0)),
					    (uint16_t)(i + 1) };
	front_desc(d->q[d->victim], 0, TABLE, 16 * RING, I, 0);
	front_offer(d->q[d->victim], 0);
	dev_takes(d, "served");
}

/* The data buffer overlaps the queue itself: the driver destroys its own queue, but nothing else. */
static void over_the_ring(const void *arg)
{
	unsigned part = *(const unsigned *)arg;
	struct dev *d = get();
	struct front_queue *q = d->q[d->victim];
	const uint64_t parts[] = { q->gpa, q->gpa + 0x4000, q->gpa + 0x6000, q->gpa + 16 };
	struct front_buf b[3];

	good_chain(d, b, 3, DATA + 0x1000);
	b[1].gpa = parts[part];
	front_offer(q, front_chain(q, b, 3));
	for (unsigned i = 0; i < 50; i++)
		front_kick(q);
	report.sibling = dev_serves(d, d->sibling) ? YES : NO;
	need(dev_stats(d)->faults - d->before.faults <= 1);
	dev_fresh(d, d->victim, RING);
	report.alive = dev_serves(d, d->victim) ? YES : NO;
	counted("bounded");
}

/* used_event and avail_event far off: notifications may be missing, answers may not. */
static void far_events(const void *arg)
{
	static const uint16_t far[] = { 0x8000, 0xffff, 0x7fff, 9 };
	struct dev *d = get();
	struct front_queue *q = d->q[d->victim];
	struct front_buf b[3];
	uint32_t id, len;

	(void)arg;
	for (unsigned i = 0; i < 40; i++) {
		good_chain(d, b, 3, DATA + 0x1000);
		q->avail->ring[q->size] = (uint16_t)(q->used_seen + far[i % ARRAY_SIZE(far)]);
		q->used->ring[q->size].id = far[(i + 1) % ARRAY_SIZE(far)];
		front_offer(q, front_chain(q, b, 3));
		front_kick(q);
		for (unsigned n = 0; n < PATIENCE && !front_used(q, &id, &len); n++)
			usleep(1000);
		need(q->used_seen == i + 1);
	}
	counted("served");
	dev_judge(d, false);
}

/* After all cases, the device has no more mapped memory and open descriptors than before. */
static void grows(const void *arg)
{
	static uint64_t bytes;
	static unsigned fds;
	static pid_t pid;
	struct dev *d = get();

	if (*(const bool *)arg) {
		pid = d->f.pid;
		bytes = mapped(pid);
		fds = open_fds(pid);
	} else {
		need(pid == d->f.pid); /* the same process served all cases */
		need(sanitized || mapped(pid) == bytes);
		need(open_fds(pid) == fds);
	}
	counted("same");
}

static void one_device(enum kind k, const char *name)
{
	static const int jumps[] = { RING + 1, 65535, -1, 32768 };
	static const unsigned parts[] = { 0, 1, 2, 3 };
	static const bool begin = true, end = false;

	kind = k;
	group(name);
	play("memory and descriptors at the beginning", "same", grows, &begin);
	play("available index runs ahead by size + 1", "AVAIL_IDX", avail_jump, &jumps[0]);
	play("available index runs ahead by 65535", "AVAIL_IDX", avail_jump, &jumps[1]);
	play("available index goes backwards", "AVAIL_IDX", avail_jump, &jumps[2]);
	play("available index runs ahead by 32768", "AVAIL_IDX", avail_jump, &jumps[3]);
	for (unsigned i = 0; i < ARRAY_SIZE(chains); i++)
		play(chains[i].name, guest_fault_symbol(chains[i].fault), broken_chain, &chains[i]);
	play("indirect without the feature", "INDIRECT_OFF", indirect_not_negotiated, NULL);
	play("as many buffers as the queue has entries", "served", as_long_as_the_queue, NULL);
	play("an indirect table as long as the queue", "served", a_full_table, NULL);
	play("a buffer across two neighbours", "served", across_two_regions, NULL);
	play("data over the descriptor table", "bounded", over_the_ring, &parts[0]);
	play("data over the available ring", "bounded", over_the_ring, &parts[1]);
	play("data over the used ring", "bounded", over_the_ring, &parts[2]);
	play("data over the descriptor being read", "bounded", over_the_ring, &parts[3]);
	play("events far away", "served", far_events, NULL);
	races(kind);
	play("memory and descriptors at the end", "same", grows, &end);
}

void rings_group(void)
{
	one_device(BLKD, "rings, blkd");
	one_device(NETD, "rings, netd");
}
