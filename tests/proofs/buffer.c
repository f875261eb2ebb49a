/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Proof: one buffer of a chain. From any state that a walk can be in, and for
 * any descriptor, add_buffer() hands out pieces that lie in one region each,
 * stays within the list's room, keeps its sums, and names the right fault.
 * walker.c builds on exactly what is proved here.
 *
 * Guest memory is a contract, the one that translate.c proves of shm.c: an
 * address translates to nothing, or to bytes of one region. So this holds for
 * any number of regions of any size.
 */
#include "common/dirty.c"
#include "common/inflight.c"
#include "common/vring.c"

#include "tests/proofs/walk.h"

/* Free entries of the list: how many pieces one buffer can have. */
#define PIECES 4

static struct iovec iov[CAP + 1];
static struct vring_desc d;
static struct vq q;

/* Any one entry of the list: what is proved for it holds for each entry. */
static unsigned chosen, pieces, cap;
static void *chosen_ptr;
static uint64_t chosen_span, chosen_len, at, left;
static bool hole, full;

/* Replaces shm.c: some bytes of one region, starting at @gpa, or none. */
uint64_t shm_span(const struct guest_mem *m, uint64_t gpa, void **ptr)
{
	uint64_t span = nondet_u64();

	(void)m;
	PROVE(left && !hole && !full, "an address is asked for only where a buffer goes on");
	PROVE(gpa == at, "each piece begins where the last one ended");
	hole = !span;
	full = span && pieces >= cap;
	*ptr = span ? nondet_ptr() : NULL;
	if (hole || full)
		return span;
	if (pieces == chosen) {
		chosen_ptr = *ptr;
		chosen_span = span;
		chosen_len = MIN(span, left);
	}
	pieces++;
	at += MIN(span, left);
	left -= MIN(span, left);
	return span;
}

void *shm_ptr(const struct guest_mem *m, uint64_t gpa, uint64_t len)
{
	(void)m;
	(void)gpa;
	(void)len;
	PROVE(false, "a buffer is translated piece by piece");
	return NULL;
}

int main(void)
{
	struct walk w = proof_any_walk(&q, iov), before = w;
	struct iovec kept;
	enum guest_fault f;
	bool in;

	(void)proof_buffer_done;
	ASSUME(w.cap - w.niov <= PIECES);
	cap = w.cap;
	pieces = w.niov;
	chosen = nondet_u32();
	ASSUME(chosen <= CAP);
	kept.iov_base = iov[chosen].iov_base = nondet_ptr();
	kept.iov_len = iov[chosen].iov_len = nondet_size();
	d.addr = at = nondet_u64();
	d.len = nondet_u32();
	left = d.len;
	d.flags = nondet_u16();
	in = d.flags & VRING_DESC_F_WRITE;

	f = add_buffer(&w, &d);

	PROVE((f == FAULT_ZERO_LEN) == !d.len, "an empty buffer is ZERO_LEN, nothing else is");
	PROVE((f == FAULT_WRITE_ORDER) == (d.len && !in && before.writable_seen),
	      "a readable buffer behind a writable one is WRITE_ORDER, nothing else is");
	PROVE((f == FAULT_ADDR_RANGE) == hole, "a byte outside guest memory is ADDR_RANGE, nothing else is");
	PROVE((f == FAULT_IOV_FULL) == full, "a full list is IOV_FULL, nothing else is");
	PROVE(proof_buffer_ensures(&before, &w, &d, f), "what the walk relies on");
	if (chosen < before.niov || chosen >= w.niov) {
		PROVE(iov[chosen].iov_base == kept.iov_base && iov[chosen].iov_len == kept.iov_len,
		      "no entry of the list but the buffer's own is written");
		return 0;
	}
	PROVE(iov[chosen].iov_base == chosen_ptr && iov[chosen].iov_len <= chosen_span,
	      "each piece lies in one region");
	PROVE(iov[chosen].iov_len == chosen_len && chosen_len, "no piece is empty, each is whole");
	PROVE(f != FAULT_NONE || !left, "the pieces are all of the buffer");
	return 0;
}
