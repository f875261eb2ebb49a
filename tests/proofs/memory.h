/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Guest memory for a proof: two regions of any size up to 1 MiB at any two guest
 * addresses that do not overlap (shm_add() refuses others); they may be adjacent. Each is
 * an object of its own, so that CBMC detects a pointer that leaves it.
 */
#ifndef TESTS_PROOF_MEMORY_H
#define TESTS_PROOF_MEMORY_H

#include <stdlib.h>

#include "common/shm.h"
#include "tests/proofs/proof.h"

#define PROOF_REGIONS	 2
#define PROOF_REGION_MAX (1u << 20)

static struct guest_mem proof_mem;

static void proof_memory(void)
{
	struct shm_region *a = &proof_mem.r[0], *b = &proof_mem.r[1];

	proof_mem.nregions = PROOF_REGIONS;
	for (unsigned i = 0; i < PROOF_REGIONS; i++) {
		struct shm_region *r = &proof_mem.r[i];

		r->gpa = nondet_u64();
		r->size = nondet_u64();
		ASSUME(r->size >= 1 && r->size <= PROOF_REGION_MAX);
		ASSUME(r->size <= UINT64_MAX - r->gpa);
		r->hva = malloc(r->size);
		ASSUME(r->hva != NULL);
	}
	/* sorted, not overlapping */
	ASSUME(b->gpa > a->gpa && b->gpa - a->gpa >= a->size);
}

/* [p, p + len) lies in one region. */
static bool proof_inside(const void *p, uint64_t len)
{
	for (unsigned i = 0; i < PROOF_REGIONS; i++) {
		const struct shm_region *r = &proof_mem.r[i];

		if (__CPROVER_same_object(p, r->hva))
			return __CPROVER_POINTER_OFFSET(p) <= r->size && len <= r->size - __CPROVER_POINTER_OFFSET(p);
	}
	return false;
}

#endif
