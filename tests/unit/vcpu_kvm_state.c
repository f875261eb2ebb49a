/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Promise: after a reset the time stamp counters of a guest go on from where they were at the checkpoint, whatever the
 * guest has made of them, also where KVM multiplies the host's counter by a factor; and the timer of the local APIC gets
 * its deadline back in the mode that has one, and its count in the others. Uses a test double of KVM's calls.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cmocka.h>

#include "vcpu/kvm/state.h"
#include "vcpu/kvm/vm.h"
#include "vcpu/vm.h"

#define CPUS	     2
#define MSR_TSC	     0x10
#define MSR_DEADLINE 0x6e0
/* More than the counter advances in a test, and less than what would be an error. */
#define LITTLE (UINT64_C(1) << 40)

static struct kvm k;
static struct vm vm;
static struct vcpu_config config;
static struct kvm_pit_state2 pit;
static uint64_t offset[CPUS], factor, deadline[CPUS];
static uint32_t timer_mode[CPUS], count[CPUS];
static bool no_offsets;
static unsigned reads; /* Of a counter or its offset */

static uint64_t counter(unsigned id)
{
	return __builtin_ia32_rdtsc() * factor + offset[id];
}

static int msrs(unsigned id, bool set, struct kvm_msrs *m)
{
	for (unsigned i = 0; i < m->nmsrs; i++) {
		struct kvm_msr_entry *e = &m->entries[i];

		if (e->index != MSR_TSC && e->index != MSR_DEADLINE)
			return (int)i;
		if (!set) {
			reads += e->index == MSR_TSC;
			e->data = e->index == MSR_TSC ? counter(id) : deadline[id];
		} else if (e->index == MSR_TSC) {
			offset[id] = e->data - counter(id) + offset[id];
		} else if (timer_mode[id] == 2u << 17) { /* KVM ignores it in another mode. */
			deadline[id] = e->data;
		}
	}
	return (int)m->nmsrs;
}

static int attr(unsigned id, bool set, const struct kvm_device_attr *a)
{
	uint64_t *value = (uint64_t *)(uintptr_t)a->addr;

	if (no_offsets) {
		errno = ENXIO;
		return -1;
	}
	assert_true(a->group == KVM_VCPU_TSC_CTRL && a->attr == KVM_VCPU_TSC_OFFSET);
	reads += !set;
	if (set)
		offset[id] = *value;
	else
		*value = offset[id];
	return 0;
}

static int lapic(unsigned id, bool set, struct kvm_lapic_state *l)
{
	uint32_t lvt = timer_mode[id] | 0x30;

	if (!set) {
		memcpy(l->regs + 0x320, &lvt, sizeof(lvt));
		memcpy(l->regs + 0x380, &count[id], sizeof(count[id]));
		return 0;
	}
	memcpy(&lvt, l->regs + 0x320, sizeof(lvt));
	memcpy(&count[id], l->regs + 0x380, sizeof(count[id]));
	/* As apic_update_lvtt() of arch/x86/kvm/lapic.c */
	if (((lvt & 3u << 17) == 2u << 17) != (timer_mode[id] == 2u << 17))
		deadline[id] = count[id] = 0;
	timer_mode[id] = lvt & 3u << 17;
	return 0;
}

int ioctl(int fd, unsigned long request, ...)
{
	unsigned id = (unsigned)(fd - VFD_VCPU0);
	va_list ap;
	void *arg;

	va_start(ap, request);
	arg = va_arg(ap, void *);
	va_end(ap);
	switch (request) {
	case KVM_CHECK_EXTENSION:
		return 1;
	case KVM_GET_MSRS:
	case KVM_SET_MSRS:
		return msrs(id, request == KVM_SET_MSRS, arg);
	case KVM_GET_DEVICE_ATTR:
	case KVM_SET_DEVICE_ATTR:
		return attr(id, request == KVM_SET_DEVICE_ATTR, arg);
	case KVM_GET_LAPIC:
	case KVM_SET_LAPIC:
		return lapic(id, request == KVM_SET_LAPIC, arg);
	case KVM_GET_PIT2:
		*(struct kvm_pit_state2 *)arg = pit;
		return 0;
	case KVM_SET_PIT2:
		pit = *(struct kvm_pit_state2 *)arg;
		return 0;
	default:
		return 0;
	}
}

