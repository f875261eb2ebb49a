/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Decoder for the instructions that an lguest host with Linux 4.x lets this process emulate:
 * port access, and moves between a register and the memory of BARs. 32-bit code only. A pure
 * function of the instruction's bytes; it does not read guest memory, because the host's
 * kernel reports the address. Runs in the vCPU process.
 */
#ifndef VCPU_LGUEST_INSN_H
#define VCPU_LGUEST_INSN_H

#include "common/util.h"

/* Number of instruction bytes that the host reports (struct lguest_pending). */
#define LGUEST_INSN_BYTES 7

enum lguest_op {
	LGUEST_OP_NONE,	     /* Unknown instruction: the guest gets the trap */
	LGUEST_OP_IN,	     /* Port to al, ax or eax */
	LGUEST_OP_OUT,	     /* Al, ax or eax to port */
	LGUEST_OP_SKIP,	     /* Cli, sti: without effect, an lguest guest uses irq_enabled instead */
	LGUEST_OP_LOAD,	     /* Memory to register */
	LGUEST_OP_STORE,     /* Register to memory */
	LGUEST_OP_STORE_IMM, /* Constant to memory */
};

struct lguest_insn {
	enum lguest_op op;
	uint8_t len;	   /* Length of the instruction in bytes */
	uint8_t width;	   /* Bytes moved: 1, 2 or 4 */
	uint8_t reg;	   /* Register number as in ModRM, 0 to 7; if reg_width is 1, 4 to 7 are ah ch dh bh */
	uint8_t reg_width; /* Bytes of the register that a load changes; more than width for movzx, movsx */
	bool sign;	   /* The load extends the sign (movsx) */
	bool port_is_dx;   /* The port number is in dx, not in @port */
	uint8_t port;
	uint32_t imm; /* The constant of LGUEST_OP_STORE_IMM */
};

/*
 * Decode @bytes as a memory access if @memory is true, otherwise as a port access. Returns
 * false, with in->op LGUEST_OP_NONE, for unknown instructions and those that are longer than
 * @bytes.
 */
bool lguest_decode(const uint8_t bytes[LGUEST_INSN_BYTES], bool memory, struct lguest_insn *in);

/* The value that a store writes; the new value of the register after a load. @old: its 32 bits before. */
uint32_t lguest_insn_store_value(const struct lguest_insn *in, uint32_t old);
uint32_t lguest_insn_load_value(const struct lguest_insn *in, uint32_t old, uint32_t value);
/* The ModRM number of the 32-bit register that contains in->reg: 0 (eax) for ah. */
unsigned lguest_insn_register(const struct lguest_insn *in);

#endif
