/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Creating the virtual machine, and ending it. */
#ifndef VCPU_KVM_VM_H
#define VCPU_KVM_VM_H

#include "vcpu/kvm/kvm.h"

/*
 * Create the virtual machine, its memory and its vCPUs. Returns 0, or -1 with vm->end and
 * vm->end_text set.
 */
int kvm_make(struct kvm *k);

/* Wake the main thread, so that it runs its loop once. */
void kvm_wake(void);

/* Record that the guest has ended, unless it was recorded before, and wake the main thread. Needs k->lock. */
void kvm_end(struct kvm *k, enum guest_end why, const char *fmt, ...) PRINTF_LIKE(3, 4);

#endif
