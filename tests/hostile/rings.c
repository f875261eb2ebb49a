/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Hostile rings, against both devices with their tight filters on: each case
 * breaks one rule of virtio 1.2, clause 2.7, on one queue.
 */
#include <linux/virtio_config.h>
#include <string.h>
#include <unistd.h>

#include "hostile.h"

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

/* Descriptors of the queue's table and of the indirect one at TABLE; head 0 unless said. */
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
	{ "a loop inside an indirect table", FAULT_CHAIN_LONG, { { TABLE, 32, I, 0 } },
	  { { DATA, 16, N, 1 }, { DATA, 16, N, 0 } }, 0 },
	{ "a loop through descriptors and a table", FAULT_CHAIN_LONG,
	  { { DATA, 16, N, 1 }, { TABLE, 16, I, 0 } }, { { DATA, 16, N, 0 } }, 0 },
	{ "next outside an indirect table", FAULT_NEXT_RANGE, { { TABLE, 32, I, 0 } },
	  { { DATA, 16, N, 2 } }, 0 },
	{ "length zero, alone", FAULT_ZERO_LEN, { { DATA, 0, 0, 0 } }, { { 0 } }, 0 },
	{ "length zero, first", FAULT_ZERO_LEN, { { DATA, 0, N, 1 }, { DATA, 16, 0, 0 } }, { { 0 } }, 0 },
	{ "length zero, last", FAULT_ZERO_LEN, { { DATA, 16, N, 1 }, { DATA, 0, W, 0 } }, { { 0 } }, 0 },
	{ "length zero, all of a chain", FAULT_ZERO_LEN,
	  { { DATA, 0, N, 1 }, { DATA, 0, N, 2 }, { DATA, 0, N, 3 }, { DATA, 0, W, 0 } }, { { 0 } }, 0 },
	{ "address and length wrap", FAULT_ADDR_RANGE, { { UINT64_MAX - 15, 32, 0, 0 } }, { { 0 } }, 0 },
	{ "address is the last of all", FAULT_ADDR_RANGE, { { UINT64_MAX, 1, 0, 0 } }, { { 0 } }, 0 },
	{ "address is the last byte, length two", FAULT_ADDR_RANGE, { { C_GPA + C_LEN - 1, 2, 0, 0 } },
	  { { 0 } }, 0 },
	{ "one byte too long", FAULT_ADDR_RANGE, { { C_GPA + C_LEN - 512, 513, 0, 0 } }, { { 0 } }, 0 },
	{ "length 2^32 - 1", FAULT_ADDR_RANGE, { { DATA, UINT32_MAX, 0, 0 } }, { { 0 } }, 0 },
	{ "more than 4 GiB in one chain", FAULT_TOTAL_LEN,
	  { { D_GPA, 0x80000000u, N, 1 }, { D_GPA, 0x80000000u, 0, 0 } }, { { 0 } }, 0 },
	{ "address zero, below all memory", FAULT_ADDR_RANGE, { { 0, 16, 0, 0 } }, { { 0 } }, 0 },
	{ "a buffer in the hole", FAULT_ADDR_RANGE, { { B_GPA + B_LEN + 64, 16, 0, 0 } }, { { 0 } }, 0 },
	{ "a buffer that runs into the hole", FAULT_ADDR_RANGE, { { B_GPA + B_LEN - 8, 16, 0, 0 } },
	  { { 0 } }, 0 },
	{ "a buffer from one region into the hole and on", FAULT_ADDR_RANGE,
	  { { B_GPA, (uint32_t)(C_GPA - B_GPA + 16), 0, 0 } }, { { 0 } }, 0 },
	{ "a buffer over the end of the last region", FAULT_ADDR_RANGE,
	  { { D_GPA + D_LEN - 8, 16, 0, 0 } }, { { 0 } }, 0 },
	{ "readable after writable", FAULT_WRITE_ORDER,
	  { { DATA, 16, N, 1 }, { DATA, 16, N | W, 2 }, { DATA, 16, 0, 0 } }, { { 0 } }, 0 },
	{ "an indirect table inside a table", FAULT_INDIRECT_NESTED, { { TABLE, 32, I, 0 } },
	  { { DATA, 16, N, 1 }, { TABLE, 16, I, 0 } }, 0 },
	{ "an indirect descriptor with NEXT", FAULT_INDIRECT_NEXT,
	  { { TABLE, 16, I | N, 1 }, { DATA, 16, 0, 0 } }, { { DATA, 16, 0, 0 } }, 0 },
	{ "a table of 24 bytes", FAULT_INDIRECT_LEN, { { TABLE, 24, I, 0 } }, { { DATA, 16, 0, 0 } }, 0 },
	{ "a table of no bytes", FAULT_INDIRECT_LEN, { { TABLE, 0, I, 0 } }, { { DATA, 16, 0, 0 } }, 0 },
	{ "a table longer than the queue", FAULT_INDIRECT_LEN, { { TABLE, 16 * (RING + 1), I, 0 } },
	  { { DATA, 16, 0, 0 } }, 0 },
	{ "a table of 65537 entries", FAULT_INDIRECT_LEN, { { TABLE, 16 * 65537, I, 0 } },
	  { { DATA, 16, 0, 0 } }, 0 },
	{ "a table of 4 GiB less 16", FAULT_INDIRECT_LEN, { { TABLE, 0xfffffff0u, I, 0 } },
	  { { DATA, 16, 0, 0 } }, 0 },
	{ "a table across two regions", FAULT_INDIRECT_ADDR, { { B_GPA - 16, 32, I, 0 } }, { { 0 } }, 0 },
	{ "a table outside memory", FAULT_INDIRECT_ADDR, { { B_GPA + B_LEN, 32, I, 0 } }, { { 0 } }, 0 },
	{ "a table whose address wraps", FAULT_INDIRECT_ADDR, { { UINT64_MAX - 15, 32, I, 0 } },
	  { { 0 } }, 0 },
	{ "one more buffer than the queue has entries", FAULT_CHAIN_LONG,
	  { { DATA, 16, N, 1 }, { TABLE, 16 * RING, I, 0 } },
	  { { DATA, 16, N, 1 }, { DATA, 16, N, 2 }, { DATA, 16, N, 3 }, { DATA, 16, N, 4 },
	    { DATA, 16, N, 5 }, { DATA, 16, N, 6 }, { DATA, 16, N, 7 }, { DATA, 16, 0, 0 } }, 0 },
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
	static const struct chain c = { "", FAULT_INDIRECT_OFF, { { TABLE, 16, I, 0 } },
					{ { DATA, 16, 0, 0 } }, 0 };
	struct dev *d = get();

	(void)arg;
	for (unsigned q = 0; q < d->nq; q++)
		need(front_queue_stop(d->q[q]) >= 0);
	need(front_ack_u64(&d->f, VHU_SET_FEATURES,
			   d->f.features & ~BIT64(VIRTIO_RING_F_INDIRECT_DESC)) == 0);
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

