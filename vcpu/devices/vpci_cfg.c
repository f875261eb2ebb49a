/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The PCI part of virtio-pci: capabilities, the PCI_CFG window and the MSI-X tables. Runs
 * in the vCPU process. Every value comes from the guest. Nothing here touches guest memory
 * or makes a system call.
 */
#include <linux/pci_regs.h>
#include <linux/virtio_pci.h>
#include <string.h>

#include "vcpu/devices/vpci_private.h"

#define VIRTIO_VENDOR	 0x1af4
#define VIRTIO_DEVICE	 0x1040 /* Plus the virtio device ID */
#define VIRTIO_SUBSYSTEM 0x40	/* 4.1.2.1: 0x40 or higher */

/* The BAR of the ISR, if the ISR is a byte of guest memory (vpci_host.isr_byte). */
#define ISR_BAR	     2u
#define ISR_BAR_SIZE 16u

#define PCICFG_DATA (CAP_PCICFG + 16)

/* Read the vector table and the pending bits: only whole aligned words, as PCI 3.0, 6.8.2 demands. */
static uint64_t msix_read(struct vpci *v, uint64_t off, unsigned len)
{
	uint64_t r = 0;

	if (len < 4 || !is_aligned(off, len))
		return 0;
	for (unsigned i = 0; i < len; i += 4) {
		uint64_t at = off + i;
		uint32_t w = 0;

		if (at / 16 < v->nvectors) {
			const uint32_t e[] = { v->msix[at / 16].addr_lo, v->msix[at / 16].addr_hi,
					       v->msix[at / 16].data, v->msix[at / 16].ctrl };
			w = e[at % 16 / 4];
		} else if (at == MSIX_PBA || at == MSIX_PBA + 4) {
			w = (uint32_t)(v->pending >> (8 * (at - MSIX_PBA)));
		}
		r |= (uint64_t)w << (8 * i);
	}
	return r;
}

static void msix_write(struct vpci *v, uint64_t off, unsigned len, uint64_t val)
{
	if (len < 4 || !is_aligned(off, len))
		return;
	for (unsigned i = 0; i < len; i += 4) {
		uint64_t at = off + i;
		uint32_t w = (uint32_t)(val >> (8 * i));

		if (at / 16 >= v->nvectors)
			return;
		switch (at % 16) {
		case PCI_MSIX_ENTRY_LOWER_ADDR:
			v->msix[at / 16].addr_lo = w;
			break;
		case PCI_MSIX_ENTRY_UPPER_ADDR:
			v->msix[at / 16].addr_hi = w;
			break;
		case PCI_MSIX_ENTRY_DATA:
			v->msix[at / 16].data = w;
			break;
		default:
			v->msix[at / 16].ctrl = w & PCI_MSIX_ENTRY_CTRL_MASKBIT;
			break;
		}
	}
	vpci_rewire(v);
	vpci_send_pending(v);
}

static uint64_t bar_read(struct pci_dev *d, unsigned bar, uint64_t off, unsigned len)
{
	struct vpci *v = d->owner;

	return bar ? msix_read(v, off, len) : vpci_bar0_read(v, off, len);
}

static void bar_write(struct pci_dev *d, unsigned bar, uint64_t off, unsigned len, uint64_t val)
{
	struct vpci *v = d->owner;

	if (bar)
		msix_write(v, off, len, val);
	else
		vpci_bar0_write(v, off, len, val);
}

/* 4.1.4.9: a window through which a driver can access BARs by accesses to the configuration space. */
static bool window(struct pci_dev *d, unsigned *bar, uint32_t *off, uint32_t *len)
{
	*bar = d->cfg[CAP_PCICFG + offsetof(struct virtio_pci_cap, bar)];
	*off = pci_get32(d, CAP_PCICFG + offsetof(struct virtio_pci_cap, offset));
	*len = pci_get32(d, CAP_PCICFG + offsetof(struct virtio_pci_cap, length));
	return *bar < PCI_BARS && (*len == 1 || *len == 2 || *len == 4) && is_aligned(*off, *len) &&
	       range_ok(*off, *len, d->bar_size[*bar]);
}

static bool overlaps(unsigned off, unsigned len, unsigned at, unsigned n)
{
	return off < at + n && at < off + len;
}

static void cfg_read(struct pci_dev *d, unsigned off, unsigned len)
{
	unsigned bar;
	uint32_t at, n;

	if (!overlaps(off, len, PCICFG_DATA, 4))
		return;
	if (window(d, &bar, &at, &n))
		pci_put32(d, PCICFG_DATA, (uint32_t)bar_read(d, bar, at, n));
}

static void cfg_written(struct pci_dev *d, unsigned off, unsigned len)
{
	struct vpci *v = d->owner;
	unsigned bar;
	uint32_t at, n;

	if (overlaps(off, len, PCICFG_DATA, 4) && window(d, &bar, &at, &n)) {
		uint32_t val = pci_get32(d, PCICFG_DATA);

		bar_write(d, bar, at, n, n == 4 ? val : val & ((1u << (8 * n)) - 1));
	}
	if (overlaps(off, len, PCI_COMMAND, 2))
		vpci_update_intx(v);
	if (v->nvectors && overlaps(off, len, MSIX_CTRL, 2)) {
		vpci_update_intx(v);
		vpci_rewire(v);
		vpci_send_pending(v);
	}
}

static void moved(struct pci_dev *d)
{
	vpci_rewire(d->owner);
}

static const struct pci_dev_ops ops = {
	.bar_read = bar_read,
	.bar_write = bar_write,
	.cfg_read = cfg_read,
	.cfg_written = cfg_written,
	.moved = moved,
};

