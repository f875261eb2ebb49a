/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Limits of all processes of a guest together, by a cgroup of its own: --memory-max, --cpus,
 * --pids-max. The supervisor and controld stay outside of it, so that a guest at its limits
 * cannot hinder them.
 */
#ifndef PARENT_SETUP_LIMITS_H
#define PARENT_SETUP_LIMITS_H

#include "parent/setup/setup.h"

/*
 * Make the guest's cgroup and start its cleaner, if the command line asks for limits. Where that is impossible, log the
 * reason and continue without limits; with --strict, return -1. Otherwise returns 0.
 */
int limits_open(struct host *h);
/* Move the process @pid into the guest's cgroup, if it has one. Returns 0, or -1 after logging the reason. */
int limits_add(const struct host *h, pid_t pid);
/* All processes of the guest have ended: wait until the cleaner has removed the cgroup; at most 10 s. */
void limits_close(struct host *h);

#endif
