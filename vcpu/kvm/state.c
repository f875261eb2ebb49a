/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * State that KVM holds: see state.h. Runs in the vCPU process. The order of the calls matters:
 * comments name the reason, which is in arch/x86/kvm/ of Linux.
 */
#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>

#include "vcpu/kvm/msrs.h"
#include "vcpu/kvm/state.h"
#include "vcpu/kvm/vm.h"
#include "vcpu/vm.h"

#define CHIPS 3 /* Both PICs and the I/O APIC */

struct cpu_state {
	struct kvm_regs regs;
	struct kvm_sregs2 sregs;
	uint32_t xsave[sizeof(struct kvm_xsave) / sizeof(uint32_t)]; /* One, without its end of variable size */
	struct kvm_xcrs xcrs;
	struct kvm_debugregs debug;
	struct kvm_lapic_state lapic;
	struct kvm_vcpu_events events;
	struct kvm_mp_state mp;
	uint64_t tsc, offset; /* The counter, and what KVM adds to the host's */
};

static struct {
	struct cpu_state cpu[MAX_VCPUS];
	struct kvm_irqchip chip[CHIPS];
	struct kvm_pit_state2 pit;
	struct kvm_clock_data clock;
	bool xcrs;    /* The host's processor has XSAVE; without it there are no XCRs */
	bool offsets; /* The host can set the offset of the counter, since Linux 5.16 */
	bool plain;   /* The guest's counters are the host's and an offset, without a factor */
} saved;

/* ---- calls ---- */

static int call(struct kvm *k, int fd, unsigned long request, const char *name, void *arg)
{
	if (ioctl(fd, request, arg) >= 0)
		return 0;
	kvm_end(k, GUEST_ENGINE_FAILED, "checkpoint: %s: error %d", name, errno);
	return -1;
}
#define CPU(id, request, arg) call(k, VFD_VCPU0 + (int)(id), request, #request, arg)
#define VM(request, arg)      call(k, VFD_VM, request, #request, arg)

/* Linux before 5.19 does not hand out a bit of the PIT that the guest can set: its speaker's (port 0x61). */
static bool speaker_is_kept(void)
{
	struct kvm_pit_state2 was, now;

	if (ioctl(VFD_VM, KVM_GET_PIT2, &was) < 0)
		return false;
	now = was;
	now.flags |= KVM_PIT_FLAGS_SPEAKER_DATA_ON;
	if (ioctl(VFD_VM, KVM_SET_PIT2, &now) < 0 || ioctl(VFD_VM, KVM_GET_PIT2, &now) < 0)
		return false;
	return (now.flags & KVM_PIT_FLAGS_SPEAKER_DATA_ON) && ioctl(VFD_VM, KVM_SET_PIT2, &was) == 0;
}

int kvm_state_make(struct kvm *k)
{
	static const struct {
		int cap;
		const char *name;
	} needed[] = {
		{ KVM_CAP_XSAVE, "XSAVE" },
		{ KVM_CAP_VCPU_EVENTS, "pending events" },
		{ KVM_CAP_DEBUGREGS, "debug registers" },
		{ KVM_CAP_ADJUST_CLOCK, "the clock" },
		{ KVM_CAP_IMMEDIATE_EXIT, "leaving a vCPU" },
		{ KVM_CAP_SREGS2, "special registers (Linux 5.14)" },
	};
	uint64_t offset;
	struct kvm_device_attr a = { .group = KVM_VCPU_TSC_CTRL,
				     .attr = KVM_VCPU_TSC_OFFSET,
				     .addr = (uintptr_t)&offset };

	for (unsigned i = 0; i < ARRAY_SIZE(needed); i++)
		if (ioctl(VFD_ENGINE, KVM_CHECK_EXTENSION, needed[i].cap) <= 0)
			return vm_fail(k->vm, GUEST_ENGINE_FAILED, "%s: this host's KVM lacks a call for %s",
				       kvm_state_option(k), needed[i].name);
	if (!speaker_is_kept())
		return vm_fail(k->vm, GUEST_ENGINE_FAILED,
			       "%s: this host's KVM does not save the whole timer (PIT); it needs Linux 5.19",
			       kvm_state_option(k));
	saved.xcrs = ioctl(VFD_ENGINE, KVM_CHECK_EXTENSION, KVM_CAP_XCRS) > 0;
	saved.offsets = ioctl(VFD_VCPU0, KVM_GET_DEVICE_ATTR, &a) == 0;
	saved.plain = false;
	return kvm_msrs_make(k);
}

/* ---- save ---- */

static int tsc_offset(struct kvm *k, unsigned id, uint64_t *offset, bool set)
{
	struct kvm_device_attr a = { .group = KVM_VCPU_TSC_CTRL,
				     .attr = KVM_VCPU_TSC_OFFSET,
				     .addr = (uintptr_t)offset };

	if (!saved.offsets)
		return 0;
	return set ? CPU(id, KVM_SET_DEVICE_ATTR, &a) : CPU(id, KVM_GET_DEVICE_ATTR, &a);
}

