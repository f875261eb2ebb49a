/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The model-specific registers of a checkpoint. Runs in the vCPU process, under the device lock,
 * while no vCPU runs. Functions return 0, or -1 after ending the guest, or setting vm->end.
 */
#ifndef VCPU_KVM_MSRS_H
#define VCPU_KVM_MSRS_H

#include "vcpu/devices/records.h"
#include "vcpu/kvm/kvm.h"

#define MSR_TSC 0x10

/* Find out which MSRs this KVM can get and set. Needs /dev/kvm and the vCPUs. */
int kvm_msrs_make(struct kvm *k);
/* Save all MSRs of vCPU @id but its time stamp counter. */
int kvm_msrs_save(struct kvm *k, unsigned id);
/* Set those that have changed since, but the deadline of its timer. */
int kvm_msrs_load(struct kvm *k, unsigned id);
/* Set the deadline, if there is such a register. */
int kvm_msrs_load_deadline(struct kvm *k, unsigned id);
/*
 * The MSRs that kvm_msrs_save() saves, and kvm_msrs_load() sets, as records. When reading, this KVM must have the same
 * ones. Returns false with r->error set.
 */
bool kvm_msrs_records(struct kvm *k, struct records *r);
int kvm_msr_get(struct kvm *k, unsigned id, uint32_t msr, uint64_t *value);
int kvm_msr_set(struct kvm *k, unsigned id, uint32_t msr, uint64_t value);

#endif
