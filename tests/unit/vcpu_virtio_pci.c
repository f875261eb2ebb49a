/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Promise: the virtio transport does what clause 4.1 of virtio 1.2 says for good drivers, and nothing for bad ones. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <linux/pci_regs.h>
#include <linux/virtio_config.h>
#include <linux/virtio_pci.h>

#include "vcpu/virtio_pci.h"

#define BIT64(n) (1ull << (n))
#define MSI_ADDR 0xfee01000u

static struct pci_bus bus;
static struct vpci v;
static unsigned starts, stops, notified, queue_stops, msis, rewires, last_notify;
static uint64_t last_addr;
static uint32_t last_data;
static bool line;
static uint8_t config[24] = { 1, 2, 3, 4, 5, 6, 7, 8 };

static void get_config(struct vpci *p, unsigned off, void *buf, unsigned len)
{
	(void)p;
	assert_true(off + len <= sizeof(config));
	memcpy(buf, config + off, len);
}

static void set_config(struct vpci *p, unsigned off, const void *buf, unsigned len)
{
	(void)p;
	assert_true(off + len <= sizeof(config));
	memcpy(config + off, buf, len);
}

static bool start(struct vpci *p)
{
	(void)p;
	starts++;
	return true;
}

static bool start_queue(struct vpci *p, unsigned q)
{
	assert_true(p->running && q < 3);
	return true;
}

static void stop_queue(struct vpci *p, unsigned q)
{
	assert_true(p->queue[q].enabled);
	queue_stops++;
}

static void stop(struct vpci *p)
{
	(void)p;
	stops++;
}

static void notify(struct vpci *p, unsigned q)
{
	assert_true(p->running && q < 3);
	notified++;
	last_notify = q;
}

static const struct vpci_device device = {
	.name = "test", .type = 2, .class = 0x018000, .nqueues = 3, .queue_max = 256,
	.config_len = sizeof(config),
	.features = BIT64(VIRTIO_F_VERSION_1) | BIT64(VIRTIO_F_RING_RESET) | BIT64(5),
	.get_config = get_config, .set_config = set_config, .start = start,
	.start_queue = start_queue, .stop_queue = stop_queue, .stop = stop, .notify = notify,
};

static void intx(struct vpci *p, bool level)
{
	(void)p;
	line = level;
}

static void msi(struct vpci *p, uint64_t addr, uint32_t data)
{
	(void)p;
	msis++;
	last_addr = addr;
	last_data = data;
}

static void rewire(struct vpci *p)
{
	uint64_t addr;
	uint32_t data;

	rewires++;
	for (unsigned q = 0; q < VPCI_MAX_QUEUES + 2; q++) {
		if (vpci_queue_irq(p, q, &addr, &data) == VPCI_IRQ_MSI)
			assert_true(p->running && p->queue[q].enabled);
		vpci_notify_address(p, q);
	}
}

static const struct vpci_host wide = { .intx = intx, .msi = msi, .rewire = rewire };
static const struct vpci_host compact = { .compact = true, .intx = intx };

static void make(const struct vpci_host *h)
{
	uint32_t next = 0xd0000000;

	memset(&bus, 0, sizeof(bus));
	memset(&v, 0, sizeof(v));
	starts = stops = notified = queue_stops = msis = rewires = 0;
	line = false;
	vpci_init(&v, &device, h, 11, 1, &next);
	pci_attach(&bus, PCI_DEVFN(1, 0), &v.pci);
}

static int new_device(void **state)
{
	(void)state;
	make(&wide);
	return 0;
}

static uint64_t rd(unsigned off, unsigned len)
{
	uint64_t r;

	assert_true(pci_mem_read(&bus, 0xd0000000 + off, len, &r));
	return r;
}

static void wr(unsigned off, unsigned len, uint64_t val)
{
	assert_true(pci_mem_write(&bus, 0xd0000000 + off, len, val));
}

static void cfg_out(unsigned reg, unsigned len, uint32_t val)
{
	pci_port_out(&bus, 0xcf8, 4, 0x80000000 | 1 << 11 | (reg & 0xfc));
	pci_port_out(&bus, (uint16_t)(0xcfc + (reg & 3)), len, val);
}

