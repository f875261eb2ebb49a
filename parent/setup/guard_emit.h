/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Appends instructions of classic BPF to a guard_program. Used by the files that
 * build the filters on a tap.
 *
 * A load behind the end of a frame ends the program and accepts the frame. Where that would
 * let something through, drop_shorter() comes first.
 */
#ifndef PARENT_SETUP_GUARD_EMIT_H
#define PARENT_SETUP_GUARD_EMIT_H

#include <linux/pkt_cls.h>

#include "parent/setup/guard_program.h"

/* Scratch memory of the programs. */
#define SCRATCH_PROTOCOL    0 /* The EtherType, or the number of the next header */
#define SCRATCH_UNSPECIFIED 1 /* 1: the source of an IPv6 packet is "::" */

static inline void put(struct guard_program *p, uint16_t code, uint32_t k)
{
	p->code[p->n++] = (struct sock_filter)BPF_STMT(code, k);
}

/* Skip @far instructions if the accumulator is not @k. */
static inline void unless(struct guard_program *p, uint32_t k, uint8_t far)
{
	p->code[p->n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, k, 0, far);
}

static inline void drop_if(struct guard_program *p, uint32_t k)
{
	unless(p, k, 1);
	put(p, BPF_RET | BPF_K, TC_ACT_SHOT);
}

static inline void accept_unless(struct guard_program *p, uint32_t k)
{
	p->code[p->n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, k, 1, 0);
	put(p, BPF_RET | BPF_K, TC_ACT_OK);
}

/* Append a jump whose target land() will set. Returns its position. */
static inline unsigned jump(struct guard_program *p)
{
	put(p, BPF_JMP | BPF_JA, 0);
	return p->n - 1;
}

/* Let the jump at position @from continue here. */
static inline void land(struct guard_program *p, unsigned from)
{
	p->code[from].k = p->n - from - 1;
}

/* Advance the index register by @bytes. */
static inline void advance(struct guard_program *p, uint32_t bytes)
{
	put(p, BPF_MISC | BPF_TXA, 0);
	put(p, BPF_ALU | BPF_ADD | BPF_K, bytes);
	put(p, BPF_MISC | BPF_TAX, 0);
}

static inline void drop_unless(struct guard_program *p, uint32_t k)
{
	p->code[p->n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, k, 1, 0);
	put(p, BPF_RET | BPF_K, TC_ACT_SHOT);
}

/* Drop the frame if it has fewer than @len bytes behind the index register. Changes the accumulator. */
static inline void drop_shorter(struct guard_program *p, uint32_t len)
{
	put(p, BPF_LD | BPF_W | BPF_LEN, 0);
	put(p, BPF_ALU | BPF_SUB | BPF_X, 0);
	p->code[p->n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, 0x80000000, 1, 0); /* negative */
	p->code[p->n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, len, 1, 0);
	put(p, BPF_RET | BPF_K, TC_ACT_SHOT);
}

#endif
