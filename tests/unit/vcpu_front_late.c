/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Promise: a helper of our own that the host holds up is not lost. What the driver wants
 * meanwhile is recorded, and the helper is told once its late answer comes; until then
 * a reset has not taken effect.
 */
#include <signal.h>
#include <sys/wait.h>

#include "tests/unit/vcpu_front_rig.h"

/* Answers on a busy machine come within this time; the one that does not come is waited for so long. */
#define LATE_MS 300

static const struct front_ring first = { 128, 0x1000, 0x2000, 0x3000 }, second = { 64, 0x4000, 0x5000, 0x6000 };

/* Attached to a helper that keeps its next answer to @request. */
static void attach_to_late(uint32_t request)
{
	fresh(NULL);
	assert_int_equal(attach(), 0);
	h.lie_at = request;
	h.lie = NO_ANSWER;
	f.timeout_ms = LATE_MS;
}

static void say(uint32_t request, uint32_t flags, uint32_t size)
{
	struct vhu_msg m = { .request = request, .flags = flags, .size = size };

	send_bytes(&m, VHU_HDR_SIZE + MIN(size, 8u));
}

static bool answer_late(void)
{
	f.timeout_ms = HONEST_MS;
	say(f.overdue, VHU_VERSION | VHU_REPLY, 8);
	return front_event(&f);
}

/* All that was said has been handled by the helper when it has answered one more question. */
static void seen(void)
{
	assert_true(front_set_config(&f, 32, "", 1));
	assert_false(f.dead || f.overdue || front_stopping(&f));
}

static void a_start_is_told_later(void **state)
{
	static const uint32_t requests[] = { VHU_SET_FEATURES, VHU_SET_VRING_NUM, VHU_SET_VRING_BASE,
					     VHU_SET_VRING_ADDR, VHU_SET_VRING_ENABLE };

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(requests); i++) {
		unsigned starts;

		attach_to_late(requests[i]);
		assert_true(front_features(&f, BIT64(VIRTIO_BLK_F_FLUSH)) && front_start(&f, 1, &first) &&
			    front_enable(&f, 1, true));
		assert_int_equal(f.overdue, requests[i]);
		starts = h.starts;
		h.enables = 0;
		assert_true(front_event(&f)); /* nothing there yet */
		assert_true(answer_late());
		seen();
		/* A ring whose messages were all sent before is not started a second time. */
		assert_int_equal(h.starts, requests[i] == VHU_SET_VRING_ENABLE ? starts : starts + 1);
		assert_int_equal(h.enables, 1);
		assert_true(h.got_features & BIT64(VIRTIO_BLK_F_FLUSH));
		front_stop_all(&f);
		assert_false(f.dead);
		detach();
	}
}

/* The guest is paused: this process and the helper are stopped for longer than the time limit. */
static void wait_through_a_pause(void)
{
	enum { LIMIT_MS = 1500 };
	int status;
	pid_t pid;

	attach_to_late(VHU_SET_VRING_NUM);
	f.timeout_ms = LIMIT_MS;
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		usleep(50000); /* Let it begin to wait. */
		kill(getppid(), SIGSTOP);
		usleep((LIMIT_MS + 500) * 1000);
		kill(getppid(), SIGCONT);
		say(VHU_SET_VRING_NUM, VHU_VERSION | VHU_REPLY, 8);
		_exit(0);
	}
	assert_true(front_features(&f, BIT64(VIRTIO_BLK_F_FLUSH)) && front_start(&f, 1, &first));
	assert_int_equal(f.overdue, 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	f.timeout_ms = HONEST_MS;
	seen();
	front_stop_all(&f);
	detach();
}

