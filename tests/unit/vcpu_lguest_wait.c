/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The engine waits for the answer to a single request if it comes soon, loses no answer, and is not
 * blocked by a slow, dead or lying helper. */
#include <linux/virtio_ring.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "vcpu/lguest/lguest.h"
#include "vcpu/lguest/wait.h"

#define SIZE  256
#define AVAIL 0x1000u
#define USED  0x2000u

static struct vm vm;
static struct lguest lg = { .lock = PTHREAD_MUTEX_INITIALIZER };
static struct device *const disk = &lg.devices.dev[0];
static uint8_t ram[0x4000] __attribute__((aligned(4096)));
static struct vring_avail *const avail = (struct vring_avail *)(ram + AVAIL);
static struct vring_used *used;
static unsigned interrupts;

/* What the helper of the test does with a kick. */
static struct {
	pthread_t thread;
	unsigned delay_us; /* before it answers */
	bool mute;	   /* it never does */
	bool kicks_stay_off;
} blkd;

static void intx(struct vpci *v, bool level)
{
	(void)v;
	interrupts += level;
}

static void place(int fd, int number)
{
	assert_true(fd >= 0);
	if (fd == number)
		return;
	assert_int_equal(dup2(fd, number), number);
	close(fd);
}

static void *helper(void *arg)
{
	struct epoll_event ev;
	uint64_t n, one = 1;
	int epoll = epoll_create1(EPOLL_CLOEXEC);

	ev = (struct epoll_event){ .events = EPOLLIN };
	epoll_ctl(epoll, EPOLL_CTL_ADD, device_kick_fd(disk, 0), &ev);
	for (;;) {
		epoll_wait(epoll, &ev, 1, -1);
		if (read(device_kick_fd(disk, 0), &n, sizeof(n)) < 0)
			continue;
		if (n > 1000) /* the end of a test */
			break;
		if (blkd.delay_us)
			usleep(blkd.delay_us);
		if (blkd.mute)
			continue;
		WRITE_ONCE(used->idx, READ_ONCE(avail->idx));
		(void)!write(device_call_fd(disk, 0), &one, sizeof(one));
		WRITE_ONCE(used->flags, blkd.kicks_stay_off ? VRING_USED_F_NO_NOTIFY : 0);
	}
	close(epoll);
	return arg;
}

static int begin(void **state)
{
	static const struct vpci_host host = { .compact = true, .intx = intx };
	struct epoll_event ev = { .events = EPOLLIN | EPOLLET };
	struct rlimit files;

	(void)state;
	getrlimit(RLIMIT_NOFILE, &files);
	files.rlim_cur = files.rlim_max;
	setrlimit(RLIMIT_NOFILE, &files);
	memset(&vm, 0, sizeof(vm));
	memset(&lg.wait, 0, sizeof(lg.wait));
	memset(&blkd, 0, sizeof(blkd));
	memset(ram, 0, sizeof(ram));
	interrupts = 0;
	used = (struct vring_used *)(ram + USED);
	lg.vm = &vm;
	vm.mem.nregions = 1;
	vm.mem.r[0] = (struct shm_region){ .size = sizeof(ram), .hva = ram };
	disk->desc = (struct vpci_device){ .name = "blk0", .nqueues = 1 };
	disk->v = (struct vpci){ .dev = &disk->desc, .host = &host, .host_owner = &lg, .running = true };
	disk->v.queue[0] = (struct vpci_queue){ .size = SIZE, .enabled = true, .avail = AVAIL, .used = USED };
	place(epoll_create1(EPOLL_CLOEXEC), VFD_EPOLL);
	assert_int_equal(lguest_wait_prepare(&vm), 0);
	place(eventfd(0, EFD_NONBLOCK), device_kick_fd(disk, 0));
	place(eventfd(0, EFD_NONBLOCK), device_call_fd(disk, 0));
	ev.data.fd = device_call_fd(disk, 0);
	assert_int_equal(epoll_ctl(VFD_EPOLL, EPOLL_CTL_ADD, ev.data.fd, &ev), 0);
	assert_int_equal(pthread_create(&blkd.thread, NULL, helper, NULL), 0);
	return 0;
}

