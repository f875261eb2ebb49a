/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Waiting for the answer to a disk request on the vCPU thread: see wait.c. */
#ifndef VCPU_LGUEST_WAIT_H
#define VCPU_LGUEST_WAIT_H

#include "vcpu/lguest/lguest.h"

/* Create VFD_WAIT, under the start filter. Returns 0, or -1 with vm->end set. */
int lguest_wait_prepare(struct vm *vm);

/*
 * The driver of device @i has notified its queue: kick the helper, and perhaps wait for its
 * answer. The device must be running, with one queue. Call it without lg->lock.
 */
void lguest_kick(struct lguest *lg, unsigned i);

#endif
