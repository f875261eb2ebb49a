/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Promise: for a checkpoint and a reset a helper stands still, gets back what the driver had set up, and goes on where
 * it stood; one that is restarted at any moment too; one that lies or does not answer is given up in time.
 */
#include <errno.h>
#include <linux/vhost_types.h>

#include "tests/unit/vcpu_front_rig.h"

static const struct front_ring here = { 128, 0x1000, 0x2000, 0x3000 }, elsewhere = { 64, 0x4000, 0x5000, 0x6000 };
static struct front_saved saved;
static bool early; /* The request is sent first, and the reply received later. */

static int fresh_early(void **state)
{
	early = true;
	return fresh(state);
}

/* A driver has started queue 1; a checkpoint was taken. */
static void begin(void)
{
	assert_int_equal(attach(), 0);
	assert_true(front_features(&f, BIT64(VIRTIO_BLK_F_FLUSH)) && front_start(&f, 1, &here) &&
		    front_enable(&f, 1, true));
	assert_true(front_hold(&f));
	front_save(&f, &saved);
	assert_true(front_go(&f, VHU_GO_CHECKPOINT));
	assert_int_equal(h.go.what, VHU_GO_CHECKPOINT);
	h.starts = h.enables = h.stops = h.holds = h.goes = h.configs = 0;
}

static bool reset(void)
{
	if (early)
		front_hold_early(&f);
	if (!front_hold(&f) || !front_load(&f, &saved))
		return false;
	if (early)
		front_go_early(&f, VHU_GO_RESET);
	return front_go(&f, VHU_GO_RESET);
}

/* The helper has what the driver had set up at the checkpoint, and was told where its rings stood. */
static void is_back(void)
{
	assert_false(f.dead || f.held || h.held);
	assert_true(f.running[1] && f.enabled[1] && f.active[1] && !f.running[0]);
	assert_memory_equal(&f.ring[1], &here, sizeof(here));
	assert_int_equal(h.go.what, VHU_GO_RESET);
	assert_int_equal(h.go.nqueues, 2);
	assert_int_equal(h.go.base[0], 7);
	assert_int_equal(h.go.base[1], 65535);
}

static void two_messages_are_enough(void **state)
{
	(void)state;
	begin();
	for (unsigned i = 0; i < 100; i++) {
		assert_true(reset());
		is_back();
	}
	assert_int_equal(h.holds, 100);
	assert_int_equal(h.goes, 100);
	assert_int_equal(h.starts + h.stops + h.enables + h.configs, 0);
	assert_false(f.any_page);
	detach();
}

/* The driver has set up the device in another way, or not at all. */
static void what_the_driver_has_changed_is_back(void **state)
{
	(void)state;
	begin();
	for (unsigned i = 0; i < 20; i++) {
		front_stop_all(&f);
		if (i & 1)
			assert_true(front_features(&f, BIT64(VIRTIO_BLK_F_MQ)) && front_start(&f, 0, &elsewhere) &&
				    front_enable(&f, 0, true));
		if (i & 2)
			assert_true(front_start(&f, 1, &elsewhere));
		h.starts = 0;
		assert_true(reset());
		is_back();
		assert_int_equal(h.starts, 1);
		assert_int_equal(h.addr.used, here.used);
		assert_true(h.enabled_while_held > 0);
		assert_int_equal(h.got_features, BIT64(VIRTIO_BLK_F_FLUSH) | BIT64(VHU_F_PROTOCOL_FEATURES));
	}
	/* The write cache */
	assert_true(front_set_config(&f, 32, "\5", 1));
	h.configs = 0;
	assert_true(reset());
	assert_int_equal(h.configs, 1);
	assert_int_equal(h.config, 0x11);
	assert_int_equal(f.config[32], 0x11);
	detach();
}

