/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * No message, descriptor, ring or kick of a hostile front-end ends a back-end, causes a leak
 * in it, or blocks its other queue.
 */
#include <fcntl.h>
#include <linux/virtio_config.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/ctl.h"
#include "tests/unit/common_backend_rig.h"

#define PAGE 0x1000ull

static int ctl;

static int setup(void **state)
{
	(void)state;
	begin_with(&(struct echo_options){ 0 }, ALL, &ctl);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	close(ctl);
	return front_close(&f);
}

static struct front_queue *start(unsigned q)
{
	struct front_queue *fq = front_queue(&f, q, 8, GPA + q * 0x10000);

	assert_true(front_queue_start(fq));
	return fq;
}

static struct stats stats(void)
{
	struct ctl_msg m = { .type = CTL_GET_STATS };
	int got = 0;

	assert_int_equal(ctl_send(ctl, &m), 0);
	for (unsigned i = 0; i < PATIENCE_MS && (got == 0 || m.type != CTL_STATS); i++, usleep(1000)) {
		got = ctl_recv(ctl, &m);
		assert_true(got >= 0);
	}
	assert_int_equal(m.type, CTL_STATS);
	return m.stats;
}

/* ---- rings ---- */

static void a_fault_stops_its_queue_alone(void **state)
{
	struct front_queue *a = start(0), *b = start(1);
	struct ctl_msg m;
	int got = 0;

	(void)state;
	alive(a);
	front_desc(a, 0, 0, 16, 0, 0);
	front_offer(a, 0);
	front_kick(a);
	assert_true(front_wait_err(a, PATIENCE_MS));
	for (unsigned i = 0; i < PATIENCE_MS && !got; i++, usleep(1000))
		got = ctl_recv(ctl, &m);
	assert_int_equal(got, 1);
	assert_int_equal(m.type, CTL_FAULT);
	assert_int_equal(m.value, FAULT_ADDR_RANGE);
	assert_int_equal(m.queue, 0);
	for (unsigned i = 0; i < 100; i++) {
		front_kick(a);
		alive(b);
	}
	/* Enabling does not start the ring again; only a stop and a new set-up do. */
	assert_true(front_queue_enable(a, false));
	assert_true(front_queue_enable(a, true));
	assert_int_equal(counters().starts, 2);
	assert_int_equal(stats().faults, 1);
	assert_int_equal(front_queue_stop(a), 1);
	a = start(0);
	alive(a);
	alive(b);
	assert_int_equal(stats().faults, 1);
}

static void bad_indexes_from_the_driver(void **state)
{
	static const uint16_t idx[] = { 9, 65535, 32768 };
	struct front_queue *b = start(1);

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(idx); i++) {
		struct front_queue *a = start(0);

		front_set_avail(a, idx[i]);
		front_kick(a);
		assert_true(front_wait_err(a, PATIENCE_MS));
		alive(b);
		assert_int_equal(front_queue_stop(a), 0);
		assert_int_equal(stats().faults, i + 1);
	}
}

static volatile int flooding;

/* Makes queue 0 look as if it always had eight more chains. */
static void *flood_ring(void *arg)
{
	struct front_queue *q = arg;

	while (flooding) {
		front_set_avail(q, (uint16_t)(__atomic_load_n(&q->used->idx, __ATOMIC_SEQ_CST) + 8));
		front_kick(q);
	}
	return NULL;
}

static void a_full_ring_does_not_starve_the_other(void **state)
{
	struct front_queue *a = start(0), *b = start(1);
	pthread_t t;

	(void)state;
	for (uint16_t i = 0; i < 8; i++) {
		front_desc(a, i, DATA + 64, 64, VRING_DESC_F_WRITE, 0);
		a->avail->ring[i] = i;
	}
	flooding = true;
	assert_int_equal(pthread_create(&t, NULL, flood_ring, a), 0);
	for (unsigned i = 0; i < PATIENCE_MS && stats().requests < 1000; i++)
		usleep(1000);
	for (unsigned i = 0; i < 200; i++)
		alive(b);
	flooding = false;
	pthread_join(t, NULL);
	alive(b);
	assert_int_equal(stats().faults, 0);
	assert_true(stats().requests > 1000);
}

