/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Frames that netd sends or reads with one system call: all of them arrive, in order and whole, between frames that
 * are dropped, moved alone or too large for a buffer; a full tap and a guest without buffers lose none; on a tap
 * without RWF_NOWAIT each is moved by itself; and the io_uring does nothing but read and write the taps.
 */
#include <errno.h>
#include <pty.h>
#include <termios.h>

#include "tests/unit/netd_process.h"
#include "tests/unit/netd_rig.h"

#define MANY 120

/* Frames of a row: small, dropped (not the guest's address), too large for a copy, or in the middle. */
static size_t size_of(unsigned i)
{
	static const size_t sizes[] = { 60, 60, 1514, 60, 60, 60, 4000, 100, 60, TX_WHOLE, TX_WHOLE + 1 };

	return sizes[i % ARRAY_SIZE(sizes)];
}

static bool dropped(unsigned i)
{
	return i % 7 == 3;
}

/* Make @n frames available at once. */
static void offer_all(unsigned n, size_t (*size)(unsigned), bool (*bad)(unsigned))
{
	for (unsigned i = 0; i < n; i++) {
		put_frame(frame_at(i), size(i), i);
		if (bad(i))
			frame_at(i)[ETH_ALEN] ^= 0x40;
		queue_frame(rig.tx, i, size(i));
	}
	queue_told(rig.tx);
}

static size_t small(unsigned i)
{
	(void)i;
	return 60;
}

static bool never(unsigned i)
{
	(void)i;
	return false;
}

static void expect_used(unsigned n)
{
	uint32_t id, len;

	for (unsigned i = 0; i < n; i++)
		assert_true(front_wait_used(rig.tx, &id, &len, PATIENCE_MS));
	assert_false(front_used(rig.tx, &id, &len));
}

static void many_frames_arrive_in_order(void **state)
{
	static uint8_t got[HDR + 8192];
	unsigned good = 0;

	(void)state;
	begin(MODERN);
	for (unsigned round = 0; round < 3; round++) {
		offer_all(MANY, size_of, dropped);
		for (unsigned i = 0; i < MANY; i++) {
			if (dropped(i))
				continue;
			assert_int_equal(tap_got(0, got, sizeof(got), PATIENCE_MS), HDR + size_of(i));
			expect_frame(got + HDR, size_of(i), i);
			good++;
		}
		expect_used(MANY);
	}
	assert_int_equal(stats().frames_out, good);
	assert_int_equal(stats().dropped_spoof, 3 * MANY - good);
	end();
}

/* Frames that are dropped lie between those that wait, and none of the latter is lost or sent twice. */
static void a_full_tap_keeps_order_and_loses_nothing(void **state)
{
	static uint8_t got[HDR + 8192];
	unsigned good = 0;

	(void)state;
	begin(MODERN);
	for (unsigned i = 0; i < 250; i++)
		good += !dropped(i);
	offer_all(250, size_of, dropped);
	/* The tap did fill up; otherwise this tests nothing. */
	assert_in_range(wait_full(), 1, good - 1);
	for (unsigned i = 0; i < 250; i++) {
		if (dropped(i))
			continue;
		assert_int_equal(tap_got(0, got, sizeof(got), PATIENCE_MS), HDR + size_of(i));
		expect_frame(got + HDR, size_of(i), i);
	}
	expect_used(250);
	assert_int_equal(stats().frames_out, good);
	assert_int_equal(tap_got(0, got, sizeof(got), 0), -1);
	end();
}

/* All pairs share the io_uring, but each has its own tap. */
static void frames_go_to_the_tap_of_their_pair(void **state)
{
	static uint8_t got[HDR + 60];
	struct front_queue *tx1;

	(void)state;
	begin_two_pairs();
	tx1 = front_queue(&rig.f, 3, 256, 0x20000);
	assert_true(front_queue_start(tx1));
	for (unsigned i = 0; i < 20; i++) {
		put_frame(frame_at(i), 60, i);
		queue_frame(tx1, i, 60);
	}
	queue_told(tx1);
	for (unsigned i = 0; i < 20; i++) {
		assert_int_equal(tap_got(1, got, sizeof(got), PATIENCE_MS), HDR + 60);
		expect_frame(got + HDR, 60, i);
	}
	assert_int_equal(tap_got(0, got, sizeof(got), 0), -1);
	end();
}

