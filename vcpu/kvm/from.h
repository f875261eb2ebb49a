/* SPDX-License-Identifier: GPL-2.0-or-later */
/* --from: starting a guest from the file VFD_KERNEL. Runs in the vCPU process. */
#ifndef VCPU_KVM_FROM_H
#define VCPU_KVM_FROM_H

#include "vcpu/kvm/kvm.h"

/*
 * Load memory, processors and devices of the saved guest into a machine that has never run. Call it before the vCPU
 * threads run, under the loader's filter. Returns 0, or -1 with vm->end and vm->end_text set.
 */
int kvm_from_load(struct kvm *k);

#endif
