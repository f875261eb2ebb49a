/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A driver that changes data while the device reads it (class of CVE-2015-8550), and one that
 * kicks without end. Against both devices, with their tight filters on.
 */
#include <string.h>
#include <unistd.h>

#include "common/backend.h"
#include "tests/hostile/hostile.h"

#define N VRING_DESC_F_NEXT
#define W VRING_DESC_F_WRITE
#define I VRING_DESC_F_INDIRECT

static enum kind kind;

static struct dev *get(void)
{
	return dev_get(&(struct dev_options){ .kind = kind, .disk = -1 });
}

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

/* Which eight bytes of a chain change while the device walks it. */
struct race {
	const char *name;
	enum { HEADER, DIRECT, IN_TABLE } what;
	unsigned entry, word; /* of the table: 0 the address, 1 the rest */
	uint64_t bad;
};

/* In each round the request is answered, or the queue faults once and works after a reset. */
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

static const struct race list[] = {
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
	dev_takes(d, "served");
}

/* Keep the ring full, faster than the device can answer. */
static void keep_full(void *arg)
{
	struct front_queue *q = arg;

	for (unsigned i = 0; i < 1000; i++)
		front_set_avail(q, (uint16_t)(__atomic_load_n(&q->used->idx, __ATOMIC_SEQ_CST) + q->size));
	front_kick(q);
}

/* Returns the number of answered chains, and sets *@turns to the turns of the loop so far. */
static uint64_t answered(struct dev *d, uint64_t *turns)
{
	const struct stats *s = dev_stats(d);

	*turns = s->wakeups;
	return kind == BLKD ? s->requests : s->frames_out;
}

/*
 * A full ring and one kick: no turn may answer all of it. This holds whatever the
 * scheduler does, because the ring is full before the device looks at it.
 */
static void a_full_ring_takes_turns(struct dev *d, struct front_queue *q)
{
	uint64_t turns = 0, first, before = answered(d, &first);

	front_set_avail(q, (uint16_t)(q->used->idx + q->size));
	front_kick(q);
	for (unsigned i = 0; i < PATIENCE && answered(d, &turns) - before < q->size; i++)
		usleep(1000);
	need(answered(d, &turns) - before == q->size);
	need(turns - first >= q->size / (BACKEND_CHAIN_BUDGET + 32));
}

static void a_ring_that_never_empties(const void *arg)
{
	struct dev *d = get();
	struct front_queue *q;
	uint64_t chains = 0, turns = 0, before, first;

	(void)arg;
	dev_fresh(d, d->victim, VQ_MAX_SIZE);
	q = d->q[d->victim];
	race_chain(d);
	for (unsigned i = 0; i < VQ_MAX_SIZE; i++)
		q->avail->ring[i] = 0;
	a_full_ring_takes_turns(d, q);
	thread_start(keep_full, q);
	for (unsigned i = 0; i < 50 || (i < 20000 && !READ_ONCE(q->used->idx)); i++)
		need(dev_serves(d, d->sibling));
	/* Each turn of the loop does a limited amount of work, although there is always more. */
	before = answered(d, &first);
	for (unsigned i = 0; i < PATIENCE && (chains = answered(d, &turns)) - before <= 1000; i++)
		usleep(1000);
	need(chains - before > 1000);
	need(chains - before <= (turns - first) * (BACKEND_CHAIN_BUDGET + 32) + VQ_MAX_SIZE);
	threads_stop();
	need(q->used->idx != 0);
	counted("served");
	dev_judge(d, false);
}

void races(enum kind k)
{
	kind = k;
	for (unsigned i = 0; i < ARRAY_SIZE(list); i++)
		play(list[i].name, "bounded", race, &list[i]);
	play("kicks without end", "served", kicks_without_end, NULL);
	play("kicks with nothing available", "nothing", kicks_for_nothing, NULL);
	play("kicks before the queue is enabled", "served", kicks_too_early, NULL);
	play("a ring that never empties", "served", a_ring_that_never_empties, NULL);
}
