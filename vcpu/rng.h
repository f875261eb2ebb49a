/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The entropy device (virtio 1.2, clause 5.4) behind any transport: getrandom()
 * into the guest's buffers. Runs in the vCPU process, under the engine's device lock.
 */
#ifndef VCPU_RNG_H
#define VCPU_RNG_H

#include "common/vring.h"

/* Bytes that one call of rng_work() gives. */
#define RNG_BUDGET 65536u

struct rng {
	struct vq q;
	void (*call)(void *owner, unsigned q);
	void *owner;
};

void rng_init(struct rng *r, void (*call)(void *, unsigned), void *owner);
bool rng_start(struct rng *r, const struct guest_mem *mem, const struct vq_setup *s);
void rng_stop(struct rng *r);
/* True: stopped for the budget's sake, to be called again. */
bool rng_work(struct rng *r);

#endif
