/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Names that no other test has at the same time. A process ID is not enough for names that the whole
 * machine shares (abstract sockets, files in /tmp): in a pid namespace of its own, each test is process 1.
 */
#ifndef TESTS_LIB_UNIQUE_H
#define TESTS_LIB_UNIQUE_H

#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

/* Returns a random number; "%016" PRIx64 makes it part of a name. */
static inline uint64_t unique_number(void)
{
	uint64_t n;

	if (getrandom(&n, sizeof(n), 0) != (ssize_t)sizeof(n))
		abort();
	return n;
}

/* Returns a name in a buffer that the next call overwrites. */
static inline const char *unique_name(void)
{
	static char name[32];

	snprintf(name, sizeof(name), "test-%016" PRIx64, unique_number());
	return name;
}

#endif
