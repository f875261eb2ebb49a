/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Promise: on a host without nested paging each reset makes KVM drop its shadow page tables before a processor runs
 * again, by a slot in which the guest can keep nothing. Uses a test double of KVM's calls.
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

#include "vcpu/kvm/checkpoint.h"
#include "vcpu/kvm/shadow.h"

#define PAGE 4096u

static struct kvm k;
static struct vm vm;
static struct kvm_run run;
static struct vcpu_config config;
static uint8_t memory[16 * PAGE] __attribute__((aligned(PAGE)));
static struct kvm_pit_state2 pit;

/* KVM_SET_USER_MEMORY_REGION: how often, to another place, and flaws. */
static unsigned calls, moves, writable, sizes, contents;
static uint64_t place;
static bool refuse;

static int set_slot(const struct kvm_userspace_memory_region *m)
{
	const uint8_t *p = (const uint8_t *)(uintptr_t)m->userspace_addr;

	writable += !(m->flags & KVM_MEM_READONLY);
	sizes += m->memory_size != PAGE;
	for (unsigned i = 0; i < PAGE; i++)
		contents += p[i] != 0xff;
	moves += calls && m->guest_phys_addr != place;
	place = m->guest_phys_addr;
	calls++;
	errno = EIO;
	return refuse ? -1 : 0;
}

int ioctl(int fd, unsigned long request, ...)
{
	va_list ap;
	void *arg;

	(void)fd;
	va_start(ap, request);
	arg = va_arg(ap, void *);
	va_end(ap);
	switch (request) {
	case KVM_SET_USER_MEMORY_REGION:
		return set_slot(arg);
	case KVM_CHECK_EXTENSION:
		return 1;
	case KVM_GET_MSRS: /* It has each one, with the value 0. */
	case KVM_SET_MSRS:
		return (int)((struct kvm_msrs *)arg)->nmsrs;
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
	k = (struct kvm){ .vm = &vm, .ncpus = 1 };
	vm = (struct vm){ .c = &config };
	config = (struct vcpu_config){ .checkpoint = true, .shadow_paging = true, .vmgenid_same = true };
	vm.mem.nregions = 1;
	vm.mem.r[0] = (struct shm_region){ .size = sizeof(memory), .hva = memory };
	k.cpu[0].kvm = &k;
	k.cpu[0].run = &run;
	k.cpu[0].thread = pthread_self();
	pthread_mutex_init(&k.lock, NULL);
	calls = moves = writable = sizes = contents = 0;
	refuse = false;
	return 0;
}

static void ask(bool reset)
{
	kvm_checkpoint_ask(&k, reset, true);
	assert_true(kvm_checkpoint_wanted(&k));
	kvm_checkpoint_meet(&k);
}

static void begin(void)
{
	assert_int_equal(kvm_shadow_make(&k), 0);
	assert_int_equal(kvm_checkpoint_make(&k), 0);
	ask(false);
}

static void a_slot_moves_at_each_reset(void **state)
{
	(void)state;
	begin();
	for (unsigned n = 1; n <= 20; n++) {
		ask(true);
		assert_int_equal(calls, 1 + n);
		assert_int_equal(moves, n);
	}
	assert_int_equal(vm.stats.resets, 20);
}

static void the_guest_reads_ones_and_writes_nothing(void **state)
{
	(void)state;
	begin();
	ask(true);
	ask(true);
	assert_int_equal(writable + sizes + contents, 0);
}

static void the_guest_ends_if_the_call_fails(void **state)
{
	(void)state;
	begin();
	refuse = true;
	ask(true);
	assert_true(k.ended);
	assert_int_equal(vm.end, GUEST_ENGINE_FAILED);
	assert_int_equal(vm.stats.resets, 0);
	start(state);
	refuse = true;
	assert_int_equal(kvm_shadow_make(&k), -1);
}

static void with_nested_paging_there_is_no_slot(void **state)
{
	(void)state;
	config.shadow_paging = false;
	begin();
	ask(true);
	assert_int_equal(calls, 0);
	assert_int_equal(vm.stats.resets, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(a_slot_moves_at_each_reset, start),
		cmocka_unit_test_setup(the_guest_reads_ones_and_writes_nothing, start),
		cmocka_unit_test_setup(the_guest_ends_if_the_call_fails, start),
		cmocka_unit_test_setup(with_nested_paging_there_is_no_slot, start),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
