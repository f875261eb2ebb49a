/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The generation ID of the virtual machine, by Microsoft's specification "Virtual Machine Generation ID" (2012): 16
 * random bytes in guest memory, which change, with an interrupt, when the guest goes back to an earlier state or is one
 * of several that started from one file. Linux then mixes them into its random numbers (drivers/virt/vmgenid.c). Guests
 * that can do neither have none. Runs in the vCPU process.
 */
#ifndef VCPU_VMGENID_H
#define VCPU_VMGENID_H

#include "vcpu/kvm/kvm.h"

/* Does the guest have an ID? */
bool vmgenid_on(const struct kvm *k);
/* Write the first ID, before the guest runs. Returns 0, or -1 with vm->end set. Without an ID it does nothing. */
int vmgenid_first(struct kvm *k);
/*
 * Write another ID and interrupt the guest, after all state of the interrupt controllers was loaded; with
 * --vmgenid=same and without an ID it does nothing. Under the device lock, or before the guest runs. Returns 0, or -1
 * after ending the guest, because two guests with equal random numbers must not run unknown to the user.
 */
int vmgenid_renew(struct kvm *k);

#endif