/* A fault in the middle: what came before it is sent, the queue stops, and nothing of its batch is left for the next. */
static void a_fault_ends_a_batch(void **state)
{
	uint8_t got[HDR + 60];
	struct front_buf b = { BUFFERS, HDR + 60, false };

	(void)state;
	begin(MODERN);
	memset(at(BUFFERS), 0, HDR);
	put_frame(at(BUFFERS + HDR), 60, 5);
	for (unsigned i = 0; i < 10; i++) {
		b.writable = i == 6;
		rig.tx->avail->ring[i] = front_chain(rig.tx, &b, 1);
	}
	rig.tx->avail_idx = 10;
	front_set_avail(rig.tx, 10);
	front_kick(rig.tx);
	assert_int_equal(next_fault(), FAULT_BAD_LAYOUT);
	for (unsigned i = 0; i < 6; i++)
		assert_int_equal(tap_got(0, got, sizeof(got), PATIENCE_MS), HDR + 60);
	assert_int_equal(tap_got(0, got, sizeof(got), 0), -1);
	heals(rig.tx);
	end();
}

/* A terminal is a file that does not know RWF_NOWAIT, as taps before Linux 6.4 are. */
static void a_tap_that_cannot_is_written_frame_by_frame(void **state)
{
	uint8_t got[HDR + 60];
	struct termios raw;
	int host, tap;

	(void)state;
	if (openpty(&host, &tap, NULL, NULL, NULL) != 0)
		skip();
	assert_int_equal(tcgetattr(tap, &raw), 0);
	cfmakeraw(&raw);
	assert_int_equal(tcsetattr(tap, TCSANOW, &raw), 0);
	assert_int_equal(fcntl(tap, F_SETFL, O_RDWR | O_NONBLOCK), 0);
	rig_other_tap = fcntl(tap, F_DUPFD_CLOEXEC, 200);
	assert_true(rig_other_tap >= 0);
	begin(MODERN);
	for (unsigned round = 0; round < 2; round++) {
		offer_all(20, small, never);
		for (uint32_t i = 0; i < 20; i++) {
			for (size_t have = 0; have < sizeof(got);) {
				ssize_t part = read(host, got + have, sizeof(got) - have);

				assert_true(part > 0);
				have += (size_t)part;
			}
			expect_frame(got + HDR, 60, i);
		}
		expect_used(20);
	}
	assert_int_equal(stats().frames_out, 40);
	end();
	close(rig_other_tap);
	rig_other_tap = -1;
	close(host);
	close(tap);
}

/* ---- from the tap ---- */

#define ROOM   1526u
#define STRIDE 2048u

/* Offer @n receive buffers. */
static void give(struct front_queue *q, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		const struct front_buf b = { BUFFERS + (q->index * 256u + q->avail_idx % 256u) * STRIDE, ROOM, true };

		front_offer(q, front_chain(q, &b, 1));
	}
	front_kick(q);
}

/* The next frame that reaches the guest on @q has @len bytes and @tag, in as few buffers as hold it. */
static void comes(struct front_queue *q, size_t len, uint32_t tag)
{
	static uint8_t frame[HDR + FRAME_MAX];
	unsigned want = (unsigned)(len + HDR + ROOM - 1) / ROOM;
	size_t have = 0;
	uint32_t id, part;

	for (unsigned k = 0; k < want; k++) {
		assert_true(front_wait_used(q, &id, &part, PATIENCE_MS));
		assert_in_range(part, 1, ROOM);
		memcpy(frame + have, at(q->desc[id].addr), part);
		have += part;
	}
	assert_int_equal(have, HDR + len);
	assert_int_equal(((struct virtio_net_hdr_mrg_rxbuf *)frame)->num_buffers, want);
	expect_frame(frame + HDR, len, tag);
}

/* More than a guest's buffer in places, but most are small: only then netd reads many at once. */
static size_t in_size(unsigned i)
{
	return i == 45 || i == 46 ? 4000 : i == 80 ? FRAME_MAX : 60 + i;
}

/* True once netd is woken up by nothing but the requests for counters. */
static bool sleeps(void)
{
	for (unsigned tries = 0; tries < PATIENCE_MS / 100; tries++) {
		uint64_t before = stats().wakeups;

		usleep(100000);
		if (stats().wakeups - before <= 4)
			return true;
	}
	return false;
}

