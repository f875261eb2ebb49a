/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Promise: between VHU_HOLD and VHU_GO a back-end uses no ring and has nothing in flight, whatever the driver and the
 * front-end do; then it goes on where it is told, without an interrupt. It accepts neither message unless asked for.
 */
#include <linux/virtio_config.h>
#include <string.h>

#include "tests/unit/common_backend_rig.h"

#define OUT (DATA + 0x1000)

static void begin(bool own_front)
{
	begin_with(&(struct echo_options){ .checkpoint = true, .own_front = own_front }, ALL, NULL);
	assert_true(front_queue_start(front_queue(&f, 0, 8, GPA)));
}

static bool hold(struct vhu_rings *at)
{
	struct vhu_msg m;

	if (!front_send(&f, VHU_HOLD, 0, NULL, 0, NULL, 0) || !front_recv(&f, &m, PATIENCE_MS))
		return false;
	*at = m.rings;
	return m.request == VHU_HOLD && m.size == sizeof(m.rings);
}

static uint64_t go(struct vhu_rings r, enum vhu_go what)
{
	r.what = what;
	return front_ack(&f, VHU_GO, &r, sizeof(r), NULL, 0);
}

static void offer(const char *text)
{
	const struct front_buf b[] = { { DATA, 4, false }, { OUT, 4, true } };

	memcpy(front_ptr(&f, DATA), text, 4);
	memset(front_ptr(&f, OUT), 0, 4);
	front_offer(&f.q[0], front_chain(&f.q[0], b, 2));
	front_kick(&f.q[0]);
}

static void is_answered(const char *text)
{
	uint32_t id, len;

	assert_true(front_wait_used(&f.q[0], &id, &len, PATIENCE_MS));
	assert_memory_equal(front_ptr(&f, OUT), text, 4);
}

static void nothing_moves_while_it_is_held(void **state)
{
	struct echo_config c;
	struct vhu_rings at;

	(void)state;
	begin(false);
	offer("ping");
	is_answered("ping");
	assert_true(hold(&at));
	assert_int_equal(at.nqueues, ECHO_QUEUES);
	assert_int_equal(at.base[0], 1);
	assert_int_equal(at.base[1], 0);
	offer("pong");
	/* A new kick eventfd, and enabling, which start a ring otherwise */
	assert_int_equal(front_ack_fd(&f, VHU_SET_VRING_KICK, 0, f.q[0].kick), 0);
	assert_int_equal(front_ack_state(&f, VHU_SET_VRING_ENABLE, 0, 1), 0);
	front_kick(&f.q[0]);
	assert_true(front_get_config(&f, 0, sizeof(c), &c));
	assert_int_equal(c.starts, c.stops);
	assert_int_equal(f.q[0].used->idx, 1);
	/* Again: the same */
	assert_true(hold(&at));
	assert_int_equal(at.base[0], 1);
	assert_int_equal(go(at, VHU_GO_ON), 0);
	is_answered("pong");
	assert_true(front_get_config(&f, 0, sizeof(c), &c));
	assert_int_equal(c.kept + c.back, 0);
	assert_int_equal(front_close(&f), 0);
}

/* What is in flight is finished before the reply. */
static void requests_in_flight_are_finished(void **state)
{
	struct echo_config c;
	struct vhu_rings at;

	(void)state;
	begin(false);
	assert_int_equal(front_ack(&f, VHU_SET_CONFIG,
				   &(struct vhu_config){
					   .offset = offsetof(struct echo_config, hold), .size = 1, .data = { 1 } },
				   offsetof(struct vhu_config, data) + 1, NULL, 0),
			 0);
	offer("ping");
	do
		assert_true(front_get_config(&f, 0, sizeof(c), &c));
	while (!c.held);
	assert_int_equal(f.q[0].used->idx, 0);
	assert_true(hold(&at));
	assert_int_equal(f.q[0].used->idx, 1);
	assert_int_equal(at.base[0], 1);
	assert_int_equal(front_close(&f), 0);
}

/* With such an area a ring that starts interrupts the driver, because a predecessor may have died before it did. */
static void with_inflight_area(void)
{
	struct vhu_inflight i = { .num_queues = ECHO_QUEUES, .queue_size = 8 };
	struct vhu_msg m;

	assert_true(front_send(&f, VHU_GET_INFLIGHT_FD, 0, &i, sizeof(i), NULL, 0));
	assert_true(front_recv(&f, &m, PATIENCE_MS));
	assert_int_equal(m.nfds, 1);
	i = m.inflight;
	assert_int_equal(front_ack(&f, VHU_SET_INFLIGHT_FD, &i, sizeof(i), &m.fds[0], 1), 0);
	vhu_close_fds(&m);
}

/* As after a reset of the guest: its memory is as it was, and so is the ring. */
static void it_goes_on_where_it_is_told(void **state)
{
	struct vhu_rings first, at;
	struct echo_config c;
	uint16_t idx;

	(void)state;
	begin_with(&(struct echo_options){ .checkpoint = true }, ALL, NULL);
	with_inflight_area();
	assert_true(front_queue_start(front_queue(&f, 0, 8, GPA)));
	offer("ping");
	is_answered("ping");
	assert_true(hold(&first));
	assert_int_equal(go(first, VHU_GO_CHECKPOINT), 0);
	for (unsigned i = 0; i < 50; i++) {
		offer("pong");
		is_answered("pong");
		offer("more");
		is_answered("more");
		assert_true(hold(&at));
		assert_int_equal(at.base[0], 3);
		f.q[0].avail->idx = f.q[0].avail_idx = f.q[0].used->idx = f.q[0].used_seen = 1;
		while (front_wait_call(&f.q[0], 0))
			;
		assert_int_equal(go(first, VHU_GO_RESET), 0);
		/* Nothing is new for the driver. */
		assert_true(front_get_config(&f, 0, sizeof(c), &c));
		assert_false(front_wait_call(&f.q[0], 0));
	}
	assert_int_equal(c.kept, 1);
	assert_int_equal(c.back, 50);
	idx = f.q[0].used->idx;
	assert_int_equal(idx, 1);
	assert_int_equal(front_close(&f), 0);
}