/* At each request of a reset the helper dies instead of answering. Its successor starts no ring before it is told. */
static void a_helper_that_is_restarted_stands_still(void **state)
{
	static const uint32_t requests[] = { VHU_HOLD,
					     VHU_GET_VRING_BASE,
					     VHU_SET_FEATURES,
					     VHU_SET_VRING_ADDR,
					     VHU_SET_VRING_ENABLE,
					     VHU_SET_CONFIG,
					     VHU_GO };

	for (unsigned i = 0; i < ARRAY_SIZE(requests); i++) {
		fresh(state);
		begin();
		front_stop(&f, 1);
		assert_true(front_start(&f, 1, &elsewhere) && front_enable(&f, 1, true));
		assert_true(front_set_config(&f, 32, "\5", 1));
		h.enabled_while_held = 0;
		h.lie = NO_ANSWER;
		h.resumes_as = 7;
		h.lie_at = requests[i];
		assert_true(reset());
		is_back();
		assert_int_equal(h.addr.used, here.used);
		assert_int_equal(h.config, 0x11);
		assert_int_equal(f.config[32], 0x11);
		assert_true(f.any_page);
		/* The successor was told all of it, and had its ring enabled only after VHU_HOLD. */
		assert_int_equal(h.tables, 1);
		if (requests[i] != VHU_HOLD)
			assert_int_equal(h.enables, h.enabled_while_held);
		detach();
	}
	/* One that dies each time is given up. */
	fresh(state);
	begin();
	h.lie = NO_ANSWER;
	h.resumes_as = 7;
	h.again = true;
	h.lie_at = VHU_HOLD;
	assert_false(reset());
	detach();
}

static void lies_end_it(void **state)
{
	static const uint32_t requests[] = { VHU_HOLD, VHU_GO };

	for (unsigned i = 0; i < ARRAY_SIZE(requests); i++)
		for (enum lie lie = NO_ANSWER; lie < LIES; lie++) {
			if (lie == WITH_DESCRIPTORS)
				continue;
			fresh(state);
			begin();
			f.timeout_ms = LIAR_MS;
			h.lie = lie;
			h.lie_at = requests[i];
			assert_false(reset());
			detach();
		}
	/* Fewer queues than it has, and more than there can be */
	for (uint32_t n = 0; n < 3; n++) {
		fresh(state);
		begin();
		h.held_queues = n == 0 ? 1 : n == 1 ? MAX_QUEUES + 1 : UINT32_MAX;
		assert_false(reset());
		assert_true(f.dead);
		detach();
	}
	/* It refuses. */
	fresh(state);
	begin();
	h.nack = VHU_GO;
	assert_false(reset());
	detach();
}

static void the_log_is_handed_over(void **state)
{
	const struct front_ring outside = { 128, 0x1000, 0x2000, 4096 * 8 * 4096ull - 8 };

	fresh(state);
	h.logs = true;
	/* A helper that does not offer it */
	assert_int_equal(attach(), -1);
	assert_non_null(strstr(f.error, "does not log"));
	detach();
	fresh(state);
	h.logs = true;
	h.features |= BIT64(VHOST_F_LOG_ALL);
	begin();
	assert_int_equal(h.logs_set, 1);
	assert_true(h.got_features & BIT64(VHOST_F_LOG_ALL));
	assert_int_equal(h.addr.flags, BIT64(VHOST_VRING_F_LOG));
	assert_int_equal(h.addr.log, here.used);
	take_over();
	detach();
	/* A used ring behind all memory: without a log, because a helper ends the connection if a log is too short. */
	fresh(state);
	h.logs = true;
	h.features |= BIT64(VHOST_F_LOG_ALL);
	begin();
	assert_true(front_start(&f, 0, &outside));
	assert_int_equal(h.addr.flags, 0);
	/* The successor gets the log as well. */
	h.logs_set = 0;
	h.resumes_as = 3;
	take_over();
	assert_true(front_event(&f));
	assert_int_equal(h.logs_set, 1);
	detach();
}

/* ---- the file of --save and --from ---- */

static void the_parts_of_a_disk_are_asked_for_until_the_end(void **state)
{
	uint64_t at = 4096;

	(void)state;
	begin();
	assert_true(front_hold(&f));
	h.part[0] = (struct vhu_saved){ .at = 5000, .cluster = 7, .count = 3 };
	h.part[1] = (struct vhu_saved){ .at = 5000, .cluster = 8, .count = 4 };
	h.part[2] = (struct vhu_saved){ .at = 6000, .cluster = 8, .count = 4, .state = VHU_SAVED_DONE };
	assert_true(front_file(&f, false, &at));
	assert_int_equal(at, 6000);
	assert_int_equal(h.parts, 3);
	assert_int_equal(h.asked.at, 5000);
	assert_int_equal(h.asked.cluster, 8);
	assert_int_equal(h.asked.count, 4);
	assert_true(front_go(&f, VHU_GO_CHECKPOINT));
	detach();
}

