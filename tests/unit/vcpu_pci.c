/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The PCI bus answers for existing devices, moves BARs, and keeps read-only bytes whatever is written. */
#include <linux/pci_regs.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "vcpu/devices/pci.h"

static struct pci_bus bus;
static struct pci_dev a, b;
static unsigned a_bar, moves;
static uint64_t a_off, a_val;

static uint64_t bar_read(struct pci_dev *d, unsigned bar, uint64_t off, unsigned len)
{
	assert_true(bar < PCI_BARS && off + len <= d->bar_size[bar]);
	return (d == &a ? 0xa000 : 0xb000) + off;
}

static void bar_write(struct pci_dev *d, unsigned bar, uint64_t off, unsigned len, uint64_t v)
{
	assert_true(bar < PCI_BARS && off + len <= d->bar_size[bar]);
	if (d == &a) {
		a_bar = bar;
		a_off = off;
		a_val = v;
	}
}

static void moved(struct pci_dev *d)
{
	(void)d;
	moves++;
}

static const struct pci_dev_ops ops = { .bar_read = bar_read, .bar_write = bar_write, .moved = moved };

static int new_bus(void **state)
{
	const struct pci_ids ia = { .vendor = 0x1af4, .device = 0x1042, .class = 0x018000, .revision = 1 };
	const struct pci_ids ib = { .vendor = 0x1af4, .device = 0x1041, .class = 0x020000 };
	const uint8_t cap[16] = { 0, 0, 16, 1 };

	(void)state;
	memset(&bus, 0, sizeof(bus));
	pci_dev_init(&a, &ia);
	pci_dev_init(&b, &ib);
	a.ops = b.ops = &ops;
	pci_add_bar(&a, 0, 0x4000, 0xd0000000);
	pci_add_bar(&a, 1, 0x1000, 0xd0004000);
	pci_add_bar(&b, 0, 0x4000, 0xd0008000);
	pci_add_cap(&a, 0x40, PCI_CAP_ID_VNDR, cap, sizeof(cap));
	pci_add_cap(&a, 0x50, PCI_CAP_ID_VNDR, cap, sizeof(cap));
	pci_attach(&bus, PCI_DEVFN(1, 0), &a);
	pci_attach(&bus, PCI_DEVFN(2, 0), &b);
	moves = 0;
	return 0;
}

static void select_reg(unsigned slot, unsigned reg)
{
	pci_port_out(&bus, 0xcf8, 4, 0x80000000 | slot << 11 | (reg & 0xfc));
}

static uint32_t cfg_in(unsigned slot, unsigned reg, unsigned len)
{
	select_reg(slot, reg);
	return pci_port_in(&bus, (uint16_t)(0xcfc + (reg & 3)), len);
}

static void cfg_out(unsigned slot, unsigned reg, unsigned len, uint32_t v)
{
	select_reg(slot, reg);
	pci_port_out(&bus, (uint16_t)(0xcfc + (reg & 3)), len, v);
}

static void found(void **state)
{
	(void)state;
	assert_int_equal(cfg_in(1, 0, 4), 0x10421af4);
	assert_int_equal(cfg_in(1, 8, 4), 0x01800001);
	assert_int_equal(cfg_in(1, 2, 2), 0x1042);
	assert_int_equal(cfg_in(1, 0xb, 1), 0x01);
	assert_int_equal(cfg_in(1, 0x34, 1), 0x40);
	assert_int_equal(cfg_in(1, 0x41, 1), 0x50);
	assert_int_equal(cfg_in(1, 0x51, 1), 0);
}

static void not_there(void **state)
{
	(void)state;
	assert_int_equal(cfg_in(3, 0, 4), 0xffffffff);
	assert_int_equal(cfg_in(0, 0, 2), 0xffff);
	pci_port_out(&bus, 0xcf8, 4, 1 << 11); /* without the enable bit */
	assert_int_equal(pci_port_in(&bus, 0xcfc, 4), 0xffffffff);
	pci_port_out(&bus, 0xcf8, 4, 0x80010000 | 1 << 11); /* bus 1 */
	assert_int_equal(pci_port_in(&bus, 0xcfc, 4), 0xffffffff);
	pci_port_out(&bus, 0xcf8, 4, 0x81000000 | 1 << 11); /* extended registers */
	assert_int_equal(pci_port_in(&bus, 0xcfc, 1), 0xff);
	/* accesses that straddle, and widths that do not exist */
	select_reg(1, 0);
	assert_int_equal(pci_port_in(&bus, 0xcfe, 4), 0xffffffff);
	assert_int_equal(pci_port_in(&bus, 0xcff, 2), 0xffff);
	assert_int_equal(pci_port_in(&bus, 0xcfc, 3), 0xffffff);
	assert_int_equal(pci_port_in(&bus, 0xcf8, 1), 0xff);
}

