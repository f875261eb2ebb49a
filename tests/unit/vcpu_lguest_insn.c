/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The decoder recognises every form in its table with length and register, and nothing else. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "vcpu/lguest/insn.h"

struct known {
	uint8_t bytes[LGUEST_INSN_BYTES];
	struct lguest_insn in;
};

#define IN  LGUEST_OP_IN
#define OUT LGUEST_OP_OUT
#define LD  LGUEST_OP_LOAD
#define ST  LGUEST_OP_STORE
#define IMM LGUEST_OP_STORE_IMM

static const struct known ports[] = {
	{ { 0xec }, { IN, 1, 1, 0, 1, .port_is_dx = true } },
	{ { 0xed }, { IN, 1, 4, 0, 4, .port_is_dx = true } },
	{ { 0x66, 0xed }, { IN, 2, 2, 0, 2, .port_is_dx = true } },
	{ { 0xe4, 0x64 }, { IN, 2, 1, 0, 1, .port = 0x64 } },
	{ { 0xe5, 0x64 }, { IN, 2, 4, 0, 4, .port = 0x64 } },
	{ { 0x66, 0xe5, 0x64 }, { IN, 3, 2, 0, 2, .port = 0x64 } },
	{ { 0xee }, { OUT, 1, 1, 0, 1, .port_is_dx = true } },
	{ { 0xef }, { OUT, 1, 4, 0, 4, .port_is_dx = true } },
	{ { 0x66, 0xef }, { OUT, 2, 2, 0, 2, .port_is_dx = true } },
	{ { 0xe6, 0x80 }, { OUT, 2, 1, 0, 1, .port = 0x80 } },
	{ { 0xe7, 0x80 }, { OUT, 2, 4, 0, 4, .port = 0x80 } },
	{ { 0x3e, 0x66, 0xef }, { OUT, 3, 2, 0, 2, .port_is_dx = true } },
	{ { 0xfa }, { LGUEST_OP_SKIP, 1, 0, 0, 0, .sign = false } },
	{ { 0xfb }, { LGUEST_OP_SKIP, 1, 0, 0, 0, .sign = false } },
};

