/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The generation ID: see vmgenid.h. Runs in the vCPU process. */
#include <string.h>
#include <sys/random.h>

#include "vcpu/devices/written.h"
#include "vcpu/kvm/irq.h"
#include "vcpu/kvm/vm.h"
#include "vcpu/kvm/vmgenid.h"
#include "vcpu/vm.h"

#define ID_BYTES 16

bool vmgenid_on(const struct kvm *k)
{
	return k->vm->c->checkpoint || k->vm->c->from;
}

/* Returns 0, or -1 after ending the guest. */
static int write_id(struct kvm *k)
{
	void *at = shm_ptr(&k->vm->mem, PC_VMGENID_GPA, ID_BYTES);
	uint8_t id[ID_BYTES];

	if (!at || getrandom(id, sizeof(id), GRND_NONBLOCK) != sizeof(id)) {
		kvm_end(k, GUEST_ENGINE_FAILED, "no generation ID: %s",
			at ? "the host has no random numbers" : "guest memory does not reach it");
		return -1;
	}
	memcpy(at, id, sizeof(id));
	written_mark(at, sizeof(id));
	return 0;
}

int vmgenid_first(struct kvm *k)
{
	return vmgenid_on(k) ? write_id(k) : 0;
}

int vmgenid_renew(struct kvm *k)
{
	if (!vmgenid_on(k) || k->vm->c->vmgenid_same)
		return 0;
	if (write_id(k) < 0)
		return -1;
	kvm_irq_line(PC_VMGENID_IRQ, true);
	kvm_irq_line(PC_VMGENID_IRQ, false);
	return 0;
}
