/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The state of the guest's processors at its start: CPUID, MSRs, local APIC, registers. Runs
 * in the vCPU process before any guest code.
 */
#include <asm/processor-flags.h>
#include <string.h>
#include <sys/ioctl.h>

#include "vcpu/kvm/cpu.h"
#include "vcpu/kvm/kvm.h"
#include "vcpu/vm.h"

#define MAX_LEAVES 280

#define MSR_MISC_ENABLE		0x1a0
#define MISC_ENABLE_FAST_STRING 1
#define MSR_MTRR_DEF_TYPE	0x2ff
#define MTRR_ENABLE_WRITEBACK	(1u << 11 | 6)

#define LAPIC_LVT_LINT0 0x350
#define LAPIC_LVT_LINT1 0x360
#define DELIVER_EXTINT	(7u << 8)
#define DELIVER_NMI	(4u << 8)

#define EFER_LME (1u << 8)
#define EFER_LMA (1u << 10)

static union {
	struct kvm_cpuid2 c;
	char room[sizeof(struct kvm_cpuid2) + MAX_LEAVES * sizeof(struct kvm_cpuid_entry2)];
} cpuid;

static void add_leaf(uint32_t function, uint32_t index, uint32_t flags, const uint32_t reg[4])
{
	if (cpuid.c.nent == MAX_LEAVES)
		return;
	cpuid.c.entries[cpuid.c.nent++] = (struct kvm_cpuid_entry2){
		.function = function,
		.index = index,
		.flags = flags,
		.eax = reg[0],
		.ebx = reg[1],
		.ecx = reg[2],
		.edx = reg[3],
	};
}

static unsigned bits_for(unsigned n)
{
	unsigned b = 0;

	while ((1u << b) < n)
		b++;
	return b;
}

/*
 * Adapt a CPUID leaf for vCPU @id. False: leave the leaf out. Hides nested virtualization,
 * performance counters, power management and SGX enclaves from the guest.
 */
static bool filter_leaf(const struct kvm *k, unsigned id, struct kvm_cpuid_entry2 *e)
{
	unsigned cpus = k->ncpus;

	switch (e->function) {
	case 1:
		e->ebx = (e->ebx & 0x0000ffff) | id << 24 | (cpus > 1 ? cpus << 16 : 1u << 16);
		e->ecx |= 1u << 31;			   /* Running on a hypervisor */
		e->ecx &= ~(1u << 3 | 1u << 5 | 1u << 15); /* MONITOR, VMX, PDCM */
		if (k->tsc_deadline)
			e->ecx |= 1u << 24;
		e->edx &= ~(1u << 28);
		if (cpus > 1)
			e->edx |= 1u << 28; /* HTT: more than one logical processor */
		return true;
	case 4: /* Caches: all vCPUs share the last level, the others are private */
		e->eax &= 0x3fff;
		e->eax |= (cpus - 1) << 26 | (((e->eax >> 5) & 7) >= 3 ? (cpus - 1) << 14 : 0);
		return true;
	case 6:
		e->eax &= 1u << 2; /* Keep ARAT: the APIC timer does not stop in sleep states */
		e->ebx = e->ecx = e->edx = 0;
		return true;
	case 7:
		if (e->index == 0) {
			e->ebx &= ~(1u << 2); /* SGX */
			e->ecx &= ~(1u << 30);
		}
		return true;
	case 0xa:
		e->eax = e->ebx = e->ecx = e->edx = 0;
		return true;
	case 0xb:
	case 0x1f: /* add_topology() adds leaf 0xb */
	case 0x12:
	case 0x8000001d:
		return false;
	case 0x80000001:
		/* SVM, topology extension, performance counters */
		e->ecx &= ~(1u << 2 | 1u << 22 | 1u << 23 | 1u << 24 | 1u << 28);
		return true;
	case 0x80000008:
		e->ecx = (bits_for(cpus) << 12) | (cpus - 1);
		return true;
	case 0x8000000a:
	case 0x8000001e:
		e->eax = e->ebx = e->ecx = e->edx = 0;
		return true;
	default:
		return true;
	}
}

/* Add leaf 0xb: one thread per core, all cores in one package. */
static void add_topology(const struct kvm *k, unsigned id)
{
	const uint32_t f = KVM_CPUID_FLAG_SIGNIFCANT_INDEX;

	add_leaf(0xb, 0, f, (const uint32_t[]){ 0, 1, 0x100, id });
	add_leaf(0xb, 1, f, (const uint32_t[]){ bits_for(k->ncpus), k->ncpus, 0x201, id });
	add_leaf(0xb, 2, f, (const uint32_t[]){ 0, 0, 2, id });
}

