/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The copy of guest memory that a reset goes back to. Runs in the vCPU process; all functions
 * but the first need the device lock, and no vCPU may run.
 */
#ifndef VCPU_KVM_COPY_H
#define VCPU_KVM_COPY_H

#include "vcpu/kvm/kvm.h"

/*
 * Reserve address space for the copy and the logs of dirty pages, and map those of the helpers at VFD_LOG0 on, before
 * the process is confined. Returns 0, or -1 with vm->end and vm->end_text set.
 */
int kvm_copy_make(struct kvm *k);
/*
 * Copy all of guest memory (@all), or only pages that were written since the last kvm_copy_take() or
 * kvm_copy_restore(). Returns 0, or -1 after ending the guest.
 */
int kvm_copy_take(struct kvm *k, bool all);
/*
 * Take back pages that were written since, or all that are in use (@all). Adds their number to *@pages. Returns 0, or
 * -1 after ending the guest.
 */
int kvm_copy_restore(struct kvm *k, bool all, uint64_t *pages);
/*
 * Find the next part of guest memory's file that is not a hole, in bytes [from, end) of it. Holes read as zeros.
 * Returns false if there is none.
 */
bool kvm_copy_next_data(uint64_t from, uint64_t end, uint64_t *at, uint64_t *len);

#endif
