/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Finds out whether the host's kernel has what no guest is started without. */
#ifndef PARENT_SETUP_KERNEL_H
#define PARENT_SETUP_KERNEL_H

/*
 * Returns 0 if the kernel has seccomp filters. Otherwise returns -1 after logging one line: the kernel's version, each
 * call and feature that it lacks, and which kernel to use. Tries each of them, because a version does not show what a
 * distribution has added or left out. Changes nothing on the host.
 */
int kernel_check(void);

#endif