static int end(void **state)
{
	const uint64_t stop = 100000;

	(void)state;
	(void)!write(device_kick_fd(disk, 0), &stop, sizeof(stop));
	pthread_join(blkd.thread, NULL);
	return 0;
}

/* True if the engine's second thread receives a call within @ms. */
static bool heard(int ms)
{
	struct epoll_event ev;

	return epoll_wait(VFD_EPOLL, &ev, 1, ms) == 1;
}

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

/* Make one request. Returns how long the guest was stopped (ms). */
static unsigned request(void)
{
	uint64_t t = now_ns();

	WRITE_ONCE(avail->idx, (uint16_t)(avail->idx + 1));
	lguest_kick(&lg, 0);
	return (unsigned)((now_ns() - t) / 1000000);
}

static void settle(void)
{
	for (unsigned i = 0; i < 60000 && READ_ONCE(used->idx) != avail->idx; i++)
		usleep(1000);
	assert_int_equal(used->idx, avail->idx);
}

/* A machine that is slow for once is not what is tested: until it is waited for. */
static void until_waited_for(void)
{
	for (unsigned i = 0; i < 100000 && !lg.wait[0].waited; i++) {
		request();
		settle();
	}
	assert_true(lg.wait[0].waited);
	while (heard(0))
		;
}

static void waited_for_once_it_is_lone(void **state)
{
	unsigned answered = 0;

	(void)state;
	for (unsigned i = 0; i < LGUEST_WAIT_ALONE - 1; i++) {
		request();
		assert_false(lg.wait[0].waited);
		assert_int_equal(interrupts, 0);
		assert_true(heard(60000));
		settle();
	}
	/* on a busy machine an answer may be late, and waiting given up for a while */
	for (unsigned tries = 0; answered < 100 && tries < 8; tries++) {
		until_waited_for();
		while (answered < 100) {
			unsigned had = interrupts;

			request();
			if (!lg.wait[0].waited)
				break;
			/* it is answered and interrupted, and nobody else has heard */
			assert_int_equal(used->idx, avail->idx);
			assert_int_equal(interrupts, had + 1);
			assert_false(heard(0));
			answered++;
		}
		settle();
	}
	assert_true(answered > 0);
	assert_int_equal(vm.stats.calls, interrupts);
}

static void a_slow_answer_is_heard_by_the_other_thread(void **state)
{
	unsigned rests, still;

	(void)state;
	until_waited_for();
	blkd.delay_us = 2000000;
	still = request();
	assert_false(lg.wait[0].waited);
	/* The deadline is what is tested: 1 ms or so, and much less than the answer takes. */
	if (still >= 1500)
		fail_msg("the guest stood still for %u ms", still);
	assert_true(heard(60000));
	settle();
	/* and it is left alone for long, longer each time */
	blkd.delay_us = 0;
	rests = lg.wait[0].rest;
	assert_true(rests >= 256);
	for (unsigned i = 0; i < rests; i++) {
		request();
		settle();
		assert_false(lg.wait[0].waited);
	}
	until_waited_for();
	lg.wait[0].misses = 1;
	blkd.delay_us = 200000;
	request();
	assert_int_equal(lg.wait[0].rest, 512);
	settle();
}

static void no_answer_at_all(void **state)
{
	unsigned still;

	(void)state;
	until_waited_for();
	blkd.mute = true;
	still = request();
	if (still >= 5000)
		fail_msg("the guest stood still for %u ms", still);
	assert_false(lg.wait[0].waited);
	/* from now on more than one request is in flight, so the launcher never waits */
	for (unsigned i = 0; i < 1000; i++)
		request();
	assert_false(lg.wait[0].waited);
}

