/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The back-end loop serves every order of messages that real front-ends use, starts and stops
 * rings exactly, outlives its front-end, and makes only its few system calls once it is
 * sealed.
 */
#include <linux/virtio_config.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/ctl.h"
#include "tests/lib/unique.h"
#include "tests/unit/common_backend_rig.h"

#define Q0    GPA
#define Q1    (GPA + 0x10000)
#define BASIC (BIT64(VIRTIO_F_VERSION_1) | BIT64(VHU_F_PROTOCOL_FEATURES))

static struct front_queue *start(unsigned q, uint16_t size)
{
	struct front_queue *fq = front_queue(&f, q, size, Q0 + q * 0x10000);

	assert_true(front_queue_start(fq));
	return fq;
}

static void offer_text(struct front_queue *q, const char *text)
{
	uint64_t at = DATA + q->index * 0x8000 + q->next_desc * 64ull;
	const struct front_buf b[] = { { at, (uint32_t)strlen(text) + 1, false }, { at + 32, 32, true } };

	memcpy(front_ptr(&f, at), text, strlen(text) + 1);
	front_offer(q, front_chain(q, b, 2));
}

static void expect_text(struct front_queue *q, const char *text)
{
	uint32_t id, len;

	assert_true(front_wait_used(q, &id, &len, PATIENCE_MS));
	assert_int_equal(len, strlen(text) + 1);
	assert_string_equal(front_ptr(&f, q->desc[(id + 1) % q->size].addr), text);
}

static void echo(struct front_queue *q, const char *text)
{
	offer_text(q, text);
	front_kick(q);
	expect_text(q, text);
}

static void features_of_every_kind(void **state)
{
	static const uint64_t sets[] = {
		BASIC, BASIC | BIT64(VIRTIO_RING_F_EVENT_IDX),
		ALL,   BIT64(VIRTIO_F_VERSION_1), /* rings enabled at once, nothing acknowledged */
		0,				  /* a driver from before 1.0 */
	};

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(sets); i++) {
		struct front_queue *q;

		begin_with(&(struct echo_options){ 0 }, sets[i], NULL);
		q = start(0, 8);
		for (unsigned n = 0; n < 50; n++)
			echo(q, n % 2 ? "odd" : "even");
		assert_int_equal(f.refused, 0);
		assert_int_equal(front_close(&f), 0);
	}
}

/* libblkio: owner and features first, protocol features after, acknowledgements for all. */
static void order_of_libblkio(void **state)
{
	uint64_t v, protocol;

	(void)state;
	assert_true(front_memory(&f, MEM, GPA, true));
	assert_true(echo_start(&f, &(struct echo_options){ 0 }, NULL));
	assert_true(front_send(&f, VHU_SET_OWNER, 0, NULL, 0, NULL, 0));
	f.features = v = front_get(&f, VHU_GET_FEATURES);
	assert_true(front_send(&f, VHU_SET_FEATURES, 0, &v, 8, NULL, 0));
	protocol = front_get(&f, VHU_GET_PROTOCOL_FEATURES);
	assert_true(protocol & BIT64(VHU_PF_CONFIGURE_MEM_SLOTS));
	f.protocol_features = protocol;
	assert_true(front_send(&f, VHU_SET_PROTOCOL_FEATURES, 0, &protocol, 8, NULL, 0));
	assert_int_equal(front_get(&f, VHU_GET_QUEUE_NUM), ECHO_QUEUES);
	assert_int_equal(front_get(&f, VHU_GET_MAX_MEM_SLOTS), SHM_MAX_REGIONS);
	assert_true(front_send_memory(&f));
	echo(start(0, 64), "blkio");
	assert_int_equal(front_close(&f), 0);
}

