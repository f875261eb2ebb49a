/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The instructions that an lguest host of 4.x hands to its launcher: port
 * access, and moves between a register and the memory window. A pure decoder
 * of 32-bit code: bytes in, a struct out; it never looks at guest memory,
 * because the host kernel says the address itself. Runs in the vCPU process.
 */
#ifndef VCPU_LGUEST_INSN_H
#define VCPU_LGUEST_INSN_H

#include "common/util.h"

/* Bytes at the instruction pointer that the host gives (struct lguest_pending). */
#define LGUEST_INSN_BYTES 7

enum lguest_op {
	LGUEST_OP_NONE, /* not one of ours: the guest gets the trap */
	LGUEST_OP_IN,	/* port to al, ax or eax */
	LGUEST_OP_OUT,
	LGUEST_OP_SKIP,	 /* cli, sti: the guest has its own flag for that */
	LGUEST_OP_LOAD,	 /* memory to register */
	LGUEST_OP_STORE, /* register to memory */
	LGUEST_OP_STORE_IMM,
};

struct lguest_insn {
	enum lguest_op op;
	uint8_t len;	   /* of the whole instruction */
	uint8_t width;	   /* bytes moved: 1, 2 or 4 */
	uint8_t reg;	   /* 0 to 7 as in ModRM; with width 1 and no extension, 4 to 7 are ah ch dh bh */
	uint8_t reg_width; /* bytes of the register that a load changes: more than width where it
			      extends */
	bool sign;	   /* a load that extends the sign */
	bool port_is_dx;
	uint8_t port;
	uint32_t imm;
};

/*
 * Decode @bytes: port access if @memory is false, memory access if it is true.
 * False (and op NONE) for everything that is not known whole within the bytes.
 */
bool lguest_decode(const uint8_t bytes[LGUEST_INSN_BYTES], bool memory, struct lguest_insn *in);

/* What @in takes from, or leaves in, the register it names, whose 32 bits are @old. */
uint32_t lguest_insn_store_value(const struct lguest_insn *in, uint32_t old);
uint32_t lguest_insn_load_value(const struct lguest_insn *in, uint32_t old, uint32_t value);
/* The ModRM number of the 32-bit register that holds in->reg. */
unsigned lguest_insn_register(const struct lguest_insn *in);

#endif