static int save_cpu(struct kvm *k, unsigned id)
{
	struct cpu_state *s = &saved.cpu[id];

	/* KVM_GET_MP_STATE first: it takes INIT and SIPI that are still pending. */
	if (CPU(id, KVM_GET_MP_STATE, &s->mp) < 0 || CPU(id, KVM_GET_VCPU_EVENTS, &s->events) < 0 ||
	    CPU(id, KVM_GET_REGS, &s->regs) < 0 || CPU(id, KVM_GET_SREGS2, &s->sregs) < 0 ||
	    CPU(id, KVM_GET_XSAVE, s->xsave) < 0 || (saved.xcrs && CPU(id, KVM_GET_XCRS, &s->xcrs) < 0) ||
	    CPU(id, KVM_GET_DEBUGREGS, &s->debug) < 0 || CPU(id, KVM_GET_LAPIC, &s->lapic) < 0)
		return -1;
	/* KVM never reports the vector of a SIPI, and sets it only if asked to. */
	s->events.flags |= KVM_VCPUEVENT_VALID_SIPI_VECTOR;
	return kvm_msrs_save(k, id) < 0 || kvm_msr_get(k, id, MSR_TSC, &s->tsc) < 0
		       ? -1
		       : tsc_offset(k, id, &s->offset, false);
}

int kvm_state_save(struct kvm *k)
{
	for (unsigned i = 0; i < k->ncpus; i++)
		if (save_cpu(k, i) < 0)
			return -1;
	for (unsigned i = 0; i < CHIPS; i++) {
		saved.chip[i].chip_id = i;
		if (VM(KVM_GET_IRQCHIP, &saved.chip[i]) < 0)
			return -1;
	}
	if (VM(KVM_GET_PIT2, &saved.pit) < 0 || VM(KVM_GET_CLOCK, &saved.clock) < 0)
		return -1;
	saved.clock.flags = 0; /* KVM_SET_CLOCK shall not add the time that has passed since. */
	return 0;
}

/* ---- load ---- */

int kvm_state_load_msrs(struct kvm *k)
{
	for (unsigned i = 0; i < k->ncpus; i++) {
		struct kvm_vcpu_events events;
		struct kvm_mp_state mp;

		/* Both calls make KVM take what is pending and not shown, so that nothing of it comes later. */
		if (CPU(i, KVM_GET_MP_STATE, &mp) < 0 || CPU(i, KVM_GET_VCPU_EVENTS, &events) < 0 ||
		    kvm_msrs_load(k, i) < 0)
			return -1;
	}
	return 0;
}

/*
 * What the counters of the guest would be now without their offsets. If that is the host's counter, we read it
 * ourselves, because each call for a vCPU makes KVM load and unload its state. A factor does not change while the guest
 * exists.
 */
static int counter_now(struct kvm *k, uint64_t *now)
{
	uint64_t before = __builtin_ia32_rdtsc(), guest, offset = 0;

	*now = before;
	if (saved.plain)
		return 0;
	if (kvm_msr_get(k, 0, MSR_TSC, &guest) < 0 || tsc_offset(k, 0, &offset, false) < 0)
		return -1;
	*now = guest - offset;
	saved.plain = *now - before <= __builtin_ia32_rdtsc() - before;
	return 0;
}

/*
 * Set the time stamp counters back. All get the same shift of their offset, so that they stay as far from each other as
 * they were. Without the attribute KVM takes a write that is close to the running counter for an attempt to synchronise
 * vCPUs: it undoes what the guest has added, but the counter runs on.
 */
static int load_tsc(struct kvm *k)
{
	uint64_t now = 0, passed;

	if (saved.offsets && counter_now(k, &now) < 0)
		return -1;
	passed = now - (saved.cpu[0].tsc - saved.cpu[0].offset);
	for (unsigned i = 0; i < k->ncpus; i++) {
		uint64_t offset = saved.cpu[i].offset - passed;

		if (saved.offsets ? tsc_offset(k, i, &offset, true) < 0
				  : kvm_msr_set(k, i, MSR_TSC, saved.cpu[i].tsc) < 0)
			return -1;
	}
	return 0;
}

static int load_registers(struct kvm *k, unsigned id)
{
	struct cpu_state *s = &saved.cpu[id];

	return CPU(id, KVM_SET_SREGS2, &s->sregs) < 0 || CPU(id, KVM_SET_REGS, &s->regs) < 0 ||
			       CPU(id, KVM_SET_XSAVE, s->xsave) < 0 ||
			       (saved.xcrs && CPU(id, KVM_SET_XCRS, &s->xcrs) < 0) ||
			       CPU(id, KVM_SET_DEBUGREGS, &s->debug) < 0
		       ? -1
		       : 0;
}

