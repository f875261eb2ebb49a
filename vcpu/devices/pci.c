/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The PCI bus: configuration mechanism 1 and decoding of memory BARs. Runs in the vCPU
 * process. Every value comes from the guest, so each is checked before it is an index.
 */
#include <linux/pci_regs.h>
#include <string.h>

#include "vcpu/devices/pci.h"

#define ADDRESS_ENABLE 0x80000000u

uint16_t pci_get16(const struct pci_dev *d, unsigned off)
{
	return (uint16_t)(d->cfg[off] | d->cfg[off + 1] << 8);
}

uint32_t pci_get32(const struct pci_dev *d, unsigned off)
{
	return pci_get16(d, off) | (uint32_t)pci_get16(d, off + 2) << 16;
}

static void pci_put16(struct pci_dev *d, unsigned off, uint16_t v)
{
	d->cfg[off] = (uint8_t)v;
	d->cfg[off + 1] = (uint8_t)(v >> 8);
}

void pci_put32(struct pci_dev *d, unsigned off, uint32_t v)
{
	pci_put16(d, off, (uint16_t)v);
	pci_put16(d, off + 2, (uint16_t)(v >> 16));
}

void pci_dev_init(struct pci_dev *d, const struct pci_ids *ids)
{
	memset(d, 0, sizeof(*d));
	pci_put16(d, PCI_VENDOR_ID, ids->vendor);
	pci_put16(d, PCI_DEVICE_ID, ids->device);
	pci_put32(d, PCI_CLASS_REVISION, ids->class << 8 | ids->revision);
	pci_put16(d, PCI_SUBSYSTEM_VENDOR_ID, ids->subsys_vendor);
	pci_put16(d, PCI_SUBSYSTEM_ID, ids->subsys);
	d->wmask[PCI_COMMAND] = PCI_COMMAND_IO | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER;
	d->wmask[PCI_COMMAND + 1] = PCI_COMMAND_INTX_DISABLE >> 8;
	d->wmask[PCI_INTERRUPT_LINE] = 0xff;
	d->wmask[PCI_CACHE_LINE_SIZE] = 0xff;
	d->wmask[PCI_LATENCY_TIMER] = 0xff;
}

void pci_add_bar(struct pci_dev *d, unsigned bar, uint32_t size, uint32_t address)
{
	unsigned off = PCI_BASE_ADDRESS_0 + 4 * bar;
	uint32_t mask = ~(size - 1);

	d->bar_size[bar] = size;
	d->bar_home[bar] = address;
	pci_put32(d, off, address);
	for (unsigned i = 0; i < 4; i++)
		d->wmask[off + i] = (uint8_t)(mask >> (8 * i));
	/* Enable memory decoding, so that the BAR works even if the guest assigns no address. */
	d->cfg[PCI_COMMAND] |= PCI_COMMAND_MEMORY;
}

void pci_add_cap(struct pci_dev *d, unsigned off, uint8_t id, const void *cap, unsigned len)
{
	unsigned at = PCI_CAPABILITY_LIST;

	while (d->cfg[at])
		at = d->cfg[at] + PCI_CAP_LIST_NEXT;
	d->cfg[at] = (uint8_t)off;
	memcpy(d->cfg + off, cap, len);
	d->cfg[off] = id;
	d->cfg[off + PCI_CAP_LIST_NEXT] = 0;
	d->cfg[PCI_STATUS] |= PCI_STATUS_CAP_LIST;
}

void pci_attach(struct pci_bus *b, unsigned devfn, struct pci_dev *d)
{
	b->dev[devfn & 0xff] = d;
}

uint32_t pci_bar_address(const struct pci_dev *d, unsigned bar)
{
	if (d->fixed)
		return d->bar_home[bar];
	if (!d->bar_size[bar] || !(d->cfg[PCI_COMMAND] & PCI_COMMAND_MEMORY))
		return 0;
	return pci_get32(d, PCI_BASE_ADDRESS_0 + 4 * bar) & ~(d->bar_size[bar] - 1);
}

/* The device that port 0xcf8 selects, or NULL; *@off: the offset in its configuration space. */
static struct pci_dev *selected(const struct pci_bus *b, unsigned *off)
{
	uint32_t a = b->address;