static void an_error_of_the_file_is_named(void **state)
{
	uint64_t at = 4096;

	(void)state;
	begin();
	assert_true(front_hold(&f));
	h.part[0] = (struct vhu_saved){ .at = 4096, .state = VHU_SAVED_FAILED, .error = ENOSPC };
	assert_false(front_file(&f, false, &at));
	assert_string_equal(f.error, "blk0: what the guest has changed on its disk: No space left on device");
	h.part[1] = (struct vhu_saved){ .at = 4096, .state = VHU_SAVED_FAILED };
	assert_false(front_file(&f, true, &at));
	assert_string_equal(f.error, "blk0: what the guest had changed on its disk is damaged; save the guest again");
	f.kind = DEV_FS;
	h.part[2] = (struct vhu_saved){ .at = 4096, .state = VHU_SAVED_FAILED };
	assert_false(front_file(&f, true, &at));
	assert_string_equal(f.error, "blk0: what the guest had open in its share is damaged; save the guest again");
	assert_int_equal(at, 4096);
	assert_false(f.dead);
	detach();
}

/* Without a limit a taken helper could keep the guest from its start. */
static void a_helper_that_does_not_come_to_an_end_is_given_up(void **state)
{
	const struct vhu_saved lies[] = {
		{ .at = 4096 },
		{ .at = 4095, .cluster = 1 },
		{ .at = UINT64_MAX, .cluster = 1 },
		{ .at = 4096, .cluster = UINT64_MAX },
		{ .at = 4096, .state = VHU_SAVED_FAILED + 1 },
	};

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(lies); i++) {
		uint64_t at = 4096;

		fresh(NULL);
		h.logs = true;
		h.features |= BIT64(VHOST_F_LOG_ALL);
		begin();
		assert_true(front_hold(&f));
		h.part[0] = lies[i];
		h.part[1] = (struct vhu_saved){ .at = 4096, .state = VHU_SAVED_DONE };
		assert_false(front_file(&f, true, &at));
		assert_true(f.dead);
		assert_true(f.error[0]);
		detach();
	}
}

static void the_successor_of_a_helper_begins_the_file_again(void **state)
{
	uint64_t at = 4096;

	(void)state;
	begin();
	assert_true(front_hold(&f));
	h.part[0] = (struct vhu_saved){ .at = 5000, .cluster = 7, .count = 3 };
	h.part[2] = (struct vhu_saved){ .at = 6000, .cluster = 8, .count = 4, .state = VHU_SAVED_DONE };
	h.lie_at = VHU_SAVE;
	h.lie = NO_ANSWER;
	h.skip = 1;
	h.resumes_as = 1;
	assert_true(front_file(&f, false, &at));
	assert_int_equal(h.asked.at, 4096);
	assert_int_equal(h.asked.cluster, 0);
	assert_int_equal(at, 6000);
	assert_int_equal(h.holds, 2);
	detach();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(two_messages_are_enough, fresh),
		cmocka_unit_test_setup(what_the_driver_has_changed_is_back, fresh),
		cmocka_unit_test_setup(a_helper_that_is_restarted_stands_still, fresh),
		cmocka_unit_test_setup(lies_end_it, fresh),
		cmocka_unit_test_setup(the_log_is_handed_over, fresh),
		cmocka_unit_test_setup(two_messages_are_enough, fresh_early),
		cmocka_unit_test_setup(what_the_driver_has_changed_is_back, fresh_early),
		cmocka_unit_test_setup(a_helper_that_is_restarted_stands_still, fresh_early),
		cmocka_unit_test_setup(lies_end_it, fresh_early),
		cmocka_unit_test_setup(the_parts_of_a_disk_are_asked_for_until_the_end, fresh),
		cmocka_unit_test_setup(an_error_of_the_file_is_named, fresh),
		cmocka_unit_test_setup(a_helper_that_does_not_come_to_an_end_is_given_up, fresh),
		cmocka_unit_test_setup(the_successor_of_a_helper_begins_the_file_again, fresh),
	};

	return cmocka_run_group_tests(tests, once, NULL);
}
