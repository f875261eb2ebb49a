/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Closes a range of descriptors, and moves a descriptor to a given number. */
#ifndef COMMON_CLOSEFDS_H
#define COMMON_CLOSEFDS_H

#include "common/util.h"

/*
 * Close every descriptor from @from to @last. On hosts without close_range(2) (before
 * Linux 5.9) it checks each number below @highest instead, and returns false.
 */
bool close_fds(unsigned from, unsigned last, unsigned highest);

/* Move @fd to the number @to, close-on-exec. Returns 0, or -1 with errno set; @fd is closed in both cases. */
int place_fd(int fd, int to);

#endif
