/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Shared by the tests of rings: a guest memory with a running queue before each test. */
#ifndef TESTS_UNIT_COMMON_VRING_RIG_H
#define TESTS_UNIT_COMMON_VRING_RIG_H

#include "common/log.h"
#include "tests/lib/world.h"

#define SIZE WORLD_SIZE

static inline void start(struct world *w, bool event_idx, bool indirect)
{
	assert_true(world_start(w, event_idx, indirect));
}

static inline int setup(void **state)
{
	struct world *w = world_new();

	start(w, false, true);
	log_to_fd(-1, "test", LOG_ERROR);
	*state = w;
	return 0;
}

static inline int teardown(void **state)
{
	world_free(*state);
	return 0;
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

#endif