/* In a child: where this program is process 1 of a namespace, SIGSTOP does not stop it. */
static void a_pause_is_not_waited_for(void **state)
{
	int status;
	pid_t pid = fork();

	(void)state;
	assert_true(pid >= 0);
	if (pid == 0) {
		wait_through_a_pause();
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void a_reset_takes_effect_later(void **state)
{
	(void)state;
	attach_to_late(VHU_GET_VRING_BASE);
	assert_true(front_features(&f, 0) && front_start(&f, 0, &first) && front_start(&f, 1, &first));
	assert_true(front_enable(&f, 0, true) && front_enable(&f, 1, true));
	front_stop_all(&f);
	assert_true(front_stopping(&f));
	assert_int_equal(h.stops, 1);
	/* A driver that does not wait for it. */
	assert_true(front_features(&f, BIT64(VIRTIO_BLK_F_FLUSH)) && front_start(&f, 0, &second) &&
		    front_enable(&f, 0, true));
	assert_false(front_start(&f, 0, &second));
	assert_int_equal(h.starts, 2);
	h.enables = 0;
	assert_true(answer_late());
	seen();
	/* Both old rings were stopped before the features and the new ring were told. */
	assert_int_equal(h.stops, 3);
	assert_int_equal(h.starts, 3);
	assert_int_equal(h.enables, 1);
	assert_true(h.got_features & BIT64(VIRTIO_BLK_F_FLUSH));
	detach();
}

static void configuration_is_told_later(void **state)
{
	uint8_t wce = 1;

	(void)state;
	attach_to_late(VHU_SET_CONFIG);
	assert_true(front_set_config(&f, 32, &wce, 1));
	assert_int_equal(f.config[32], 1);
	assert_int_equal(f.unsent, 1);
	assert_true(answer_late());
	assert_int_equal(f.unsent, 0);
	detach();
}

static void a_successor_takes_the_place_of_a_late_one(void **state)
{
	(void)state;
	attach_to_late(VHU_SET_VRING_NUM);
	assert_true(front_features(&f, BIT64(VIRTIO_BLK_F_FLUSH)) && front_start(&f, 1, &first) &&
		    front_enable(&f, 1, true));
	f.timeout_ms = HONEST_MS;
	h.resumes_as = 3;
	take_over();
	assert_true(front_event(&f));
	seen();
	assert_int_equal(h.starts, 1);
	assert_int_equal(h.enables, 1);
	detach();
}

static void what_is_no_late_answer_ends_it(void **state)
{
	static const struct {
		uint32_t request, flags, size;
	} words[] = { { VHU_SET_VRING_NUM, VHU_VERSION | VHU_REPLY, 8 },
		      { VHU_SET_FEATURES, VHU_VERSION, 8 },
		      { VHU_SET_FEATURES, 2 | VHU_REPLY, 8 },
		      { VHU_SET_FEATURES, VHU_VERSION | VHU_REPLY, 0 },
		      { VHU_SET_FEATURES, VHU_VERSION | VHU_REPLY, 7 } };

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(words); i++) {
		attach_to_late(VHU_SET_FEATURES);
		f.timeout_ms = LIAR_MS;
		assert_true(front_features(&f, 0));
		say(words[i].request, words[i].flags, words[i].size);
		assert_false(front_event(&f));
		assert_true(f.dead);
		assert_false(front_stopping(&f));
		assert_false(front_features(&f, 0));
		detach();
	}
}

static void one_that_is_late_again_and_again_is_given_up(void **state)
{
	(void)state;
	attach_to_late(VHU_SET_FEATURES);
	h.again = true;
	f.timeout_ms = LIAR_MS;
	assert_true(front_features(&f, 0));
	for (unsigned i = 0; i < FRONT_LATE_MAX - 1; i++) {
		say(VHU_SET_FEATURES, VHU_VERSION | VHU_REPLY, 8);
		assert_true(front_event(&f));
		assert_int_equal(f.overdue, VHU_SET_FEATURES);
	}
	say(VHU_SET_FEATURES, VHU_VERSION | VHU_REPLY, 8);
	assert_false(front_event(&f));
	assert_true(f.dead);
	detach();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_start_is_told_later),
		cmocka_unit_test(a_pause_is_not_waited_for),
		cmocka_unit_test(a_reset_takes_effect_later),
		cmocka_unit_test(configuration_is_told_later),
		cmocka_unit_test(a_successor_takes_the_place_of_a_late_one),
		cmocka_unit_test(what_is_no_late_answer_ends_it),
		cmocka_unit_test(one_that_is_late_again_and_again_is_given_up),
	};

	return cmocka_run_group_tests(tests, once, NULL);
}