/* A ring that was stopped because of a fault works again after a reset. */
static void a_fault_is_taken_back(void **state)
{
	struct vhu_rings first, at;

	(void)state;
	begin(false);
	assert_true(hold(&first));
	assert_int_equal(go(first, VHU_GO_CHECKPOINT), 0);
	front_set_avail(&f.q[0], 1000);
	front_kick(&f.q[0]);
	assert_true(front_wait_err(&f.q[0], PATIENCE_MS));
	assert_true(hold(&at));
	f.q[0].avail->idx = f.q[0].avail_idx = 0;
	assert_int_equal(go(first, VHU_GO_RESET), 0);
	offer("ping");
	is_answered("ping");
	assert_int_equal(front_close(&f), 0);
}

static void bad_messages_are_refused(void **state)
{
	struct vhu_rings at, r;

	(void)state;
	begin(false);
	r = (struct vhu_rings){ .nqueues = ECHO_QUEUES };
	assert_int_not_equal(go(r, VHU_GO_ON), 0); /* It was not held. */
	assert_true(hold(&at));
	assert_int_not_equal(go(at, VHU_GO_MAX), 0);
	r = at;
	r.nqueues = ECHO_QUEUES + 1;
	assert_int_not_equal(go(r, VHU_GO_ON), 0);
	r.nqueues = UINT32_MAX;
	assert_int_not_equal(go(r, VHU_GO_ON), 0);
	assert_int_not_equal(front_ack(&f, VHU_GO, &at, sizeof(at) - 2, NULL, 0), 0);
	assert_int_equal(go(at, VHU_GO_ON), 0);
	offer("ping");
	is_answered("ping");
	assert_int_equal(front_close(&f), 0);
	/* The device refuses to go back, because it has kept nothing; it stays held. */
	begin(true);
	assert_true(hold(&at));
	assert_int_not_equal(go(at, VHU_GO_RESET), 0);
	assert_int_equal(go(at, VHU_GO_CHECKPOINT), 0);
	offer("ping");
	is_answered("ping");
	assert_int_equal(front_close(&f), 0);
}

static void it_is_not_accepted_unless_asked_for(void **state)
{
	struct vhu_rings r = { .nqueues = ECHO_QUEUES };
	struct vhu_msg m;

	(void)state;
	begin_with(&(struct echo_options){ 0 }, ALL, NULL);
	assert_true(front_queue_start(front_queue(&f, 0, 8, GPA)));
	assert_true(front_send(&f, VHU_HOLD, 0, NULL, 0, NULL, 0) && front_recv(&f, &m, PATIENCE_MS));
	assert_int_equal(m.size, 0);
	assert_int_not_equal(go(r, VHU_GO_ON), 0);
	offer("ping");
	is_answered("ping");
	assert_int_equal(front_close(&f), 0);
}

/* Held, and then without the front-end: the next connection is not. */
static void the_next_connection_is_not_held(void **state)
{
	struct vhu_rings at;

	(void)state;
	begin(false);
	assert_true(hold(&at));
	assert_int_equal(front_close(&f), 0);
	begin(false);
	offer("ping");
	is_answered("ping");
	assert_int_equal(front_close(&f), 0);
}

/* Of a device that stands still only, and one part after the other. */
static void files_are_for_a_device_that_stands_still(void **state)
{
	struct vhu_saved s = { .at = 5 };
	struct vhu_rings at;
	struct vhu_msg m;

	(void)state;
	begin(false);
	for (unsigned i = 0; i < 6; i++) {
		if (i == 2)
			assert_true(hold(&at));
		s.state = i >= 4 ? VHU_SAVED_DONE : VHU_SAVED_MORE;
		assert_true(front_send(&f, i & 1 ? VHU_SAVE : VHU_LOAD, 0, &s, sizeof(s), NULL, 0));
		assert_true(front_recv(&f, &m, PATIENCE_MS));
		if (i < 2 || i >= 4) {
			assert_int_equal(m.size, 0);
			continue;
		}
		assert_int_equal(m.size, sizeof(s));
		assert_int_equal(m.saved.at, i & 1 ? 6 : 105);
		assert_int_equal(m.saved.state, VHU_SAVED_DONE);
	}
	assert_int_equal(go(at, VHU_GO_ON), 0);
	assert_int_equal(front_close(&f), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_moves_while_it_is_held),
		cmocka_unit_test(requests_in_flight_are_finished),
		cmocka_unit_test(it_goes_on_where_it_is_told),
		cmocka_unit_test(a_fault_is_taken_back),
		cmocka_unit_test(bad_messages_are_refused),
		cmocka_unit_test(it_is_not_accepted_unless_asked_for),
		cmocka_unit_test(the_next_connection_is_not_held),
		cmocka_unit_test(files_are_for_a_device_that_stands_still),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
