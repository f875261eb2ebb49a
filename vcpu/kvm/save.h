/* SPDX-License-Identifier: GPL-2.0-or-later */
/* --save: writing the first checkpoint of a run to the file VFD_SAVE. Runs in the vCPU process. */
#ifndef VCPU_KVM_SAVE_H
#define VCPU_KVM_SAVE_H

#include "vcpu/kvm/kvm.h"

/* With --save, before the process is confined: has an earlier start of the guest written the file? */
void kvm_save_make(struct kvm *k);
/*
 * Write the file, unless it was written before. Call it after kvm_state_save(), under the device lock, while no vCPU
 * and no helper runs. Returns 0, or -1 after ending the guest.
 */
int kvm_save_write(struct kvm *k);
/* At the guest's end: log that there was no checkpoint. */
void kvm_save_report(const struct kvm *k);

#endif
