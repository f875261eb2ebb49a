/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Proof: the used ring. However chains are pushed and published, no store
 * leaves the ring; the index moves by exactly what was pushed; not more than
 * what is in flight is ever given back.
 */
#include "common/dirty.c"
#include "common/inflight.c"
#include "common/vring.c"

#include "tests/proofs/proof.h"

#define QUEUE 8

static struct {
	uint16_t flags, idx;
	struct vring_used_elem ring[QUEUE];
	uint16_t avail_event;
	uint32_t guard;
} used = { .guard = 0xfeedf00d };
static struct vq q;

int main(void)
{
	uint16_t start = nondet_u16(), in_flight = nondet_u16();
	unsigned n = nondet_u32(), pushed;

	ASSUME(in_flight <= QUEUE && n <= QUEUE + 1);
	q.size = QUEUE;
	q.running = true;
	q.event_idx = nondet_bool();
	q.used = (struct vring_used *)&used;
	q.next_used = q.published = start;
	q.in_flight = in_flight;

	for (unsigned i = 0; i < QUEUE + 1; i++)
		if (i < n)
			vq_push(&q, nondet_u16(), nondet_u32());
	pushed = n < in_flight ? n : in_flight;
	PROVE(used.guard == 0xfeedf00d, "no store behind the used ring");
	PROVE(q.published == start, "nothing is published by a push");
	PROVE(q.in_flight == in_flight - pushed, "not more comes back than was in flight");
	vq_publish(&q);
	PROVE((uint16_t)(le16toh(used.idx) - start) == pushed || !pushed, "the index moves by what was pushed");
	PROVE(q.published == (uint16_t)(start + pushed), "what is published is remembered");
	PROVE(used.guard == 0xfeedf00d, "no store behind the used ring by the index");
	return 0;
}
