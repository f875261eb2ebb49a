/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Promise: the place of a NIC on the bus, after which guests name it, depends on the NICs
 * before it only, not on disks or an rng.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "vcpu/devices/devices.h"

static struct devices ds;

/* @kinds: c console, r rng, b disk, n NIC. */
static void guest(const char *kinds)
{
	memset(&ds, 0, sizeof(ds));
	for (; *kinds; kinds++) {
		struct device *d = &ds.dev[ds.n++];

		d->type = *kinds == 'c' ? DEVICE_CONSOLE : *kinds == 'r' ? DEVICE_RNG : DEVICE_BACKED;
		d->front.kind = *kinds == 'n' ? DEV_NET : DEV_BLK;
	}
}

static void nics_come_before_disks(void **state)
{
	static const unsigned places[] = { 0, 3, 4, 1, 5, 2 };

	(void)state;
	guest("crbnbn");
	for (unsigned i = 0; i < ds.n; i++)
		assert_int_equal(devices_position(&ds, i), places[i]);
	guest("cnn");
	assert_int_equal(devices_position(&ds, 1), 1);
	assert_int_equal(devices_position(&ds, 2), 2);
}

static void every_place_is_taken_once(void **state)
{
	uint64_t taken = 0;

	(void)state;
	guest("crbnbnbbbnnnbnbnbnbnbbbbbnnnnnnnbn");
	for (unsigned i = 0; i < ds.n; i++)
		taken |= BIT64(devices_position(&ds, i));
	assert_true(taken == BIT64(ds.n) - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nics_come_before_disks),
		cmocka_unit_test(every_place_is_taken_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