/* DPDK: one table whose guest addresses are its own, status bytes around it. */
static void order_of_dpdk(void **state)
{
	(void)state;
	assert_true(front_memory(&f, MEM, 0, true));
	f.gpa = (uintptr_t)f.mem;
	assert_true(echo_start(&f, &(struct echo_options){ 0 }, NULL));
	assert_true(front_negotiate(&f, ALL, ALL));
	assert_int_equal(front_ack_u64(&f, VHU_SET_STATUS, 0), 0);
	assert_int_equal(front_ack_u64(&f, VHU_SET_STATUS, 11), 0);
	assert_true(front_send_table(&f));
	assert_int_equal(front_get(&f, VHU_GET_STATUS), 11);
	{
		struct front_queue *q = front_queue(&f, 1, 256, f.gpa);
		const struct front_buf b[] = { { f.gpa + 0x40000, 6, false }, { f.gpa + 0x50000, 6, true } };
		uint32_t id, len;

		assert_true(front_queue_start(q));
		memcpy(f.mem + 0x40000, "dpdk!", 6);
		front_offer(q, front_chain(q, b, 2));
		front_kick(q);
		assert_true(front_wait_used(q, &id, &len, PATIENCE_MS));
		assert_string_equal((const char *)f.mem + 0x50000, "dpdk!");
	}
	assert_int_equal(front_close(&f), 0);
}

/* QEMU: features twice, and the firmware starts and stops the device before the kernel does. */
static void stop_is_exact_and_start_goes_on(void **state)
{
	struct front_queue *q;
	uint16_t size = 8;

	(void)state;
	begin_with(&(struct echo_options){ 0 }, ALL, NULL);
	assert_int_equal(front_ack_u64(&f, VHU_SET_FEATURES, f.features), 0);
	q = start(0, size);
	for (unsigned n = 0; n < 11; n++)
		echo(q, "firmware");
	assert_true(front_queue_enable(q, false));
	assert_int_equal(front_queue_stop(q), 11);
	assert_int_equal(counters().starts, 1);
	assert_int_equal(counters().stops, 1);

	/* Chains that were offered meanwhile are served at the start, without a kick. */
	offer_text(q, "meanwhile");
	assert_true(front_queue_start(q));
	expect_text(q, "meanwhile");
	assert_int_equal(front_queue_stop(q), 12);

	/* New rings, from zero. */
	q = start(0, 16);
	echo(q, "kernel");
	assert_int_equal(front_queue_stop(q), 1);
	assert_int_equal(f.refused, 0);
	assert_int_equal(front_close(&f), 0);
}

static void a_disabled_ring_waits(void **state)
{
	struct front_queue *q;
	uint32_t id, len;

	(void)state;
	begin_with(&(struct echo_options){ 0 }, ALL, NULL);
	q = start(0, 8);
	echo(q, "one");
	assert_true(front_queue_enable(q, false));
	offer_text(q, "two");
	front_kick(q);
	assert_false(front_wait_used(q, &id, &len, 100));
	assert_true(front_queue_enable(q, true));
	expect_text(q, "two");
	assert_int_equal(front_close(&f), 0);
}

static void memory_comes_and_goes_while_rings_run(void **state)
{
	struct vhu_mem_reg r = { .region = { .gpa = 0x1000, .size = 0x2000, .uva = 0x1000 } };
	struct front_queue *q;
	int fd = front_memfd(0x2000, true);

	(void)state;
	begin_with(&(struct echo_options){ 0 }, ALL, NULL);
	q = start(0, 8);
	echo(q, "before");
	assert_int_equal(front_ack(&f, VHU_ADD_MEM_REG, &r, sizeof(r), &fd, 1), 0);
	echo(q, "added");
	assert_int_equal(front_ack(&f, VHU_REM_MEM_REG, &r, sizeof(r), NULL, 0), 0);
	echo(q, "removed");
	assert_true(front_send_table(&f));
	echo(q, "table");
	assert_int_equal(counters().mappings, 1);
	assert_int_equal(front_queue_stop(q), 4);
	/* The ring's own memory is removed: the ring cannot run, and reports that; nothing else breaks. */
	q = start(0, 8);
	r.region = (struct vhu_mem_region){ GPA, MEM, (uintptr_t)f.mem, 0 };
	assert_int_equal(front_ack(&f, VHU_REM_MEM_REG, &r, sizeof(r), NULL, 0), 1);
	front_kick(q);
	assert_int_equal(counters().mappings, 0);
	close(fd);
	assert_int_equal(front_close(&f), 0);
}

