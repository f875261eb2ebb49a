/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Opens, locks and checks disk images in the privileged window. */
#ifndef PARENT_SETUP_DISK_H
#define PARENT_SETUP_DISK_H

#include "parent/setup/setup.h"

/*
 * Open disk[@i] as option[@i] asks; the disks before it are already open. Returns 0, or -1 after logging the reason.
 * The caller owns the descriptors and ends with disk_close().
 */
int disk_open(const struct disk_option *option, struct disk_host *disk, unsigned i);
void disk_close(struct disk_host *d);
/* No descriptor of @d is open. */
void disk_clear(struct disk_host *d);

#endif