static void two_under_way_are_not_waited_for(void **state)
{
	(void)state;
	until_waited_for();
	avail->idx++;
	request();
	assert_false(lg.wait[0].waited);
	assert_true(heard(60000));
	settle();
}

/* What the driver adds while kicks are off comes without one: nobody would wait for its answer. */
static void kicks_that_stay_off_end_it(void **state)
{
	uint16_t behind;

	(void)state;
	until_waited_for();
	blkd.kicks_stay_off = true;
	request();
	assert_false(lg.wait[0].waited);
	assert_true(heard(60000));
	settle();
	/* the same with event indices: avail_event stays behind */
	end(NULL);
	begin(NULL);
	until_waited_for();
	disk->v.features = 1ull << VIRTIO_RING_F_EVENT_IDX;
	behind = (uint16_t)(avail->idx - 1);
	memcpy(&used->ring[SIZE], &behind, sizeof(behind));
	request();
	assert_false(lg.wait[0].waited);
	assert_true(heard(60000));
	settle();
}

static void ends_after_a_while_to_see_whether_more_would_come(void **state)
{
	(void)state;
	until_waited_for();
	lg.wait[0].waits = LGUEST_WAITS_MAX - 1;
	request();
	assert_false(lg.wait[0].waited);
	settle();
	assert_true(heard(60000));
}

static void rings_that_are_nowhere(void **state)
{
	static const uint64_t at[] = { 0x3fff, 0x4000, 0x1001, UINT64_MAX - 1, 0 };

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(at); i++) {
		disk->v.queue[0].used = at[i] ? at[i] : USED;
		disk->v.queue[0].avail = at[i] ? AVAIL : 0x1001;
		for (unsigned k = 0; k < 4 * LGUEST_WAIT_ALONE; k++)
			request();
		assert_false(lg.wait[0].waited);
	}
	settle();
	/* the index is inside, avail_event is not */
	avail->idx = 0;
	used = (struct vring_used *)(ram + 0x3800);
	disk->v.queue[0].avail = AVAIL;
	disk->v.queue[0].used = 0x3800;
	for (unsigned k = 0; k < 4 * LGUEST_WAIT_ALONE; k++) {
		request();
		settle();
		assert_false(lg.wait[0].waited);
	}
}

/* Answers of other disks lie in VFD_WAIT unread; they are not mistaken for this one's. */
static void other_disks_answers(void **state)
{
	const uint64_t one = 1;
	int fd[8];

	(void)state;
	until_waited_for();
	for (unsigned i = 0; i < ARRAY_SIZE(fd); i++) {
		struct epoll_event ev = { .events = EPOLLIN | EPOLLET };

		fd[i] = eventfd(0, EFD_NONBLOCK);
		assert_int_equal(epoll_ctl(VFD_WAIT, EPOLL_CTL_ADD, fd[i], &ev), 0);
		assert_int_equal(write(fd[i], &one, sizeof(one)), sizeof(one));
	}
	blkd.delay_us = 200000;
	request();
	assert_false(lg.wait[0].waited);
	assert_true(heard(60000));
	for (unsigned i = 0; i < ARRAY_SIZE(fd); i++)
		close(fd[i]);
	settle();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(waited_for_once_it_is_lone, begin, end),
		cmocka_unit_test_setup_teardown(a_slow_answer_is_heard_by_the_other_thread, begin, end),
		cmocka_unit_test_setup_teardown(no_answer_at_all, begin, end),
		cmocka_unit_test_setup_teardown(two_under_way_are_not_waited_for, begin, end),
		cmocka_unit_test_setup_teardown(kicks_that_stay_off_end_it, begin, end),
		cmocka_unit_test_setup_teardown(ends_after_a_while_to_see_whether_more_would_come, begin, end),
		cmocka_unit_test_setup_teardown(rings_that_are_nowhere, begin, end),
		cmocka_unit_test_setup_teardown(other_disks_answers, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