static void reset_device_and_status_zero(void **state)
{
	struct front_queue *q;

	(void)state;
	begin_with(&(struct echo_options){ 0 }, ALL, NULL);
	for (unsigned i = 0; i < 2; i++) {
		uint32_t id, len;

		q = start(0, 8);
		echo(q, "run");
		assert_int_equal(i ? front_ack_u64(&f, VHU_SET_STATUS, 0)
				   : front_ack(&f, VHU_RESET_DEVICE, NULL, 0, NULL, 0),
				 0);
		assert_int_equal(counters().resets, i + 1);
		offer_text(q, "reset");
		front_kick(q);
		assert_false(front_wait_used(q, &id, &len, 50));
		assert_true(front_queue_start(q));
		expect_text(q, "reset");
		assert_int_equal(front_queue_stop(q), 2);
	}
	assert_int_equal(front_close(&f), 0);
}

static void sealed_it_takes_nothing_and_still_restarts(void **state)
{
	struct vhu_mem_reg r = { .region = { .gpa = 0x1000, .size = 0x1000, .uva = 0x1000 } };
	struct front_queue *q[ECHO_QUEUES];

	(void)state;
	begin_with(&(struct echo_options){ .own_front = true, .same_inode = true }, ALL, NULL);
	for (unsigned i = 0; i < ECHO_QUEUES; i++) {
		q[i] = front_queue(&f, i, 8, Q0 + i * 0x10000);
		assert_true(front_queue_fds(q[i]));
	}
	for (unsigned i = 0; i < ECHO_QUEUES; i++) {
		assert_true(front_queue_setup(q[i], 0));
		assert_true(front_queue_enable(q[i], true));
		echo(q[i], "sealed");
	}
	assert_int_equal(front_ack_fd(&f, VHU_SET_VRING_KICK, 0, q[0]->kick), 1);
	assert_int_equal(front_ack(&f, VHU_ADD_MEM_REG, &r, sizeof(r), &f.memfd, 1), 1);
	assert_int_equal(front_ack_u64(&f, VHU_SET_VRING_CALL, VHU_VRING_NOFD), 1);
	echo(q[0], "still");
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(front_queue_stop(q[0]), i ? 1 : 2);
		q[0] = front_queue(&f, 0, 16, Q0);
		/* No ring starts before its set-up is complete. */
		front_kick(q[0]);
		assert_true(front_queue_setup(q[0], 0));
		assert_true(front_queue_enable(q[0], true));
		echo(q[0], "again");
		echo(q[1], "other");
	}
	assert_int_equal(front_ack_u64(&f, VHU_SET_STATUS, 0), 0);
	assert_int_equal(front_close(&f), 0);
}

static void one_front_end_after_the_other(void **state)
{
	char path[64];
	uint32_t fds = 0;
	pid_t pid;

	(void)state;
	snprintf(path, sizeof(path), "/tmp/core-echo-%016" PRIx64, unique_number());
	assert_true(echo_start(&f, &(struct echo_options){ .path = path }, NULL));
	pid = f.pid;
	for (unsigned i = 0; i < 4; i++) {
		memset(&f, 0, sizeof(f));
		assert_true(front_connect(&f, path));
		assert_true(front_memory(&f, MEM, GPA, true));
		assert_true(front_negotiate(&f, ALL, ALL));
		assert_int_equal(counters().mappings, 0);
		fds = fds ? fds : counters().open_fds;
		assert_int_equal(counters().open_fds, fds);
		assert_true(front_send_memory(&f));
		echo(start(0, 8), "hello");
		start(1, 8);
		/* The third connection breaks the protocol; the fourth one is not affected. */
		if (i == 2)
			front_raw(&f, "not a header, surely", 20, &f.memfd, 1);
		front_close(&f);
	}
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	unlink(path);
}

