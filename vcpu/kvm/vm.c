/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Creates the virtual machine. Runs in the vCPU process under the start filter, before any
 * guest code.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/closefds.h"
#include "common/fmt.h"
#include "common/sandbox.h"
#include "vcpu/kvm/cpu.h"
#include "vcpu/kvm/irq.h"
#include "vcpu/kvm/kvm.h"
#include "vcpu/kvm/shadow.h"
#include "vcpu/kvm/shmem.h"
#include "vcpu/kvm/vm.h"
#include "vcpu/vm.h"

#define MAX_CPUID 256

static union {
	struct kvm_cpuid2 c;
	char room[sizeof(struct kvm_cpuid2) + MAX_CPUID * sizeof(struct kvm_cpuid_entry2)];
} supported;

/* Move the new descriptor @fd to @number in the table. @what: the call that created it, for the error message. */
static int place(struct kvm *k, int fd, int number, const char *what)
{
	return place_fd(fd, number) < 0 ? vm_fail(k->vm, GUEST_ENGINE_FAILED, "%s: %m", what) : 0;
}

static const struct {
	int cap;
	const char *name;
} needed[] = {
	{ KVM_CAP_IRQCHIP, "in-kernel interrupt controllers" },
	{ KVM_CAP_USER_MEMORY, "user memory" },
	{ KVM_CAP_IRQFD, "irqfd" },
	{ KVM_CAP_IOEVENTFD, "ioeventfd" },
	{ KVM_CAP_IRQ_ROUTING, "interrupt routing" },
	{ KVM_CAP_SIGNAL_MSI, "message-signalled interrupts" },
	{ KVM_CAP_EXT_CPUID, "CPUID" },
};

static int check(struct kvm *k)
{
	int api = ioctl(VFD_ENGINE, KVM_GET_API_VERSION, 0);

	if (api < 0)
		return vm_fail(k->vm, GUEST_ENGINE_FAILED, "/dev/kvm: %m");
	if (api != KVM_API_VERSION)
		return vm_fail(k->vm, GUEST_ENGINE_FAILED, "/dev/kvm has version %d, not %d", api, KVM_API_VERSION);
	for (unsigned i = 0; i < ARRAY_SIZE(needed); i++)
		if (ioctl(VFD_ENGINE, KVM_CHECK_EXTENSION, needed[i].cap) <= 0)
			return vm_fail(k->vm, GUEST_ENGINE_FAILED, "this host's KVM lacks %s", needed[i].name);
	k->any_length = ioctl(VFD_ENGINE, KVM_CHECK_EXTENSION, KVM_CAP_IOEVENTFD_ANY_LENGTH) > 0;
	k->tsc_deadline = ioctl(VFD_ENGINE, KVM_CHECK_EXTENSION, KVM_CAP_TSC_DEADLINE_TIMER) > 0;
	supported.c.nent = MAX_CPUID;
	if (ioctl(VFD_ENGINE, KVM_GET_SUPPORTED_CPUID, &supported.c) < 0)
		return vm_fail(k->vm, GUEST_ENGINE_FAILED, "KVM_GET_SUPPORTED_CPUID: %m");
	return 0;
}

/*
 * Reserve guest-physical pages that KVM needs on Intel processors without "unrestricted
 * guest". Elsewhere the calls may fail, which does no harm.
 */
static void real_mode_pages(void)
{
	uint64_t identity = KVM_IDENTITY;

	ioctl(VFD_VM, KVM_SET_IDENTITY_MAP_ADDR, &identity);
	ioctl(VFD_VM, KVM_SET_TSS_ADDR, (unsigned long)KVM_TSS);
}

static int add_memory(struct kvm *k)
{
	for (unsigned i = 0; i < k->vm->mem.nregions; i++) {
		const struct shm_region *r = &k->vm->mem.r[i];
		struct kvm_userspace_memory_region m = {
			.slot = i,
			.flags = k->vm->c->checkpoint ? KVM_MEM_LOG_DIRTY_PAGES : 0,
			.guest_phys_addr = r->gpa,
			.memory_size = r->size,
			.userspace_addr = (uintptr_t)r->hva,
		};

		if (ioctl(VFD_VM, KVM_SET_USER_MEMORY_REGION, &m) < 0)
			return vm_fail(k->vm, GUEST_ENGINE_FAILED, "guest memory: %m");
		/*
		 * Use huge pages, if the host allows them for shared memory
		 * (transparent_hugepage/shmem_enabled is advise or always): one page fault instead of 512.
		 */
		(void)madvise(r->map, r->map_len, MADV_HUGEPAGE);
		/* Seal the mapping against munmap() and mremap(); kernels before Linux 6.10 cannot. */
		sandbox_mseal(r->map, r->map_len);
	}
	return 0;
}

static int add_cpus(struct kvm *k)
{
	int size = ioctl(VFD_ENGINE, KVM_GET_VCPU_MMAP_SIZE, 0);

	if (size < (int)sizeof(struct kvm_run))
		return vm_fail(k->vm, GUEST_ENGINE_FAILED, "KVM_GET_VCPU_MMAP_SIZE: %m");
	for (unsigned i = 0; i < k->ncpus; i++) {
		struct kvm_cpu *c = &k->cpu[i];
		int number = VFD_VCPU0 + (int)i;

		c->kvm = k;
		c->id = i;
		if (place(k, ioctl(VFD_VM, KVM_CREATE_VCPU, (unsigned long)i), number, "KVM_CREATE_VCPU") < 0)
			return -1;
		c->run = mmap(NULL, (size_t)size, PROT_READ | PROT_WRITE, MAP_SHARED, number, 0);
		if (c->run == MAP_FAILED)
			return vm_fail(k->vm, GUEST_ENGINE_FAILED, "vCPU %u: %m", i);
	}
	return 0;
}

int kvm_make(struct kvm *k)
{
	struct kvm_pit_config pit = { .flags = KVM_PIT_SPEAKER_DUMMY };

	if (check(k) < 0 || place(k, ioctl(VFD_ENGINE, KVM_CREATE_VM, 0), VFD_VM, "KVM_CREATE_VM") < 0)
		return -1;
	real_mode_pages();
	/*
	 * Memory before the interrupt controllers: since Linux 6.18 these start a grace period of the virtual machine's
	 * SRCU that takes one or two timer ticks, and a change of the memory would wait for it.
	 */
	if (add_memory(k) < 0 || kvm_shmem_make(k) < 0 || kvm_shadow_make(k) < 0)
		return -1;
	if (ioctl(VFD_VM, KVM_CREATE_IRQCHIP, 0) < 0)
		return vm_fail(k->vm, GUEST_ENGINE_FAILED, "KVM_CREATE_IRQCHIP: %m");
	if (ioctl(VFD_VM, KVM_CREATE_PIT2, &pit) < 0)
		return vm_fail(k->vm, GUEST_ENGINE_FAILED, "KVM_CREATE_PIT2: %m");
	if (kvm_irq_init(k) < 0 || add_cpus(k) < 0)
		return -1;
	return kvm_cpus_init(k, &supported.c);
}

void kvm_wake(void)
{
	const uint64_t one = 1;

	(void)!write(VFD_WAKE, &one, sizeof(one));
}

void kvm_end(struct kvm *k, enum guest_end why, const char *fmt, ...)
{
	va_list ap;

	if (k->ended)
		return;
	k->ended = true;
	k->vm->end = why;
	va_start(ap, fmt);
	fmt_vline(k->vm->end_text, sizeof(k->vm->end_text), fmt, ap);
	va_end(ap);
	kvm_wake();
}
