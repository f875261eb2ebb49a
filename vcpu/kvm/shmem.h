/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The file of --shmem in the guest's memory. */
#ifndef VCPU_KVM_SHMEM_H
#define VCPU_KVM_SHMEM_H

#include "vcpu/kvm/kvm.h"

/*
 * Map VFD_SHMEM, if there is one, make it part of the guest's address space, and close it. Returns 0, or -1 with
 * vm->end and vm->end_text set.
 */
int kvm_shmem_make(struct kvm *k);

#endif
