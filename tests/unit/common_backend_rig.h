/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Shared by the tests of the back-end loop: a front-end with 1 MiB of guest memory, and where things lie in it. */
#ifndef TESTS_UNIT_COMMON_BACKEND_RIG_H
#define TESTS_UNIT_COMMON_BACKEND_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/lib/echo.h"

#define MEM    (1u << 20)
#define GPA    0x40000000ull
#define DATA   (GPA + 0x40000)
#define ANSWER (DATA + 0x1000)
#define ALL    UINT64_MAX

static struct front f;

/* Start a back-end with @o, negotiate @features with it, and send it the memory. *@ctl as echo_start() has it. */
static inline void begin_with(const struct echo_options *o, uint64_t features, int *ctl)
{
	assert_true(front_memory(&f, MEM, GPA, true));
	assert_true(echo_start(&f, o, ctl));
	assert_true(front_negotiate(&f, features, ALL));
	assert_true(front_send_memory(&f));
}

/* Check that the device works: one request through queue @q, whose answer is in another page. */
static inline void alive(struct front_queue *q)
{
	const struct front_buf b[] = { { DATA, 4, false }, { ANSWER, 4, true } };
	uint32_t id, len;

	memcpy(front_ptr(&f, DATA), "ping", 4);
	memset(front_ptr(&f, ANSWER), 0, 4);
	front_offer(q, front_chain(q, b, 2));
	front_kick(q);
	assert_true(front_wait_used(q, &id, &len, PATIENCE_MS));
	assert_int_equal(len, 4);
	assert_memory_equal(front_ptr(&f, ANSWER), "ping", 4);
}

static inline struct echo_config counters(void)
{
	struct echo_config c;

	assert_true(front_get_config(&f, 0, sizeof(c), &c));
	return c;
}

#endif
