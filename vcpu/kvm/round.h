/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Rounds of lguest-sep run: before each reset the vCPU process waits until the supervisor has read all that the guest
 * has sent in this round, and has judged it. So no byte of one round counts for another. Runs in the vCPU process. All
 * calls need the device lock.
 */
#ifndef VCPU_KVM_ROUND_H
#define VCPU_KVM_ROUND_H

#include "vcpu/kvm/kvm.h"

/*
 * All vCPU threads have stopped for a reset. Send the guest's output as far as the ports take it at once, report the
 * round's end to the supervisor, wait for CTL_NEXT_ROUND, and drop input that the guest has not read. Returns true, or
 * false after ending the guest.
 */
bool kvm_round_over(struct kvm *k);
/* CTL_NEXT_ROUND was received. */
void kvm_round_next(struct kvm *k);

#endif
