/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Access to PCI by mechanism 1, and the driver's side of virtio 1.x. Runs in ring 0 of a guest. */
#include "tests/guest/guest.h"

uint32_t pci_read(unsigned slot, unsigned reg)
{
	outl(0xcf8, 0x80000000u | slot << 11 | reg);
	return inl(0xcfc);
}

void pci_write(unsigned slot, unsigned reg, uint32_t v)
{
	outl(0xcf8, 0x80000000u | slot << 11 | reg);
	outl(0xcfc, v);
}

unsigned pci_find(uint32_t id)
{
	for (unsigned slot = 1; slot < 32; slot++)
		if (pci_read(slot, 0) == id)
			return slot;
	return 0;
}

bool vdev_find(struct vdev *d, uint32_t id)
{
	unsigned at, n = 0;

	memset(d, 0, sizeof(*d));
	d->slot = pci_find(id);
	if (!d->slot)
		return false;
	pci_write(d->slot, 4, 6); /* memory, bus master */
	for (at = pci_read(d->slot, 0x34) & 0xfc; at && n < 16; n++) {
		uint32_t h = pci_read(d->slot, at), bar = pci_read(d->slot, at + 4) & 0xff;
		uintptr_t base = (pci_read(d->slot, 0x10 + 4 * (bar < 6 ? bar : 0)) & ~15u) + pci_read(d->slot, at + 8);

		switch ((h & 0xff) == 9 ? h >> 24 : 0) {
		case 1:
			d->common = base;
			break;
		case 2:
			d->notify = base;
			d->multiplier = pci_read(d->slot, at + 16);
			break;
		case 3:
			d->isr = base;
			break;
		case 4:
			d->config = base;
			break;
		default:
			if ((h & 0xff) == 0x11) {
				d->msix_cap = at;
				d->msix = pci_read(d->slot, 0x14) & ~15u;
			}
			break;
		}
		at = (h >> 8) & 0xfc;
	}
	return d->common && d->notify && d->isr;
}

uint8_t vdev_status(struct vdev *d)
{
	return MMIO(uint8_t, d->common + 0x14);
}

void vdev_reset(struct vdev *d)
{
	MMIO(uint8_t, d->common + 0x14) = 0;
	while (vdev_status(d))
		;
}

bool vdev_begin(struct vdev *d, uint64_t features)
{
	vdev_reset(d);
	MMIO(uint8_t, d->common + 0x14) = 3;
	features |= 1ull << 32;
	for (uint32_t i = 0; i < 2; i++) {
		MMIO(uint32_t, d->common + 8) = i;
		MMIO(uint32_t, d->common + 0xc) = (uint32_t)(features >> (32 * i));
	}
	MMIO(uint8_t, d->common + 0x14) = 11;
	return vdev_status(d) == 11;
}

void vdev_queue(struct vdev *d, struct vqueue *q, unsigned index, unsigned vector)
{
	memset(q, 0, sizeof(*q));
	q->d = d;
	q->index = index;
	if (vector) {
		uintptr_t e = d->msix + 16 * (index + 1);

		MMIO(uint32_t, e) = LAPIC;
		MMIO(uint32_t, e + 4) = 0;
		MMIO(uint32_t, e + 8) = vector;
		MMIO(uint32_t, e + 12) = 0;
	}
	pci_write(d->slot, d->msix_cap, vector ? 0x80000000u : 0);
	MMIO(uint16_t, d->common + 0x16) = (uint16_t)index;
	MMIO(uint16_t, d->common + 0x18) = QSIZE;
	MMIO(uint16_t, d->common + 0x1a) = vector ? (uint16_t)(index + 1) : 0xffff;
	MMIO(uint32_t, d->common + 0x20) = (uint32_t)(uintptr_t)q->desc;
	MMIO(uint32_t, d->common + 0x24) = 0;
	MMIO(uint32_t, d->common + 0x28) = (uint32_t)(uintptr_t)&q->avail;
	MMIO(uint32_t, d->common + 0x2c) = 0;
	MMIO(uint32_t, d->common + 0x30) = (uint32_t)(uintptr_t)&q->used;
	MMIO(uint32_t, d->common + 0x34) = 0;
	MMIO(uint16_t, d->common + 0x1c) = 1;
}

void vdev_ready(struct vdev *d)
{
	MMIO(uint8_t, d->common + 0x14) = 15;
}

void vq_offer(struct vqueue *q, uint16_t head)
{
	q->avail.ring[q->avail.idx % QSIZE] = head;
	barrier();
	MMIO(uint16_t, &q->avail.idx) = (uint16_t)(q->avail.idx + 1);
	barrier();
}

void vq_kick(struct vqueue *q)
{
	MMIO(uint16_t, q->d->notify + q->index * q->d->multiplier) = (uint16_t)q->index;
}

bool vq_wait(struct vqueue *q, uint32_t *len)
{
	for (unsigned i = 0; i < 20000000; i++) {
		if (MMIO(uint16_t, &q->used.idx) != q->seen) {
			barrier();
			*len = q->used.ring[q->seen++ % QSIZE].len;
			return true;
		}
		__asm__ volatile("pause" ::: "memory");
	}
	return false;
}
