/* SPDX-License-Identifier: GPL-2.0-or-later */
/* --boot-disk= and --cdrom=: guests that the machine's firmware boots from a disk. */
#ifndef PARENT_OPTIONS_BOOT_H
#define PARENT_OPTIONS_BOOT_H

#include "parent/options/config.h"

/* The first disk of --boot-disk= and --cdrom=, or NULL. */
const struct disk_option *boot_first(const struct config *c);

/*
 * Check the disks that the firmware boots against the other options. If there is one, choose the qemu engine, the type
 * of machine and the bus of each of them. Returns -1, or the exit status after printing the reason.
 */
int boot_check(struct config *c);

#endif