/* ---- chains that are good, however they look ---- */

/* A good chain of exactly @n buffers: a read of n - 2 pieces, or a frame of n. */
static unsigned good_chain(struct dev *d, struct front_buf *b, unsigned n, uint64_t data)
{
	static const uint32_t header[4]; /* read sector 0 */
	uint8_t *p = at(d, DATA);

	if (kind == BLKD) {
		memcpy(p, header, sizeof(header));
		b[0] = (struct front_buf){ DATA, 16, false };
		for (unsigned i = 1; i + 1 < n; i++)
			b[i] = (struct front_buf){ data, i + 2 < n ? 8 : 512 - 8 * (n - 3), true };
		b[n - 1] = (struct front_buf){ DATA + 0x800, 1, true };
		return n;
	}
	memset(p, 0, 12);
	b[0] = (struct front_buf){ DATA, 12, false };
	p = at(d, data);
	memset(p, 0xff, 6);
	memcpy(p + 6, guest_mac, 6);
	b[1] = (struct front_buf){ data, n == 2 ? 60 : 14, false };
	for (unsigned i = 2; i < n; i++)
		b[i] = (struct front_buf){ data + 14, 60, false };
	return n;
}

static void take_it(struct dev *d, const char *text)
{
	uint32_t id, len;

	front_kick(d->q[d->victim]);
	need(front_wait_used(d->q[d->victim], &id, &len, PATIENCE));
	need(kind == NETD || *(uint8_t *)at(d, DATA + 0x800) == 0);
	counted("%s", text);
	dev_judge(d, false);
}

