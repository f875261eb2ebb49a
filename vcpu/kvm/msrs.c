/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The model-specific registers of a checkpoint: see msrs.h. Runs in the vCPU process. */
#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>

#include "vcpu/kvm/msrs.h"
#include "vcpu/kvm/vm.h"
#include "vcpu/vm.h"

#define MSRS_MAX     512
#define AT_ONCE	     200 /* KVM takes fewer than 256 in one call */
#define MSR_DEADLINE 0x6e0

static uint32_t list[MSRS_MAX];
static unsigned count;
static bool has_deadline;
static struct {
	uint64_t value[MSRS_MAX], deadline;
} saved[MAX_VCPUS];

static union {
	struct kvm_msrs m;
	char room[sizeof(struct kvm_msrs) + AT_ONCE * sizeof(struct kvm_msr_entry)];
} io;

struct range {
	uint32_t first, last;
};

/* Registers that a guest can write and that KVM's own list lacks. */
static const struct range also[] = {
	{ 0x200, 0x20f },	    /* Memory types (MTRRs) */
	{ 0x250, 0x250 },	    /* The same */
	{ 0x258, 0x259 },	    /* The same */
	{ 0x268, 0x26f },	    /* The same */
	{ 0x2ff, 0x2ff },	    /* The same */
	{ 0x277, 0x277 },	    /* PAT */
	{ 0x280, 0x29f },	    /* Machine checks: second control registers */
	{ 0x400, 0x47f },	    /* Machine checks: 32 banks */
	{ 0xc0010015, 0xc0010015 }, /* AMD: hardware configuration */
	{ 0xc0010140, 0xc0010141 }, /* AMD: OS visible workarounds */
};
/* Those that other calls save, or that a guest of ours does not have. */
static const struct range without[] = {
	{ MSR_TSC, MSR_TSC },
	{ MSR_DEADLINE, MSR_DEADLINE },
	{ 0x1b, 0x1b },		    /* Base of the local APIC: special registers */
	{ 0x800, 0x8ff },	    /* The local APIC */
	{ 0xc0000080, 0xc0000080 }, /* EFER: special registers */
	{ 0xc0000100, 0xc0000101 }, /* FS and GS base: special registers */
	{ 0x40000000, 0x400001ff }, /* Hyper-V */
};

static bool try_one(uint32_t msr)
{
	io.m.nmsrs = 1;
	io.m.entries[0] = (struct kvm_msr_entry){ .index = msr };
	return ioctl(VFD_VCPU0, KVM_GET_MSRS, &io.m) == 1 && ioctl(VFD_VCPU0, KVM_SET_MSRS, &io.m) == 1;
}

static void consider(uint32_t msr)
{
	for (unsigned i = 0; i < ARRAY_SIZE(without); i++)
		if (msr >= without[i].first && msr <= without[i].last)
			return;
	for (unsigned i = 0; i < count; i++)
		if (list[i] == msr)
			return;
	if (count < MSRS_MAX && try_one(msr))
		list[count++] = msr;
}

int kvm_msrs_make(struct kvm *k)
{
	static union {
		struct kvm_msr_list l;
		char room[sizeof(struct kvm_msr_list) + MSRS_MAX * sizeof(uint32_t)];
	} known;

	count = 0;
	known.l.nmsrs = MSRS_MAX;
	if (ioctl(VFD_ENGINE, KVM_GET_MSR_INDEX_LIST, &known.l) < 0)
		return vm_fail(k->vm, GUEST_ENGINE_FAILED, "%s: KVM_GET_MSR_INDEX_LIST: %m", kvm_state_option(k));
	for (unsigned i = 0; i < known.l.nmsrs && i < MSRS_MAX; i++)
		consider(known.l.indices[i]);
	for (unsigned i = 0; i < ARRAY_SIZE(also); i++)
		for (uint32_t msr = also[i].first; msr <= also[i].last; msr++)
			consider(msr);
	has_deadline = try_one(MSR_DEADLINE);
	return 0;
}

