/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Promise: a vCPU thread waits neither for a guest nor for a host without end: it goes on
 * after a signal and after some EAGAINs, and gives up when the host answers nothing else.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>

#include <cmocka.h>

#include "vcpu/kvm/kvm.h"
#include "vcpu/kvm/run.h"
#include "vcpu/vm.h"

static struct kvm k;
static struct vm vm;
static struct kvm_run run;
static unsigned long calls, failures; /* of KVM_RUN; how many of them fail at first */
static unsigned long told, told_at;   /* KVM_KVMCLOCK_CTRL: how often; @calls at the last one */
static int failure;
static uint32_t exit_reason, next_reason;

/* The doubles of KVM_RUN and KVM_KVMCLOCK_CTRL, which fails as it does for a guest without a kvmclock. */
int ioctl(int fd, unsigned long request, ...)
{
	(void)fd;
	if (request == KVM_KVMCLOCK_CTRL) {
		told++;
		told_at = calls;
		errno = EINVAL;
		return -1;
	}
	assert_int_equal(request, KVM_RUN);
	if (calls++ < failures) {
		errno = failure;
		return -1;
	}
	run.exit_reason = exit_reason;
	exit_reason = next_reason;
	return 0;
}

static struct shmem_dev shmem; /* The device of --shmem; without bytes, there is none */
static struct vcpu_config config;

static enum guest_end play_exits(unsigned cpu, int error, unsigned long n, uint32_t first)
{
	memset(&k, 0, sizeof(k));
	memset(&vm, 0, sizeof(vm));
	pthread_mutex_init(&k.lock, NULL);
	k.vm = &vm;
	vm.c = &config;
	k.shmem = shmem;
	k.cpu[cpu].kvm = &k;
	k.cpu[cpu].run = &run;
	k.cpu[cpu].id = cpu;
	calls = told = told_at = 0;
	failures = n;
	failure = error;
	exit_reason = first;
	next_reason = KVM_EXIT_SHUTDOWN;
	kvm_loop(&k.cpu[cpu]);
	return vm.end;
}

static enum guest_end play_on(unsigned cpu, int error, unsigned long n)
{
	return play_exits(cpu, error, n, KVM_EXIT_SHUTDOWN);
}

/* One exit for @reason, then the guest's end. */
static enum guest_end play_exit(uint32_t reason)
{
	return play_exits(0, 0, 0, reason);
}

static enum guest_end play(int error, unsigned long n)
{
	return play_on(0, error, n);
}

static void it_goes_on(void **state)
{
	(void)state;
	assert_int_equal(play(EINTR, 200000), GUEST_CRASH);
	assert_int_equal(calls, 200001);
	assert_int_equal(play(EAGAIN, 1000), GUEST_CRASH);
	assert_int_equal(calls, 1001);
}

/* After a pause, before the guest runs again; not for what the guest itself can cause. */
static void a_guest_is_told_of_a_pause(void **state)
{
	(void)state;
	assert_int_equal(play(EINTR, 1), GUEST_CRASH);
	assert_int_equal(told, 1);
	assert_int_equal(told_at, 1);
	assert_int_equal(play_on(1, EINTR, 1), GUEST_CRASH);
	assert_int_equal(told, 1);
	assert_int_equal(play(EAGAIN, 10), GUEST_CRASH);
	assert_int_equal(told, 0);
	assert_int_equal(play(EFAULT, 1), GUEST_ENGINE_FAILED);
	assert_int_equal(told, 0);
}

static void it_gives_up(void **state)
{
	(void)state;
	assert_int_equal(play(EAGAIN, 1000000), GUEST_HOST_FAILED);
	assert_in_range(calls, 1001, 1000000 - 1);
	assert_non_null(strstr(vm.end_text, "limit on processes"));
	/* A guest can cause as many on a processor that was not started: an NMI does. */
	assert_int_equal(play_on(1, EAGAIN, 1000000), GUEST_CRASH);
	assert_int_equal(calls, 1000001);
	assert_int_equal(play(EFAULT, 1), GUEST_ENGINE_FAILED);
	assert_int_equal(calls, 1);
}

/* KVM answers EFAULT, or reports the access as one to a device, depending on how it runs the instruction. */
static void a_shortened_file_ends_the_guest(void **state)
{
	(void)state;
	shmem = (struct shmem_dev){ .bytes = 4096, .home = 0xe0000000 };
	assert_int_equal(play(EFAULT, 1), GUEST_HOST_FAILED);
	assert_non_null(strstr(vm.end_text, "--shmem: the guest used a part of the file that is gone"));
	for (int write = 0; write < 2; write++)
		for (int ro = 0; ro < 2; ro++) {
			config.shmem_ro = ro;
			run.mmio.phys_addr = 0xe0000ff8;
			run.mmio.len = 8;
			run.mmio.is_write = (uint8_t)write;
			/* With ro, a write is one that is ignored. */
			assert_int_equal(play_exit(KVM_EXIT_MMIO), write && ro ? GUEST_CRASH : GUEST_HOST_FAILED);
			run.mmio.phys_addr = 0xe0001000;
			assert_int_equal(play_exit(KVM_EXIT_MMIO), GUEST_CRASH);
		}
	shmem.bytes = 0;
	config.shmem_ro = false;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_goes_on),
		cmocka_unit_test(a_guest_is_told_of_a_pause),
		cmocka_unit_test(it_gives_up),
		cmocka_unit_test(a_shortened_file_ends_the_guest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
