/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * CPUID, MSRs and the initial registers. All functions return 0, or -1 with vm->end and
 * vm->end_text set.
 */
#ifndef VCPU_KVM_CPU_H
#define VCPU_KVM_CPU_H

#include "vcpu/devices/records.h"
#include "vcpu/kvm/kvm.h"

/* Set CPUID, MSRs and local APIC of every vCPU. @supported: CPUID leaves that KVM supports. */
int kvm_cpus_init(struct kvm *k, const struct kvm_cpuid2 *supported);
/* Set the registers of the first vCPU for the entry of the loaded kernel. */
int kvm_enter(struct kvm *k);
/*
 * What the guest was told about its processors, as a record. When reading, it must be what kvm_cpus_init() has set.
 * Returns false with r->error set.
 */
bool kvm_cpuid_records(const struct kvm *k, struct records *r);

#endif
