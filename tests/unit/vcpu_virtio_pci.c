/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The virtio transport follows clause 4.1 of virtio 1.2 for correct drivers, and ignores invalid accesses. */
#include "tests/unit/vcpu_virtio_pci_rig.h"

static void capabilities(void **state)
{
	unsigned at = cfg_in(0x34, 1), seen = 0, msix = 0;

	(void)state;
	for (unsigned n = 0; at && n < 10; n++, at = cfg_in(at + 1, 1)) {
		if (cfg_in(at, 1) == PCI_CAP_ID_VNDR)
			seen |= 1u << cfg_in(at + 3, 1);
		msix |= cfg_in(at, 1) == PCI_CAP_ID_MSIX;
	}
	assert_int_equal(seen, 0x3e);
	assert_int_equal(msix, 1);
	assert_int_equal(cfg_in(2, 2), 0x1042);
	assert_true(cfg_in(6, 2) & PCI_STATUS_CAP_LIST);
}

static void good_driver(void **state)
{
	uint64_t addr;
	uint32_t data;

	(void)state;
	msix_on();
	bring_up(BIT64(VIRTIO_F_VERSION_1) | BIT64(5));
	assert_int_equal(starts, 1);
	assert_int_equal(v.features, BIT64(VIRTIO_F_VERSION_1) | BIT64(5));
	assert_int_equal(v.queue[2].desc, 0x100003000);
	assert_int_equal(v.queue[2].size, 128);
	assert_int_equal(vpci_queue_irq(&v, 1, &addr, &data), VPCI_IRQ_MSI);
	assert_true(addr == MSI_ADDR && data == 0x42);
	assert_int_equal(vpci_notify_address(&v, 2), 0xd0003008);
	wr(0x3008, 2, 2);
	assert_true(notified == 1 && last_notify == 2);
	vpci_interrupt(&v, 0);
	assert_true(msis == 1 && last_data == 0x41 && !line);
	set_status(0);
	assert_int_equal(status(), 0);
	assert_int_equal(stops, 1);
	assert_int_equal(vpci_notify_address(&v, 2), 0);
	assert_false(v.queue[2].enabled);
}

static void features_are_judged(void **state)
{
	(void)state;
	negotiate(BIT64(5)); /* without VERSION_1 */
	assert_int_equal(status(), 3);
	negotiate(BIT64(VIRTIO_F_VERSION_1) | BIT64(6)); /* never offered */
	assert_int_equal(status(), 3);
	set_status(15);
	assert_true(status() & VIRTIO_CONFIG_S_NEEDS_RESET);
	assert_int_equal(starts, 0);
	/* bits of words that do not exist */
	set_status(0);
	set_status(3);
	wr(VIRTIO_PCI_COMMON_GFSELECT, 4, 2);
	wr(VIRTIO_PCI_COMMON_GF, 4, 1);
	wr(VIRTIO_PCI_COMMON_GFSELECT, 4, 1);
	wr(VIRTIO_PCI_COMMON_GF, 4, 1);
	set_status(11);
	assert_int_equal(status(), 3);
	/* changed after FEATURES_OK: too late */
	bring_up(BIT64(VIRTIO_F_VERSION_1));
	wr(VIRTIO_PCI_COMMON_GFSELECT, 4, 0);
	wr(VIRTIO_PCI_COMMON_GF, 4, 0xffffffff);
	assert_int_equal(v.features, BIT64(VIRTIO_F_VERSION_1));
	/* reads of word 2 and beyond are zero */
	wr(VIRTIO_PCI_COMMON_DFSELECT, 4, 2);
	assert_int_equal(rd(VIRTIO_PCI_COMMON_DF, 4), 0);
	wr(VIRTIO_PCI_COMMON_DFSELECT, 4, 1);
	assert_int_equal(rd(VIRTIO_PCI_COMMON_DF, 4), device.features >> 32);
}

