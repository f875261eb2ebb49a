/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A whole saved machine but its memory, as records. Runs in the vCPU process under the device lock. */
#ifndef VCPU_KVM_SAVED_MACHINE_H
#define VCPU_KVM_SAVED_MACHINE_H

#include "vcpu/devices/records.h"
#include "vcpu/kvm/kvm.h"

/* Before the process is confined: find out what a saved machine must agree with. Needs the vCPUs. */
void saved_machine_make(struct kvm *k);
/*
 * The machine and the state that KVM holds. When reading, the machine must be the same as @k's, and the state is
 * kept for kvm_state_load(). Returns false with r->error set.
 */
bool saved_machine(struct kvm *k, struct records *r);
/* Then, when reading with guest memory loaded: ports and devices. Returns false with r->error set. */
bool saved_machine_devices(struct kvm *k, struct records *r);

#endif