static const struct known moves[] = {
	{ { 0x88, 0x02 }, { ST, 2, 1, 0, 1, .sign = false } },
	{ { 0x89, 0x02 }, { ST, 2, 4, 0, 4, .sign = false } },
	{ { 0x66, 0x89, 0x02 }, { ST, 3, 2, 0, 2, .sign = false } },
	{ { 0x8a, 0x18 }, { LD, 2, 1, 3, 1, .sign = false } },
	{ { 0x8a, 0x38 }, { LD, 2, 1, 7, 1, .sign = false } },
	{ { 0x8b, 0x00 }, { LD, 2, 4, 0, 4, .sign = false } },
	{ { 0x66, 0x8b, 0x18 }, { LD, 3, 2, 3, 2, .sign = false } },
	/* mod 1: disp8; mod 2: disp32; mod 0, rm 5: disp32 and no base */
	{ { 0x8b, 0x48, 0x10 }, { LD, 3, 4, 1, 4, .sign = false } },
	{ { 0x8b, 0x90, 1, 2, 3, 4 }, { LD, 6, 4, 2, 4, .sign = false } },
	{ { 0x89, 0x35, 1, 2, 3, 4 }, { ST, 6, 4, 6, 4, .sign = false } },
	{ { 0x66, 0x89, 0x3d, 1, 2, 3, 4 }, { ST, 7, 2, 7, 2, .sign = false } },
	/* SIB: plain; disp8; base 5 with mod 0 is disp32; disp32 */
	{ { 0x8b, 0x04, 0x88 }, { LD, 3, 4, 0, 4, .sign = false } },
	{ { 0x8b, 0x44, 0x88, 0x10 }, { LD, 4, 4, 0, 4, .sign = false } },
	{ { 0x8b, 0x04, 0x8d, 1, 2, 3, 4 }, { LD, 7, 4, 0, 4, .sign = false } },
	{ { 0x8b, 0x84, 0x88, 1, 2, 3, 4 }, { LD, 7, 4, 0, 4, .sign = false } },
	/* base 5 with mod 1 is ebp and a disp8 */
	{ { 0x88, 0x44, 0x0d, 0x10 }, { ST, 4, 1, 0, 1, .sign = false } },
	{ { 0xa0, 1, 2, 3, 4 }, { LD, 5, 1, 0, 1, .sign = false } },
	{ { 0xa1, 1, 2, 3, 4 }, { LD, 5, 4, 0, 4, .sign = false } },
	{ { 0x66, 0xa1, 1, 2, 3, 4 }, { LD, 6, 2, 0, 2, .sign = false } },
	{ { 0xa2, 1, 2, 3, 4 }, { ST, 5, 1, 0, 1, .sign = false } },
	{ { 0xa3, 1, 2, 3, 4 }, { ST, 5, 4, 0, 4, .sign = false } },
	{ { 0xc6, 0x00, 0x7f }, { IMM, 3, 1, 0, 1, .imm = 0x7f } },
	{ { 0xc7, 0x00, 1, 2, 3, 4 }, { IMM, 6, 4, 0, 4, .imm = 0x04030201 } },
	{ { 0xc7, 0x40, 8, 1, 2, 3, 4 }, { IMM, 7, 4, 0, 4, .imm = 0x04030201 } },
	{ { 0x66, 0xc7, 0x00, 1, 2 }, { IMM, 5, 2, 0, 2, .imm = 0x0201 } },
	{ { 0x0f, 0xb6, 0x08 }, { LD, 3, 1, 1, 4, .sign = false } },
	{ { 0x0f, 0xb7, 0x08 }, { LD, 3, 2, 1, 4, .sign = false } },
	{ { 0x66, 0x0f, 0xb6, 0x08 }, { LD, 4, 1, 1, 2, .sign = false } },
	{ { 0x0f, 0xbe, 0x08 }, { LD, 3, 1, 1, 4, .sign = true } },
	{ { 0x0f, 0xbf, 0x70, 0x10 }, { LD, 4, 2, 6, 4, .sign = true } },
	{ { 0x65, 0x8b, 0x00 }, { LD, 3, 4, 0, 4, .sign = false } },
};

static void same(const struct lguest_insn *a, const struct lguest_insn *b)
{
	assert_int_equal(a->op, b->op);
	assert_int_equal(a->len, b->len);
	assert_int_equal(a->width, b->width);
	assert_int_equal(a->reg, b->reg);
	assert_int_equal(a->reg_width, b->reg_width);
	assert_int_equal(a->sign, b->sign);
	assert_int_equal(a->port_is_dx, b->port_is_dx);
	assert_int_equal(a->port, b->port);
	assert_int_equal(a->imm, b->imm);
}

static void knows_every_form(void **state)
{
	struct lguest_insn in;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(ports); i++) {
		assert_true(lguest_decode(ports[i].bytes, false, &in));
		same(&in, &ports[i].in);
		assert_false(lguest_decode(ports[i].bytes, true, &in));
	}
	for (size_t i = 0; i < ARRAY_SIZE(moves); i++) {
		assert_true(lguest_decode(moves[i].bytes, true, &in));
		same(&in, &moves[i].in);
		assert_false(lguest_decode(moves[i].bytes, false, &in));
	}
}

