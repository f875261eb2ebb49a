/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Promise: after a reset (--checkpoint) the named ports are as they were: nothing is sent of what the guest had offered
 * since, a message that waited waits again, and what the device writes is recorded. What the supervisor has done stays.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/lib/ports.h"
#include "vcpu/devices/written.h"

#define RX(port) (PORTS_FIRST + 2 * ((port)-1))
#define TX(port) (RX(port) + 1)
#define PAGE	 4096u

static struct ports_rig r;
static struct ports kept;
static uint8_t *kept_ram;
static uint64_t log_bits[RIG_MEM / PAGE / 64];

static int setup(void **state)
{
	(void)state;
	log_to_fd(-1, "test", LOG_ERROR);
	kept_ram = malloc(RIG_MEM);
	return kept_ram && rig_open(&r) ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	rig_close(&r);
	free(kept_ram);
	return 0;
}

static void checkpoint(void)
{
	memcpy(kept_ram, r.ram, RIG_MEM);
	kept = r.p;
}

static void reset(void)
{
	memcpy(r.ram, kept_ram, RIG_MEM);
	ports_load(&r.p, &kept);
	ports_look(&r.p);
}

/* All that the loop would do. */
static void run(void)
{
	for (unsigned n = 0; ports_work(&r.p) || rig_events(&r); n++)
		assert_true(n < 10000);
}

static void say(uint32_t id, uint16_t event, uint16_t value)
{
	const struct virtio_console_control m = { .id = id, .event = event, .value = value };

	memcpy(r.ram + rig_buffer(PORTS_CTL_TX, 0), &m, sizeof(m));
	rig_offer(&r, PORTS_CTL_TX, 0, sizeof(m), false);
}

/* Offer @text @times times from port @i. */
static void send_text(unsigned i, const char *text, unsigned times)
{
	for (unsigned n = 0; n < times; n++) {
		memcpy(r.ram + rig_buffer(TX(i), n % RIG_SIZE), text, strlen(text));
		rig_offer(&r, TX(i), n % RIG_SIZE, (uint32_t)strlen(text), false);
	}
}

/* What the supervisor gets from port @i, at most @size bytes. */
static size_t heard(unsigned i, char *to, size_t size)
{
	size_t n = 0;
	ssize_t got;

	do {
		run();
		got = recv(r.far[i - 1], to + n, size - n, 0);
		n += got > 0 ? (size_t)got : 0;
	} while (got > 0 && n < size);
	return n;
}

/* One chain of 256 KiB, which is more than the connection takes. */
static void send_much(unsigned i)
{
	struct vring_desc *d = rig_desc(&r, TX(i));
	struct vring_avail *a = rig_avail(&r, TX(i));
	int small = 4096;

	assert_int_equal(setsockopt(VFD_PORT0 + 2 * (int)(i - 1), SOL_SOCKET, SO_SNDBUF, &small, sizeof(small)), 0);
	d[7] = (struct vring_desc){ .addr = 0x80000, .len = 0x40000 };
	memset(r.ram + 0x80000, 'x', 0x40000);
	a->ring[a->idx % RIG_SIZE] = 7;
	a->idx++;
	ports_kick(&r.p, TX(i));
	run();
	assert_true(r.p.port[i].busy && r.p.port[i].blocked);
}

static void the_rest_of_what_was_half_sent_is_not_sent(void **state)
{
	static char got[0x80000];
	size_t n;

	(void)state;
	checkpoint();
	for (unsigned round = 0; round < 20; round++) {
		send_much(1);
		send_text(2, "lost", round % 4);
		reset();
		assert_false(r.p.port[1].busy);
		n = heard(1, got, sizeof(got));
		assert_in_range(n, 1, 0x3ffff);
		heard(2, got, sizeof(got));
		send_text(1, "after", 1);
		n = heard(1, got, sizeof(got));
		assert_int_equal(n, 5);
		assert_memory_equal(got, "after", 5);
	}
	assert_int_equal(r.faults, 0);
}

/* At the checkpoint a part of a chain was sent; the rest is sent each time. */
static void what_waited_at_the_checkpoint_waits_again(void **state)
{
	static char got[0x80000];
	size_t first, rest;

	(void)state;
	send_much(1);
	first = r.p.port[1].done;
	checkpoint();
	for (unsigned round = 0; round < 5; round++) {
		rest = heard(1, got, sizeof(got)) - (round ? 0 : first);
		assert_int_equal(rest, 0x40000 - first);
		assert_int_equal(rig_used(&r, TX(1))->idx, 1);
		send_text(1, "more", round);
		heard(1, got, sizeof(got));
		reset();
	}
}