static int start(void **state)
{
	(void)state;
	k = (struct kvm){ .vm = &vm, .ncpus = CPUS };
	vm = (struct vm){ .c = &config };
	config = (struct vcpu_config){ .checkpoint = true };
	factor = 1;
	no_offsets = false;
	memset(timer_mode, 0, sizeof(timer_mode));
	memset(deadline, 0, sizeof(deadline));
	memset(count, 0, sizeof(count));
	offset[0] = 12345;
	offset[1] = UINT64_MAX / 3;
	return 0;
}

static void save(void)
{
	assert_int_equal(kvm_state_make(&k), 0);
	assert_int_equal(kvm_state_save(&k), 0);
	reads = 0;
}

static void load(void)
{
	assert_int_equal(kvm_state_load(&k), 0);
	assert_int_equal(vm.end, 0);
}

/* After each of some resets the counters go on from @at, as far from each other as they were. */
static void go_on_from(const uint64_t at[CPUS])
{
	for (unsigned n = 0; n < 5; n++) {
		usleep(1000);
		/* What the guest writes to one of its counters */
		offset[n % CPUS] += (uint64_t)n << 50;
		load();
		for (unsigned i = 0; i < CPUS; i++)
			assert_true(counter(i) - at[i] < LITTLE);
		if (!no_offsets)
			assert_true(offset[1] - offset[0] == UINT64_MAX / 3 - 12345);
	}
}

static void counters_go_on(void **state)
{
	uint64_t at[CPUS];

	(void)state;
	for (unsigned i = 0; i < CPUS; i++)
		at[i] = counter(i);
	save();
	go_on_from(at);
	/* The first reset finds that the host's counter is the same, and the others read it themselves. */
	assert_int_equal(reads, 2);
}

/* The host's counter is then of no use. */
static void counters_with_a_factor_go_on(void **state)
{
	uint64_t at[CPUS];

	(void)state;
	factor = 1u << 20;
	for (unsigned i = 0; i < CPUS; i++)
		at[i] = counter(i);
	save();
	for (unsigned n = 0; n < 5; n++) {
		load();
		/* A second of a counter at 4 GHz */
		for (unsigned i = 0; i < CPUS; i++)
			assert_true(counter(i) - at[i] < UINT64_C(4000000000) * factor * 10);
	}
	assert_int_equal(reads, 10);
}

/* It is found out for each guest. */
static void the_next_guest_may_have_a_factor(void **state)
{
	counters_go_on(state);
	start(state);
	counters_with_a_factor_go_on(state);
	start(state);
	counters_go_on(state);
}

static void hosts_without_offsets_get_values(void **state)
{
	uint64_t at[CPUS];

	(void)state;
	no_offsets = true;
	for (unsigned i = 0; i < CPUS; i++)
		at[i] = counter(i);
	save();
	go_on_from(at);
	assert_int_equal(reads, 0);
}

/* Each mode at the checkpoint, each mode at the reset */
static void the_timer_is_back_in_its_mode(void **state)
{
	for (uint32_t was = 0; was <= 2; was++)
		for (uint32_t is = 0; is <= 2; is++) {
			start(state);
			for (unsigned i = 0; i < CPUS; i++) {
				timer_mode[i] = was << 17;
				deadline[i] = was == 2 ? 1000 + i : 0;
				count[i] = was == 2 ? 0 : 500 + i;
			}
			save();
			for (unsigned i = 0; i < CPUS; i++) {
				timer_mode[i] = is << 17;
				deadline[i] = is == 2 ? 77 : 0;
				count[i] = is == 2 ? 0 : 88;
			}
			load();
			for (unsigned i = 0; i < CPUS; i++) {
				assert_int_equal(timer_mode[i], was << 17);
				assert_int_equal(deadline[i], was == 2 ? 1000 + i : 0);
				assert_int_equal(count[i], was == 2 ? 0 : 500 + i);
			}
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(counters_go_on, start),
		cmocka_unit_test_setup(counters_with_a_factor_go_on, start),
		cmocka_unit_test_setup(the_next_guest_may_have_a_factor, start),
		cmocka_unit_test_setup(hosts_without_offsets_get_values, start),
		cmocka_unit_test_setup(the_timer_is_back_in_its_mode, start),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
