/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Numbers for random loads of tests: each test sets the seed, so that they are the same in each run. */
#ifndef TESTS_LIB_DICE_H
#define TESTS_LIB_DICE_H

#include <stdint.h>

static uint32_t dice_seed;

/* Returns a number from 0 to @n - 1. */
static inline uint32_t dice(uint32_t n)
{
	dice_seed = dice_seed * 1664525 + 1013904223;
	return (dice_seed >> 8) % n;
}

#endif
