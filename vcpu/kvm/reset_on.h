/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * --reset-on: a guest that ends, or runs for too long after its checkpoint or its last reset, goes back to its
 * checkpoint instead. Runs in the vCPU process. All calls need the device lock.
 */
#ifndef VCPU_KVM_RESET_ON_H
#define VCPU_KVM_RESET_ON_H

#include "vcpu/kvm/kvm.h"

/*
 * The guest has ended itself, by @why. Returns true if that has become a request for a reset (or, after the last one of
 * --resets, the guest's end); false if the caller has to end it, also because there is no checkpoint yet.
 */
bool reset_on_end(struct kvm *k, enum guest_end why);
/*
 * Ask for a reset if the run has lasted too long. Returns how many milliseconds the main thread may sleep, at most
 * @timeout; -1: no limit.
 */
int reset_on_due(struct kvm *k, int timeout);
/* Log how often the guest went back for which reason, at its end. */
void reset_on_report(const struct kvm *k);

#endif
