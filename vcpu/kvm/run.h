/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The loop of a vCPU thread. */
#ifndef VCPU_KVM_RUN_H
#define VCPU_KVM_RUN_H

#include "vcpu/kvm/kvm.h"

/* Run vCPU @c and handle its exits. Returns when the guest has ended. */
void kvm_loop(struct kvm_cpu *c);

#endif