	/* Requires the enable bit and bus 0; bits 24 to 30 are reserved. */
	if (!(a & ADDRESS_ENABLE) || (a & 0x7fff0000))
		return NULL;
	*off = a & 0xfc;
	return b->dev[(a >> 8) & 0xff];
}

static uint32_t cfg_read(struct pci_dev *d, unsigned off, unsigned len)
{
	uint32_t v = 0;

	if (d->ops && d->ops->cfg_read)
		d->ops->cfg_read(d, off, len);
	for (unsigned i = 0; i < len; i++)
		v |= (uint32_t)d->cfg[off + i] << (8 * i);
	return v;
}

static bool touches_decoding(unsigned off, unsigned len)
{
	return off < PCI_COMMAND + 2 ? off + len > PCI_COMMAND
				     : off < PCI_BASE_ADDRESS_0 + 4 * PCI_BARS && off + len > PCI_BASE_ADDRESS_0;
}

static void cfg_write(struct pci_dev *d, unsigned off, unsigned len, uint32_t v)
{
	for (unsigned i = 0; i < len; i++) {
		uint8_t m = d->wmask[off + i];

		d->cfg[off + i] = (uint8_t)((d->cfg[off + i] & ~m) | ((v >> (8 * i)) & m));
	}
	if (!d->ops)
		return;
	if (d->ops->cfg_written)
		d->ops->cfg_written(d, off, len);
	if (d->ops->moved && touches_decoding(off, len))
		d->ops->moved(d);
}

static bool width_ok(unsigned len)
{
	return len == 1 || len == 2 || len == 4;
}

uint32_t pci_port_in(struct pci_bus *b, uint16_t port, unsigned len)
{
	uint32_t ones = len >= 4 ? 0xffffffffu : (1u << (8 * len)) - 1;
	struct pci_dev *d;
	unsigned off = 0;

	if (!width_ok(len))
		return ones;
	if (port == PCI_PORT_ADDRESS && len == 4)
		return b->address;
	if (port < PCI_PORT_DATA || port - PCI_PORT_DATA + len > 4)
		return ones;
	d = selected(b, &off);
	return d ? cfg_read(d, off + (port - PCI_PORT_DATA), len) : ones;
}

void pci_port_out(struct pci_bus *b, uint16_t port, unsigned len, uint32_t v)
{
	struct pci_dev *d;
	unsigned off = 0;

	if (!width_ok(len))
		return;
	if (port == PCI_PORT_ADDRESS && len == 4)
		b->address = v & ~3u;
	if (port < PCI_PORT_DATA || port - PCI_PORT_DATA + len > 4)
		return;
	d = selected(b, &off);
	if (d)
		cfg_write(d, off + (port - PCI_PORT_DATA), len, v);
}

/* Find the BAR that covers all of [addr, addr + len): its device, number and the offset. NULL: none. */
static struct pci_dev *decode(const struct pci_bus *b, uint64_t addr, unsigned len, unsigned *bar, uint64_t *off)
{
	if (len != 1 && len != 2 && len != 4 && len != 8)
		return NULL;
	for (unsigned i = 0; i < ARRAY_SIZE(b->dev); i++) {
		struct pci_dev *d = b->dev[i];

		for (unsigned n = 0; d && n < PCI_BARS; n++) {
			uint32_t base = pci_bar_address(d, n);

			if (base && addr >= base && range_ok(addr - base, len, d->bar_size[n])) {
				*bar = n;
				*off = addr - base;
				return d;
			}
		}
	}
	return NULL;
}

bool pci_mem_read(struct pci_bus *b, uint64_t addr, unsigned len, uint64_t *v)
{
	unsigned bar;
	uint64_t off;
	struct pci_dev *d = decode(b, addr, len, &bar, &off);

	*v = UINT64_MAX;
	if (!d || !d->ops || !d->ops->bar_read)
		return false;
	*v = d->ops->bar_read(d, bar, off, len);
	return true;
}

bool pci_mem_write(struct pci_bus *b, uint64_t addr, unsigned len, uint64_t v)
{
	unsigned bar;
	uint64_t off;
	struct pci_dev *d = decode(b, addr, len, &bar, &off);

	if (!d || !d->ops || !d->ops->bar_write)
		return false;
	d->ops->bar_write(d, bar, off, len, v);
	return true;
}
