/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Decoder for the instructions that are emulated on lguest hosts with Linux 4.x: see insn.h
 * (Intel SDM volume 2, clause 2.1 and the opcode maps). Pure functions: no guest memory, no
 * state, no I/O.
 */
#include "vcpu/lguest/insn.h"

struct bytes {
	const uint8_t *p;
	unsigned at;
	bool overrun;
};

static uint8_t next(struct bytes *b)
{
	if (b->at >= LGUEST_INSN_BYTES) {
		b->overrun = true;
		return 0;
	}
	return b->p[b->at++];
}

static void skip(struct bytes *b, unsigned n)
{
	while (n--)
		next(b);
}

static uint32_t immediate(struct bytes *b, unsigned width)
{
	uint32_t v = 0;

	for (unsigned i = 0; i < width; i++)
		v |= (uint32_t)next(b) << (8 * i);
	return v;
}

/*
 * Read prefixes and the opcode. Segment prefixes have no effect here, because the host
 * reports the address. LOCK, REP and 16-bit addressing are refused. *@small: the operand has
 * 16 bits.
 */
static bool prefixes(struct bytes *b, uint8_t *opcode, bool *small)
{
	for (;;) {
		uint8_t c = next(b);

		switch (c) {
		case 0x66:
			*small = true;
			break;
		case 0x26:
		case 0x2e:
		case 0x36:
		case 0x3e:
		case 0x64:
		case 0x65:
			break;
		case 0x67:
		case 0xf0:
		case 0xf2:
		case 0xf3:
			return false;
		default:
			*opcode = c;
			return !b->overrun;
		}
		if (b->overrun)
			return false;
	}
}

/*
 * Read ModRM, SIB and displacement (SDM tables 2-2, 2-3). False if the operand is a register
 * instead of memory.
 */
static bool modrm(struct bytes *b, uint8_t *reg)
{
	uint8_t m = next(b), mod = m >> 6, rm = m & 7, base = rm;

	*reg = (m >> 3) & 7;
	if (mod == 3)
		return false;
	if (rm == 4)
		base = next(b) & 7;
	if (mod == 1)
		skip(b, 1);
	else if (mod == 2 || base == 5)
		skip(b, 4);
	return true;
}

static bool decode_port(struct bytes *b, uint8_t opcode, unsigned word, struct lguest_insn *in)
{
	switch (opcode) {
	case 0xe4: /* In al, imm8 */
	case 0xe5:
	case 0xe6: /* Out imm8, al */
	case 0xe7:
		in->port = next(b);
		break;
	case 0xec: /* In al, dx */
	case 0xed:
	case 0xee: /* Out dx, al */
	case 0xef:
		in->port_is_dx = true;
		break;
	case 0xfa: /* cli */
	case 0xfb: /* sti */
		in->op = LGUEST_OP_SKIP;
		return true;
	default:
		return false;
	}
	in->op = opcode & 2 ? LGUEST_OP_OUT : LGUEST_OP_IN;
	in->width = (uint8_t)(opcode & 1 ? word : 1);
	in->reg_width = in->width;
	return true;
}

/* Decode movzx and movsx: 0f b6, b7, be, bf. */
static bool decode_extend(struct bytes *b, unsigned word, struct lguest_insn *in)
{
	uint8_t opcode = next(b);

	if ((opcode & 0xf6) != 0xb6)
		return false;
	in->op = LGUEST_OP_LOAD;
	in->width = opcode & 1 ? 2 : 1;
	in->reg_width = (uint8_t)MAX(word, in->width);
	in->sign = opcode & 8;
	return modrm(b, &in->reg);
}

static bool decode_memory(struct bytes *b, uint8_t opcode, unsigned word, struct lguest_insn *in)
{
	if (opcode == 0x0f)
		return decode_extend(b, word, in);
	in->width = (uint8_t)(opcode & 1 ? word : 1);
	in->reg_width = in->width;
	switch (opcode) {
	case 0x88: /* Mov r/m, r */
	case 0x89:
		in->op = LGUEST_OP_STORE;
		return modrm(b, &in->reg);
	case 0x8a: /* Mov r, r/m */
	case 0x8b:
		in->op = LGUEST_OP_LOAD;
		return modrm(b, &in->reg);
	case 0xa0: /* Mov al, moffs */
	case 0xa1:
		in->op = LGUEST_OP_LOAD;
		skip(b, 4);
		return true;
	case 0xa2: /* Mov moffs, al */
	case 0xa3:
		in->op = LGUEST_OP_STORE;
		skip(b, 4);
		return true;
	case 0xc6: /* Mov r/m, imm: only with ModRM reg 0 */
	case 0xc7:
		in->op = LGUEST_OP_STORE_IMM;
		if (!modrm(b, &in->reg) || in->reg != 0)
			return false;
		in->imm = immediate(b, in->width);
		return true;
	default:
		return false;
	}
}

bool lguest_decode(const uint8_t bytes[LGUEST_INSN_BYTES], bool memory, struct lguest_insn *in)
{
	struct bytes b = { .p = bytes };
	bool small = false, known;
	uint8_t opcode;

	*in = (struct lguest_insn){ .op = LGUEST_OP_NONE };
	if (prefixes(&b, &opcode, &small)) {
		known = memory ? decode_memory(&b, opcode, small ? 2 : 4, in)
			       : decode_port(&b, opcode, small ? 2 : 4, in);
		if (known && !b.overrun) {
			in->len = (uint8_t)b.at;
			return true;
		}
	}
	*in = (struct lguest_insn){ .op = LGUEST_OP_NONE };
	return false;
}

static bool is_high_byte(const struct lguest_insn *in)
{
	return in->reg_width == 1 && in->reg >= 4;
}

unsigned lguest_insn_register(const struct lguest_insn *in)
{
	return is_high_byte(in) ? in->reg - 4u : in->reg;
}

static uint32_t mask(unsigned width)
{
	return width == 1 ? 0xff : width == 2 ? 0xffff : 0xffffffff;
}

uint32_t lguest_insn_store_value(const struct lguest_insn *in, uint32_t old)
{
	if (in->op == LGUEST_OP_STORE_IMM)
		return in->imm & mask(in->width);
	return (is_high_byte(in) ? old >> 8 : old) & mask(in->width);
}

uint32_t lguest_insn_load_value(const struct lguest_insn *in, uint32_t old, uint32_t value)
{
	unsigned shift = is_high_byte(in) ? 8 : 0;

	value &= mask(in->width);
	if (in->sign && value & (in->width == 1 ? 0x80 : 0x8000))
		value |= ~mask(in->width);
	value &= mask(in->reg_width);
	return (old & ~(mask(in->reg_width) << shift)) | value << shift;
}