/* Waits for CTL_FRONT, which may come after the counters of an earlier connection. Returns its value, or 9. */
static uint32_t front_said(int ctl)
{
	struct ctl_msg m;

	for (unsigned i = 0; i < PATIENCE_MS; i++, usleep(1000))
		if (ctl_recv(ctl, &m) > 0 && m.type == CTL_FRONT)
			return m.value;
	return 9;
}

static void supervisor_hears_whether_the_front_end_has_begun(void **state)
{
	struct front_queue *q[2];
	struct ctl_msg m;
	char path[64];
	pid_t pid;
	int ctl;

	(void)state;
	snprintf(path, sizeof(path), "/tmp/core-echo-%016" PRIx64, unique_number());
	assert_true(echo_start(&f, &(struct echo_options){ .path = path }, &ctl));
	pid = f.pid;
	for (unsigned i = 0; i < 2; i++) {
		memset(&f, 0, sizeof(f));
		assert_true(front_connect(&f, path));
		assert_int_equal(front_said(ctl), FRONT_SILENT); /* before it has sent anything */
		assert_true(front_memory(&f, MEM, GPA, true));
		assert_true(front_negotiate(&f, ALL, ALL));
		assert_int_equal(front_said(ctl), FRONT_IDLE);
		assert_int_equal(front_said(ctl), FRONT_RUNS);
		assert_true(front_send_memory(&f));
		for (unsigned n = 0; n < 2; n++)
			echo(q[n] = start(n, 8), "hello");
		assert_int_equal(ctl_recv(ctl, &m), 0); /* said once */
		assert_true(front_queue_stop(q[0]) >= 0);
		assert_int_equal(front_said(ctl), FRONT_IDLE);
		assert_true(front_queue_stop(q[1]) >= 0);
		assert_int_equal(ctl_recv(ctl, &m), 0);
		front_close(&f);
	}
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	close(ctl);
	unlink(path);
}

static void supervisor_asks_and_stops(void **state)
{
	struct ctl_msg m = { .type = CTL_GET_STATS };
	struct front_queue *q;
	int ctl, got = 0;

	(void)state;
	begin_with(&(struct echo_options){ 0 }, BASIC, &ctl);
	q = start(0, 8);
	for (unsigned i = 0; i < 5; i++)
		echo(q, "count");
	assert_int_equal(ctl_send(ctl, &m), 0);
	for (unsigned i = 0; i < PATIENCE_MS && !got; i++, usleep(1000))
		got = ctl_recv(ctl, &m);
	assert_int_equal(got, 1);
	assert_int_equal(m.type, CTL_STATS);
	assert_int_equal(m.stats.requests, 5);
	assert_int_equal(m.stats.calls, 5);
	assert_in_range(m.stats.kicks, 1, 6);
	m.type = CTL_STOP;
	assert_int_equal(ctl_send(ctl, &m), 0);
	assert_true(front_closed(&f, PATIENCE_MS));
	close(ctl);
	assert_int_equal(front_close(&f), 0);
}

/* A driver that kicks only when it is asked to, and a few requests in flight at any time. */
static void no_kick_is_lost(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		const struct echo_options o = { .slow = i % 2 };
		struct front_queue *q;
		unsigned offered = 0, done = 0;
		uint32_t id, len;

		begin_with(&o, i < 2 ? BASIC : ALL, NULL);
		q = start(0, 64);
		while (done < (o.slow ? 3000 : 20000)) {
			for (; offered - done < 1 + done % 3; offered++) {
				offer_text(q, "x");
				front_notify(q, 1);
			}
			assert_true(front_wait_used(q, &id, &len, PATIENCE_MS));
			done++;
		}
		assert_int_equal(front_close(&f), 0);
	}
}

