/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Builds QEMU's command line from a guest's configuration, in fixed memory.
 */
#ifndef VCPU_QEMU_ARGS_H
#define VCPU_QEMU_ARGS_H

#include "common/ctl.h"

/* Most words of the command line. */
#define QEMU_MAX_ARGS (80 + 6 * MAX_DEVICES + 4 * MAX_PORTS)

struct qemu_args {
	char *argv[QEMU_MAX_ARGS + 1]; /* Pointers into text[], ended by NULL */
	unsigned argc;
	char text[CMDLINE_MAX + 64 * QEMU_MAX_ARGS];
	size_t used; /* Bytes of text[] in use */
	bool full;   /* A word did not fit, so argv is incomplete */
};

/*
 * Fill in @a for the guest @c. @serial, @monitor: VFD_SERIAL, VFD_MONITOR are open. Returns
 * 0, or -1 if it does not fit or a port's name is invalid. @bare: a riscv kernel starts without firmware.
 */
int qemu_args(struct qemu_args *a, const struct vcpu_config *c, bool serial, bool monitor, bool bare);

#endif
