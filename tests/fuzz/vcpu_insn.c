/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Fuzz: the decoder of the few instructions on which an lguest 4.x guest traps. The result
 * must not depend on bytes behind the instruction's length, and must be something that the
 * launcher can execute.
 */
#include "tests/fuzz/fuzz.h"
#include "vcpu/lguest/insn.h"

static void check(const struct lguest_insn *i, bool memory)
{
	PROMISE(i->len >= 1 && i->len <= LGUEST_INSN_BYTES);
	PROMISE(i->reg < 8);
	if (i->op == LGUEST_OP_SKIP)
		return;
	PROMISE(i->width == 1 || i->width == 2 || i->width == 4);
	PROMISE(i->reg_width >= i->width || i->op == LGUEST_OP_STORE_IMM);
	PROMISE(i->reg_width <= 4);
	PROMISE(memory == (i->op >= LGUEST_OP_LOAD));
	PROMISE(lguest_insn_register(i) < 8);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, data + size };
	bool memory = take8(&in) & 1;
	uint8_t bytes[LGUEST_INSN_BYTES], other[LGUEST_INSN_BYTES];
	struct lguest_insn a, b;
	uint32_t old, value;

	take(&in, bytes, sizeof(bytes));
	old = take32(&in);
	value = take32(&in);
	memset(&a, 0, sizeof(a));
	memset(&b, 0, sizeof(b));
	if (!lguest_decode(bytes, memory, &a) || a.op == LGUEST_OP_NONE)
		return 0;
	check(&a, memory);
	for (unsigned i = 0; i < sizeof(other); i++)
		other[i] = i < a.len ? bytes[i] : (uint8_t)~bytes[i];
	PROMISE(lguest_decode(other, memory, &b));
	PROMISE(b.op == a.op && b.len == a.len && b.width == a.width && b.reg == a.reg);
	PROMISE(b.imm == a.imm && b.port == a.port && b.sign == a.sign);
	if (a.op == LGUEST_OP_STORE || a.op == LGUEST_OP_STORE_IMM || a.op == LGUEST_OP_OUT) {
		value = lguest_insn_store_value(&a, old);
		PROMISE(a.width == 4 || value < 1u << 8 * a.width);
	} else if (a.op == LGUEST_OP_LOAD || a.op == LGUEST_OP_IN) {
		value = lguest_insn_load_value(&a, old, value);
		/* A narrow load leaves the rest of the register as it was. */
		if (a.reg_width == 2)
			PROMISE(value >> 16 == old >> 16);
	}
	return 0;
}
