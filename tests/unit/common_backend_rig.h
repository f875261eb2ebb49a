/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Shared by the tests of the back-end loop: a front-end with 1 MiB of guest memory, and where things lie in it. */
#ifndef TESTS_UNIT_COMMON_BACKEND_RIG_H
#define TESTS_UNIT_COMMON_BACKEND_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/lib/echo.h"

#define MEM  (1u << 20)
#define GPA  0x40000000ull
#define DATA (GPA + 0x40000)
#define ALL  UINT64_MAX

static struct front f;

/* Start a back-end with @o, negotiate @features with it, and send it the memory. *@ctl as echo_start() has it. */
static inline void begin_with(const struct echo_options *o, uint64_t features, int *ctl)
{
	assert_true(front_memory(&f, MEM, GPA, true));
	assert_true(echo_start(&f, o, ctl));
	assert_true(front_negotiate(&f, features, ALL));
	assert_true(front_send_memory(&f));
}

#endif
