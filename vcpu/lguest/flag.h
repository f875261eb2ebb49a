/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Clears the guest's word irq_pending, which hosts set and do not clear: see flag.c. */
#ifndef VCPU_LGUEST_FLAG_H
#define VCPU_LGUEST_FLAG_H

#include "vcpu/lguest/lguest.h"

/*
 * Search for irq_pending in guest memory, and set lg->flag. Called by the vCPU thread at
 * each exit; it searches only at a few of them.
 */
void lguest_flag_find(struct lguest *lg);

/*
 * Clear irq_pending, for a guest that has no exits to this process. Called by the second
 * thread whenever it wakes up. Returns the milliseconds until the next call; fewer if the
 * word was set. The guest may be running: an interrupt that is pending just then is
 * delivered at the guest's next exit, at the latest at the next tick of the host's clock.
 */
int lguest_flag_look(struct lguest *lg);

/*
 * Clear irq_pending before the guest is entered and before an interrupt is sent. If an
 * interrupt is still pending, the host sets it again.
 */
static inline void lguest_flag_clear(const struct lguest *lg)
{
	uint32_t *flag = __atomic_load_n(&lg->flag, __ATOMIC_RELAXED);

	if (flag)
		__atomic_store_n(flag, 0, __ATOMIC_RELAXED);
}

#endif
