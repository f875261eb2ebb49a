/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The PAGE dialect (Linux 3.5 to 3.19): devices are described in a page above RAM. */
#ifndef VCPU_LGUEST_LEGACY_H
#define VCPU_LGUEST_LEGACY_H

#include "vcpu/lguest/lguest.h"

/*
 * Write the page of device descriptors and reserve the rings, and connect the queues of NICs
 * to their kick eventfds (request EVENTFD). Returns 0, or -1 with vm->end set.
 */
int lguest_legacy_create(struct lguest *lg);
/* Handle the guest's notification of @addr: a queue, a device's status, or text of its early console. vCPU thread. */
void lguest_legacy_notify(struct lguest *lg, uint32_t addr);

#endif
