/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Frames that netd sends with one system call: all of them arrive, in order and whole, between
 * frames that are dropped or sent alone; a full tap loses none; on a tap without RWF_NOWAIT
 * each is sent by itself; and the io_uring does nothing but write to the taps.
 */
#include <errno.h>
#include <pty.h>
#include <termios.h>

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

/* In a process of its own, which takes the numbers of netd's table: exits with the line that failed, or 0. */
static void use_ring(void)
{
	int end[2], plain_pipe[2];
	static const uint8_t refused[] = { IORING_OP_NOP,    IORING_OP_READ,	IORING_OP_READV,  IORING_OP_WRITEV,
					   IORING_OP_OPENAT, IORING_OP_SENDMSG, IORING_OP_ACCEPT, IORING_OP_SPLICE };

	if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, end) < 0 || pipe(plain_pipe) < 0)
		_exit(__LINE__);
	if (dup2(end[0], HFD_TAP0) < 0 || batch_open(1) != 0)
		_exit(77);
	if (result_of(IORING_OP_WRITE, 0, IOSQE_FIXED_FILE, 0) != 1)
		_exit(1);
	for (unsigned i = 0; i < ARRAY_SIZE(refused); i++)
		if (result_of(refused[i], 0, IOSQE_FIXED_FILE, 0) != -EACCES)
			_exit(2);
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
	int status;
	pid_t pid = fork();

	(void)state;
	if (!pid)
		use_ring();
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == 77)
		skip();
	assert_int_equal(WEXITSTATUS(status), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(many_frames_arrive_in_order),
		cmocka_unit_test(a_full_tap_keeps_order_and_loses_nothing),
		cmocka_unit_test(frames_go_to_the_tap_of_their_pair),
		cmocka_unit_test(a_fault_ends_a_batch),
		cmocka_unit_test(a_tap_that_cannot_is_written_frame_by_frame),
		cmocka_unit_test(the_ring_does_nothing_else),
	};

	rig_batch = true;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
