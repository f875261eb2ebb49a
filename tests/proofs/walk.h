/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The contract of add_buffer(), which buffer.c proves and walker.c assumes. Include it
 * after common/vring.c, which defines struct walk.
 */
#ifndef TESTS_PROOF_WALK_H
#define TESTS_PROOF_WALK_H

#include "tests/proofs/proof.h"

#define QUEUE 8
/* Size of the list. It can fill before the queue's length, because a buffer can have several pieces. */
#define CAP (QUEUE + 2)

/* True if @w is a possible state of a walk between two buffers. */
static bool proof_walk_ok(const struct walk *w)
{
	return w->cap <= CAP && w->niov <= w->cap && w->nout <= w->niov && w->out_len + w->in_len <= UINT32_MAX &&
	       w->out_len <= UINT32_MAX && w->in_len <= UINT32_MAX && w->writable_seen == (w->niov > w->nout) &&
	       w->writable_seen == (w->in_len > 0) && (w->nout > 0) == (w->out_len > 0);
}

/* Returns any such state. */
static struct walk proof_any_walk(const struct vq *vq, struct iovec *list)
{
	struct walk w = { .vq = vq,
			  .iov = list,
			  .cap = nondet_u32(),
			  .niov = nondet_u32(),
			  .buffers = nondet_u32(),
			  .out_len = nondet_u64(),
			  .in_len = nondet_u64(),
			  .nout = nondet_u32(),
			  .writable_seen = nondet_bool() };

	ASSUME(proof_walk_ok(&w));
	return w;
}

/* The part of a good buffer's effect that follows from its descriptor. */
static void proof_buffer_done(struct walk *w, const struct walk *a, const struct vring_desc *d)
{
	bool in = d->flags & VRING_DESC_F_WRITE;

	w->out_len = a->out_len + (in ? 0 : d->len);
	w->in_len = a->in_len + (in ? d->len : 0);
	w->nout = in ? a->nout : w->niov;
	w->writable_seen = in || a->writable_seen;
}

/* How one buffer changes the state: the result @f, @a before, @b after. */
static bool proof_buffer_ensures(const struct walk *a, const struct walk *b, const struct vring_desc *d,
				 enum guest_fault f)
{
	bool in = d->flags & VRING_DESC_F_WRITE;

	if (b->vq != a->vq || b->iov != a->iov || b->cap != a->cap || b->buffers != a->buffers || b->niov < a->niov ||
	    b->niov > b->cap)
		return false;
	if (!d->len)
		return f == FAULT_ZERO_LEN;
	if (!in && a->writable_seen)
		return f == FAULT_WRITE_ORDER;
	if (a->out_len + a->in_len + d->len > UINT32_MAX)
		return f == FAULT_TOTAL_LEN;
	if (f != FAULT_NONE)
		return f == FAULT_ADDR_RANGE || (f == FAULT_IOV_FULL && b->niov == b->cap);
	return proof_walk_ok(b) && b->niov > a->niov && b->out_len == a->out_len + (in ? 0 : d->len) &&
	       b->in_len == a->in_len + (in ? d->len : 0) && b->nout == (in ? a->nout : b->niov);
}

#endif