/* Get or set the @n registers in io.m. */
static int transfer(struct kvm *k, unsigned id, unsigned n, bool set)
{
	int done;

	io.m.nmsrs = n;
	done = ioctl(VFD_VCPU0 + (int)id, set ? KVM_SET_MSRS : KVM_GET_MSRS, &io.m);
	if (done == (int)n)
		return 0;
	kvm_end(k, GUEST_ENGINE_FAILED, "checkpoint: cannot %s MSR 0x%x of CPU %u", set ? "set" : "get",
		io.m.entries[done < 0 ? 0 : done].index, id);
	return -1;
}

/* Get up to AT_ONCE registers from list[@from] on. */
static int get_some(struct kvm *k, unsigned id, unsigned from, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		io.m.entries[i] = (struct kvm_msr_entry){ .index = list[from + i] };
	return transfer(k, id, n, false);
}

int kvm_msr_get(struct kvm *k, unsigned id, uint32_t msr, uint64_t *value)
{
	io.m.entries[0] = (struct kvm_msr_entry){ .index = msr };
	if (transfer(k, id, 1, false) < 0)
		return -1;
	*value = io.m.entries[0].data;
	return 0;
}

int kvm_msr_set(struct kvm *k, unsigned id, uint32_t msr, uint64_t value)
{
	io.m.entries[0] = (struct kvm_msr_entry){ .index = msr, .data = value };
	return transfer(k, id, 1, true);
}

int kvm_msrs_save(struct kvm *k, unsigned id)
{
	for (unsigned from = 0; from < count; from += AT_ONCE) {
		unsigned n = MIN(count - from, AT_ONCE);

		if (get_some(k, id, from, n) < 0)
			return -1;
		for (unsigned i = 0; i < n; i++)
			saved[id].value[from + i] = io.m.entries[i].data;
	}
	return has_deadline ? kvm_msr_get(k, id, MSR_DEADLINE, &saved[id].deadline) : 0;
}

int kvm_msrs_load(struct kvm *k, unsigned id)
{
	for (unsigned from = 0; from < count; from += AT_ONCE) {
		unsigned n = MIN(count - from, AT_ONCE), changed = 0;

		if (get_some(k, id, from, n) < 0)
			return -1;
		for (unsigned i = 0; i < n; i++) {
			uint64_t want = saved[id].value[from + i];

			if (io.m.entries[i].data != want)
				io.m.entries[changed++] =
					(struct kvm_msr_entry){ .index = list[from + i], .data = want };
		}
		if (changed && transfer(k, id, changed, true) < 0)
			return -1;
	}
	return 0;
}

int kvm_msrs_load_deadline(struct kvm *k, unsigned id)
{
	return has_deadline ? kvm_msr_set(k, id, MSR_DEADLINE, saved[id].deadline) : 0;
}

/* ---- records of a saved guest ---- */

struct saved_list {
	uint32_t count, has_deadline, index[MSRS_MAX];
};

static bool same_list(struct records *r, const struct saved_list *s)
{
	if (s->count > MSRS_MAX)
		return record_fail(r, "its list of MSRs has %u entries", s->count);
	for (unsigned i = 0; i < s->count && i < count; i++)
		if (s->index[i] != list[i])
			return record_fail(r, "MSR 0x%x of the guest is MSR 0x%x on this host", s->index[i], list[i]);
	if (s->count != count)
		return record_fail(r, "the guest's processor has %u MSRs, and this host's KVM %u", s->count, count);
	if (s->has_deadline != has_deadline)
		return record_fail(r, "%s has the deadline mode of the APIC's timer (MSR 0x6e0), and %s does not",
				   s->has_deadline ? "the guest" : "this host's KVM",
				   s->has_deadline ? "this host's KVM" : "the guest");
	return true;
}

bool kvm_msrs_records(struct kvm *k, struct records *r)
{
	static struct saved_list s;

	s = (struct saved_list){ .count = count, .has_deadline = has_deadline };
	memcpy(s.index, list, sizeof(s.index));
	if (!record(r, RECORD_MSR_LIST, 0, &s, sizeof(s)) || (r->reading && !same_list(r, &s)))
		return false;
	for (unsigned i = 0; i < k->ncpus; i++)
		if (!record(r, RECORD_MSRS, i, saved[i].value, count * sizeof(saved[i].value[0])) ||
		    !record(r, RECORD_DEADLINE, i, &saved[i].deadline, sizeof(saved[i].deadline)))
			return false;
	return true;
}