static void queue_geometry(void **state)
{
	static const uint16_t bad[] = { 0, 3, 257, 512, 32769, 65535 };

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
		negotiate(BIT64(VIRTIO_F_VERSION_1));
		wr(VIRTIO_PCI_COMMON_Q_SELECT, 2, 0);
		wr(VIRTIO_PCI_COMMON_Q_SIZE, 2, bad[i]);
		wr(VIRTIO_PCI_COMMON_Q_ENABLE, 2, 1);
		assert_int_equal(rd(VIRTIO_PCI_COMMON_Q_ENABLE, 2), 0);
		assert_true(status() & VIRTIO_CONFIG_S_NEEDS_RESET);
	}
	/* fixed while the queue is enabled */
	bring_up(BIT64(VIRTIO_F_VERSION_1));
	wr(VIRTIO_PCI_COMMON_Q_SELECT, 2, 1);
	wr(VIRTIO_PCI_COMMON_Q_SIZE, 2, 16);
	wr(VIRTIO_PCI_COMMON_Q_DESCLO, 4, 0xdead0000);
	assert_int_equal(v.queue[1].size, 128);
	assert_int_equal(v.queue[1].desc, 0x100002000);
	/* a queue that is not there */
	wr(VIRTIO_PCI_COMMON_Q_SELECT, 2, 3);
	assert_int_equal(rd(VIRTIO_PCI_COMMON_Q_SIZE, 2), 0);
	wr(VIRTIO_PCI_COMMON_Q_ENABLE, 2, 1);
	wr(VIRTIO_PCI_COMMON_Q_SELECT, 2, 0xffff);
	wr(VIRTIO_PCI_COMMON_Q_ENABLE, 2, 1);
	wr(VIRTIO_PCI_COMMON_Q_DESCLO, 4, 1);
	assert_int_equal(rd(VIRTIO_PCI_COMMON_Q_ENABLE, 2), 0);
}

static void kicks_that_mean_nothing(void **state)
{
	(void)state;
	wr(0x3000, 2, 0);
	negotiate(BIT64(VIRTIO_F_VERSION_1));
	enable(0, 0xffff);
	wr(0x3000, 2, 0); /* before DRIVER_OK */
	assert_int_equal(notified, 0);
	set_status(15);
	wr(0x3000, 2, 1); /* not enabled */
	wr(0x3000, 2, 3);
	wr(0x3000, 2, 0xffff);
	wr(0x3000, 1, 0);
	assert_int_equal(notified, 0);
	wr(0x3ffe, 2, 0);
	assert_int_equal(notified, 1);
}

static void queue_reset(void **state)
{
	(void)state;
	bring_up(BIT64(VIRTIO_F_VERSION_1) | BIT64(VIRTIO_F_RING_RESET));
	wr(VIRTIO_PCI_COMMON_Q_SELECT, 2, 1);
	wr(0x3a, 2, 1);
	assert_int_equal(queue_stops, 1);
	assert_int_equal(rd(0x3a, 2), 0);
	assert_int_equal(rd(VIRTIO_PCI_COMMON_Q_ENABLE, 2), 0);
	wr(0x3a, 2, 1); /* again: it is not enabled */
	assert_int_equal(queue_stops, 1);
	/* 2.6.1.1: it reads 1 until it has taken effect */
	late = true;
	assert_int_equal(rd(0x3a, 2), 1);
	late = false;
	assert_int_equal(rd(0x3a, 2), 0);
	enable(1, 2);
	assert_int_equal(rd(VIRTIO_PCI_COMMON_Q_ENABLE, 2), 1);
	/* not negotiated: no such register */
	bring_up(BIT64(VIRTIO_F_VERSION_1));
	wr(VIRTIO_PCI_COMMON_Q_SELECT, 2, 1);
	wr(0x3a, 2, 1);
	assert_int_equal(queue_stops, 1);
}

/* 2.1.2: a driver that has written 0 waits until it reads 0. */
static void a_reset_takes_its_time(void **state)
{
	(void)state;
	bring_up(BIT64(VIRTIO_F_VERSION_1));
	late = true;
	assert_int_equal(rd(VIRTIO_PCI_COMMON_STATUS, 1) & VIRTIO_CONFIG_S_NEEDS_RESET, 0);
	wr(VIRTIO_PCI_COMMON_STATUS, 1, 0);
	assert_int_not_equal(rd(VIRTIO_PCI_COMMON_STATUS, 1), 0);
	late = false;
	assert_int_equal(rd(VIRTIO_PCI_COMMON_STATUS, 1), 0);
}

