/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * --shmem: the user's file as memory of the guest: see shmem.h. Runs in the vCPU process under the start filter,
 * before any guest code. This process itself never reads or writes the file: if another program shortens it, only
 * KVM_RUN fails.
 */
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/sandbox.h"
#include "vcpu/kvm/shmem.h"
#include "vcpu/vm.h"

/* Guest memory has slots 0 and 1. */
#define SLOT 2

_Static_assert(KVM_SHMEM % SHMEM_MAX == 0 && KVM_SHMEM + SHMEM_MAX <= KVM_PCI_END, "inside the PCI window");
_Static_assert(KVM_SHMEM_REGS >= KVM_PCI_BASE && KVM_SHMEM_REGS + 4096 <= KVM_SHMEM, "the same");

int kvm_shmem_make(struct kvm *k)
{
	const struct vcpu_config *c = k->vm->c;
	struct kvm_userspace_memory_region m = {
		.slot = SLOT,
		.flags = c->shmem_ro ? KVM_MEM_READONLY : 0,
		.guest_phys_addr = KVM_SHMEM,
		.memory_size = c->shmem_bytes,
	};
	void *at;

	if (!c->shmem_bytes)
		return 0;
	if (c->shmem_ro && ioctl(VFD_ENGINE, KVM_CHECK_EXTENSION, KVM_CAP_READONLY_MEM) <= 0)
		return vm_fail(k->vm, GUEST_ENGINE_FAILED, "--shmem: this host's KVM lacks read-only memory");
	at = mmap(NULL, c->shmem_bytes, PROT_READ | (c->shmem_ro ? 0 : PROT_WRITE), MAP_SHARED, VFD_SHMEM, 0);
	if (at == MAP_FAILED)
		return vm_fail(k->vm, GUEST_ENGINE_FAILED, "--shmem: cannot map the file: %m");
	m.userspace_addr = (uintptr_t)at;
	if (ioctl(VFD_VM, KVM_SET_USER_MEMORY_REGION, &m) < 0)
		return vm_fail(k->vm, GUEST_ENGINE_FAILED, "--shmem: KVM_SET_USER_MEMORY_REGION: %m");
	(void)madvise(at, c->shmem_bytes, MADV_DONTDUMP);
	sandbox_mseal(at, c->shmem_bytes);
	close(VFD_SHMEM);
	shmem_init(&k->shmem, KVM_SHMEM_REGS, KVM_SHMEM, c->shmem_bytes);
	return 0;
}