/* ---- ring messages ---- */

static void ring_messages_out_of_bounds(void **state)
{
	static const struct {
		uint32_t request, index, num;
	} bad[] = {
		{ VHU_SET_VRING_NUM, 0, 0 },	      { VHU_SET_VRING_NUM, 0, 3 },
		{ VHU_SET_VRING_NUM, 0, 2048 },	      { VHU_SET_VRING_NUM, 0, 32769 },
		{ VHU_SET_VRING_NUM, 0, 65535 },      { VHU_SET_VRING_NUM, 0, 65536 + 8 },
		{ VHU_SET_VRING_NUM, 2, 8 },	      { VHU_SET_VRING_NUM, 3, 8 },
		{ VHU_SET_VRING_NUM, 255, 8 },	      { VHU_SET_VRING_NUM, 0xffff, 8 },
		{ VHU_SET_VRING_NUM, UINT32_MAX, 8 }, { VHU_SET_VRING_BASE, 2, 0 },
		{ VHU_SET_VRING_BASE, 0, 65536 },     { VHU_SET_VRING_BASE, UINT32_MAX, 0 },
		{ VHU_SET_VRING_ENABLE, 2, 1 },	      { VHU_SET_VRING_ENABLE, 0, 2 },
		{ VHU_SET_VRING_ENABLE, 255, 1 },
	};
	struct vhu_vring_addr a = { .index = 2 };
	struct vhu_vring_state s = { .index = 2 };
	struct vhu_msg m;

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(front_ack_state(&f, bad[i].request, bad[i].index, bad[i].num), 1);
	assert_int_equal(front_ack(&f, VHU_SET_VRING_ADDR, &a, sizeof(a), NULL, 0), 1);
	assert_int_equal(front_ack_fd(&f, VHU_SET_VRING_KICK, 2, f.memfd), 1);
	assert_int_equal(front_ack_fd(&f, VHU_SET_VRING_CALL, 255, f.memfd), 1);
	/* A request without its payload is not answered. */
	assert_true(front_send(&f, VHU_GET_VRING_BASE, 0, &s, sizeof(s), NULL, 0));
	assert_true(front_recv(&f, &m, PATIENCE_MS));
	assert_int_equal(m.size, 0);
	assert_int_equal(stats().bad_messages, ARRAY_SIZE(bad) + 4);
	alive(start(0));
}

static void a_running_ring_is_not_changed(void **state)
{
	struct front_queue *q = start(0);
	struct vhu_vring_addr a = { .index = 0, .desc = (uintptr_t)f.mem };

	(void)state;
	assert_int_equal(front_ack_state(&f, VHU_SET_VRING_NUM, 0, 1024), 1);
	assert_int_equal(front_ack_state(&f, VHU_SET_VRING_BASE, 0, 77), 1);
	assert_int_equal(front_ack(&f, VHU_SET_VRING_ADDR, &a, sizeof(a), NULL, 0), 1);
	assert_int_equal(front_ack_u64(&f, VHU_SET_FEATURES, f.features & ~BIT64(VIRTIO_RING_F_EVENT_IDX)), 1);
	assert_int_equal(front_ack_u64(&f, VHU_SET_FEATURES, f.features), 0);
	alive(q);
	assert_int_equal(front_queue_stop(q), 1);
}

static void features_that_were_not_offered(void **state)
{
	(void)state;
	for (unsigned bit = 0; bit < 64; bit++) {
		uint64_t v = BIT64(bit);

		assert_int_equal(front_ack_u64(&f, VHU_SET_FEATURES, v), !(f.features & v));
		if (bit != VHU_PF_REPLY_ACK && !(f.protocol_features & v))
			assert_int_equal(front_ack_u64(&f, VHU_SET_PROTOCOL_FEATURES, v), 1);
	}
	assert_int_equal(front_ack_u64(&f, VHU_SET_FEATURES, f.features), 0);
	alive(start(0));
}