static void masked_vectors_wait(void **state)
{
	uint64_t addr, pba;
	uint32_t data;

	(void)state;
	msix_on();
	bring_up(BIT64(VIRTIO_F_VERSION_1));
	msix_entry(1, MSI_ADDR, 0x41, 1);
	assert_int_equal(vpci_queue_irq(&v, 0, &addr, &data), VPCI_IRQ_MASKED);
	vpci_interrupt(&v, 0);
	vpci_interrupt(&v, 0);
	assert_int_equal(msis, 0);
	assert_true(pci_mem_read(&bus, 0xd0004800, 8, &pba));
	assert_int_equal(pba, 2);
	msix_entry(1, MSI_ADDR, 0x99, 0);
	assert_true(msis == 1 && last_data == 0x99);
	/* the whole function */
	cfg_out(0x9a, 2, PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL);
	vpci_interrupt(&v, 2);
	assert_int_equal(msis, 1);
	cfg_out(0x9a, 2, PCI_MSIX_FLAGS_ENABLE);
	assert_true(msis == 2 && last_data == 0x43);
	/* vectors outside the table are none */
	wr(VIRTIO_PCI_COMMON_Q_SELECT, 2, 0);
	wr(VIRTIO_PCI_COMMON_Q_MSIX, 2, 4);
	assert_int_equal(rd(VIRTIO_PCI_COMMON_Q_MSIX, 2), VPCI_NO_VECTOR);
	vpci_interrupt(&v, 0);
	assert_int_equal(msis, 2);
	assert_int_equal(vpci_queue_irq(&v, 0, &addr, &data), VPCI_IRQ_NONE);
	/* the control field of vector table has one bit; the rest is zero */
	msix_entry(2, MSI_ADDR, 1, 0xffffffff);
	assert_true(pci_mem_read(&bus, 0xd000402c, 4, &pba));
	assert_int_equal(pba, 1);
}

static void intx_line(void **state)
{
	uint64_t addr;
	uint32_t data;

	(void)state;
	bring_up(BIT64(VIRTIO_F_VERSION_1));
	assert_int_equal(vpci_queue_irq(&v, 0, &addr, &data), VPCI_IRQ_INTX);
	vpci_interrupt(&v, 0);
	assert_true(line);
	assert_true(cfg_in(6, 2) & PCI_STATUS_INTERRUPT);
	assert_int_equal(rd(0x1000, 1), 1);
	assert_false(line);
	assert_int_equal(rd(0x1000, 1), 0);
	/* disabled in the command register */
	cfg_out(4, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_INTX_DISABLE);
	vpci_interrupt(&v, 0);
	assert_false(line);
	cfg_out(4, 2, PCI_COMMAND_MEMORY);
	assert_true(line);
	/* MSI-X on: the line falls */
	msix_on();
	assert_false(line);
}

static void configuration(void **state)
{
	uint8_t generation;

	(void)state;
	msix_on();
	wr(VIRTIO_PCI_COMMON_MSIX, 2, 0);
	bring_up(BIT64(VIRTIO_F_VERSION_1));
	wr(VIRTIO_PCI_COMMON_MSIX, 2, 0);
	assert_int_equal(rd(0x2000, 4), 0x04030201);
	assert_int_equal(rd(0x2000, 8), 0x0807060504030201);
	wr(0x2002, 1, 0x77);
	assert_int_equal(rd(0x2002, 1), 0x77);
	wr(0x2002, 1, 3);
	/* past its end: zero, and lost */
	assert_int_equal(rd(0x2000 + sizeof(config) - 2, 4), 0);
	wr(0x2000 + sizeof(config) - 2, 4, 0xffffffff);
	generation = (uint8_t)rd(VIRTIO_PCI_COMMON_CFGGENERATION, 1);
	vpci_config_changed(&v);
	assert_int_equal((uint8_t)rd(VIRTIO_PCI_COMMON_CFGGENERATION, 1), (uint8_t)(generation + 1));
	assert_true(msis == 1 && last_data == 0x40);
	vpci_needs_reset(&v);
	assert_int_equal(msis, 2);
	assert_int_equal(status(), 15 | VIRTIO_CONFIG_S_NEEDS_RESET);
	/* said once; and a driver cannot set or clear the bit but by a reset */
	vpci_needs_reset(&v);
	assert_int_equal(msis, 2);
	set_status(15);
	assert_true(status() & VIRTIO_CONFIG_S_NEEDS_RESET);
	/* a driver waits for 0 after its reset: a helper that dies just then is not to keep it waiting */
	set_status(0);
	vpci_needs_reset(&v);
	assert_int_equal(status(), 0);
	bring_up(BIT64(VIRTIO_F_VERSION_1));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(capabilities, new_device),
		cmocka_unit_test_setup(good_driver, new_device),
		cmocka_unit_test_setup(features_are_judged, new_device),
		cmocka_unit_test_setup(queue_geometry, new_device),
		cmocka_unit_test_setup(kicks_that_mean_nothing, new_device),
		cmocka_unit_test_setup(queue_reset, new_device),
		cmocka_unit_test_setup(a_reset_takes_its_time, new_device),
		cmocka_unit_test_setup(masked_vectors_wait, new_device),
		cmocka_unit_test_setup(intx_line, new_device),
		cmocka_unit_test_setup(configuration, new_device),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