/* PCI 3.0, 6.2.5.1 */
static void sizing(void **state)
{
	(void)state;
	cfg_out(1, PCI_BASE_ADDRESS_0, 4, 0xffffffff);
	assert_int_equal(cfg_in(1, PCI_BASE_ADDRESS_0, 4), 0xffffc000);
	cfg_out(1, PCI_BASE_ADDRESS_1, 4, 0xffffffff);
	assert_int_equal(cfg_in(1, PCI_BASE_ADDRESS_1, 4), 0xfffff000);
	cfg_out(1, PCI_BASE_ADDRESS_2, 4, 0xffffffff);
	assert_int_equal(cfg_in(1, PCI_BASE_ADDRESS_2, 4), 0);
	cfg_out(1, PCI_ROM_ADDRESS, 4, 0xffffffff);
	assert_int_equal(cfg_in(1, PCI_ROM_ADDRESS, 4), 0);
}

static void decoding(void **state)
{
	uint64_t v;

	(void)state;
	assert_true(pci_mem_read(&bus, 0xd0000010, 4, &v));
	assert_int_equal(v, 0xa010);
	/* across the end of a BAR: no device answers, even with another BAR behind it */
	assert_false(pci_mem_read(&bus, 0xd0003ffe, 4, &v));
	assert_true(v == UINT64_MAX);
	assert_false(pci_mem_read(&bus, UINT64_MAX - 1, 4, &v));
	assert_false(pci_mem_read(&bus, 0xd0000000, 3, &v));
	assert_true(pci_mem_write(&bus, 0xd0004ff8, 8, 42));
	assert_true(a_bar == 1 && a_off == 0xff8 && a_val == 42);

	cfg_out(1, PCI_BASE_ADDRESS_0, 4, 0xe0000000);
	assert_true(moves > 0);
	assert_false(pci_mem_read(&bus, 0xd0000010, 4, &v));
	assert_true(pci_mem_read(&bus, 0xe0000010, 4, &v));
	/* decoding off: nothing answers */
	cfg_out(1, PCI_COMMAND, 2, 0);
	assert_false(pci_mem_read(&bus, 0xe0000010, 4, &v));
	assert_int_equal(pci_bar_address(&a, 0), 0);
}

static void on_top_of_each_other(void **state)
{
	uint64_t v;

	(void)state;
	cfg_out(2, PCI_BASE_ADDRESS_0, 4, 0xd0000000);
	assert_true(pci_mem_read(&bus, 0xd0000020, 4, &v));
	assert_int_equal(v, 0xa020);
	/* and the lower one out of the way again */
	cfg_out(1, PCI_COMMAND, 2, 0);
	assert_true(pci_mem_read(&bus, 0xd0000020, 4, &v));
	assert_int_equal(v, 0xb020);
}

static void fixed_bars(void **state)
{
	uint64_t v;

	(void)state;
	a.fixed = true;
	cfg_out(1, PCI_BASE_ADDRESS_0, 4, 0xffffffff);
	assert_int_equal(cfg_in(1, PCI_BASE_ADDRESS_0, 4), 0xffffc000);
	cfg_out(1, PCI_COMMAND, 2, 0);
	assert_true(pci_mem_read(&bus, 0xd0000010, 4, &v));
	assert_int_equal(v, 0xa010);
}

/* Every register, every width, values at the edges: what is read-only stays, and nothing else breaks. */
static void sweep(void **state)
{
	static const uint32_t values[] = { 0,	   1,	   0x7f,       0x80,	   0xff,       0x7fff,
					   0x8000, 0xffff, 0x7fffffff, 0x80000000, 0xffffffff, 0xaaaaaaaa };
	uint64_t v;

	(void)state;
	for (unsigned port = 0xcf8; port < 0xd00; port++)
		for (unsigned len = 0; len <= 8; len++)
			for (unsigned i = 0; i < ARRAY_SIZE(values); i++) {
				pci_port_out(&bus, (uint16_t)port, len, values[i]);
				pci_port_in(&bus, (uint16_t)port, len);
			}
	for (unsigned slot = 0; slot < 32; slot++)
		for (unsigned reg = 0; reg < 256; reg++)
			for (unsigned len = 1; len <= 4; len++)
				for (unsigned i = 0; i < ARRAY_SIZE(values); i++) {
					cfg_out(slot, reg, len, values[i]);
					cfg_in(slot, reg, len);
					pci_mem_read(&bus, values[i], len, &v);
				}
	assert_int_equal(cfg_in(1, 0, 4), 0x10421af4);
	assert_int_equal(cfg_in(1, 8, 4), 0x01800001);
	assert_int_equal(cfg_in(1, PCI_HEADER_TYPE, 1), 0);
	assert_int_equal(cfg_in(1, 0x34, 1), 0x40);
	assert_int_equal(cfg_in(1, 0x40, 2), 0x5009);
	assert_int_equal(cfg_in(2, 0, 4), 0x10411af4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(found, new_bus),
		cmocka_unit_test_setup(not_there, new_bus),
		cmocka_unit_test_setup(sizing, new_bus),
		cmocka_unit_test_setup(decoding, new_bus),
		cmocka_unit_test_setup(on_top_of_each_other, new_bus),
		cmocka_unit_test_setup(fixed_bars, new_bus),
		cmocka_unit_test_setup(sweep, new_bus),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
