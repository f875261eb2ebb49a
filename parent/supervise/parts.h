/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Sends controld what the guest has: its disks, NICs, shares, ports and console. Runs in the supervisor. */
#ifndef PARENT_SUPERVISE_PARTS_H
#define PARENT_SUPERVISE_PARTS_H

#include "parent/supervise/state.h"

/*
 * Send one CTL_PART for each of them on the control channel @fd, 1 to MAX_PARTS messages. The rest of the list is lost
 * if controld takes no more.
 */
void sup_send_parts(const struct supervisor *s, int fd);

#endif
