/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Control messages of a hostile driver change only its own ports, and the number of answers
 * is bounded. A full connection blocks the guest's queue, and the device keeps at most one
 * chain and 4 KiB of input for each port.
 */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/lib/ports.h"

static struct ports_rig r;

static int setup(void **state)
{
	(void)state;
	log_to_fd(-1, "test", LOG_ERROR);
	signal(SIGPIPE, SIG_IGN);
	return rig_open(&r) ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	rig_close(&r);
	return 0;
}

/* A control message of the driver's. */
static void say(uint32_t id, uint16_t event, uint16_t value)
{
	const struct virtio_console_control m = { .id = id, .event = event, .value = value };

	memcpy(r.ram + rig_buffer(PORTS_CTL_TX, 0), &m, sizeof(m));
	rig_offer(&r, PORTS_CTL_TX, 0, sizeof(m), false);
}

/* The device's next message into @m, with what follows it in @more; its length, or 0. */
static uint32_t hear(struct virtio_console_control *m, char more[64])
{
	static uint16_t seen;
	struct vring_used *u = rig_used(&r, PORTS_CTL_RX);
	uint32_t len;

	if (!u->idx)
		seen = 0;
	rig_offer(&r, PORTS_CTL_RX, seen % RIG_SIZE, 64, true);
	if (u->idx == seen)
		return 0;
	len = u->ring[seen % RIG_SIZE].len;
	memcpy(m, r.ram + rig_buffer(PORTS_CTL_RX, u->ring[seen % RIG_SIZE].id), sizeof(*m));
	memset(more, 0, 64);
	memcpy(more, r.ram + rig_buffer(PORTS_CTL_RX, u->ring[seen % RIG_SIZE].id) + sizeof(*m), len - sizeof(*m));
	seen++;
	return len;
}

static void expect(uint32_t id, uint16_t event, uint16_t value, const char *text)
{
	struct virtio_console_control m;
	char more[64];

	assert_true(hear(&m, more) >= sizeof(m));
	assert_int_equal(m.id, id);
	assert_int_equal(m.event, event);
	assert_int_equal(m.value, value);
	assert_string_equal(more, text);
}

static void silent(void)
{
	for (unsigned i = 0; i <= MAX_PORTS; i++)
		assert_int_equal(r.p.port[i].pending, 0);
}

/* Driver and device have greeted each other, and the ports are open. */
static void greet(void)
{
	say(UINT32_MAX, VIRTIO_CONSOLE_DEVICE_READY, 1);
	for (unsigned i = 0; i <= RIG_PORTS; i++)
		expect(i, VIRTIO_CONSOLE_PORT_ADD, 1, "");
	say(0, VIRTIO_CONSOLE_PORT_READY, 1);
	expect(0, VIRTIO_CONSOLE_CONSOLE_PORT, 1, "");
	for (unsigned i = 1; i <= RIG_PORTS; i++) {
		char name[PORT_NAME_MAX];

		memcpy(name, rig_names[i - 1], PORT_NAME_MAX - 1);
		name[PORT_NAME_MAX - 1] = '\0';
		say(i, VIRTIO_CONSOLE_PORT_READY, 1);
		expect(i, VIRTIO_CONSOLE_PORT_NAME, 1, name);
		expect(i, VIRTIO_CONSOLE_PORT_OPEN, 1, "");
		say(i, VIRTIO_CONSOLE_PORT_OPEN, 1);
	}
	silent();
}

static void driver_and_device_greet(void **state)
{
	(void)state;
	greet();
	assert_int_equal(r.faults, 0);
	/* After a reset, again. */
	ports_stop(&r.p);
	assert_true(rig_start(&r));
	greet();
}

static void numbers_and_events_that_are_none(void **state)
{
	static const uint32_t ids[] = { RIG_PORTS + 1, MAX_PORTS,  MAX_PORTS + 1, 1000,
					0x7fffffff,    0x80000000, UINT32_MAX };

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(ids); i++)
		for (uint16_t event = VIRTIO_CONSOLE_PORT_ADD; event < 20; event++)
			say(ids[i], event, 1);
	for (uint32_t event = 8; event < 0x10000; event += 97)
		for (unsigned id = 0; id <= RIG_PORTS; id++)
			say(id, (uint16_t)event, (uint16_t)event);
	say(UINT32_MAX, VIRTIO_CONSOLE_DEVICE_READY, 0);
	say(1, VIRTIO_CONSOLE_PORT_READY, 0);
	/* Messages that only the device may send. */
	for (unsigned id = 0; id <= RIG_PORTS; id++) {
		say(id, VIRTIO_CONSOLE_PORT_ADD, 1);
		say(id, VIRTIO_CONSOLE_PORT_REMOVE, 1);
		say(id, VIRTIO_CONSOLE_CONSOLE_PORT, 1);
		say(id, VIRTIO_CONSOLE_RESIZE, 0xffff);
		say(id, VIRTIO_CONSOLE_PORT_NAME, 1);
	}
	silent();
	for (unsigned i = 1; i <= RIG_PORTS; i++)
		assert_false(r.p.port[i].guest_open);
	assert_int_equal(r.faults, 0);
	greet();
}

