/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The device of --shmem: see shmem.h. Runs in the vCPU process. */
#include <linux/pci_regs.h>

#include "vcpu/devices/shmem.h"

#define REGS_BYTES 256u
#define LOW	   PCI_BASE_ADDRESS_2
#define HIGH	   PCI_BASE_ADDRESS_3
#define BAR_FLAGS  (PCI_BASE_ADDRESS_MEM_TYPE_64 | PCI_BASE_ADDRESS_MEM_PREFETCH)

/* Without a peer there are no interrupts, no position and no doorbell. */
static uint64_t bar_read(struct pci_dev *d, unsigned bar, uint64_t off, unsigned len)
{
	(void)d;
	(void)bar;
	(void)off;
	(void)len;
	return 0;
}

/*
 * The memory is a fixed part of the guest's address space, because moving it would need a system call that a process
 * with a running guest must not have. The registers therefore do not accept another address. They keep the pattern by
 * which a driver finds out the size.
 */
void shmem_settle(struct shmem_dev *s)
{
	uint32_t mask = ~(s->bytes - 1);

	if ((pci_get32(&s->pci, LOW) & mask) != mask)
		pci_put32(&s->pci, LOW, s->home | BAR_FLAGS);
	if (pci_get32(&s->pci, HIGH) != UINT32_MAX)
		pci_put32(&s->pci, HIGH, 0);
}

static void cfg_written(struct pci_dev *d, unsigned off, unsigned len)
{
	(void)off;
	(void)len;
	shmem_settle(d->owner);
}

static const struct pci_dev_ops ops = { .bar_read = bar_read, .cfg_written = cfg_written };

void shmem_init(struct shmem_dev *s, uint32_t regs, uint32_t home, uint32_t bytes)
{
	const struct pci_ids ids = {
		.vendor = 0x1af4,
		.device = 0x1110,
		.subsys_vendor = 0x1af4,
		.subsys = 0x1100,
		.class = 0x050000,
		.revision = 1,
	};
	uint32_t mask = ~(bytes - 1);

	pci_dev_init(&s->pci, &ids);
	s->pci.ops = &ops;
	s->pci.owner = s;
	s->bytes = bytes;
	s->home = home;
	pci_add_bar(&s->pci, 0, REGS_BYTES, regs);
	/* Not pci_add_bar(): the engine decodes accesses to BAR2, not the bus. */
	pci_put32(&s->pci, LOW, home | BAR_FLAGS);
	for (unsigned i = 0; i < 4; i++) {
		s->pci.wmask[LOW + i] = (uint8_t)(mask >> (8 * i));
		s->pci.wmask[HIGH + i] = 0xff;
	}
}
