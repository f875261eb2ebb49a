/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * --reset=fresh: each reset ends the processes of all helpers, and the supervisor starts others. So a helper that the
 * guest has taken over keeps nothing. Runs in the vCPU process. All calls need the device lock.
 */
#ifndef VCPU_KVM_FRESH_H
#define VCPU_KVM_FRESH_H

#include "vcpu/kvm/kvm.h"

/*
 * True if a checkpoint needs other helpers, too: what a snapshot or share has then must be where the next ones can only
 * read it. It can be taken once.
 */
bool kvm_fresh_keeps(const struct kvm *k);
/*
 * All vCPU threads have stopped for a reset, or with @keeps for a checkpoint. Have the supervisor end all helpers, and
 * wait until no process of them is left: none can write to guest memory from then on. Returns true, or false after
 * ending the guest.
 */
bool kvm_fresh_end(struct kvm *k, bool keeps);
/* CTL_HELPERS_GONE was received. */
void kvm_fresh_gone(struct kvm *k);
/*
 * Forget what the helpers have sent, and have the supervisor start their successors. held_load() waits for each.
 * Returns true, or false after ending the guest.
 */
bool kvm_fresh_start(struct kvm *k);

#endif
