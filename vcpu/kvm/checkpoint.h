/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * --checkpoint: taking a checkpoint of the guest, and going back to it. Runs in the vCPU process.
 *
 * A request makes all vCPU threads leave KVM_RUN; the last one to arrive does the work while the
 * others wait. So no vCPU runs meanwhile, and no thread accesses a device.
 */
#ifndef VCPU_KVM_CHECKPOINT_H
#define VCPU_KVM_CHECKPOINT_H

#include "vcpu/kvm/kvm.h"

/*
 * Prepare for checkpoints, and for --from, before the process is confined; needs /dev/kvm and the vCPUs. Returns 0, or
 * -1 with vm->end and vm->end_text set.
 */
int kvm_checkpoint_make(struct kvm *k);
/*
 * Ask for a checkpoint, or with @reset for a return to it. Of requests at the same time the first one counts. @guest:
 * the guest asks. Needs the device lock.
 */
void kvm_checkpoint_ask(struct kvm *k, bool reset, bool guest);
/*
 * The guest was loaded from a file (--from): with --checkpoint that is its checkpoint. Lets the helpers go on. Returns
 * 0, or -1 with vm->end and vm->end_text set.
 */
int kvm_checkpoint_begin(struct kvm *k);
/* True if a vCPU thread whose KVM_RUN was interrupted has to call kvm_checkpoint_meet(). */
static inline bool kvm_checkpoint_wanted(const struct kvm *k)
{
	return __atomic_load_n(&k->checkpoint.wanted, __ATOMIC_ACQUIRE) != CHECKPOINT_NONE;
}
/* Wait for the other vCPU threads, and for the work. Returns true if the guest has ended. */
bool kvm_checkpoint_meet(struct kvm *k);
/* Log how many resets there were, at the guest's end. Needs the device lock. */
void kvm_checkpoint_report(struct kvm *k);

/* Send the supervisor what resets took (CTL_RESETS), if a checkpoint was taken. */
void kvm_checkpoint_count(struct kvm *k);

#endif
