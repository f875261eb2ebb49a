/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Shared by the proofs: unconstrained values, and a model of guest memory.
 *
 * Everything that the guest can write is modelled as unconstrained *at each
 * read*: load_desc() and load16() are replaced by functions that check the
 * address and return any value (make prove does it with goto-instrument
 * --replace-calls). So a proof holds for every content of guest memory, and
 * for every way in which another CPU changes it between any two reads.
 */
#ifndef TESTS_PROOF_H
#define TESTS_PROOF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

uint64_t nondet_u64(void);
uint32_t nondet_u32(void);
uint16_t nondet_u16(void);
uint8_t nondet_u8(void);
size_t nondet_size(void);
bool nondet_bool(void);
void *nondet_ptr(void);

#define ASSUME(c)      __CPROVER_assume(c)
#define PROVE(c, text) __CPROVER_assert(c, text)

#endif