static void many_frames_are_read_in_order(void **state)
{
	const struct virtio_net_hdr csum = { .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
					     .csum_start = 34,
					     .csum_offset = 16 };
	uint32_t id, len;

	(void)state;
	begin(MODERN);
	/* While the guest has no buffers, they wait in the tap. */
	for (unsigned i = 0; i < 100; i++)
		tap_send(0, i % 7 == 3 ? &csum : &plain, in_size(i), i);
	give(rig.rx, 250);
	for (unsigned i = 0; i < 100; i++)
		if (i % 7 != 3)
			comes(rig.rx, in_size(i), i);
	assert_false(front_used(rig.rx, &id, &len));
	assert_int_equal(stats().dropped_bad, 14);
	assert_int_equal(stats().frames_in, 86);
	/* The tap has become empty: netd sleeps until the next frame. */
	assert_true(sleeps());
	tap_send(0, &plain, 60, 200);
	comes(rig.rx, 60, 200);
	end();
}

/* The first 16 are read one by one, four of the others at once; the large one leaves too few buffers for the rest. */
static void leave_frames_waiting(int tap)
{
	for (unsigned i = 0; i < 24; i++)
		tap_send(tap, &plain, i == 16 ? 4000 : 60, i);
	give(rig.rx, 20);
	for (unsigned i = 0; i < 18; i++)
		comes(rig.rx, i == 16 ? 4000 : 60, i);
}

static void frames_that_were_read_wait_for_buffers(void **state)
{
	uint32_t id, len;

	(void)state;
	begin(MODERN);
	leave_frames_waiting(0);
	assert_false(front_wait_used(rig.rx, &id, &len, 50));
	for (unsigned i = 18; i < 24; i++) {
		give(rig.rx, 1);
		comes(rig.rx, 60, i);
	}
	assert_int_equal(stats().dropped_full, 0);
	end();
}

/* As one that was read alone: they may have offloads that the next driver does not know. */
static void frames_that_wait_end_with_the_queue(void **state)
{
	(void)state;
	begin(MODERN);
	leave_frames_waiting(0);
	assert_int_equal(front_queue_stop(rig.rx), 20);
	rig.rx = front_queue(&rig.f, 0, 256, 0);
	assert_true(front_queue_start(rig.rx));
	give(rig.rx, 4);
	/* 18 and 19 had been read. */
	for (unsigned i = 20; i < 24; i++)
		comes(rig.rx, 60, i);
	end();
}

/* A fault while frames wait: the queue stops, and works again after a restart. */
static void a_fault_while_frames_wait(void **state)
{
	const struct front_buf b = { BUFFERS, HDR - 1, true };

	(void)state;
	begin(MODERN);
	leave_frames_waiting(0);
	front_offer(rig.rx, front_chain(rig.rx, &b, 1));
	front_kick(rig.rx);
	assert_int_equal(next_fault(), FAULT_NO_WRITABLE);
	heals(rig.rx);
	end();
}

static void frames_come_from_the_tap_of_their_pair(void **state)
{
	struct front_queue *rx1;

	(void)state;
	begin_two_pairs();
	rx1 = front_queue(&rig.f, 2, 256, 0x20000);
	assert_true(front_queue_start(rx1));
	leave_frames_waiting(0);
	/* While frames of the first tap wait, those of the second pass. */
	for (unsigned i = 0; i < 60; i++)
		tap_send(1, &plain, 60, 100 + i);
	give(rx1, 60);
	for (unsigned i = 0; i < 60; i++)
		comes(rx1, 60, 100 + i);
	give(rig.rx, 6);
	for (unsigned i = 18; i < 24; i++)
		comes(rig.rx, 60, i);
	for (unsigned i = 0; i < 60; i++)
		tap_send(1, &plain, 60, 200 + i);
	give(rx1, 60);
	for (unsigned i = 0; i < 60; i++)
		comes(rx1, 60, 200 + i);
	end();
}

/* ---- the io_uring ---- */

static int result_of(uint8_t opcode, unsigned slot, uint8_t flags, int fd)
{
	static uint8_t byte;
	struct io_uring_sqe *sqe = ring_push(&batch_ring, opcode, slot, &byte);
	void *user;
	int res = 1;

	sqe->addr = (uintptr_t)&byte;
	sqe->len = 1;
	sqe->flags = flags;
	sqe->fd = fd;
	if (ring_submit(&batch_ring, 1) != 0 || !ring_reap(&batch_ring, &user, &res))
		return 2;
	return res;
}

