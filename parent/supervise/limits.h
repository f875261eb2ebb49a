/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the kernel counted in the guest's cgroup (parent/setup/limits.h). */
#ifndef PARENT_SUPERVISE_LIMITS_H
#define PARENT_SUPERVISE_LIMITS_H

#include "parent/setup/result.h"
#include "parent/supervise/state.h"

/*
 * A process of the guest was killed, and not by us: if the kernel did that because of --memory-max, log it once and end
 * the guest.
 */
void sup_limits_check(struct supervisor *s);
/* The guest has ended: log if its cgroup refused processes or threads (--pids-max). */
void sup_limits_end(struct supervisor *s);
/* The value of the line "NAME VALUE" in @text, a file of a cgroup; 0: no such line. */
uint64_t sup_limits_counter(const char *text, const char *name);
/* Add the limits and counters to the supervisor's part of the result. */
void sup_limits_result(const struct supervisor *s, struct json *j);

#endif
