/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Promise: the guest's console has the size of the user's terminal, a driver that asked for
 * the size hears of each change, and no other does.
 */
#include <linux/virtio_config.h>
#include <linux/virtio_console.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "vcpu/devices/devices.h"
#include "vcpu/devices/own.h"
#include "vcpu/vm.h"

static struct vcpu_config config;
static struct vm vm;
static struct devices ds;
static bool line;

static void intx(struct vpci *v, bool level)
{
	(void)v;
	line = level;
}

static void console(bool terminal, uint32_t size)
{
	static const struct vpci_host host = { .intx = intx };
	uint32_t next = 0xd0000000;

	memset(&ds, 0, sizeof(ds));
	config = (struct vcpu_config){ .input_is_terminal = terminal, .window_size = size };
	vm.c = &config;
	ds.vm = &vm;
	ds.n = 1;
	ds.dev[0].all = &ds;
	own_console_init(&ds.dev[0]);
	vpci_init(&ds.dev[0].v, &ds.dev[0].desc, &host, 10, 1, &next);
	line = false;
}

static void assert_size(uint16_t cols, uint16_t rows)
{
	struct virtio_console_config c;
	uint8_t part[2];
	struct vpci *v = &ds.dev[0].v;

	v->dev->get_config(v, 0, &c, sizeof(c));
	assert_int_equal(le16toh(c.cols), cols);
	assert_int_equal(le16toh(c.rows), rows);
	assert_int_equal(c.emerg_wr, 0);
	v->dev->get_config(v, 2, part, 2);
	assert_int_equal(part[0] | part[1] << 8, rows);
}

static void a_terminal_has_a_size(void **state)
{
	struct vpci *v = &ds.dev[0].v;
	uint8_t before;

	(void)state;
	console(true, WINDOW_SIZE(300, 70));
	assert_true((v->dev->features >> VIRTIO_CONSOLE_F_SIZE) & 1);
	assert_size(300, 70);
	v->features = v->dev->features;
	v->status = VIRTIO_CONFIG_S_DRIVER_OK;
	before = v->generation;
	devices_resize(&ds, WINDOW_SIZE(300, 70));
	assert_int_equal(v->generation, before);
	assert_false(line);
	devices_resize(&ds, WINDOW_SIZE(65535, 1));
	assert_size(65535, 1);
	assert_int_equal(v->generation, (uint8_t)(before + 1));
	assert_true(line);
}

static void a_driver_that_did_not_ask_hears_nothing(void **state)
{
	struct vpci *v = &ds.dev[0].v;

	(void)state;
	console(true, 0);
	assert_size(0, 0);
	v->features = BIT64(VIRTIO_F_VERSION_1);
	v->status = VIRTIO_CONFIG_S_DRIVER_OK;
	devices_resize(&ds, WINDOW_SIZE(80, 25));
	assert_false(line);
	/* The next driver may ask. */
	assert_size(80, 25);
}

static void a_pipe_has_none(void **state)
{
	struct vpci *v = &ds.dev[0].v;

	(void)state;
	console(false, 0);
	assert_false((v->dev->features >> VIRTIO_CONSOLE_F_SIZE) & 1);
	v->status = VIRTIO_CONFIG_S_DRIVER_OK;
	v->features = ~0ull;
	devices_resize(&ds, WINDOW_SIZE(80, 25));
	assert_size(0, 0);
	assert_false(line);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_terminal_has_a_size),
		cmocka_unit_test(a_driver_that_did_not_ask_hears_nothing),
		cmocka_unit_test(a_pipe_has_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
