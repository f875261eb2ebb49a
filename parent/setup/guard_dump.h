/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The filter that a tap has, as the kernel shows it. Changes nothing. */
#ifndef PARENT_SETUP_GUARD_DUMP_H
#define PARENT_SETUP_GUARD_DUMP_H

#include <stdbool.h>

#include "parent/setup/guard_program.h"

/* The filters that the kernel runs first on frames from the guest on a tap. */
struct guard_info {
	unsigned filters; /* At the priority of link_guard()'s filter, or before it */
	bool direct;	  /* The program's return value is the verdict */
	struct guard_program program;
};

/* Returns 0, or -1 with errno set. */
int guard_query(unsigned ifindex, struct guard_info *info);

#endif
