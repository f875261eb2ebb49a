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

static void no_stop(struct vpci *v)
{
	(void)v;
}

static void on_intx(struct vpci *v, bool level)
{
	(void)v;
	(void)level;
}

/* Put @n devices and the engine's own one on the bus. Returns the devfn of the latter. */
static unsigned put(unsigned n)
{
	static const struct vpci_host host = { .intx = on_intx };
	static struct pci_dev last;
	const struct devices_place place = { .bar_base = 0xd0000000, .intx_base = 16, .last = &last };
	const struct pci_ids ids = { .vendor = 0x1af4, .device = 0x1110 };
	unsigned at = 0, there = 0;

	memset(&ds, 0, sizeof(ds));
	ds.host = &host;
	ds.n = n;
	pci_dev_init(&last, &ids);
	for (unsigned i = 0; i < n; i++) {
		ds.dev[i].type = i ? DEVICE_RNG : DEVICE_CONSOLE;
		ds.dev[i].desc.nqueues = 1;
		ds.dev[i].desc.stop = no_stop;
	}
	assert_int_equal(devices_attach(&ds, &place), 0);
	for (unsigned i = 0; i < ARRAY_SIZE(ds.bus.dev); i++) {
		there += ds.bus.dev[i] != NULL;
		at = ds.bus.dev[i] == &last ? i : at;
	}
	assert_int_equal(there, n + 2); /* And the bridge */
	assert_int_equal(last.cfg[0x0e], n + 1 > 31 ? 0x80 : 0);
	return at;
}

static void the_engines_device_is_behind_all_others(void **state)
{
	(void)state;
	assert_int_equal(put(1), PCI_DEVFN(2, 0));
	assert_int_equal(put(30), PCI_DEVFN(31, 0));
	assert_int_equal(put(31), PCI_DEVFN(4, 7));
	assert_int_equal(put(DEVICES_MAX), PCI_DEVFN(1 + DEVICES_MAX / 8, DEVICES_MAX % 8));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nics_come_before_disks),
		cmocka_unit_test(every_place_is_taken_once),
		cmocka_unit_test(the_engines_device_is_behind_all_others),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