static void polling_serves_and_sleeps(void **state)
{
	struct front_queue *q;

	(void)state;
	begin_with(&(struct echo_options){ .poll_us = 200 }, ALL, NULL);
	q = start(0, 8);
	for (unsigned i = 0; i < 2000; i++)
		echo(q, "poll");
	/* Wait until the device sleeps; then it must ask for a kick again. */
	for (unsigned i = 0; i < 5; i++) {
		usleep(20000);
		echo(q, "after a pause");
	}
	assert_int_equal(front_close(&f), 0);
}

/* ---- inflight ---- */

static int inflight_from(struct vhu_inflight *want)
{
	struct vhu_msg m;

	assert_true(front_send(&f, VHU_GET_INFLIGHT_FD, 0, want, sizeof(*want), NULL, 0));
	assert_true(front_recv(&f, &m, PATIENCE_MS));
	assert_int_equal(m.size, sizeof(*want));
	assert_int_equal(m.nfds, 1);
	*want = m.inflight;
	return m.fds[0];
}

static void hold(uint8_t v)
{
	struct vhu_config c = { .offset = offsetof(struct echo_config, hold), .size = 1 };

	c.data[0] = v;
	assert_int_equal(front_ack(&f, VHU_SET_CONFIG, &c, 13, NULL, 0), 0);
}

static void a_successor_takes_what_was_unfinished(void **state)
{
	static const char *const text[] = { "first", "second", "third" };
	struct vhu_inflight i = { .num_queues = ECHO_QUEUES, .queue_size = 8 };
	struct front_queue *q;
	int area;

	(void)state;
	begin_with(&(struct echo_options){ 0 }, ALL, NULL);
	area = inflight_from(&i);
	assert_int_equal(front_ack(&f, VHU_SET_INFLIGHT_FD, &i, sizeof(i), &area, 1), 0);
	q = start(0, 8);
	for (unsigned n = 0; n < 10; n++)
		echo(q, "done");
	hold(1);
	for (unsigned n = 0; n < 3; n++)
		offer_text(q, text[n]);
	front_kick(q);
	for (unsigned n = 0; n < PATIENCE_MS && counters().held < 3; n++)
		usleep(1000);
	assert_int_equal(counters().held, 3);
	kill(f.pid, SIGKILL);
	waitpid(f.pid, NULL, 0);
	close(f.sock);

	/* The same memory and rings, another process. */
	assert_true(echo_start(&f, &(struct echo_options){ 0 }, NULL));
	assert_true(front_negotiate(&f, f.features, ALL));
	assert_true(front_send_memory(&f));
	assert_int_equal(front_ack(&f, VHU_SET_INFLIGHT_FD, &i, sizeof(i), &area, 1), 0);
	assert_true(front_queue_start(q));
	for (unsigned n = 0; n < 3; n++)
		expect_text(q, text[n]);
	echo(q, "new");
	assert_int_equal(front_queue_stop(q), 14);
	close(area);
	assert_int_equal(front_close(&f), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(features_of_every_kind),
		cmocka_unit_test(order_of_libblkio),
		cmocka_unit_test(order_of_dpdk),
		cmocka_unit_test(stop_is_exact_and_start_goes_on),
		cmocka_unit_test(a_disabled_ring_waits),
		cmocka_unit_test(memory_comes_and_goes_while_rings_run),
		cmocka_unit_test(reset_device_and_status_zero),
		cmocka_unit_test(sealed_it_takes_nothing_and_still_restarts),
		cmocka_unit_test(one_front_end_after_the_other),
		cmocka_unit_test(supervisor_hears_whether_the_front_end_has_begun),
		cmocka_unit_test(supervisor_asks_and_stops),
		cmocka_unit_test(no_kick_is_lost),
		cmocka_unit_test(polling_serves_and_sleeps),
		cmocka_unit_test(a_successor_takes_what_was_unfinished),
	};

	alarm(120);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
