/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Promise: with --reset=fresh nothing that a helper has sent, or done to its connection, reaches the process that takes
 * its place, which gets all that the driver had set up at the checkpoint, and starts no ring before it is told.
 */
#include "tests/unit/vcpu_front_rig.h"

static const struct front_ring here = { 128, 0x1000, 0x2000, 0x3000 }, elsewhere = { 64, 0x4000, 0x5000, 0x6000 };
static struct front_saved saved;

/* A driver has started queue 1, a checkpoint was taken, and the driver has set up something else since. */
static void begin(void)
{
	assert_int_equal(attach(), 0);
	assert_true(front_features(&f, BIT64(VIRTIO_BLK_F_FLUSH)) && front_start(&f, 1, &here) &&
		    front_enable(&f, 1, true));
	assert_true(front_hold(&f));
	front_save(&f, &saved);
	assert_true(front_go(&f, VHU_GO_CHECKPOINT));
	front_stop_all(&f);
	assert_true(front_features(&f, BIT64(VIRTIO_BLK_F_MQ)) && front_start(&f, 0, &elsewhere) &&
		    front_enable(&f, 0, true));
	h.resumes_as = 3;
}

/* The next process of the helper. The thread of the last one serves it. */
static void successor_starts(void)
{
	h.mute = false;
	h.lie = HONEST;
	h.goes = h.holds = 0;
	take_over();
}

static void is_as_at_the_checkpoint(void)
{
	assert_true(front_load(&f, &saved));
	assert_true(f.held && h.held);
	assert_true(front_go(&f, VHU_GO_RESET));
	assert_false(f.dead || f.held || f.overdue || h.held);
	assert_true(f.any_page);
	assert_true(f.running[1] && f.enabled[1] && f.active[1] && !f.running[0]);
	assert_int_equal(h.addr.used, here.used);
	assert_int_equal(h.got_features, BIT64(VIRTIO_BLK_F_FLUSH) | BIT64(VHU_F_PROTOCOL_FEATURES));
	assert_int_equal(h.tables, 1);
	assert_int_equal(h.starts, 1);
	assert_int_equal(h.enables, 1);
	assert_int_equal(h.enabled_while_held, 1);
	assert_int_equal(h.holds, 1);
	assert_int_equal(h.go.what, VHU_GO_RESET);
	assert_int_equal(h.go.base[1], 65535);
}

static void renew(void)
{
	f.any_page = false;
	front_renew(&f);
	/* Before its successor is there, memory is taken back. */
	assert_true(f.any_page);
	successor_starts();
	is_as_at_the_checkpoint();
}

static void each_process_gets_all_state(void **state)
{
	(void)state;
	begin();
	for (unsigned i = 0; i < 50; i++) {
		front_leave(&f);
		renew();
		front_stop_all(&f);
	}
	detach();
}

static void send_to_front(const void *bytes, size_t n)
{
	assert_int_equal(send(h.sock, bytes, n, 0), n);
}

/* What a taken helper sends last is in no way part of what the next one sends. */
static void what_the_last_one_sent_is_dropped(void **state)
{
	static const uint8_t noise[3000] = { 0xff };
	const uint32_t half[] = { VHU_RESUME, VHU_VERSION | VHU_REPLY, 8, 99 };

	(void)state;
	begin();
	for (unsigned i = 0; i < 6; i++) {
		if (i < 3)
			front_leave(&f);
		switch (i % 3) {
		case 0:
			send_to_front(noise, sizeof(noise));
			break;
		case 1:
			send_to_front(half, sizeof(half));
			break;
		default:
			/* Complete, with another number */
			send_to_front(half, sizeof(half));
			send_to_front(noise, 4);
			break;
		}
		/* Half of a message is received before the helper ends. */
		if (i >= 3) {
			(void)vhu_recv(f.sock, &f.rx, false);
			front_leave(&f);
		}
		if (i % 2)
			assert_true(front_event(&f));
		renew();
		assert_int_equal(f.generation, 3);
	}
	detach();
}

static void a_device_that_did_not_work_works_again(void **state)
{
	static const enum lie lies[] = { OTHER_REQUEST, SIZE_MORE, NOISE, HALF_A_PAYLOAD };

	for (unsigned i = 0; i < ARRAY_SIZE(lies); i++) {
		fresh(state);
		begin();
		f.timeout_ms = LIAR_MS;
		f.late = FRONT_LATE_MAX;
		h.lie = lies[i];
		h.lie_at = VHU_SET_VRING_ENABLE;
		assert_false(front_enable(&f, 0, false));
		assert_true(f.dead);
		front_leave(&f);
		f.timeout_ms = HONEST_MS;
		renew();
		assert_int_equal(f.late, 0);
		detach();
	}
}

static void a_helper_that_was_late_is_not(void **state)
{
	(void)state;
	begin();
	f.timeout_ms = LIAR_MS;
	h.lie = NO_ANSWER;
	h.lie_at = VHU_SET_VRING_ENABLE;
	h.resumes_as = 0;
	assert_true(front_enable(&f, 0, false));
	assert_int_equal(f.overdue, VHU_SET_VRING_ENABLE);
	h.resumes_as = 3;
	front_leave(&f);
	f.timeout_ms = HONEST_MS;
	renew();
	detach();
}

/* The main thread may go on with the control queue of a NIC meanwhile. */
static void a_helper_that_is_to_end_is_asked_nothing(void **state)
{
	(void)state;
	begin();
	front_leave(&f);
	h.enables = 0;
	assert_false(front_enable(&f, 0, false));
	assert_false(f.dead || f.overdue);
	renew();
	detach();
}

static void the_write_cache_is_as_it_was(void **state)
{
	(void)state;
	begin();
	assert_true(front_set_config(&f, 32, "\5", 1));
	front_leave(&f);
	renew();
	assert_int_equal(h.configs, 1);
	assert_int_equal(h.config, 0x11);
	assert_int_equal(f.config[32], 0x11);
	/* As a new process has it */
	saved.config[32] = 1;
	front_leave(&f);
	renew();
	assert_int_equal(h.configs, 0);
	assert_int_equal(f.config[32], 1);
	detach();
}

static void a_successor_that_lies_is_given_up(void **state)
{
	static const uint32_t other[] = { VHU_GET_FEATURES, VHU_VERSION | VHU_REPLY, 8, 0, 0 };
	static const uint32_t odd[] = { VHU_RESUME, VHU_VERSION | VHU_REPLY | VHU_NEED_REPLY, 8, 3, 0 };

	for (unsigned i = 0; i < 3; i++) {
		fresh(state);
		begin();
		front_leave(&f);
		front_renew(&f);
		if (i == 2)
			shutdown(h.sock, SHUT_RDWR);
		else
			send_to_front(i ? odd : other, sizeof(other));
		assert_false(front_load(&f, &saved));
		assert_true(f.dead);
		detach();
	}
}

#define TEST(f) cmocka_unit_test_setup(f, fresh)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(each_process_gets_all_state),
		TEST(what_the_last_one_sent_is_dropped),
		TEST(a_device_that_did_not_work_works_again),
		TEST(a_helper_that_was_late_is_not),
		TEST(a_helper_that_is_to_end_is_asked_nothing),
		TEST(the_write_cache_is_as_it_was),
		TEST(a_successor_that_lies_is_given_up),
	};

	return cmocka_run_group_tests(tests, once, NULL);
}