/* The driver asks many times, without a buffer for the answers. */
static void answers_are_bounded(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 1000; i++) {
		say(UINT32_MAX, VIRTIO_CONSOLE_DEVICE_READY, 1);
		say(2, VIRTIO_CONSOLE_PORT_READY, 1);
	}
	expect(0, VIRTIO_CONSOLE_PORT_ADD, 1, "");
	expect(1, VIRTIO_CONSOLE_PORT_ADD, 1, "");
	expect(2, VIRTIO_CONSOLE_PORT_ADD, 1, "");
	expect(2, VIRTIO_CONSOLE_PORT_NAME, 1, rig_names[1]);
	expect(2, VIRTIO_CONSOLE_PORT_OPEN, 1, "");
	expect(3, VIRTIO_CONSOLE_PORT_ADD, 1, "");
	silent();
}

static void a_message_that_is_too_short(void **state)
{
	(void)state;
	rig_offer(&r, PORTS_CTL_TX, 0, sizeof(struct virtio_console_control) - 1, false);
	assert_int_equal(r.faults, 1);
	assert_false(r.p.ctl_tx.running);
	/* The ports still work. */
	rig_offer(&r, PORTS_FIRST + 1, 0, 5, false);
	assert_int_equal(rig_used(&r, PORTS_FIRST + 1)->idx, 1);
}

static void a_buffer_that_is_too_small_for_an_answer(void **state)
{
	(void)state;
	say(2, VIRTIO_CONSOLE_PORT_READY, 1);
	rig_offer(&r, PORTS_CTL_RX, 0, sizeof(struct virtio_console_control) + 3, true);
	assert_int_equal(r.faults, 1);
	assert_false(r.p.ctl_rx.running);
	assert_int_equal(rig_used(&r, PORTS_CTL_RX)->idx, 0);
}

static void input_needs_room(void **state)
{
	(void)state;
	greet();
	assert_int_equal(write(r.far[0], "x", 1), 1);
	assert_int_equal(rig_events(&r), 1);
	rig_offer(&r, PORTS_FIRST, 0, 16, false);
	assert_int_equal(r.faults, 1);
	assert_false(r.p.port[1].rx.running);
}

/* A full connection: the queue waits; what is kept does not grow; nothing is lost or written twice. */
static void a_full_connection_holds_the_queue_back(void **state)
{
	unsigned q = PORTS_FIRST + 3, offered = 0, got = 0;
	static uint8_t buf[65536];
	ssize_t n;

	(void)state;
	greet();
	while (rig_used(&r, q)->idx == offered) {
		memset(r.ram + rig_buffer(q, offered % RIG_SIZE), (int)(offered & 0xff), 0x400);
		rig_offer(&r, q, offered % RIG_SIZE, 0x400, false);
		offered++;
		assert_true(offered < 100000);
	}
	assert_true(r.p.port[2].blocked);
	for (unsigned i = 1; i < RIG_SIZE; i++, offered++) {
		memset(r.ram + rig_buffer(q, offered % RIG_SIZE), (int)(offered & 0xff), 0x400);
		rig_offer(&r, q, offered % RIG_SIZE, 0x400, false);
	}
	assert_int_equal((uint16_t)(rig_used(&r, q)->idx + RIG_SIZE), (uint16_t)offered);
	/* Other ports are not held up, and nothing spins. */
	rig_offer(&r, PORTS_FIRST + 1, 0, 5, false);
	assert_int_equal(rig_used(&r, PORTS_FIRST + 1)->idx, 1);
	assert_int_equal(rig_events(&r), 0);
	assert_false(ports_have_work(&r.p));
	for (;;) {
		n = read(r.far[1], buf, sizeof(buf));
		if (n < 0 && !rig_events(&r))
			break;
		for (ssize_t i = 0; i < n; i++, got++)
			assert_int_equal(buf[i], got / 0x400 & 0xff);
	}
	assert_int_equal(got, offered * 0x400);
	assert_int_equal(rig_used(&r, q)->idx, (uint16_t)offered);
	assert_false(r.p.port[2].blocked);
}

/* Without a program that has the port open, or without buffers, input stays in the connection. */
static void input_waits_for_its_reader(void **state)
{
	static uint8_t flood[4096];
	unsigned put = 0, q = PORTS_FIRST + 4;

	(void)state;
	greet();
	say(3, VIRTIO_CONSOLE_PORT_OPEN, 0);
	assert_int_equal(write(r.far[2], "early", 5), 5);
	assert_int_equal(rig_events(&r), 0);
	say(3, VIRTIO_CONSOLE_PORT_OPEN, 1);
	assert_int_equal(rig_events(&r), 1);
	while (write(r.far[2], flood, sizeof(flood)) > 0)
		put++;
	/* The device reads no more input than the guest has buffers for. */
	for (unsigned i = 0; i < 10; i++)
		assert_int_equal(rig_events(&r), 0);
	assert_int_equal(write(r.far[2], flood, 1), -1);
	assert_int_equal(errno, EAGAIN);
	rig_offer(&r, q, 0, 3, true);
	rig_offer(&r, q, 1, 100, true);
	assert_int_equal(rig_used(&r, q)->idx, 2);
	assert_memory_equal(r.ram + rig_buffer(q, 0), "ear", 3);
	assert_memory_equal(r.ram + rig_buffer(q, 1), "ly", 2);
	assert_int_equal(rig_used(&r, q)->ring[1].len, 2);
	assert_true(put > 0);
}