static void as_long_as_the_queue(const void *arg)
{
	struct dev *d = get();
	struct front_buf b[RING];

	(void)arg;
	front_offer(d->q[d->victim],
		    front_chain(d->q[d->victim], b, good_chain(d, b, RING, DATA + 0x1000)));
	take_it(d, "served");
}

/* Bytes on both sides of the border must arrive: A and B are not neighbours in the device. */
static void across_two_regions(const void *arg)
{
	struct dev *d = get();
	struct front_buf b[3];
	uint32_t *data = at(d, B_GPA - 8);

	(void)arg;
	memset(data, 0xee, 512);
	front_offer(d->q[d->victim],
		    front_chain(d->q[d->victim], b, good_chain(d, b, 3, B_GPA - 8)));
	take_it(d, "served");
	need(kind == NETD || (data[0] == 0 && data[127] == 0));
}

/* A table of as many entries as the queue, of which the chain needs the last one too. */
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
	take_it(d, "served");
}

/* Data that lies over the queue's own parts: what becomes of the queue is its driver's own fault. */
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

/* used_event and avail_event far from anything: calls may be missing, requests may not. */
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

/* ---- a second thread ---- */

static struct {
	volatile uint64_t *where;
	uint64_t value[2];
} flip;

static void flipper(void *arg)
{
	(void)arg;
	for (unsigned i = 0; i < 1000; i++) {
		*flip.where = flip.value[i & 1];
		__builtin_ia32_pause();
	}
}

/* Eight bytes of the chain that change while the device walks it. */
struct race {
	const char *name;
	enum { HEADER, DIRECT, IN_TABLE } what;
	unsigned entry, word; /* of the table: 0 the address, 1 the rest */
	uint64_t bad;
};

/* Each round is served, or faults once and is served again after a reset. */
static void rounds(struct dev *d, void (*prepare)(struct dev *d))
{
	unsigned faults = 0, served = 0;

	for (unsigned i = 0; i < 150; i++) {
		struct front_queue *q = d->q[d->victim];
		uint32_t id, len;
		unsigned ms = 0;

		prepare(d);
		front_offer(q, 0);
		front_kick(q);
		while (!front_used(q, &id, &len) && !front_wait_err(q, 1))
			need(ms++ < PATIENCE);
		if (q->used_seen) {
			served++;
			q->used_seen = 0;
		} else {
			faults++;
		}
		dev_fresh(d, d->victim, RING);
	}
	need(dev_stats(d)->faults - d->before.faults == faults);
	need(faults + served == 150);
	threads_stop();
	counted("bounded");
	report.sibling = dev_serves(d, d->sibling) ? YES : NO;
	report.alive = dev_serves(d, d->victim) ? YES : NO;
}

static void race_chain(struct dev *d)
{
	struct front_queue *q = d->q[d->victim];
	struct front_buf b[3];
	struct vring_desc *t = at(d, TABLE);

	good_chain(d, b, 3, DATA + 0x1000);
	for (uint16_t i = 0; i < 3; i++) {
		uint16_t flags = (uint16_t)((b[i].writable ? W : 0) | (i < 2 ? N : 0));

		t[i] = (struct vring_desc){ b[i].gpa, b[i].len, flags, (uint16_t)(i + 1) };
		front_desc(q, i, b[i].gpa, b[i].len, flags, (uint16_t)(i + 1));
	}
}

static void race_table(struct dev *d)
{
	race_chain(d);
	front_desc(d->q[d->victim], 0, TABLE, 48, I, 0);
}

static void race(const void *arg)
{
	const struct race *r = arg;
	struct dev *d = get();
	struct vring_desc *table = r->what == IN_TABLE ? at(d, TABLE) : d->q[d->victim]->desc;

	race_chain(d);
	flip.where = (uint64_t *)&table[r->entry] + r->word;
	if (r->what == HEADER)
		flip.where = (uint64_t *)at(d, DATA) + (kind == BLKD);
	flip.value[0] = *flip.where;
	flip.value[1] = r->bad;
	thread_start(flipper, NULL);
	rounds(d, r->what == IN_TABLE ? race_table : race_chain);
}

