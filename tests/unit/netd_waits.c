/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Queues that have to wait: for the rate limit, for room in the tap, for another queue's
 * frames. Each continues without an event that may never come, and with a driver that kicks
 * only when asked to.
 */
#include "tests/unit/netd_rig.h"

/* Long enough for the frames of one ring to be more than a socket holds. */
#define FRAME 1514

static void offer_frame(uint32_t i)
{
	const struct front_buf b = { BUFFERS + (i % 256) * 2048, HDR + FRAME, false };

	memset(at(b.gpa), 0, HDR);
	put_frame(at(b.gpa + HDR), FRAME, i);
	front_offer(rig.tx, front_chain(rig.tx, &b, 1));
	front_notify(rig.tx, 1);
}

/* Send @count frames in pairs, each pair after the used entries of the one before. */
static void send_in_pairs(uint32_t count)
{
	uint8_t got[HDR + FRAME];
	uint32_t id, len;

	for (uint32_t i = 0; i < count; i++) {
		offer_frame(i);
		if (i % 2 == 0)
			continue;
		for (uint32_t k = i - 1; k <= i; k++) {
			assert_int_equal(tap_got(0, got, sizeof(got), PATIENCE_MS), HDR + FRAME);
			expect_frame(got + HDR, FRAME, k);
			assert_true(front_wait_used(rig.tx, &id, &len, PATIENCE_MS));
		}
	}
}

static void a_limited_queue_that_only_sends_goes_on(void **state)
{
	static const uint64_t features[] = { MODERN, MODERN | BIT64(VIRTIO_RING_F_EVENT_IDX) };
	struct net_config c = base_config();

	(void)state;
	c.rate_packets = 500; /* burst: 50. Any machine can send faster. */
	for (unsigned i = 0; i < ARRAY_SIZE(features); i++) {
		begin_with(&c, features[i]);
		send_in_pairs(150);
		assert_true(stats().throttled > 0);
		end();
	}
}

static void a_queue_goes_on_after_the_tap_was_full(void **state)
{
	uint8_t got[HDR + FRAME];
	uint32_t id, len;

	(void)state;
	begin(MODERN);
	/* Wait until the tap takes no more: the same count twice. */
	for (uint32_t i = 0; i < 255; i++)
		offer_frame(i);
	for (uint64_t before = 1, now = 0; before != now || !now; usleep(20000)) {
		before = now;
		now = stats().frames_out;
	}
	/* It did fill up: else nothing is tested here. */
	assert_in_range(stats().frames_out, 1, 254);
	for (uint32_t i = 0; i < 255; i++) {
		assert_int_equal(tap_got(0, got, sizeof(got), PATIENCE_MS), HDR + FRAME);
		expect_frame(got + HDR, FRAME, i);
		assert_true(front_wait_used(rig.tx, &id, &len, PATIENCE_MS));
	}
	send_in_pairs(100);
	end();
}

/* Replaces the work of queue 0: the loop polls the tap itself. */
static bool poll_instead(struct backend *be, struct vq *vq, unsigned budget)
{
	if (vq->index == 1)
		netd_ops.poll(be);
	return netd_ops.queue_work(be, vq, budget);
}

static bool no_edge(struct backend *be, int fd, uint32_t events)
{
	(void)be;
	(void)fd;
	(void)events;
	return false;
}

static void a_poll_that_ends_early_comes_back(void **state)
{
	const struct front_buf room = { BUFFERS, HDR + 1514, true };
	struct backend_ops ops = netd_ops;
	uint8_t runt[HDR + 1] = { 0 };
	struct stats s;

	(void)state;
	ops.queue_work = poll_instead;
	ops.fd_ready = no_edge;
	ops.poll = NULL;
	rig_ops = &ops;
	begin(MODERN);
	rig_ops = &netd_ops;
	front_offer(rig.rx, front_chain(rig.rx, &room, 1));
	front_kick(rig.rx);
	/* Answered by the loop: by the second one the kick has been served, and the tap found empty. */
	stats();
	stats();
	/* More than one turn's budget, none of which reaches the guest. */
	for (unsigned i = 0; i < BACKEND_CHAIN_BUDGET + 32; i++)
		assert_int_equal(send(rig.tap[0], runt, sizeof(runt), 0), sizeof(runt));
	offer_frame(0);
	for (unsigned tries = 0; tries < 2000; tries++) {
		s = stats();
		if (s.dropped_bad == BACKEND_CHAIN_BUDGET + 32)
			break;
		usleep(10000);
	}
	assert_int_equal(s.dropped_bad, BACKEND_CHAIN_BUDGET + 32);
	end();
}

/* The frame came, and its edge went by, while the tap's own queue had no buffers. */
static void a_frame_left_by_a_queue_that_stops_goes_to_the_first(void **state)
{
	const struct front_buf room = { BUFFERS, HDR + 1514, true };
	struct front_queue *rx1;
	uint32_t id, len;

	(void)state;
	begin_two_pairs();
	rx1 = front_queue(&rig.f, 2, 256, 0x20000);
	assert_true(front_queue_start(rx1));
	tap_send(1, &plain, 60, 1);
	/* Answered by the loop: the edge was served before, or is in the same turn. */
	stats();
	stats();
	front_offer(rig.rx, front_chain(rig.rx, &room, 1));
	front_notify(rig.rx, 1);
	stats();
	assert_false(front_used(rig.rx, &id, &len));
	assert_true(front_queue_stop(rx1) >= 0);
	assert_true(front_wait_used(rig.rx, &id, &len, PATIENCE_MS));
	expect_frame(at(BUFFERS + HDR), 60, 1);
	end();
}

/* The rig's taps are sockets, so setting their offloads fails with a message, by which the test detects it. */
static bool offloads_were_set(int log, int ms)
{
	struct pollfd p = { .fd = log, .events = POLLIN };
	char line[256];
	ssize_t n;

	if (poll(&p, 1, ms) != 1)
		return false;
	n = read(log, line, sizeof(line) - 1);
	line[n > 0 ? n : 0] = '\0';
	assert_non_null(strstr(line, "cannot set the tap's offloads"));
	return true;
}

/*
 * Setting a tap's offloads can take as long as another program keeps the host's network
 * configuration busy; no answer that the front-end waits for may depend on it.
 */
static void the_tap_is_set_up_once_the_queues_run(void **state)
{
	int log[2];

	(void)state;
	for (int sends = 1; sends >= 0; sends--) {
		assert_int_equal(pipe(log), 0);
		rig_log = log[1];
		begin(MODERN | OFFLOADS);
		rig_log = -1;
		/* Every message of the set-up has its answer. A driver that only receives need not say anything more. */
		stats();
		if (sends)
			offer_frame(0);
		assert_true(offloads_were_set(log[0], 20000));
		end();
		close(log[0]);
		close(log[1]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_limited_queue_that_only_sends_goes_on),
		cmocka_unit_test(a_queue_goes_on_after_the_tap_was_full),
		cmocka_unit_test(a_poll_that_ends_early_comes_back),
		cmocka_unit_test(the_tap_is_set_up_once_the_queues_run),
		cmocka_unit_test(a_frame_left_by_a_queue_that_stops_goes_to_the_first),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