/* A message was there and its kick not yet served: it is looked for. */
static void a_kick_from_before_is_not_needed(void **state)
{
	const struct virtio_console_control m = { .id = 2, .event = VIRTIO_CONSOLE_PORT_OPEN, .value = 1 };
	struct vring_avail *a = rig_avail(&r, PORTS_CTL_TX);

	(void)state;
	memcpy(r.ram + rig_buffer(PORTS_CTL_TX, 0), &m, sizeof(m));
	rig_desc(&r, PORTS_CTL_TX)[0] = (struct vring_desc){ .addr = rig_buffer(PORTS_CTL_TX, 0), .len = sizeof(m) };
	a->idx++;
	checkpoint();
	for (unsigned round = 0; round < 3; round++) {
		assert_false(r.p.port[2].guest_open);
		if (!round)
			ports_kick(&r.p, PORTS_CTL_TX);
		run();
		assert_true(r.p.port[2].guest_open);
		assert_int_equal(rig_used(&r, PORTS_CTL_TX)->idx, 1);
		reset();
	}
}

static void messages_are_taken_back(void **state)
{
	(void)state;
	say(1, VIRTIO_CONSOLE_PORT_OPEN, 1);
	checkpoint();
	for (unsigned round = 0; round < 10; round++) {
		say(1, VIRTIO_CONSOLE_PORT_OPEN, 0);
		say(2, VIRTIO_CONSOLE_PORT_OPEN, 1);
		say(0, VIRTIO_CONSOLE_PORT_READY, 1);
		say(UINT32_MAX, VIRTIO_CONSOLE_DEVICE_READY, 1);
		if (round & 1)
			ports_stop(&r.p);
		reset();
		assert_true(r.p.port[1].guest_open);
		assert_false(r.p.port[2].guest_open || r.p.size_known);
		for (unsigned i = 0; i <= RIG_PORTS; i++)
			assert_int_equal(r.p.port[i].pending, 0);
	}
}

/* The supervisor closed the connection after the checkpoint: the guest is told again after each reset. */
static void a_connection_that_has_ended(void **state)
{
	struct virtio_console_control m;

	(void)state;
	say(1, VIRTIO_CONSOLE_PORT_OPEN, 1);
	for (unsigned i = 0; i < 4; i++)
		rig_offer(&r, PORTS_CTL_RX, i, 64, true);
	checkpoint();
	close(r.far[0]);
	r.far[0] = -1;
	run();
	for (unsigned round = 0; round < 5; round++) {
		assert_int_equal(rig_used(&r, PORTS_CTL_RX)->idx, 1);
		memcpy(&m, r.ram + rig_buffer(PORTS_CTL_RX, 0), sizeof(m));
		assert_int_equal(m.id, 1);
		assert_int_equal(m.event, VIRTIO_CONSOLE_PORT_OPEN);
		assert_int_equal(m.value, 0);
		reset();
	}
}

/* Input that the guest had not taken comes after the reset; input that it had taken does not come again. */
static void input_is_delivered_once(void **state)
{
	(void)state;
	say(3, VIRTIO_CONSOLE_PORT_OPEN, 1);
	rig_offer(&r, RX(3), 0, 2, true);
	checkpoint();
	assert_int_equal(send(r.far[2], "abcdef", 6, 0), 6);
	run();
	assert_memory_equal(r.ram + rig_buffer(RX(3), 0), "ab", 2);
	reset();
	assert_memory_equal(r.ram + rig_buffer(RX(3), 0), "cd", 2);
	reset();
	assert_memory_equal(r.ram + rig_buffer(RX(3), 0), "ef", 2);
	reset();
	assert_int_equal(rig_used(&r, RX(3))->idx, 0);
}

static bool logged(uint64_t gpa)
{
	return (log_bits[gpa / PAGE / 64] >> gpa / PAGE % 64) & 1;
}

static void what_it_writes_is_recorded(void **state)
{
	uint64_t *const logs[SHM_MAX_REGIONS] = { log_bits };

	(void)state;
	written_start(&r.mem, logs);
	for (unsigned i = 0; i < RIG_SIZE; i++)
		rig_offer(&r, PORTS_CTL_RX, i, 64, true);
	say(1, VIRTIO_CONSOLE_PORT_READY, 1);
	assert_true(logged(rig_buffer(PORTS_CTL_RX, 0)));
	for (unsigned q = PORTS_CTL_RX; q < RIG_QUEUES; q++)
		assert_false(logged(q * RIG_STRIDE + 0x800));
	ports_mark_rings(&r.p);
	for (unsigned q = PORTS_CTL_RX; q < RIG_QUEUES; q++)
		assert_true(logged(q * RIG_STRIDE + 0x800));
	written_start(NULL, logs);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(the_rest_of_what_was_half_sent_is_not_sent, setup, teardown),
		cmocka_unit_test_setup_teardown(what_waited_at_the_checkpoint_waits_again, setup, teardown),
		cmocka_unit_test_setup_teardown(a_kick_from_before_is_not_needed, setup, teardown),
		cmocka_unit_test_setup_teardown(messages_are_taken_back, setup, teardown),
		cmocka_unit_test_setup_teardown(a_connection_that_has_ended, setup, teardown),
		cmocka_unit_test_setup_teardown(input_is_delivered_once, setup, teardown),
		cmocka_unit_test_setup_teardown(what_it_writes_is_recorded, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