#define REST(len, flags, next) ((len) | (uint64_t)(flags) << 32 | (uint64_t)(next) << 48)

static const struct race races[] = {
	{ "addr of the first buffer flips", DIRECT, 0, 0, B_GPA + B_LEN - 4 },
	{ "addr of the second buffer flips", DIRECT, 1, 0, UINT64_MAX - 100 },
	{ "len flips to 4 GiB", DIRECT, 1, 1, REST(UINT32_MAX, N, 2) },
	{ "flags flip to INDIRECT", DIRECT, 1, 1, REST(512, I, 2) },
	{ "next flips outside the table", DIRECT, 0, 1, REST(16, N, 65535) },
	{ "next flips to a loop", DIRECT, 0, 1, REST(16, N, 0) },
	{ "the header flips", HEADER, 0, 0, UINT64_MAX },
	{ "an indirect table's len flips", IN_TABLE, 1, 1, REST(UINT32_MAX, N, 2) },
	{ "an indirect table's addr flips", IN_TABLE, 1, 0, B_GPA + B_LEN - 4 },
	{ "an indirect table's next flips", IN_TABLE, 0, 1, REST(16, N, 65535) },
};

/* ---- kicks ---- */

static void kick_on(void *arg)
{
	front_kick(arg);
}

static void kicks_without_end(const void *arg)
{
	struct dev *d = get();

	(void)arg;
	thread_start(kick_on, d->q[d->victim]);
	for (unsigned i = 0; i < 50; i++)
		need(dev_serves(d, d->sibling));
	threads_stop();
	counted("served");
	dev_judge(d, false);
}

static void kicks_for_nothing(const void *arg)
{
	struct dev *d = get();

	(void)arg;
	for (unsigned i = 0; i < 1000; i++)
		front_kick(d->q[d->victim]);
	counted("nothing");
	dev_judge(d, false);
}

static void kicks_too_early(const void *arg)
{
	struct dev *d = get();
	struct front_queue *q = d->q[d->victim];
	struct front_buf b[3];

	(void)arg;
	need(front_queue_enable(q, false));
	good_chain(d, b, 3, DATA + 0x1000);
	front_offer(q, front_chain(q, b, 3));
	for (unsigned i = 0; i < 100; i++)
		front_kick(q);
	usleep(20000);
	need(q->used->idx == 0);
	need(front_queue_enable(q, true));
	take_it(d, "served");
}

/* Always eight more chains than the device has answered. */
static void keep_full(void *arg)
{
	struct front_queue *q = arg;

	front_set_avail(q, (uint16_t)(__atomic_load_n(&q->used->idx, __ATOMIC_SEQ_CST) + RING));
	front_kick(q);
}

static void a_ring_that_never_empties(const void *arg)
{
	struct dev *d = get();
	struct front_queue *q = d->q[d->victim];

	(void)arg;
	race_chain(d);
	for (unsigned i = 0; i < RING; i++)
		q->avail->ring[i] = 0;
	thread_start(keep_full, q);
	for (unsigned i = 0; i < 50 || (i < 20000 && !READ_ONCE(q->used->idx)); i++)
		need(dev_serves(d, d->sibling));
	threads_stop();
	need(q->used->idx != 0);
	counted("served");
	dev_judge(d, false);
}

/* What it has mapped and opened after all that is what it had before. */
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
	for (unsigned i = 0; i < ARRAY_SIZE(races); i++)
		play(races[i].name, "bounded", race, &races[i]);
	play("kicks without end", "served", kicks_without_end, NULL);
	play("kicks with nothing available", "nothing", kicks_for_nothing, NULL);
	play("kicks before the queue is enabled", "served", kicks_too_early, NULL);
	play("a ring that never empties", "served", a_ring_that_never_empties, NULL);
	play("memory and descriptors at the end", "same", grows, &end);
}

void rings_group(void)
{
	one_device(BLKD, "rings, blkd");
	one_device(NETD, "rings, netd");
}
