/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * QEMU's command line, made from a guest's configuration in fixed memory.
 */
#ifndef VCPU_QEMU_ARGS_H
#define VCPU_QEMU_ARGS_H

#include "common/ctl.h"

#define QEMU_PATH "/usr/bin/qemu-system-x86_64"

/* Options and their values: the fixed ones, four a device, and the end. */
#define QEMU_MAX_ARGS (72 + 6 * MAX_DEVICES)

struct qemu_args {
	char *argv[QEMU_MAX_ARGS + 1]; /* into text[]; NULL at the end */
	unsigned argc;
	char text[CMDLINE_MAX + 64 * QEMU_MAX_ARGS];
	size_t used;
	bool full; /* something did not fit: argv is of no use */
};

/*
 * Fill @a for @c. @serial, @monitor: whether VFD_SERIAL and VFD_MONITOR are
 * open. 0, or -1 if it does not fit.
 */
int qemu_args(struct qemu_args *a, const struct vcpu_config *c, bool serial, bool monitor);

#endif
