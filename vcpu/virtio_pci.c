/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The PCI side of virtio: capabilities, the PCI_CFG window, MSI-X, INTx. Runs
 * in the vCPU process. Every value comes from the guest; nothing here touches
 * guest memory or makes a system call.
 */
#include <linux/pci_regs.h>
#include <linux/virtio_config.h>
#include <linux/virtio_pci.h>
#include <string.h>

#include "vcpu/virtio_pci_priv.h"

#define VIRTIO_VENDOR	 0x1af4
#define VIRTIO_DEVICE	 0x1040 /* + virtio device id */
#define VIRTIO_SUBSYSTEM 0x40	/* 4.1.2.1: 0x40 or higher */

/* 4.1.4.5 */
#define ISR_QUEUE  1u
#define ISR_CONFIG 2u

/* Where the ISR is a byte of memory. */
#define ISR_BAR	     2u
#define ISR_BAR_SIZE 16u

#define MSIX_CTRL   (CAP_MSIX + PCI_MSIX_FLAGS)
#define PCICFG_DATA (CAP_PCICFG + 16)

void vpci_rewire(struct vpci *v)
{
	if (v->host->rewire)
		v->host->rewire(v);
}

static bool vpci_msix_enabled(const struct vpci *v)
{
	return v->nvectors && (pci_get16(&v->pci, MSIX_CTRL) & PCI_MSIX_FLAGS_ENABLE);
}

static bool masked(const struct vpci *v, unsigned vec)
{
	return (pci_get16(&v->pci, MSIX_CTRL) & PCI_MSIX_FLAGS_MASKALL) ||
	       (v->msix[vec].ctrl & PCI_MSIX_ENTRY_CTRL_MASKBIT);
}

void vpci_update_intx(struct vpci *v)
{
	bool level = v->isr && !vpci_msix_enabled(v) && !(pci_get16(&v->pci, PCI_COMMAND) & PCI_COMMAND_INTX_DISABLE);

	/* lguest's lines are edges: each interrupt is sent again */
	if (level == v->intx_level && !(level && v->host->compact))
		return;
	v->intx_level = level;
	v->pci.cfg[PCI_STATUS] &= (uint8_t)~PCI_STATUS_INTERRUPT;
	if (level)
		v->pci.cfg[PCI_STATUS] |= PCI_STATUS_INTERRUPT;
	v->host->intx(v, level);
}

static void send_vector(struct vpci *v, uint16_t vec)
{
	if (vec >= v->nvectors)
		return;
	if (masked(v, vec)) {
		v->pending |= 1u << vec;
		return;
	}
	v->host->msi(v, (uint64_t)v->msix[vec].addr_hi << 32 | v->msix[vec].addr_lo, v->msix[vec].data);
}

/* PCI 3.0, 6.8.3.4: what came while masked is sent once unmasked. */
static void send_pending(struct vpci *v)
{
	if (!v->pending || !vpci_msix_enabled(v))
		return;
	for (unsigned vec = 0; vec < v->nvectors; vec++) {
		if (!((v->pending >> vec) & 1) || masked(v, vec))
			continue;
		v->pending &= ~(1u << vec);
		send_vector(v, (uint16_t)vec);
	}
}

void vpci_interrupt(struct vpci *v, unsigned q)
{
	if (!v->running || q >= v->dev->nqueues)
		return;
	if (vpci_msix_enabled(v)) {
		send_vector(v, v->queue[q].vector);
		return;
	}
	v->isr |= ISR_QUEUE;
	vpci_update_intx(v);
}

static void config_interrupt(struct vpci *v)
{
	if (!(v->status & VIRTIO_CONFIG_S_DRIVER_OK))
		return;
	if (vpci_msix_enabled(v)) {
		send_vector(v, v->config_vector);
		return;
	}
	v->isr |= ISR_CONFIG;
	if (v->isr_byte)
		WRITE_ONCE(*v->isr_byte, ISR_QUEUE | ISR_CONFIG);
	vpci_update_intx(v);
}

void vpci_config_changed(struct vpci *v)
{
	v->generation++;
	config_interrupt(v);
}

void vpci_needs_reset(struct vpci *v)
{
	/* after a reset the driver waits for 0 (4.1.4.3.1): it learns the rest at DRIVER_OK */
	if (!v->status || (v->status & VIRTIO_CONFIG_S_NEEDS_RESET))
		return;
	v->status |= VIRTIO_CONFIG_S_NEEDS_RESET;
	config_interrupt(v);
}

enum vpci_irq vpci_queue_irq(const struct vpci *v, unsigned q, uint64_t *addr, uint32_t *data)
{
	uint16_t vec;

	if (!v->running || q >= v->dev->nqueues || !v->queue[q].enabled)
		return VPCI_IRQ_NONE;
	if (!vpci_msix_enabled(v))
		return VPCI_IRQ_INTX;
	vec = v->queue[q].vector;
	if (vec >= v->nvectors)
		return VPCI_IRQ_NONE;
	if (masked(v, vec))
		return VPCI_IRQ_MASKED;
	*addr = (uint64_t)v->msix[vec].addr_hi << 32 | v->msix[vec].addr_lo;
	*data = v->msix[vec].data;
	return VPCI_IRQ_MSI;
}

uint64_t vpci_notify_address(const struct vpci *v, unsigned q)
{
	uint32_t bar = pci_bar_address(&v->pci, 0);

	if (!bar || !v->running || q >= v->dev->nqueues || !v->queue[q].enabled)
		return 0;
	return (uint64_t)bar + v->notify_off + q * v->notify_multiplier;
}

/* The vector table and the pending bits; whole aligned words, as PCI 3.0, 6.8.2 asks of software. */
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
		} else if (at == MSIX_PBA) {
			w = v->pending;
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
	send_pending(v);
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

/* 4.1.4.9: the window through which a driver reaches BARs by configuration accesses alone. */
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
		send_pending(v);
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
		c.notify_off_multiplier = 0; /* this place is the window's data */
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
	/* the window's bar, offset, length and data are the guest's to write */
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
