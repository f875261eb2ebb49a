/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The PCI dialect: emulation of instructions that trap. */
#ifndef VCPU_LGUEST_TRAP_H
#define VCPU_LGUEST_TRAP_H

#include "vcpu/lguest/dev.h"
#include "vcpu/lguest/lguest.h"

/*
 * Emulate the instruction of the exit @x, or deliver the trap to the guest. False if the guest has
 * ended: vm->end is set, or the next lguest_run() returns the reason.
 */
bool lguest_handle_trap(struct lguest *lg, const struct lguest_exit *x);

#endif
