/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Promise: with --reset=fresh nothing of the guest goes back before all helpers have ended, and their successors start
 * before the guest goes on. If the guest ends meanwhile, it does not.
 */
#include "tests/unit/vcpu_save_rig.h"
#include "vcpu/kvm/checkpoint.h"
#include "vcpu/kvm/fresh.h"

static int supervisor; /* The other end of VFD_CTL */
static pthread_t thread;
static uint32_t asked[2]; /* Messages of the vCPU process, in order */

static uint32_t next_message(void)
{
	struct ctl_msg m;

	assert_int_equal(recv(supervisor, &m, sizeof(m), 0), sizeof(m));
	return m.type;
}

static void *end_helpers(void *arg)
{
	(void)arg;
	asked[0] = next_message();
	pthread_mutex_lock(&k.lock);
	assert_true(k.checkpoint.helpers_end);
	assert_int_equal(held.regs.rip, 9);
	assert_int_equal(vm.stats.resets, 0);
	kvm_fresh_gone(&k);
	pthread_mutex_unlock(&k.lock);
	asked[1] = next_message();
	return NULL;
}

static int start(void **state)
{
	reset_options(state);
	config.checkpoint = config.fresh = true;
	assert_int_equal(new_machine(), 0);
	k.devices.conio.gone = true;
	supervisor = rig_supervisor();
	kvm_checkpoint_ask(&k, false, true);
	kvm_checkpoint_meet(&k);
	assert_true(k.checkpoint.taken);
	held.regs.rip = 9;
	return 0;
}

static int stop(void **state)
{
	(void)state;
	close(supervisor);
	close(VFD_CTL);
	return 0;
}

static void the_guest_goes_back_between_the_two(void **state)
{
	(void)state;
	kvm_checkpoint_ask(&k, true, true);
	assert_int_equal(pthread_create(&thread, NULL, end_helpers, NULL), 0);
	assert_false(kvm_checkpoint_meet(&k));
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_equal(asked[0], CTL_END_HELPERS);
	assert_int_equal(asked[1], CTL_START_HELPERS);
	assert_int_equal(held.regs.rip, 0);
	assert_int_equal(vm.stats.resets, 1);
}

static void a_supervisor_that_is_gone_ends_the_guest(void **state)
{
	(void)state;
	close(supervisor);
	supervisor = -1;
	kvm_checkpoint_ask(&k, true, true);
	assert_true(kvm_checkpoint_meet(&k));
	assert_int_equal(vm.end, GUEST_ENGINE_FAILED);
	assert_string_equal(vm.end_text, "reset: cannot ask the supervisor for new helpers");
	assert_int_equal(held.regs.rip, 9);
}

static void a_guest_that_has_ended_does_not_go_back(void **state)
{
	(void)state;
	k.checkpoint.helpers_end = true;
	k.ended = true;
	kvm_fresh_gone(&k);
	assert_true(k.checkpoint.helpers_end);
	k.checkpoint.helpers_end = k.ended = false;
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, start, stop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_guest_goes_back_between_the_two),
		TEST(a_supervisor_that_is_gone_ends_the_guest),
		TEST(a_guest_that_has_ended_does_not_go_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