static uint32_t cfg_in(unsigned reg, unsigned len)
{
	pci_port_out(&bus, 0xcf8, 4, 0x80000000 | 1 << 11 | (reg & 0xfc));
	return pci_port_in(&bus, (uint16_t)(0xcfc + (reg & 3)), len);
}

static uint8_t status(void)
{
	return (uint8_t)rd(VIRTIO_PCI_COMMON_STATUS, 1);
}

static void set_status(uint8_t s)
{
	wr(VIRTIO_PCI_COMMON_STATUS, 1, s);
}

/* 3.1.1, up to FEATURES_OK. */
static void negotiate(uint64_t features)
{
	set_status(0);
	set_status(1);
	set_status(3);
	for (unsigned i = 0; i < 2; i++) {
		wr(VIRTIO_PCI_COMMON_GFSELECT, 4, i);
		wr(VIRTIO_PCI_COMMON_GF, 4, (uint32_t)(features >> (32 * i)));
	}
	set_status(11);
}

static void enable(unsigned q, uint16_t vector)
{
	wr(VIRTIO_PCI_COMMON_Q_SELECT, 2, q);
	wr(VIRTIO_PCI_COMMON_Q_SIZE, 2, 128);
	wr(VIRTIO_PCI_COMMON_Q_MSIX, 2, vector);
	wr(VIRTIO_PCI_COMMON_Q_DESCLO, 4, 0x1000 * (q + 1));
	wr(VIRTIO_PCI_COMMON_Q_DESCHI, 4, 1);
	wr(VIRTIO_PCI_COMMON_Q_AVAILLO, 4, 0x2000);
	wr(VIRTIO_PCI_COMMON_Q_USEDLO, 4, 0x3000);
	wr(VIRTIO_PCI_COMMON_Q_ENABLE, 2, 1);
}

static void bring_up(uint64_t features)
{
	negotiate(features);
	assert_int_equal(status(), 11);
	for (unsigned q = 0; q < 3; q++)
		enable(q, (uint16_t)(q + 1));
	set_status(15);
	assert_int_equal(status(), 15);
}

static void msix_entry(unsigned vec, uint32_t addr, uint32_t data, uint32_t ctrl)
{
	assert_true(pci_mem_write(&bus, 0xd0004000 + vec * 16, 4, addr));
	assert_true(pci_mem_write(&bus, 0xd0004004 + vec * 16, 4, 0));
	assert_true(pci_mem_write(&bus, 0xd0004008 + vec * 16, 4, data));
	assert_true(pci_mem_write(&bus, 0xd000400c + vec * 16, 4, ctrl));
}

static void msix_on(void)
{
	cfg_out(0x9a, 2, PCI_MSIX_FLAGS_ENABLE);
	for (unsigned i = 0; i < 4; i++)
		msix_entry(i, MSI_ADDR, 0x40 + i, 0);
}

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
	enable(1, 2);
	assert_int_equal(rd(VIRTIO_PCI_COMMON_Q_ENABLE, 2), 1);
	/* not negotiated: no such register */
	bring_up(BIT64(VIRTIO_F_VERSION_1));
	wr(VIRTIO_PCI_COMMON_Q_SELECT, 2, 1);
	wr(0x3a, 2, 1);
	assert_int_equal(queue_stops, 1);
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
	bring_up(BIT64(VIRTIO_F_VERSION_1));
}