/* Three frames are in the tap: two more reads return at once, and none is left in the io_uring. */
static bool reads_what_is_there(int other)
{
	static const struct net_pair p = { .index = 0, .tap = HFD_TAP0 };
	int got[5];

	for (uint8_t i = 1; i <= 3; i++)
		if (send(other, "0123456789abcdef", 12u + i, 0) != 12 + i)
			return false;
	if (!batch_can_read())
		return false;
	batch_read(&p, HDR, 5, got);
	for (int i = 0; i < 5; i++)
		if (got[i] != (i < 3 ? HDR + 1 + i : -EAGAIN))
			return false;
	return batch_frame(2)->data[2] == 'e' && batch_works() && !batch_ring.in_flight;
}

/* The same on a terminal: nothing is read, and the io_uring is not used again. */
static void read_terminal(void)
{
	static const struct net_pair p = { .index = 0, .tap = HFD_TAP0 };
	int host, tap, got[5];

	if (openpty(&host, &tap, NULL, NULL, NULL) != 0 || dup2(tap, HFD_TAP0) < 0 || batch_open(1) != 0)
		_exit(NOT_HERE);
	batch_read(&p, HDR, 5, got);
	for (unsigned i = 0; i < 5; i++)
		if (got[i] != -ECANCELED)
			_exit(1);
	_exit(batch_works() ? 2 : 0);
}

/* In a process of its own, which takes the numbers of netd's table: exits with the line that failed, or 0. */
static void use_ring(void)
{
	int end[2], plain_pipe[2];
	static const uint8_t refused[] = { IORING_OP_NOP,    IORING_OP_READ_FIXED, IORING_OP_READV,  IORING_OP_WRITEV,
					   IORING_OP_OPENAT, IORING_OP_SENDMSG,	   IORING_OP_ACCEPT, IORING_OP_SPLICE };

	if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, end) < 0 || pipe(plain_pipe) < 0)
		_exit(__LINE__);
	if (dup2(end[0], HFD_TAP0) < 0 || batch_open(1) != 0)
		_exit(NOT_HERE);
	if (result_of(IORING_OP_WRITE, 0, IOSQE_FIXED_FILE, 0) != 1)
		_exit(1);
	for (unsigned i = 0; i < ARRAY_SIZE(refused); i++)
		if (result_of(refused[i], 0, IOSQE_FIXED_FILE, 0) != -EACCES)
			_exit(2);
	if (!reads_what_is_there(end[1]))
		_exit(6);
	/* A descriptor that is not registered, a slot that is empty, and flags for later. */
	if (result_of(IORING_OP_WRITE, 0, 0, plain_pipe[1]) != -EACCES)
		_exit(3);
	if (result_of(IORING_OP_WRITE, 0, IOSQE_FIXED_FILE, 2) != -EBADF)
		_exit(4);
	if (result_of(IORING_OP_WRITE, 0, IOSQE_FIXED_FILE | IOSQE_ASYNC, 0) != -EACCES)
		_exit(5);
	_exit(0);
}

static void the_ring_does_nothing_else(void **state)
{
	(void)state;
	in_a_process(use_ring);
}

static void a_tap_that_cannot_is_not_read_through_the_ring(void **state)
{
	(void)state;
	in_a_process(read_terminal);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(many_frames_arrive_in_order),
		cmocka_unit_test(a_full_tap_keeps_order_and_loses_nothing),
		cmocka_unit_test(frames_go_to_the_tap_of_their_pair),
		cmocka_unit_test(a_fault_ends_a_batch),
		cmocka_unit_test(a_tap_that_cannot_is_written_frame_by_frame),
		cmocka_unit_test(many_frames_are_read_in_order),
		cmocka_unit_test(frames_that_were_read_wait_for_buffers),
		cmocka_unit_test(frames_that_wait_end_with_the_queue),
		cmocka_unit_test(a_fault_while_frames_wait),
		cmocka_unit_test(frames_come_from_the_tap_of_their_pair),
		cmocka_unit_test(the_ring_does_nothing_else),
		cmocka_unit_test(a_tap_that_cannot_is_not_read_through_the_ring),
	};

	rig_batch = true;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
