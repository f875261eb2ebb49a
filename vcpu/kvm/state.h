/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Saves the state of the processors, interrupt controllers and timers, which KVM holds, and
 * sets it again. Runs in the vCPU process, under the device lock, while no vCPU runs.
 */
#ifndef VCPU_KVM_STATE_H
#define VCPU_KVM_STATE_H

#include "vcpu/devices/records.h"
#include "vcpu/kvm/kvm.h"

/*
 * Find out which MSRs to save; needs /dev/kvm and the vCPUs. Returns 0, or -1 with vm->end and vm->end_text set if this
 * host's KVM cannot save everything.
 */
int kvm_state_make(struct kvm *k);
/* Save the state. Returns 0, or -1 after ending the guest, as the next two functions do. */
int kvm_state_save(struct kvm *k);
/* Set the MSRs that have changed. KVM may write to guest memory, so this comes before memory is restored. */
int kvm_state_load_msrs(struct kvm *k);
/* Set all other state. KVM may read guest memory, so this comes after memory was restored. */
int kvm_state_load(struct kvm *k);

/*
 * The state that kvm_state_save() has saved, as records; or read it from them, for the two functions above. The values
 * are for KVM to judge. Returns false with r->error set.
 */
bool kvm_state_records(struct kvm *k, struct records *r);
/* As kvm_state_load_msrs(), for a machine that has never run. */
int kvm_state_first_msrs(struct kvm *k);

#endif