static void refuses_the_rest(void **state)
{
	static const uint8_t bad[][LGUEST_INSN_BYTES] = {
		{ 0x0f, 0x01, 0xd8 },		     /* a system instruction: the guest's own tables handle it */
		{ 0xf4 },			     /* hlt */
		{ 0x88, 0xc2 },			     /* register to register */
		{ 0xc7, 0x48, 8, 1, 2, 3, 4 },	     /* c7 /1 */
		{ 0xc7, 0x80, 1, 2, 3, 4, 1 },	     /* ten bytes: the end of the instruction is missing */
		{ 0x66, 0x8b, 0x84, 0x88, 1, 2, 3 }, /* eight bytes */
		{ 0x66, 0xc7, 0x05, 1, 2, 3, 4 },    /* nine bytes */
		{ 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66 },
		{ 0xf0, 0x89, 0x02 }, /* lock */
		{ 0xf3, 0xa4 },	      /* rep movsb */
		{ 0xf3, 0x6c },	      /* rep insb */
		{ 0x67, 0x8b, 0x00 }, /* 16-bit addressing */
		{ 0x0f, 0xb4, 0x00 },
		{ 0x0f, 0xaf, 0x00 },
		{ 0x6c },
		{ 0x01, 0x02 }, /* add */
		{ 0xff, 0x00 },
		{ 0x00 },
	};
	struct lguest_insn in;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		for (int memory = 0; memory < 2; memory++) {
			memset(&in, 0xff, sizeof(in));
			assert_false(lguest_decode(bad[i], memory, &in));
			assert_int_equal(in.op, LGUEST_OP_NONE);
			assert_int_equal(in.len, 0);
		}
}

/* Every opcode with every second and third byte: never a length over seven, never a register over
 * seven. */
static void stays_in_bounds(void **state)
{
	struct lguest_insn in;
	unsigned accepted = 0;

	(void)state;
	for (unsigned v = 0; v < 1u << 24; v += 1) {
		uint8_t b[LGUEST_INSN_BYTES] = { (uint8_t)v, (uint8_t)(v >> 8), (uint8_t)(v >> 16), 1, 2, 3, 4 };

		if (!lguest_decode(b, v & 1, &in))
			continue;
		accepted++;
		assert_in_range(in.len, 1, LGUEST_INSN_BYTES);
		assert_in_range(in.reg, 0, 7);
		if (in.op != LGUEST_OP_SKIP)
			assert_true(in.width == 1 || in.width == 2 || in.width == 4);
	}
	assert_true(accepted > 1000);
}

static void moves_the_right_bits(void **state)
{
	struct lguest_insn al = { LD, 2, 1, 0, 1, .sign = false }, bh = { LD, 2, 1, 7, 1, .sign = false };
	struct lguest_insn cx = { LD, 3, 2, 1, 2, .sign = false }, edx = { LD, 2, 4, 2, 4, .sign = false };
	struct lguest_insn movzx = { LD, 3, 1, 5, 4, .sign = false }, movsx = { LD, 3, 1, 5, 4, .sign = true };
	struct lguest_insn movsxw = { LD, 4, 1, 5, 2, .sign = true };

	(void)state;
	assert_int_equal(lguest_insn_register(&al), 0);
	assert_int_equal(lguest_insn_register(&bh), 3);
	assert_int_equal(lguest_insn_register(&movzx), 5);
	assert_int_equal(lguest_insn_load_value(&al, 0x11223344, 0xabcdef), 0x112233ef);
	assert_int_equal(lguest_insn_load_value(&bh, 0x11223344, 0xabcdef), 0x1122ef44);
	assert_int_equal(lguest_insn_load_value(&cx, 0x11223344, 0xabcdef), 0x1122cdef);
	assert_int_equal(lguest_insn_load_value(&edx, 0x11223344, 0xabcdef), 0xabcdef);
	assert_int_equal(lguest_insn_load_value(&movzx, 0x11223344, 0x80), 0x80);
	assert_int_equal(lguest_insn_load_value(&movsx, 0x11223344, 0x80), 0xffffff80);
	assert_int_equal(lguest_insn_load_value(&movsxw, 0x11223344, 0x80), 0x1122ff80);
	al.op = bh.op = cx.op = LGUEST_OP_STORE;
	assert_int_equal(lguest_insn_store_value(&al, 0x11223344), 0x44);
	assert_int_equal(lguest_insn_store_value(&bh, 0x11223344), 0x33);
	assert_int_equal(lguest_insn_store_value(&cx, 0x11223344), 0x3344);
	cx.op = LGUEST_OP_STORE_IMM;
	cx.imm = 0x12345;
	assert_int_equal(lguest_insn_store_value(&cx, 0), 0x2345);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(knows_every_form),
		cmocka_unit_test(refuses_the_rest),
		cmocka_unit_test(stays_in_bounds),
		cmocka_unit_test(moves_the_right_bits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