static void rings_outside_memory_do_not_start(void **state)
{
	struct front_queue *q = front_queue(&f, 0, 8, GPA);
	uint64_t end = (uintptr_t)f.mem + MEM, in = (uintptr_t)q->desc;
	const struct vhu_vring_addr bad[] = {
		{ .desc = 0, .avail = in, .used = in },	     { .desc = end - 16, .avail = in, .used = in },
		{ .desc = in + 8, .avail = in, .used = in }, { .desc = in, .avail = end - 4, .used = in },
		{ .desc = in, .avail = in + 1, .used = in }, { .desc = in, .avail = in, .used = end - 4 },
		{ .desc = in, .avail = in, .used = in + 2 }, { .desc = in, .avail = in, .used = UINT64_MAX - 3 },
		{ .desc = GPA, .avail = in, .used = in }, /* a guest address is not the front-end's */
	};

	(void)state;
	/* Enabled before there are addresses: nothing happens. */
	assert_true(front_queue_fds(q));
	assert_int_equal(front_ack_state(&f, VHU_SET_VRING_NUM, 0, 8), 0);
	assert_true(front_queue_enable(q, true));
	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
		assert_int_equal(front_ack(&f, VHU_SET_VRING_ADDR, &bad[i], sizeof(bad[i]), NULL, 0), 0);
		assert_int_equal(front_ack_state(&f, VHU_SET_VRING_ENABLE, 0, 1), 1);
		front_kick(q);
	}
	assert_int_equal(counters().starts, 0);
	alive(start(0));
}

/* ---- descriptors ---- */

static void only_eventfds_kick_and_call(void **state)
{
	static const uint32_t requests[] = { VHU_SET_VRING_KICK, VHU_SET_VRING_CALL, VHU_SET_VRING_ERR };
	struct front_queue *q = start(0);
	uint32_t before = counters().open_fds;
	int pipes[2], socks[2], fds[10];

	(void)state;
	assert_int_equal(pipe(pipes), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, socks), 0);
	assert_int_equal(write(pipes[1], "never drained", 13), 13);
	fds[0] = pipes[0], fds[1] = pipes[1], fds[2] = socks[0], fds[3] = f.memfd;
	fds[4] = timerfd_create(CLOCK_MONOTONIC, 0);
	fds[5] = epoll_create1(0);
	fds[6] = open("/dev/zero", O_RDWR);
	fds[7] = open("/tmp", O_RDONLY);
	fds[8] = open("/dev/null", O_WRONLY);
	fds[9] = f.sock;
	for (unsigned i = 0; i < ARRAY_SIZE(fds); i++)
		for (unsigned r = 0; r < 3; r++)
			assert_int_equal(front_ack_fd(&f, requests[r], 0, fds[i]), 1);
	/* The earlier descriptors are still in use. */
	alive(q);
	assert_int_equal(counters().open_fds, before);
	for (unsigned i = 0; i < 9; i++)
		close(fds[i]);
	close(socks[1]);
}

static void a_full_call_does_not_block(void **state)
{
	struct front_queue *a = start(0), *b = start(1);
	const struct front_buf buf = { DATA, 4, false };
	const uint64_t full = UINT64_MAX - 1;
	int call = eventfd(0, 0); /* blocking, as far as its sender is concerned */

	(void)state;
	assert_int_equal(front_ack_fd(&f, VHU_SET_VRING_CALL, 0, call), 0);
	assert_int_equal(write(call, &full, 8), 8);
	for (unsigned i = 0; i < 100; i++) {
		front_offer(a, front_chain(a, &buf, 1));
		front_kick(a);
		alive(b);
	}
	close(call);
}

static double cpu_seconds(void)
{
	char path[64], line[512];
	unsigned long utime = 0, stime = 0;
	int fd;
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)f.pid);
	fd = open(path, O_RDONLY);
	n = read(fd, line, sizeof(line) - 1);
	close(fd);
	assert_true(n > 0);
	line[n] = 0;
	n = sscanf(strrchr(line, ')'), ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &utime, &stime);
	assert_int_equal(n, 2);
	return (double)(utime + stime) / (double)sysconf(_SC_CLK_TCK);
}

