/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * For the tests of the transport: a virtio device on a PCI bus whose owner counts its calls,
 * and a driver that follows clause 3.1.1 of virtio 1.2.
 */
#ifndef TESTS_VCPU_VIRTIO_PCI_RIG_H
#define TESTS_VCPU_VIRTIO_PCI_RIG_H

#include <linux/pci_regs.h>
#include <linux/virtio_config.h>
#include <linux/virtio_pci.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "vcpu/devices/vpci.h"

#define MSI_ADDR 0xfee01000u

static struct pci_bus bus;
static struct vpci v;
static unsigned starts, stops, notified, queue_stops, msis, rewires, last_notify;
static uint64_t last_addr;
static uint32_t last_data;
static bool line;
static uint8_t config[24] = { 1, 2, 3, 4, 5, 6, 7, 8 };

static inline void get_config(struct vpci *p, unsigned off, void *buf, unsigned len)
{
	(void)p;
	assert_true(off + len <= sizeof(config));
	memcpy(buf, config + off, len);
}

static inline void set_config(struct vpci *p, unsigned off, const void *buf, unsigned len)
{
	(void)p;
	assert_true(off + len <= sizeof(config));
	memcpy(config + off, buf, len);
}

static inline bool start(struct vpci *p)
{
	(void)p;
	starts++;
	return true;
}

static inline bool start_queue(struct vpci *p, unsigned q)
{
	assert_true(p->running && q < 3);
	return true;
}

static inline void stop_queue(struct vpci *p, unsigned q)
{
	assert_true(p->queue[q].enabled);
	queue_stops++;
}

static inline void stop(struct vpci *p)
{
	(void)p;
	stops++;
}

/* A back-end that has not answered yet. */
static bool late;

static inline bool stopping(const struct vpci *p)
{
	(void)p;
	return late;
}

static inline void notify(struct vpci *p, unsigned q)
{
	assert_true(p->running && q < 3);
	notified++;
	last_notify = q;
}

static const struct vpci_device device = {
	.name = "test",
	.type = 2,
	.class = 0x018000,
	.nqueues = 3,
	.queue_max = 256,
	.config_len = sizeof(config),
	.features = BIT64(VIRTIO_F_VERSION_1) | BIT64(VIRTIO_F_RING_RESET) | BIT64(5),
	.get_config = get_config,
	.set_config = set_config,
	.start = start,
	.start_queue = start_queue,
	.stop_queue = stop_queue,
	.stop = stop,
	.stopping = stopping,
	.notify = notify,
};

static inline void intx(struct vpci *p, bool level)
{
	(void)p;
	line = level;
}

static inline void msi(struct vpci *p, uint64_t addr, uint32_t data)
{
	(void)p;
	msis++;
	last_addr = addr;
	last_data = data;
}

static inline void rewire(struct vpci *p)
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

static inline void make(const struct vpci_host *h)
{
	uint32_t next = 0xd0000000;

	memset(&bus, 0, sizeof(bus));
	memset(&v, 0, sizeof(v));
	starts = stops = notified = queue_stops = msis = rewires = 0;
	line = false;
	vpci_init(&v, &device, h, 11, 1, &next);
	pci_attach(&bus, PCI_DEVFN(1, 0), &v.pci);
}

static inline int new_device(void **state)
{
	(void)state;
	make(&wide);
	return 0;
}

static inline uint64_t rd(unsigned off, unsigned len)
{
	uint64_t r;

	assert_true(pci_mem_read(&bus, 0xd0000000 + off, len, &r));
	return r;
}

static inline void wr(unsigned off, unsigned len, uint64_t val)
{
	assert_true(pci_mem_write(&bus, 0xd0000000 + off, len, val));
}

static inline void cfg_out(unsigned reg, unsigned len, uint32_t val)
{
	pci_port_out(&bus, 0xcf8, 4, 0x80000000 | 1 << 11 | (reg & 0xfc));
	pci_port_out(&bus, (uint16_t)(0xcfc + (reg & 3)), len, val);
}

static inline uint32_t cfg_in(unsigned reg, unsigned len)
{
	pci_port_out(&bus, 0xcf8, 4, 0x80000000 | 1 << 11 | (reg & 0xfc));
	return pci_port_in(&bus, (uint16_t)(0xcfc + (reg & 3)), len);
}

static inline uint8_t status(void)
{
	return (uint8_t)rd(VIRTIO_PCI_COMMON_STATUS, 1);
}

static inline void set_status(uint8_t s)
{
	wr(VIRTIO_PCI_COMMON_STATUS, 1, s);
}

/* 3.1.1, up to FEATURES_OK. */
static inline void negotiate(uint64_t features)
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

static inline void enable(unsigned q, uint16_t vector)
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

static inline void bring_up(uint64_t features)
{
	negotiate(features);
	assert_int_equal(status(), 11);
	for (unsigned q = 0; q < 3; q++)
		enable(q, (uint16_t)(q + 1));
	set_status(15);
	assert_int_equal(status(), 15);
}

static inline void msix_entry(unsigned vec, uint32_t addr, uint32_t data, uint32_t ctrl)
{
	assert_true(pci_mem_write(&bus, 0xd0004000 + vec * 16, 4, addr));
	assert_true(pci_mem_write(&bus, 0xd0004004 + vec * 16, 4, 0));
	assert_true(pci_mem_write(&bus, 0xd0004008 + vec * 16, 4, data));
	assert_true(pci_mem_write(&bus, 0xd000400c + vec * 16, 4, ctrl));
}

static inline void msix_on(void)
{
	cfg_out(0x9a, 2, PCI_MSIX_FLAGS_ENABLE);
	for (unsigned i = 0; i < 4; i++)
		msix_entry(i, MSI_ADDR, 0x40 + i, 0);
}

#endif
