/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Proof: guest address to pointer. Whatever address and length are asked for,
 * the answer is NULL or lies, whole, inside one region; and every range that
 * does lie in one region is found.
 */
#include "common/shm.c"

#include "tests/proofs/memory.h"

int main(void)
{
	uint64_t gpa = nondet_u64(), len = nondet_u64();
	void *p, *q;
	uint64_t span;
	bool inside = false;

	proof_memory();
	p = shm_ptr(&proof_mem, gpa, len);
	span = shm_span(&proof_mem, gpa, &q);
	for (unsigned i = 0; i < PROOF_REGIONS; i++) {
		const struct shm_region *r = &proof_mem.r[i];

		if (len && gpa >= r->gpa && gpa - r->gpa < r->size && len <= r->size - (gpa - r->gpa)) {
			inside = true;
			PROVE(p == r->hva + (gpa - r->gpa), "the pointer is the address's own");
		}
	}
	PROVE((p != NULL) == inside, "a pointer if and only if the range lies in one region");
	if (p)
		PROVE(proof_inside(p, len), "what is pointed at lies in one region");
	PROVE((span == 0) == (q == NULL), "no span, no pointer");
	if (span)
		PROVE(proof_inside(q, span), "the span lies in one region");
	if (span)
		PROVE(!proof_inside(q, span + 1), "the span reaches to the region's end");

	/* The same for the front-end's own addresses. */
	for (unsigned i = 0; i < PROOF_REGIONS; i++) {
		proof_mem.r[i].uva = nondet_u64();
		ASSUME(proof_mem.r[i].size <= UINT64_MAX - proof_mem.r[i].uva);
	}
	p = shm_ptr_uva(&proof_mem, gpa, len);
	if (p)
		PROVE(proof_inside(p, len), "a front-end address is translated into one region");
	return 0;
}