/* A kick that stays readable for ever causes one wake-up, not a busy loop. */
static void a_kick_that_never_drains_costs_nothing(void **state)
{
	const uint64_t many = UINT64_MAX / 2;
	int kick = eventfd(0, EFD_SEMAPHORE);
	struct front_queue *q = start(0);
	double before;

	(void)state;
	assert_int_equal(write(kick, &many, 8), 8);
	assert_int_equal(front_ack_fd(&f, VHU_SET_VRING_KICK, 0, kick), 0);
	before = cpu_seconds();
	usleep(300000);
	assert_true(cpu_seconds() - before < 0.1);
	close(q->kick);
	q->kick = kick;
	alive(q);
}

static volatile unsigned sent;

static void *flood_socket(void *arg)
{
	const struct vhu_vring_state s = { .index = 99, .num = 1 };
	const int fds[2] = { f.memfd, f.memfd };

	(void)arg;
	while (flooding && front_send(&f, VHU_SET_VRING_NUM, 0, &s, sizeof(s), fds, 2))
		sent++;
	return NULL;
}

static void a_message_flood_does_not_starve_rings(void **state)
{
	struct front_queue *q = start(0);
	pthread_t t;

	(void)state;
	flooding = true;
	assert_int_equal(pthread_create(&t, NULL, flood_socket, NULL), 0);
	for (unsigned i = 0; i < PATIENCE_MS && sent < 1000; i++)
		usleep(1000);
	for (unsigned i = 0; i < 500; i++)
		alive(q);
	flooding = false;
	pthread_join(t, NULL);
	assert_true(sent > 1000);
	assert_true(stats().bad_messages > 1000);
}

/* However many messages wait in the socket, a kicked ring is served after a few of them. */
static void a_queue_of_messages_is_not_served_in_one_go(void **state)
{
	const struct vhu_vring_state bad = { .index = 99 }, off = { .index = 0, .num = 0 };
	const struct front_buf b = { DATA, 4, false };
	struct front_queue *q = start(0);
	uint32_t id, len;

	(void)state;
	alive(q);
	assert_int_equal(kill(f.pid, SIGSTOP), 0);
	for (unsigned i = 0; i < 100; i++)
		assert_true(front_send(&f, VHU_SET_VRING_NUM, 0, &bad, sizeof(bad), NULL, 0));
	assert_true(front_send(&f, VHU_SET_VRING_ENABLE, 0, &off, sizeof(off), NULL, 0));
	front_offer(q, front_chain(q, &b, 1));
	front_kick(q);
	assert_int_equal(kill(f.pid, SIGCONT), 0);
	assert_true(front_wait_used(q, &id, &len, PATIENCE_MS));
}

static void descriptors_never_leak(void **state)
{
	const struct vhu_mem_reg r = { .region = { GPA, MEM, (uintptr_t)f.mem, 0 } };
	uint32_t before = counters().open_fds;
	int fds[253];

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(fds); i++)
		fds[i] = f.memfd;
	for (unsigned i = 0; i < 100000; i++) {
		/* Every request with every number of descriptors; each region overlaps the existing one. */
		static const unsigned counts[] = { 0, 1, 2, 8, 9, 16, 253 };
		uint32_t request = i % VHU_REQUEST_MAX;
		unsigned n = counts[i / VHU_REQUEST_MAX % ARRAY_SIZE(counts)];
		struct vhu_msg m;

		/* Other tests cover the valid ones. */
		if (n == 0 || (n == 1 && request == VHU_REM_MEM_REG))
			continue;
		assert_true(front_send(&f, request, VHU_NEED_REPLY, &r, sizeof(r), fds, n));
		assert_true(front_recv(&f, &m, PATIENCE_MS));
		assert_true(m.size == 0 || m.u64 != 0);
	}
	assert_int_equal(counters().open_fds, before);
	alive(start(0));
}

#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_fault_stops_its_queue_alone),
		T(bad_indexes_from_the_driver),
		T(a_full_ring_does_not_starve_the_other),
		T(ring_messages_out_of_bounds),
		T(a_running_ring_is_not_changed),
		T(features_that_were_not_offered),
		T(rings_outside_memory_do_not_start),
		T(only_eventfds_kick_and_call),
		T(a_full_call_does_not_block),
		T(a_kick_that_never_drains_costs_nothing),
		T(a_message_flood_does_not_starve_rings),
		T(a_queue_of_messages_is_not_served_in_one_go),
		T(descriptors_never_leak),
	};

	alarm(200);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
