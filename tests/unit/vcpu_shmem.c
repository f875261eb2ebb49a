/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Promise: the device of --shmem is ivshmem-plain as drivers know it; whatever a guest writes to its registers, or a file
 * of a saved guest has in them, they name the place of the memory or show its size, and no access reaches another device.
 */
#include <linux/pci_regs.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "vcpu/devices/shmem.h"

#define HOME  0xe0000000u
#define REGS  0xdffff000u
#define BYTES 0x10000u
#define SLOT  3u

static struct pci_bus bus;
static struct shmem_dev s;

static int new_bus(void **state)
{
	(void)state;
	memset(&bus, 0, sizeof(bus));
	shmem_init(&s, REGS, HOME, BYTES);
	pci_attach(&bus, PCI_DEVFN(SLOT, 0), &s.pci);
	return 0;
}

static uint32_t in(unsigned reg)
{
	pci_port_out(&bus, PCI_PORT_ADDRESS, 4, 0x80000000u | SLOT << 11 | reg);
	return pci_port_in(&bus, PCI_PORT_DATA, 4);
}

static void out(unsigned reg, unsigned len, uint32_t v)
{
	pci_port_out(&bus, PCI_PORT_ADDRESS, 4, 0x80000000u | SLOT << 11 | (reg & 0xfc));
	pci_port_out(&bus, (uint16_t)(PCI_PORT_DATA + (reg & 3)), len, v);
}

static void expect_home(void)
{
	assert_int_equal(in(PCI_BASE_ADDRESS_2), HOME | 0xc);
	assert_int_equal(in(PCI_BASE_ADDRESS_3), 0);
}

static void a_driver_finds_it(void **state)
{
	(void)state;
	assert_int_equal(in(PCI_VENDOR_ID), 0x11101af4);
	assert_int_equal(in(PCI_CLASS_REVISION), 0x05000001);
	assert_int_equal(in(PCI_SUBSYSTEM_VENDOR_ID), 0x11001af4);
	assert_int_equal(in(PCI_BASE_ADDRESS_0), REGS);
	assert_int_equal(in(PCI_INTERRUPT_LINE) >> 8 & 0xff, 0);
	expect_home();
	/* As Linux finds out the size: all ones into both halves, then the old values. */
	out(PCI_BASE_ADDRESS_2, 4, ~0u);
	assert_int_equal(in(PCI_BASE_ADDRESS_2), ~(BYTES - 1) | 0xc);
	out(PCI_BASE_ADDRESS_3, 4, ~0u);
	assert_int_equal(in(PCI_BASE_ADDRESS_3), ~0u);
	assert_int_equal(in(PCI_BASE_ADDRESS_2), ~(BYTES - 1) | 0xc);
	out(PCI_BASE_ADDRESS_2, 4, HOME);
	out(PCI_BASE_ADDRESS_3, 4, 0);
	expect_home();
}

static void no_write_moves_it(void **state)
{
	static const uint32_t places[] = { 0,	 0x1000,       0xa0000,	   0xc0000000, 0xd0000000,
					   REGS, HOME + BYTES, 0xfec00000, 0xfee00000, 0xfffe0000 };

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(places); i++)
		for (uint32_t high = 0; high < 3; high++) {
			out(PCI_COMMAND, 2, 0);
			out(PCI_BASE_ADDRESS_3, 4, high);
			out(PCI_BASE_ADDRESS_2, 4, places[i]);
			out(PCI_COMMAND, 2, 2);
			expect_home();
		}
	for (unsigned reg = PCI_BASE_ADDRESS_2; reg < PCI_BASE_ADDRESS_4; reg++) {
		out(reg, 1, 0x80);
		expect_home();
	}
	out(PCI_BASE_ADDRESS_2 + 2, 2, 0x1234);
	expect_home();
}

static void registers_of_a_file_are_settled(void **state)
{
	(void)state;
	s.pci.cfg[PCI_BASE_ADDRESS_2 + 3] = 0xc0;
	s.pci.cfg[PCI_BASE_ADDRESS_3] = 1;
	shmem_settle(&s);
	expect_home();
	memset(s.pci.cfg + PCI_BASE_ADDRESS_3, 0xff, 4);
	s.pci.cfg[PCI_BASE_ADDRESS_2 + 2] = s.pci.cfg[PCI_BASE_ADDRESS_2 + 3] = 0xff;
	shmem_settle(&s);
	assert_int_equal(in(PCI_BASE_ADDRESS_2), ~(BYTES - 1) | 0xc);
	assert_int_equal(in(PCI_BASE_ADDRESS_3), ~0u);
}

/* The engine maps the memory: the bus must decode nothing there, whatever BAR2 says. */
static void the_bus_has_only_its_registers(void **state)
{
	uint64_t v;

	(void)state;
	for (unsigned off = 0; off < 256; off += 8) {
		v = 1;
		assert_true(pci_mem_read(&bus, REGS + off, 8, &v));
		assert_int_equal(v, 0);
		assert_false(pci_mem_write(&bus, REGS + off, 8, ~0ull));
	}
	assert_false(pci_mem_read(&bus, REGS + 252, 8, &v));
	assert_false(pci_mem_read(&bus, REGS + 256, 1, &v));
	assert_false(pci_mem_read(&bus, HOME, 4, &v));
	assert_int_equal(v, UINT64_MAX);
	out(PCI_BASE_ADDRESS_2, 4, ~0u);
	assert_false(pci_mem_read(&bus, ~(BYTES - 1), 4, &v));
	assert_false(pci_mem_write(&bus, 0, 4, 1));
}

static void addresses_are_inside_or_outside(void **state)
{
	static const struct shmem_dev none;

	(void)state;
	assert_true(shmem_has(&s, HOME));
	assert_true(shmem_has(&s, HOME + BYTES - 1));
	assert_false(shmem_has(&s, HOME - 1));
	assert_false(shmem_has(&s, HOME + BYTES));
	assert_false(shmem_has(&s, HOME + (1ull << 32)));
	assert_false(shmem_has(&none, 0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(a_driver_finds_it, new_bus),
		cmocka_unit_test_setup(no_write_moves_it, new_bus),
		cmocka_unit_test_setup(registers_of_a_file_are_settled, new_bus),
		cmocka_unit_test_setup(the_bus_has_only_its_registers, new_bus),
		cmocka_unit_test_setup(addresses_are_inside_or_outside, new_bus),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