/* 4.1.4.9 */
static void configuration_window(void **state)
{
	(void)state;
	cfg_out(0x88, 1, 0);
	cfg_out(0x8c, 4, 0x2000);
	cfg_out(0x90, 4, 4);
	assert_int_equal(cfg_in(0x94, 4), 0x04030201);
	cfg_out(0x8c, 4, VIRTIO_PCI_COMMON_STATUS);
	cfg_out(0x90, 4, 1);
	cfg_out(0x94, 1, 1);
	assert_int_equal(status(), 1);
	/* lengths, offsets and BARs that lie */
	static const uint32_t lies[][3] = {
		{ 0, 0x2000, 0 }, { 0, 0x2000, 3 }, { 0, 0x2000, 8 }, { 0, 0x2001, 4 },
		{ 0, 0x4000, 4 }, { 0, 0x3ffe, 4 }, { 0, 0xfffffffc, 4 }, { 5, 0, 4 },
		{ 6, 0, 4 }, { 255, 0, 4 }, { 0, 0x2000, 0xffffffff },
	};
	for (unsigned i = 0; i < ARRAY_SIZE(lies); i++) {
		cfg_out(0x88, 1, lies[i][0]);
		cfg_out(0x8c, 4, lies[i][1]);
		cfg_out(0x90, 4, lies[i][2]);
		cfg_out(0x94, 4, 0xffffffff);
		assert_int_equal(cfg_in(0x94, 4), 0xffffffff);
	}
	assert_int_equal(config[0], 1);
}

/* lguest 4.x: one BAR, no MSI-X, one notify register; its lines are edges. */
static void compact_layout(void **state)
{
	(void)state;
	make(&compact);
	assert_int_equal(cfg_in(0x98, 4), 0);
	assert_int_equal(cfg_in(0x3c, 1), 11);
	assert_int_equal(cfg_in(0x14, 4), 0);
	assert_int_equal(rd(0x3c, 4), 0x04030201);
	bring_up(BIT64(VIRTIO_F_VERSION_1));
	assert_int_equal(rd(VIRTIO_PCI_COMMON_Q_NOFF, 2), 0);
	wr(0x38, 2, 2);
	assert_true(notified == 1 && last_notify == 2);
	vpci_interrupt(&v, 0);
	assert_true(line);
	line = false;
	vpci_interrupt(&v, 0);
	assert_true(line);
	assert_int_equal(rd(0x3a, 1), 1);
	assert_int_equal(vpci_notify_address(&v, 1), 0xd0000038);
}

static void sweep_host(const struct vpci_host *h)
{
	static const uint64_t values[] = { 0, 1, 2, 3, 0x7f, 0x80, 0xff, 0x100, 0x7fff, 0x8000, 0xffff,
					   0x10000, 0x7fffffff, 0x80000000, 0xffffffff, UINT64_MAX };
	uint64_t r;

	make(h);
	for (unsigned round = 0; round < 2; round++) {
		for (unsigned off = 0; off < 0x5000; off += off < 0x80 || (off & 0xfff) < 0x40 ? 1 : 37)
			for (unsigned len = 1; len <= 8; len *= 2)
				for (unsigned i = 0; i < ARRAY_SIZE(values); i++) {
					pci_mem_write(&bus, 0xd0000000 + off, len, values[i]);
					pci_mem_read(&bus, 0xd0000000 + off, len, &r);
				}
		for (unsigned reg = 0; reg < 256; reg++)
			for (unsigned i = 0; i < ARRAY_SIZE(values); i++)
				for (unsigned len = 1; len <= 4; len *= 2) {
					/* BARs stay where the loop above finds them */
					if ((reg & 0xfc) < 0x10 || (reg & 0xfc) > 0x24)
						cfg_out(reg, len, (uint32_t)values[i]);
					cfg_in(reg, len);
				}
		cfg_out(4, 2, PCI_COMMAND_MEMORY);
		vpci_interrupt(&v, 0);
		vpci_config_changed(&v);
	}
	assert_int_equal(cfg_in(0, 4), 0x10421af4);
	/* whatever was done to it: a reset makes it good again */
	cfg_out(0x9a, 2, 0);
	msix_on();
	starts = 0;
	bring_up(BIT64(VIRTIO_F_VERSION_1));
	assert_int_equal(starts, 1);
}

static void sweep(void **state)
{
	(void)state;
	sweep_host(&wide);
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
		cmocka_unit_test_setup(masked_vectors_wait, new_device),
		cmocka_unit_test_setup(intx_line, new_device),
		cmocka_unit_test_setup(configuration, new_device),
		cmocka_unit_test_setup(configuration_window, new_device),
		cmocka_unit_test_setup(compact_layout, new_device),
		cmocka_unit_test_setup(sweep, new_device),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
