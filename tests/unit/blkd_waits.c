/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Queues that have to wait: for one of the request slots that all queues share, or for the
 * rate limit. Each continues as soon as a slot or token is available, whatever released it,
 * and a device that waits for nothing sleeps.
 */
#include <linux/io_uring.h>
#include <signal.h>
#include <stdio.h>
#include <sys/syscall.h>

#include "tests/unit/blkd_rig.h"

/* Reads of queues 0 and 1 that stay in the ring: EACH of each, which leaves REST slots. */
#define REST 24
#define EACH ((RING_ENTRIES - REST) / 2)
/* Read buffers, with the status behind the data. */
#define BUFFER(i) (DATA + (uint64_t)(i)*1024)

static bool have_ring(void)
{
	struct io_uring_params p = { 0 };
	int fd = plane == BLK_IO_SYNC ? -1 : (int)syscall(__NR_io_uring_setup, 1, &p);

	if (fd < 0)
		return false;
	close(fd);
	return true;
}

static char state_of(pid_t pid)
{
	char path[32], line[256], state = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	f = fopen(path, "re");
	assert_non_null(f);
	assert_non_null(fgets(line, sizeof(line), f));
	fclose(f);
	assert_int_equal(sscanf(line, "%*d (%*[^)]) %c", &state), 1);
	return state;
}

/* Until the device has slept for 200 ms on end: it has done all that it can do for now. */
static void wait_until_asleep(void)
{
	unsigned asleep = 0;

	for (unsigned ms = 0; asleep < 20; ms += 10) {
		assert_true(ms < PATIENCE_MS);
		usleep(10000);
		asleep = state_of(w.f.pid) == 'R' ? 0 : asleep + 1;
	}
}

/* Stop the device, so that it finds all that is offered meanwhile at once, whatever the scheduler does. */
static void hold(void)
{
	assert_int_equal(kill(w.f.pid, SIGSTOP), 0);
	for (unsigned ms = 0; state_of(w.f.pid) != 'T'; ms++) {
		assert_true(ms < PATIENCE_MS);
		usleep(1000);
	}
}

static void let_go(void)
{
	assert_int_equal(kill(w.f.pid, SIGCONT), 0);
}

/* Start a disk that answers no read, with so many reads of queues 0 and 1 in its ring. */
static void stall(unsigned first, unsigned second)
{
	const unsigned count[] = { first, second };

	if (!have_ring()) {
		print_message("skipped: only requests in an io_uring can wait for a slot, and there is none here\n");
		/* Nothing was started; leave valid values for finish(). */
		w.image = w.delta = w.ctl[0] = w.f.sock = -1;
		skip();
	}
	w.stalls = w.cfg.direct = true;
	w.cfg.blk_size = SECTOR_SIZE;
	w.cfg.queues = 3;
	begin();
	header(0, VIRTIO_BLK_T_IN, 0);
	for (unsigned q = 0; q < 2; q++) {
		assert_true(front_queue_stop(&w.f.q[q]) >= 0);
		assert_true(front_queue_start(front_queue(&w.f, q, 1024, RING_AT(q))));
		for (unsigned i = 0; i < count[q]; i++) {
			struct front_buf b[2] = { { HDR, 16, false },
						  { BUFFER(q * first + i), SECTOR_SIZE + 1, true } };

			front_offer(&w.f.q[q], front_chain(&w.f.q[q], b, 2));
		}
		front_kick(&w.f.q[q]);
	}
	wait_until_asleep();
}

/* @n writes on queue 2. */
static void offer_writes(unsigned n)
{
	hold();
	for (unsigned i = 0; i < n; i++)
		offer(&w.f.q[2], 1 + i, VIRTIO_BLK_T_OUT, 0, DATA + 4 * DISK, SECTOR_SIZE);
	front_kick(&w.f.q[2]);
	let_go();
}

static unsigned used_of(unsigned q, unsigned n, int ms)
{
	uint32_t id, len;

	for (unsigned i = 0; i < n; i++)
		if (!front_wait_used(&w.f.q[q], &id, &len, ms))
			return i;
	return n;
}

/*
 * The writes fill the last slots and complete while they are submitted, which raises no
 * event: so the turn itself must offer the freed slots to the write that found none.
 */
static void slots_that_a_turn_frees_are_offered(void **state)
{
	(void)state;
	stall(EACH, EACH);
	offer_writes(REST + 1);
	assert_int_equal(used_of(2, REST + 1, 10000), REST + 1);
	assert_int_equal(status(1 + REST), VIRTIO_BLK_S_OK);
}

/* Data for @sectors reads, all there before the first of them ends. */
static void feed(unsigned sectors)
{
	static const uint8_t content[RING_ENTRIES * SECTOR_SIZE];
	size_t len = (size_t)sectors * SECTOR_SIZE;

	hold();
	assert_int_equal(write(w.image, content, len), len);
	let_go();
}

/*
 * A queue that stops waits for its requests. Here it has every slot: all are freed inside
 * queue_stop(), and no later event tells the write of queue 2 that waits for one.
 */
static void slots_of_a_queue_that_stops_are_offered(void **state)
{
	const struct vhu_vring_state s = { .index = 0 };
	struct vhu_msg m;

	(void)state;
	stall(RING_ENTRIES, 0);
	offer_writes(1);
	wait_until_asleep();
	assert_int_equal(used_of(2, 1, 0), 0);
	assert_true(front_send(&w.f, VHU_GET_VRING_BASE, 0, &s, sizeof(s), NULL, 0));
	wait_until_asleep();
	feed(RING_ENTRIES);
	assert_true(front_recv(&w.f, &m, PATIENCE_MS));
	assert_int_equal(m.request, VHU_GET_VRING_BASE);
	assert_int_equal(used_of(2, 1, 10000), 1);
}

/* Only time adds tokens, so a freed slot must not wake a queue that waits for tokens. */
static void the_rate_is_waited_for_by_the_timer_alone(void **state)
{
	struct stats before, after;

	(void)state;
	w.cfg.rate_ops = 100;
	begin();
	burst(w.q, 40);
	assert_true(stats().throttled > 0);
	/* The timer may expire once more. */
	usleep(50000);
	before = stats();
	usleep(500000);
	after = stats();
	/* One wake-up is for this request for counters, one may be the timer's last. */
	assert_in_range(after.wakeups - before.wakeups, 1, 4);
	/* The timer runs again when a queue waits again. */
	burst(w.q, 40);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(slots_that_a_turn_frees_are_offered),
		T(slots_of_a_queue_that_stops_are_offered),
		T(the_rate_is_waited_for_by_the_timer_alone),
	};

	return RUN_ON_BOTH(tests);
}
