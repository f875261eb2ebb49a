/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Emptying a table of descriptors, on hosts of every age. Linked into the parent and the spawner. */
#ifndef COMMON_CLOSEFDS_H
#define COMMON_CLOSEFDS_H

#include "common/util.h"

/*
 * Close every descriptor from @from to @last. False: this host has no close_range
 * (Linux 5.9); then they are looked for one by one, below @highest.
 */
bool close_fds(unsigned from, unsigned last, unsigned highest);

#endif
