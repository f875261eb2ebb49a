/* SPDX-License-Identifier: GPL-2.0-or-later */
/* DHCP requests in netd's queues: the guest gets the answer, the tap gets no request, and a flood harms nobody. */
#include "tests/unit/dhcp_rig.h"

static void begin_served(void)
{
	struct net_config c = base_config();

	c.dhcp = served;
	begin_with(&c, MODERN);
}

/* Send the frame. */
static void guest_sends(void)
{
	memset(at(BUFFERS), 0, HDR);
	memcpy(at(BUFFERS + HDR), frame, len);
	assert_true(send_frame(HDR, len));
}

static void give_buffer(uint64_t where)
{
	const struct front_buf b = { where, 2048, true };

	front_offer(rig.rx, front_chain(rig.rx, &b, 1));
	front_kick(rig.rx);
}

/* Check that the next frame from the guest at the tap is this ordinary one: no request came before it. */
static void tap_has_only(uint32_t tag)
{
	frame_passes(HDR, 60, tag);
}

static void the_guest_gets_the_answer_and_the_tap_nothing(void **state)
{
	uint32_t id, got;

	(void)state;
	begin_served();
	give_buffer(BUFFERS + 0x10000);
	request(1);
	assert_int_equal(answer(), 2);
	guest_sends();
	assert_true(front_wait_used(rig.rx, &id, &got, PATIENCE_MS));
	assert_int_equal(got, HDR + reply.len);
	assert_memory_equal(at(BUFFERS + 0x10000 + HDR), reply.frame, reply.len);
	assert_memory_equal(at(BUFFERS + 0x10000), "\0\0\0\0\0\0\0\0\0\0\1\0", HDR);
	tap_has_only(1);
	/* A malformed one ends here as well. */
	request(1);
	frame[MESSAGE + 2] = 16;
	guest_sends();
	tap_has_only(2);
	end();
}

static void a_flood_is_answered_in_part_and_delays_nothing(void **state)
{
	uint32_t id, got, answers = 0;
	uint64_t start;

	(void)state;
	begin_served();
	request(1);
	assert_int_equal(answer(), 2);
	/* Without a buffer one answer waits, and the others are dropped. */
	for (unsigned i = 0; i < 200; i++)
		guest_sends();
	tap_has_only(3);
	for (unsigned i = 0; i < 4; i++)
		give_buffer(BUFFERS + 0x10000 + i * 0x1000);
	while (front_wait_used(rig.rx, &id, &got, answers ? 200 : PATIENCE_MS))
		answers++;
	assert_int_equal(answers, 1);
	end();
	/* With buffers the bucket holds: 8 at once and 10 a second. */
	start = now_ms();
	begin_served();
	for (unsigned i = 0; i < 128; i++)
		give_buffer(BUFFERS + 0x10000 + i * 0x1000);
	for (unsigned i = 0; i < 128; i++)
		guest_sends();
	tap_has_only(4);
	for (answers = 0; front_wait_used(rig.rx, &id, &got, answers ? 200 : PATIENCE_MS);)
		answers++;
	assert_in_range(answers, 1, 8 + (now_ms() - start) / 100 + 1);
	end();
}

static bool is_request(unsigned i)
{
	return i % 8 == 5;
}

/* Requests lie between frames that netd sends with one call, and the tap becomes full. */
static void a_full_tap_answers_each_request_once(void **state)
{
	static uint8_t got[HDR + 1514];

	(void)state;
	rig_batch = true;
	begin_served();
	rig_batch = false;
	request(1);
	for (unsigned i = 0; i < 250; i++) {
		put_frame(frame_at(i), 1514, i);
		if (is_request(i))
			memcpy(frame_at(i), frame, len);
		queue_frame(rig.tx, i, is_request(i) ? len : 1514);
	}
	queue_told(rig.tx);
	assert_in_range(wait_full(), 1, 249);
	for (unsigned i = 0; i < 250; i++) {
		if (is_request(i))
			continue;
		assert_int_equal(tap_got(0, got, sizeof(got), PATIENCE_MS), HDR + 1514);
		expect_frame(got + HDR, 1514, i);
	}
	for (uint32_t i = 0, id, used; i < 250; i++)
		assert_true(front_wait_used(rig.tx, &id, &used, PATIENCE_MS));
	assert_int_equal(stats().frames_out, 250);
	assert_int_equal(tap_got(0, got, sizeof(got), 0), -1);
	end();
}

static void without_dhcp_requests_are_frames_like_others(void **state)
{
	uint8_t got[HDR + ROOM];

	(void)state;
	begin(MODERN);
	request(1);
	assert_int_equal(answer(), 2);
	guest_sends();
	assert_int_equal(tap_got(0, got, sizeof(got), PATIENCE_MS), HDR + len);
	assert_memory_equal(got + HDR, frame, len);
	end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_guest_gets_the_answer_and_the_tap_nothing),
		cmocka_unit_test(a_flood_is_answered_in_part_and_delays_nothing),
		cmocka_unit_test(a_full_tap_answers_each_request_once),
		cmocka_unit_test(without_dhcp_requests_are_frames_like_others),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