static void add_cap(struct vpci *v, unsigned at, uint8_t type, uint32_t off, uint32_t len)
{
	struct virtio_pci_notify_cap c = {
		.cap = { .cfg_type = type, .bar = 0, .offset = htole32(off), .length = htole32(len) },
		.notify_off_multiplier = htole32(v->notify_multiplier),
	};

	c.cap.cap_len = sizeof(c.cap);
	if (type == VIRTIO_PCI_CAP_NOTIFY_CFG || type == VIRTIO_PCI_CAP_PCI_CFG)
		c.cap.cap_len = sizeof(c);
	if (type == VIRTIO_PCI_CAP_PCI_CFG)
		c.notify_off_multiplier = 0; /* In this capability these bytes are the data of the window */
	pci_add_cap(&v->pci, at, PCI_CAP_ID_VNDR, &c, c.cap.cap_len);
}

static void add_caps(struct vpci *v)
{
	bool compact = v->host->compact;
	unsigned notify_len = compact ? 2 : v->dev->nqueues * v->notify_multiplier;

	add_cap(v, CAP_COMMON, VIRTIO_PCI_CAP_COMMON_CFG, 0, compact ? COMMON_SIZE : COMMON_SIZE_12);
	add_cap(v, CAP_NOTIFY, VIRTIO_PCI_CAP_NOTIFY_CFG, v->notify_off, notify_len);
	add_cap(v, CAP_ISR, VIRTIO_PCI_CAP_ISR_CFG, v->isr_byte ? 0 : compact ? COMPACT_ISR : WIDE_ISR, 1);
	if (v->isr_byte)
		v->pci.cfg[CAP_ISR + offsetof(struct virtio_pci_cap, bar)] = ISR_BAR;
	add_cap(v, CAP_PCICFG, VIRTIO_PCI_CAP_PCI_CFG, 0, 0);
	if (v->dev->config_len)
		add_cap(v, CAP_DEVICE, VIRTIO_PCI_CAP_DEVICE_CFG, compact ? COMPACT_CONFIG : WIDE_CONFIG,
			v->dev->config_len);
	/* The guest may write the window's bar, offset, length and data. */
	v->pci.wmask[CAP_PCICFG + offsetof(struct virtio_pci_cap, bar)] = 0xff;
	memset(v->pci.wmask + CAP_PCICFG + offsetof(struct virtio_pci_cap, offset), 0xff, 12);
}

static void add_msix(struct vpci *v)
{
	uint8_t cap[12] = { 0 };

	v->nvectors = v->dev->nqueues + 1;
	for (unsigned i = 0; i < v->nvectors; i++)
		v->msix[i].ctrl = PCI_MSIX_ENTRY_CTRL_MASKBIT;
	cap[PCI_MSIX_FLAGS] = (uint8_t)(v->nvectors - 1);
	cap[PCI_MSIX_TABLE] = 1; /* BAR1, offset 0 */
	cap[PCI_MSIX_PBA] = 1;
	cap[PCI_MSIX_PBA + 1] = MSIX_PBA >> 8;
	pci_add_cap(&v->pci, CAP_MSIX, PCI_CAP_ID_MSIX, cap, sizeof(cap));
	v->pci.wmask[MSIX_CTRL + 1] = (PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL) >> 8;
}

static uint32_t take_bar(uint32_t *next, uint32_t size)
{
	uint32_t at = (*next + size - 1) & ~(size - 1);

	*next = at + size;
	return at;
}

void vpci_init(struct vpci *v, const struct vpci_device *dev, const struct vpci_host *host, unsigned irq_line,
	       unsigned irq_pin, uint32_t *bar_next)
{
	struct pci_ids ids = {
		.vendor = VIRTIO_VENDOR,
		.device = (uint16_t)(VIRTIO_DEVICE + dev->type),
		.subsys_vendor = VIRTIO_VENDOR,
		.subsys = VIRTIO_SUBSYSTEM,
		.class = dev->class,
		.revision = 1,
	};
	uint32_t size = WIDE_SIZE, isr_at = 0;

	v->dev = dev;
	v->host = host;
	pci_dev_init(&v->pci, &ids);
	v->pci.ops = &ops;
	v->pci.owner = v;
	v->irq_line = irq_line;
	v->pci.cfg[PCI_INTERRUPT_LINE] = (uint8_t)irq_line;
	v->pci.cfg[PCI_INTERRUPT_PIN] = (uint8_t)irq_pin;
	v->notify_off = WIDE_NOTIFY;
	v->notify_multiplier = 4;
	if (host->compact) {
		v->pci.fixed = true;
		v->notify_off = COMPACT_NOTIFY;
		v->notify_multiplier = 0;
		for (size = 64; size < COMPACT_CONFIG + dev->config_len; size *= 2)
			;
	}
	pci_add_bar(&v->pci, 0, size, take_bar(bar_next, size));
	v->isr_byte = host->isr_byte ? host->isr_byte(v, &isr_at) : NULL;
	if (v->isr_byte) {
		WRITE_ONCE(*v->isr_byte, ISR_QUEUE);
		pci_add_bar(&v->pci, ISR_BAR, ISR_BAR_SIZE, isr_at);
	}
	add_caps(v);
	if (!host->compact) {
		pci_add_bar(&v->pci, 1, MSIX_BAR_SIZE, take_bar(bar_next, MSIX_BAR_SIZE));
		add_msix(v);
	}
	v->running = false;
	vpci_reset(v);
}
