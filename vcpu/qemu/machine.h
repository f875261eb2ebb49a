/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The part of QEMU's command line that describes the machine. */
#ifndef VCPU_QEMU_MACHINE_H
#define VCPU_QEMU_MACHINE_H

#include "vcpu/qemu/args.h"

/* Append program, -machine, -cpu, memory, and devices that only this machine has. @bare: as for qemu_args(). */
void qemu_add_machine(struct qemu_args *a, const struct vcpu_config *c, bool bare);

#endif