/* A driver that opens and closes ports endlessly gets nothing twice, and no closed port is watched. */
static void opening_and_closing_without_end(void **state)
{
	(void)state;
	greet();
	for (unsigned i = 0; i < 10000; i++)
		say(1 + i % RIG_PORTS, VIRTIO_CONSOLE_PORT_OPEN, (uint16_t)(i / RIG_PORTS % 2));
	for (unsigned i = 1; i <= RIG_PORTS; i++)
		say(i, VIRTIO_CONSOLE_PORT_OPEN, 0);
	for (unsigned i = 0; i < RIG_PORTS; i++)
		assert_int_equal(write(r.far[i], "x", 1), 1);
	assert_int_equal(rig_events(&r), 0);
	silent();
}

static void a_connection_that_ends(void **state)
{
	(void)state;
	greet();
	close(r.far[0]);
	r.far[0] = -1;
	assert_int_equal(rig_events(&r), 1);
	expect(1, VIRTIO_CONSOLE_PORT_OPEN, 0, "");
	/* From now on output is dropped, and the loop does not spin. */
	for (unsigned i = 0; i < 100; i++)
		rig_offer(&r, PORTS_FIRST + 1, i % RIG_SIZE, 0x400, false);
	assert_int_equal(rig_used(&r, PORTS_FIRST + 1)->idx, 100);
	assert_int_equal(rig_events(&r), 0);
	silent();
}

static void work_has_a_budget(void **state)
{
	static uint8_t buf[1 << 20];
	unsigned q = PORTS_FIRST + 1, turns = 0, size = 1 << 19;

	(void)state;
	/* One chain of most of the memory, repeatedly. */
	for (unsigned i = 0; i < 4; i++) {
		rig_desc(&r, q)[i] = (struct vring_desc){ .addr = 0, .len = size / 4 };
		rig_avail(&r, q)->ring[i] = (uint16_t)i;
	}
	rig_avail(&r, q)->idx = 4;
	ports_kick(&r.p, q);
	assert_true(ports_have_work(&r.p));
	assert_true(read(r.far[0], buf, sizeof(buf)) <= (ssize_t)PORT_TX_BUDGET);
	while (ports_work(&r.p)) {
		assert_true(turns++ < 100);
		(void)!read(r.far[0], buf, sizeof(buf));
	}
	assert_true(turns >= 4);
}

static void no_queue_beyond_its_ports(void **state)
{
	(void)state;
	assert_null(ports_queue(&r.p, RIG_QUEUES));
	assert_null(ports_queue(&r.p, 0));
	assert_null(ports_queue(&r.p, PORTS_MAX_QUEUES));
	for (unsigned q = RIG_QUEUES; q < 0x10000; q += 3)
		ports_kick(&r.p, q);
	ports_event(&r.p, RIG_PORTS, EPOLLIN | EPOLLOUT);
	ports_event(&r.p, UINT32_MAX, EPOLLIN);
	assert_int_equal(ports_queues(0), 2);
	assert_int_equal(ports_queues(MAX_PORTS), PORTS_MAX_QUEUES);
}

static void the_consoles_size(void **state)
{
	(void)state;
	/* The size is not sent to a driver that has not initialized the port. */
	ports_resize(&r.p, WINDOW_SIZE(80, 25));
	silent();
	say(0, VIRTIO_CONSOLE_PORT_READY, 1);
	expect(0, VIRTIO_CONSOLE_CONSOLE_PORT, 1, "");
	expect(0, VIRTIO_CONSOLE_RESIZE, 1, "\x19");
	ports_resize(&r.p, WINDOW_SIZE(0x0102, 0x0304));
	ports_resize(&r.p, WINDOW_SIZE(0x0505, 0x0606));
	expect(0, VIRTIO_CONSOLE_RESIZE, 1, "\x06\x06\x05\x05");
	silent();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
		T(driver_and_device_greet),
		T(numbers_and_events_that_are_none),
		T(answers_are_bounded),
		T(a_message_that_is_too_short),
		T(a_buffer_that_is_too_small_for_an_answer),
		T(input_needs_room),
		T(a_full_connection_holds_the_queue_back),
		T(input_waits_for_its_reader),
		T(opening_and_closing_without_end),
		T(a_connection_that_ends),
		T(work_has_a_budget),
		T(no_queue_beyond_its_ports),
		T(the_consoles_size),
#undef T
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
