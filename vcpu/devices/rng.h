/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The entropy device (virtio 1.2, clause 5.4), independent of the transport: fills the
 * guest's buffers with random bytes from getrandom(2). Runs in the vCPU process, under the
 * engine's device lock.
 */
#ifndef VCPU_RNG_H
#define VCPU_RNG_H

#include "common/vring.h"

/* Most bytes that one call of rng_work() delivers. */
#define RNG_BUDGET 65536u

struct rng {
	struct vq q;
	void (*call)(void *owner, unsigned q);
	void *owner;
};

void rng_init(struct rng *r, void (*call)(void *, unsigned), void *owner);
bool rng_start(struct rng *r, const struct guest_mem *mem, const struct vq_setup *s);
void rng_stop(struct rng *r);
/* Fill buffers of the guest. True if the budget ended it: call it again. */
bool rng_work(struct rng *r);

#endif