static int set_cpuid(struct kvm *k, unsigned id, const struct kvm_cpuid2 *supported)
{
	uint32_t max = 0;

	cpuid.c.nent = 0;
	for (unsigned i = 0; i < supported->nent && cpuid.c.nent < MAX_LEAVES; i++) {
		struct kvm_cpuid_entry2 e = supported->entries[i];

		if (e.function == 0)
			max = e.eax;
		if (filter_leaf(k, id, &e))
			cpuid.c.entries[cpuid.c.nent++] = e;
	}
	if (max >= 0xb)
		add_topology(k, id);
	if (ioctl(VFD_VCPU0 + (int)id, KVM_SET_CPUID2, &cpuid.c) < 0)
		return vm_fail(k->vm, GUEST_ENGINE_FAILED, "KVM_SET_CPUID2: %m");
	return 0;
}

static int set_msrs(struct kvm *k, unsigned id)
{
	const struct kvm_msr_entry want[] = {
		{ .index = MSR_MISC_ENABLE, .data = MISC_ENABLE_FAST_STRING },
		{ .index = MSR_MTRR_DEF_TYPE, .data = MTRR_ENABLE_WRITEBACK },
	};
	union {
		struct kvm_msrs m;
		char room[sizeof(struct kvm_msrs) + sizeof(want)];
	} u;

	memset(&u, 0, sizeof(u));
	u.m.nmsrs = ARRAY_SIZE(want);
	memcpy(u.m.entries, want, sizeof(want));
	/* KVM returns the number of MSRs set. Fewer are no error: both only make the guest faster. */
	if (ioctl(VFD_VCPU0 + (int)id, KVM_SET_MSRS, &u.m) < 0)
		return vm_fail(k->vm, GUEST_ENGINE_FAILED, "KVM_SET_MSRS: %m");
	return 0;
}

static void put_lvt(struct kvm_lapic_state *l, unsigned reg, uint32_t mode)
{
	uint32_t v;

	memcpy(&v, l->regs + reg, sizeof(v));
	v = (v & ~0x700u) | mode;
	memcpy(l->regs + reg, &v, sizeof(v));
}

/* Set the local APIC to virtual wire mode, as firmware does (MP specification, 3.6.2.2). */
static int set_lapic(struct kvm *k, unsigned id)
{
	struct kvm_lapic_state l;

	if (ioctl(VFD_VCPU0 + (int)id, KVM_GET_LAPIC, &l) < 0)
		return vm_fail(k->vm, GUEST_ENGINE_FAILED, "KVM_GET_LAPIC: %m");
	put_lvt(&l, LAPIC_LVT_LINT0, DELIVER_EXTINT);
	put_lvt(&l, LAPIC_LVT_LINT1, DELIVER_NMI);
	if (ioctl(VFD_VCPU0 + (int)id, KVM_SET_LAPIC, &l) < 0)
		return vm_fail(k->vm, GUEST_ENGINE_FAILED, "KVM_SET_LAPIC: %m");
	return 0;
}

int kvm_cpus_init(struct kvm *k, const struct kvm_cpuid2 *supported)
{
	for (unsigned i = 0; i < k->ncpus; i++)
		if (set_cpuid(k, i, supported) < 0 || set_msrs(k, i) < 0 || set_lapic(k, i) < 0)
			return -1;
	return 0;
}

struct saved_cpuid {
	uint32_t n, tsc_khz;
	struct {
		uint32_t function, index, flags, reg[4];
	} leaf[MAX_LEAVES];
};
/* KVM keeps a guest's clock right up to this difference, in millionths (QEMU has the same limit). */
#define TSC_TOLERANCE 250

/* Names the first difference of processors. */
static bool same_cpuid(struct records *r, const struct saved_cpuid *s, const struct saved_cpuid *own)
{
	uint64_t differ = s->tsc_khz > own->tsc_khz ? s->tsc_khz - own->tsc_khz : own->tsc_khz - s->tsc_khz;

	if (s->n > MAX_LEAVES)
		return record_fail(r, "its CPUID has %u leaves", s->n);
	for (unsigned i = 0; i < s->n && i < own->n; i++) {
		if (s->leaf[i].function != own->leaf[i].function || s->leaf[i].index != own->leaf[i].index ||
		    s->leaf[i].flags != own->leaf[i].flags)
			return record_fail(
				r, "the guest's processor has CPUID leaf 0x%x.%u where this host's has 0x%x.%u",
				s->leaf[i].function, s->leaf[i].index, own->leaf[i].function, own->leaf[i].index);
		for (unsigned j = 0; j < 4; j++)
			if (s->leaf[i].reg[j] != own->leaf[i].reg[j])
				return record_fail(
					r, "CPUID leaf 0x%x.%u: e%cx is 0x%x in the guest, and 0x%x on this host",
					s->leaf[i].function, s->leaf[i].index, "abcd"[j], s -> leaf[i].reg[j],
					own->leaf[i].reg[j]);
	}
	if (s->n != own->n)
		return record_fail(r, "the guest's processor has %u CPUID leaves, and this host's %u", s->n, own->n);
	if (differ * 1000000 > (uint64_t)own->tsc_khz * TSC_TOLERANCE)
		return record_fail(r, "the guest's time stamp counter runs at %u kHz, and this host's at %u",
				   s->tsc_khz, own->tsc_khz);
	return true;
}

