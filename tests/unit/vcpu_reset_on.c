/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Promise: with --reset-on each kind of the guest's own end becomes a reset if it was chosen and a checkpoint was taken,
 * and stays an end otherwise; a run that lasts too long does, too; and after the last reset the guest ends.
 */
#include "tests/unit/vcpu_save_rig.h"
#include "vcpu/kvm/reset_on.h"

static const enum guest_end ends[] = {
	[RESET_ON_POWEROFF] = GUEST_POWEROFF, [RESET_ON_REBOOT] = GUEST_REBOOT,	     [RESET_ON_PANIC] = GUEST_PANIC,
	[RESET_ON_CRASH] = GUEST_CRASH,	      [RESET_ON_EXIT_PORT] = GUEST_REPORTED,
};

/* A guest with a checkpoint. */
static int start(void **state)
{
	reset_options(state);
	config.checkpoint = true;
	assert_int_equal(new_machine(), 0);
	k.devices.conio.gone = true;
	kvm_checkpoint_ask(&k, false, true);
	kvm_checkpoint_meet(&k);
	assert_true(k.checkpoint.taken);
	return 0;
}

static void only_the_chosen_ends_are_resets(void **state)
{
	for (unsigned chosen = 0; chosen < ARRAY_SIZE(ends); chosen++)
		for (unsigned end = 0; end < ARRAY_SIZE(ends); end++) {
			start(state);
			config.reset_on = (uint8_t)(1u << chosen);
			held.regs.rip = 9;
			assert_int_equal(reset_on_end(&k, ends[end]), end == chosen);
			assert_int_equal(kvm_checkpoint_wanted(&k), end == chosen);
			assert_false(k.ended);
			if (end == chosen)
				kvm_checkpoint_meet(&k);
			assert_int_equal(vm.stats.resets, end == chosen);
			assert_int_equal(k.checkpoint.instead[end], end == chosen);
			assert_true((held.regs.rip == 9) == (end != chosen));
		}
	/* What is no end of the guest's own */
	config.reset_on = 0xff;
	assert_false(reset_on_end(&k, GUEST_ENGINE_FAILED));
	assert_false(reset_on_end(&k, GUEST_HOST_FAILED));
}

static void without_a_checkpoint_the_guest_ends(void **state)
{
	(void)state;
	k.checkpoint.taken = false;
	config.reset_on = 0xff;
	assert_false(reset_on_end(&k, GUEST_PANIC));
	assert_int_equal(reset_on_due(&k, 7), 7);
	/* Nor does it go on when it was asked to power off. */
	k.checkpoint.taken = true;
	k.checkpoint.stops = true;
	assert_false(reset_on_end(&k, GUEST_POWEROFF));
	k.checkpoint.stops = false;
	/* One that was asked for at the same moment must not be of a guest that has ended. */
	k.checkpoint.taken = true;
	kvm_checkpoint_ask(&k, false, true);
	assert_false(reset_on_end(&k, GUEST_PANIC));
}

static void after_the_last_reset_the_guest_ends(void **state)
{
	(void)state;
	config.reset_on = 1u << RESET_ON_PANIC;
	config.resets = 1;
	assert_true(reset_on_end(&k, GUEST_PANIC));
	kvm_checkpoint_meet(&k);
	assert_false(k.ended);
	assert_true(reset_on_end(&k, GUEST_PANIC));
	assert_true(k.ended);
	assert_int_equal(vm.end, GUEST_POWEROFF);
	assert_int_equal(k.checkpoint.instead[RESET_ON_PANIC], 1);
}

static void a_run_has_an_end(void **state)
{
	int left;

	(void)state;
	config.run_ms = 100000;
	assert_int_equal(reset_on_due(&k, -1), -1);
	config.reset_on = 1u << RESET_ON_TIMEOUT;
	k.checkpoint.run_began = now_ms();
	left = reset_on_due(&k, -1);
	assert_in_range(left, 1, 100000);
	assert_int_equal(reset_on_due(&k, 0), 0);
	assert_false(kvm_checkpoint_wanted(&k));
	k.checkpoint.run_began = now_ms() - config.run_ms;
	assert_in_range(reset_on_due(&k, -1), 1, 1000);
	assert_true(kvm_checkpoint_wanted(&k));
	/* While the vCPU threads have not arrived, nothing is asked for again. */
	assert_in_range(reset_on_due(&k, -1), 1, 1000);
	kvm_checkpoint_meet(&k);
	assert_int_equal(k.checkpoint.instead[RESET_ON_TIMEOUT], 1);
	assert_int_equal(vm.stats.resets, 1);
	/* The next run has all its time. */
	assert_in_range(reset_on_due(&k, -1), 1000, 100000);
	assert_false(kvm_checkpoint_wanted(&k));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(only_the_chosen_ends_are_resets, start),
		cmocka_unit_test_setup(without_a_checkpoint_the_guest_ends, start),
		cmocka_unit_test_setup(after_the_last_reset_the_guest_ends, start),
		cmocka_unit_test_setup(a_run_has_an_end, start),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
