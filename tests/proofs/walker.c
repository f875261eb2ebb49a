/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Proof: whatever the guest's memory holds, and however it changes between any
 * two reads, vq_walk() of a queue of eight ends within its bounds, reads no
 * descriptor twice and none outside its table, and gives each fault its own
 * reason. Every read of a descriptor gives any value.
 *
 * A buffer does what buffer.c proves of it, a translation what translate.c does.
 */
#include "common/dirty.c"
#include "common/inflight.c"
#include "common/vring.c"

#include "tests/proofs/walk.h"

static struct vring_desc table[QUEUE], indirect[QUEUE];
static struct iovec iov[CAP];
static struct vq q;

/* An independent model of the walk, computed only from the values that were read. */
static enum guest_fault want;
static struct vring_desc last;
static uint32_t seen[2]; /* a bit for each entry: the indirect table, the queue's */
static unsigned reads, buffers, cap, pieces, readable;
static uint32_t entries; /* of the indirect table; 0: there is none yet */
static uint64_t sum_out, sum_in;
static bool goes_on; /* the next thing is another descriptor of the table */

static enum guest_fault judge_pointer_to_table(void)
{
	if (!q.indirect)
		return FAULT_INDIRECT_OFF;
	if (last.flags & VRING_DESC_F_NEXT)
		return FAULT_INDIRECT_NEXT;
	if (!last.len || last.len % 16 || last.len > 16 * QUEUE)
		return FAULT_INDIRECT_LEN;
	return FAULT_INDIRECT_ADDR; /* until it is translated */
}

/* The buffer is whole: what its descriptor's next says. */
static enum guest_fault judge_next(void)
{
	uint32_t size = entries ? entries : QUEUE;

	if (!(last.flags & VRING_DESC_F_NEXT))
		return FAULT_NONE;
	if (last.next >= size)
		return FAULT_NEXT_RANGE;
	if (buffers == QUEUE || (seen[!entries] & (1u << last.next)))
		return FAULT_CHAIN_LONG;
	goes_on = true;
	return FAULT_NONE;
}

/* Replaces load_desc(): returns any descriptor. Checks that each entry is read once and lies in its table. */
static struct vring_desc proof_load_desc(const void *p)
{
	bool in_table = __CPROVER_same_object(p, table);
	size_t off = __CPROVER_POINTER_OFFSET(p);
	uint32_t bit = 1u << (off / 16 % 32);

	PROVE(in_table || __CPROVER_same_object(p, indirect), "only the two tables are read");
	PROVE(in_table == !entries, "the queue's table first, then the indirect one");
	PROVE(off % 16 == 0 && off < 16 * (in_table ? QUEUE : entries), "reads lie inside the table");
	PROVE(!(seen[in_table] & bit), "no descriptor is read twice");
	PROVE(goes_on, "nothing is read after a fault or the chain's end");
	PROVE(off / 16 == last.next, "the chain is followed where it leads");
	PROVE(buffers < QUEUE, "nothing is read beyond the queue's length");
	reads++;
	seen[in_table] |= bit;
	goes_on = false;
	last.addr = nondet_u64();
	last.len = nondet_u32();
	last.flags = nondet_u16();
	last.next = nondet_u16();
	if (last.flags & VRING_DESC_F_INDIRECT)
		want = in_table ? judge_pointer_to_table() : FAULT_INDIRECT_NESTED;
	else
		buffers++;
	return last;
}

/* Replaces add_buffer(): does anything that the contract proved by buffer.c allows. */
static enum guest_fault proof_add_buffer(struct walk *w, const struct vring_desc *d)
{
	struct walk before = *w;
	enum guest_fault f = (enum guest_fault)nondet_u8();

	PROVE(d->addr == last.addr && d->len == last.len && d->flags == last.flags &&
		      !(d->flags & VRING_DESC_F_INDIRECT),
	      "the buffer is the descriptor that was read");
	PROVE(proof_walk_ok(w), "what a buffer relies on");
	/* The rest of the proof assumes what was proved so far. */
	PROVE(w->out_len == sum_out && w->in_len == sum_in, "the lengths are the sums of the buffers");
	PROVE(w->niov == pieces && w->nout == readable, "counts are those of the pieces");
	ASSUME(f < FAULT_COUNT);
	w->detail = nondet_u64();
	w->niov = nondet_u32();
	w->nout = nondet_u32();
	if (f == FAULT_NONE)
		proof_buffer_done(w, &before, d);
	ASSUME(proof_buffer_ensures(&before, w, d, f));
	want = f == FAULT_NONE ? judge_next() : f;
	sum_out = w->out_len;
	sum_in = w->in_len;
	pieces = w->niov;
	readable = w->nout;
	return f;
}

uint64_t shm_span(const struct guest_mem *m, uint64_t gpa, void **ptr)
{
	(void)m;
	(void)gpa;
	PROVE(false, "buffers are translated by add_buffer() alone");
	*ptr = NULL;
	return 0;
}

void *shm_ptr(const struct guest_mem *m, uint64_t gpa, uint64_t len)
{
	(void)m;
	PROVE(want == FAULT_INDIRECT_ADDR && !entries, "one table is translated, and only a good one");
	PROVE(gpa == last.addr && len == last.len, "all of the indirect table is translated");
	if (nondet_bool())
		return NULL;
	entries = (uint32_t)(len / 16);
	goes_on = buffers < QUEUE;
	want = goes_on ? FAULT_NONE : FAULT_CHAIN_LONG;
	last.next = 0; /* a table is entered at its beginning */
	return indirect;
}

int main(void)
{
	struct vq_chain c = { 0 };
	uint64_t detail = 0;
	uint16_t head = nondet_u16();
	enum guest_fault f;

	(void)proof_load_desc;
	(void)proof_add_buffer;
	(void)proof_any_walk;
	cap = nondet_u32();
	ASSUME(cap <= CAP);
	q.size = QUEUE;
	q.indirect = nondet_bool();
	q.running = true;
	q.desc = table;
	last.next = head;
	goes_on = true;

	f = vq_walk(&q, head, iov, cap, &c, &detail);

	PROVE(f >= FAULT_NONE && f < FAULT_COUNT, "the result is a fault code or none");
	PROVE(reads <= QUEUE + 1u, "the walk ends: a read a buffer, and one for the pointer to a table");
	PROVE(head < QUEUE || (f == FAULT_HEAD_RANGE && !reads), "a head outside the table is HEAD_RANGE");
	PROVE(head >= QUEUE || f == want, "every fault has its own reason, and no fault has none");
	if (f != FAULT_NONE)
		return 0;
	PROVE(!goes_on, "a chain is walked to its end");
	PROVE(c.head == head, "the chain is the one asked for");
	PROVE((unsigned)c.nout + c.nin <= cap, "counts are bounded by the list's room");
	PROVE((unsigned)c.nout + c.nin == pieces && c.nout == readable, "counts are those of the pieces");
	PROVE(pieces >= 1 && buffers <= QUEUE, "a chain has a buffer, and not more than the queue");
	PROVE(sum_out == c.out_len && sum_in == c.in_len, "the lengths are the sums of the buffers");
	PROVE(sum_out + sum_in <= UINT32_MAX, "a chain is at most 4 GiB");
	return 0;
}