bool kvm_cpuid_records(const struct kvm *k, struct records *r)
{
	static struct saved_cpuid own, s;

	own = (struct saved_cpuid){ .n = cpuid.c.nent, .tsc_khz = k->tsc_khz };
	for (unsigned i = 0; i < own.n; i++) {
		const struct kvm_cpuid_entry2 *e = &cpuid.c.entries[i];

		own.leaf[i].function = e->function;
		own.leaf[i].index = e->index;
		own.leaf[i].flags = e->flags;
		own.leaf[i].reg[0] = e->eax;
		own.leaf[i].reg[1] = e->ebx;
		own.leaf[i].reg[2] = e->ecx;
		own.leaf[i].reg[3] = e->edx;
	}
	s = own;
	return record(r, RECORD_CPUID, 0, &s, sizeof(s)) && (!r->reading || same_cpuid(r, &s, &own));
}

static struct kvm_segment flat(bool code, bool is64)
{
	return (struct kvm_segment){
		.base = 0,
		.limit = 0xffffffff,
		.selector = code ? 0x10 : 0x18, /* __BOOT_CS, __BOOT_DS */
		.type = code ? 11 : 3,
		.present = 1,
		.db = !is64,
		.s = 1,
		.l = is64,
		.g = 1,
	};
}

/* Write the GDT that the boot protocol demands: code at 0x10, data at 0x18, a task state segment at 0x20. */
static void put_gdt(uint64_t gdt[6], bool is64)
{
	gdt[0] = gdt[1] = 0;
	gdt[2] = is64 ? 0x00af9b000000ffffull : 0x00cf9b000000ffffull;
	gdt[3] = 0x00cf93000000ffffull;
	gdt[4] = 0x00008b0000000067ull;
	gdt[5] = 0;
}

/* Write page tables that map the first 4 GiB to the same physical addresses, with pages of 2 MiB. */
static void put_page_tables(uint64_t *pml4)
{
	uint64_t *pdpt = pml4 + 512, *pd = pml4 + 1024;

	pml4[0] = (LOAD_PAGE_TABLES + 0x1000) | 3;
	for (uint64_t i = 0; i < 4; i++)
		pdpt[i] = (LOAD_PAGE_TABLES + 0x2000 + i * 0x1000) | 3;
	for (uint64_t i = 0; i < 2048; i++)
		pd[i] = i << 21 | 0x83;
}

static void set_mode(struct kvm_sregs *s, bool is64)
{
	struct kvm_segment code = flat(true, is64), data = flat(false, false);

	s->cs = code;
	s->ds = s->es = s->fs = s->gs = s->ss = data;
	s->tr = (struct kvm_segment){ .limit = 0x67, .selector = 0x20, .type = 11, .present = 1 };
	s->ldt = (struct kvm_segment){ .unusable = 1, .type = 2 };
	s->gdt = (struct kvm_dtable){ .base = LOAD_GDT, .limit = 6 * 8 - 1 };
	s->idt = (struct kvm_dtable){ .base = 0, .limit = 0 };
	s->cr0 = X86_CR0_PE | X86_CR0_ET;
	s->cr4 = 0;
	if (is64) {
		s->cr3 = LOAD_PAGE_TABLES;
		s->cr4 = X86_CR4_PAE;
		s->cr0 |= X86_CR0_PG;
		s->efer = EFER_LME | EFER_LMA;
	}
}

int kvm_enter(struct kvm *k)
{
	bool is64 = k->load.mode == LOAD_ENTRY_64;
	void *gdt = shm_ptr(&k->vm->mem, LOAD_GDT, 6 * 8);
	void *tables = shm_ptr(&k->vm->mem, LOAD_PAGE_TABLES, 6 * 0x1000);
	struct kvm_regs r = { .rflags = 2, .rip = k->load.entry };
	struct kvm_sregs s;

	if (!gdt || !tables)
		return vm_fail(k->vm, GUEST_LOAD_FAILED, "the guest has too little memory");
	put_gdt(gdt, is64);
	if (is64)
		put_page_tables(tables);
	r.rax = k->load.magic;
	if (k->load.mode == LOAD_ENTRY_PVH || k->load.mode == LOAD_ENTRY_MULTIBOOT)
		r.rbx = k->load.boot_params;
	else
		r.rsi = k->load.boot_params;
	if (ioctl(VFD_VCPU0, KVM_GET_SREGS, &s) < 0)
		return vm_fail(k->vm, GUEST_ENGINE_FAILED, "KVM_GET_SREGS: %m");
	set_mode(&s, is64);
	if (ioctl(VFD_VCPU0, KVM_SET_SREGS, &s) < 0 || ioctl(VFD_VCPU0, KVM_SET_REGS, &r) < 0)
		return vm_fail(k->vm, GUEST_ENGINE_FAILED, "KVM_SET_SREGS or KVM_SET_REGS: %m");
	return 0;
}