#define LVT_TIMER     0x320
#define TIMER_MODE    (3u << 17)
#define MODE_DEADLINE (2u << 17)
#define TIMER_COUNT   0x380

static uint32_t lapic_register(const struct kvm_lapic_state *l, unsigned at)
{
	uint32_t value;

	memcpy(&value, l->regs + at, sizeof(value));
	return value;
}

static bool deadline_mode(const struct kvm_lapic_state *l)
{
	return (lapic_register(l, LVT_TIMER) & TIMER_MODE) == MODE_DEADLINE;
}

/*
 * If the mode of the timer is not the one with a deadline any more, KVM clears the count that the timer begins with,
 * also the one that it was given in this call (apic_update_lvtt()). The second call does not change the mode.
 */
static int load_lapic(struct kvm *k, unsigned id)
{
	struct kvm_lapic_state *l = &saved.cpu[id].lapic;

	if (CPU(id, KVM_SET_LAPIC, l) < 0)
		return -1;
	return lapic_register(l, TIMER_COUNT) ? CPU(id, KVM_SET_LAPIC, l) : 0;
}

/*
 * The local APIC after its mode (special registers) and the counter; the deadline after the mode of its timer; events
 * after the registers, because KVM_SET_REGS drops a pending exception. In another mode of the timer there is no
 * deadline: KVM_SET_LAPIC has dropped one, and KVM would ignore a write (kvm_set_lapic_tscdeadline_msr()).
 */
static int load_interrupts(struct kvm *k, unsigned id)
{
	struct cpu_state *s = &saved.cpu[id];

	return load_lapic(k, id) < 0 || (deadline_mode(&s->lapic) && kvm_msrs_load_deadline(k, id) < 0) ||
			       CPU(id, KVM_SET_VCPU_EVENTS, &s->events) < 0 || CPU(id, KVM_SET_MP_STATE, &s->mp) < 0
		       ? -1
		       : 0;
}

int kvm_state_load(struct kvm *k)
{
	for (unsigned i = 0; i < k->ncpus; i++)
		if (load_registers(k, i) < 0)
			return -1;
	/* The timer first, because its interrupt may come at once; the controllers forget that. */
	if (VM(KVM_SET_PIT2, &saved.pit) < 0)
		return -1;
	for (unsigned i = 0; i < CHIPS; i++)
		if (VM(KVM_SET_IRQCHIP, &saved.chip[i]) < 0)
			return -1;
	if (load_tsc(k) < 0)
		return -1;
	for (unsigned i = 0; i < k->ncpus; i++)
		if (load_interrupts(k, i) < 0)
			return -1;
	return VM(KVM_SET_CLOCK, &saved.clock);
}

/* ---- records of a saved guest ---- */

static bool cpu_records(struct records *r, unsigned i)
{
	struct cpu_state *s = &saved.cpu[i];
	uint64_t tsc[2] = { s->tsc, s->offset };

	if (!record(r, RECORD_REGS, i, &s->regs, sizeof(s->regs)) ||
	    !record(r, RECORD_SREGS, i, &s->sregs, sizeof(s->sregs)) ||
	    !record(r, RECORD_XSAVE, i, s->xsave, sizeof(s->xsave)) ||
	    !record(r, RECORD_XCRS, i, &s->xcrs, sizeof(s->xcrs)) ||
	    !record(r, RECORD_DEBUGREGS, i, &s->debug, sizeof(s->debug)) ||
	    !record(r, RECORD_LAPIC, i, &s->lapic, sizeof(s->lapic)) ||
	    !record(r, RECORD_EVENTS, i, &s->events, sizeof(s->events)) ||
	    !record(r, RECORD_MP_STATE, i, &s->mp, sizeof(s->mp)) || !record(r, RECORD_TSC, i, tsc, sizeof(tsc)))
		return false;
	s->tsc = tsc[0];
	s->offset = tsc[1];
	return true;
}

bool kvm_state_records(struct kvm *k, struct records *r)
{
	for (unsigned i = 0; i < k->ncpus; i++)
		if (!cpu_records(r, i))
			return false;
	if (!kvm_msrs_records(k, r))
		return false;
	for (unsigned i = 0; i < CHIPS; i++) {
		struct kvm_irqchip *c = &saved.chip[i];

		if (!record(r, RECORD_IRQCHIP, i, c, sizeof(*c)))
			return false;
		/* It chooses the controller that is set. */
		c->chip_id = i;
	}
	if (!record(r, RECORD_PIT, 0, &saved.pit, sizeof(saved.pit)) ||
	    !record(r, RECORD_CLOCK, 0, &saved.clock, sizeof(saved.clock)))
		return false;
	saved.clock.flags = 0;
	return true;
}

int kvm_state_first_msrs(struct kvm *k)
{
	for (unsigned i = 0; i < k->ncpus; i++)
		if (kvm_msrs_load(k, i) < 0)
			return -1;
	return 0;
}
