/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Making KVM drop the shadow page tables that it keeps on hosts without nested paging (EPT, NPT), where KVM follows the
 * guest's writes to its page tables, but not ours. Runs in the vCPU process.
 */
#ifndef VCPU_KVM_SHADOW_H
#define VCPU_KVM_SHADOW_H

#include "vcpu/kvm/kvm.h"

/*
 * Prepare for kvm_shadow_drop(), if the host may lack nested paging, before the process is confined. Returns 0, or -1
 * with vm->end and vm->end_text set.
 */
int kvm_shadow_make(struct kvm *k);
/*
 * Drop every translation that KVM keeps, if the host may lack nested paging. No vCPU may run until the reset is done.
 * KVM waits in this call for kernel threads (SRCU). Returns 0, or the call's errno.
 */
int kvm_shadow_drop(const struct kvm *k);

#endif
