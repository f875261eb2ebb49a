/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Shadow page tables: see shadow.h. KVM drops all of them when a memory slot moves (arch/x86/kvm/mmu/mmu.c,
 * kvm_mmu_zap_all_fast()), even one that the guest never used. With nested paging that is not needed, and would cost
 * the guest an exit for each page that it uses next: there KVM flushes the processor's translations when
 * KVM_GET_DIRTY_LOG reports a page.
 */
#include <errno.h>
#include <sys/ioctl.h>

#include "vcpu/kvm/shadow.h"
#include "vcpu/vm.h"

#define PAGE 4096u
#define SLOT SHM_MAX_REGIONS /* Guest memory and --shmem have slots before it. */

/* What the guest reads where nothing is. Its writes exit to us as elsewhere, because the slot is read-only. */
static const uint8_t nothing[PAGE] __attribute__((aligned(PAGE))) = { [0 ... PAGE - 1] = 0xff };

static uint64_t place = KVM_NOTHING; /* Of the slot in guest-physical memory */

static int put_slot(void)
{
	struct kvm_userspace_memory_region m = {
		.slot = SLOT,
		.flags = KVM_MEM_READONLY,
		.guest_phys_addr = place,
		.memory_size = PAGE,
		.userspace_addr = (uintptr_t)nothing,
	};

	return ioctl(VFD_VM, KVM_SET_USER_MEMORY_REGION, &m);
}

int kvm_shadow_make(struct kvm *k)
{
	if (!k->vm->c->shadow_paging || put_slot() == 0)
		return 0;
	return vm_fail(k->vm, GUEST_ENGINE_FAILED, "--checkpoint: KVM_SET_USER_MEMORY_REGION: %m");
}

int kvm_shadow_drop(const struct kvm *k)
{
	if (!k->vm->c->shadow_paging)
		return 0;
	place ^= PAGE;
	return put_slot() < 0 ? errno : 0;
}
