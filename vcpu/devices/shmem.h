/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The PCI device that shows a guest the file of --shmem: ivshmem-plain as QEMU has it (docs/specs/ivshmem-spec,
 * revision 1). BAR0 has registers that do nothing, and BAR2 (64 bits wide, prefetchable) is the memory, which the
 * engine maps. Runs in the vCPU process under the device lock. Every value comes from the guest.
 */
#ifndef VCPU_SHMEM_H
#define VCPU_SHMEM_H

#include "vcpu/devices/pci.h"

struct shmem_dev {
	struct pci_dev pci;
	uint32_t bytes; /* Size of the memory, a power of two; 0: the guest has no such device */
	uint32_t home;	/* Its guest-physical address, a multiple of @bytes */
};

/* Initialise @s with its registers at @regs and @bytes of memory at @home, which no write of the guest moves. */
void shmem_init(struct shmem_dev *s, uint32_t regs, uint32_t home, uint32_t bytes);
/*
 * Give the registers of BAR2 a value that they can have: the place of the memory, or the pattern that shows its size.
 * For registers that were read from a file.
 */
void shmem_settle(struct shmem_dev *s);

/* True if the guest-physical address @addr is in the memory. */
static inline bool shmem_has(const struct shmem_dev *s, uint64_t addr)
{
	return s->bytes && addr >= s->home && addr - s->home < s->bytes;
}

#endif
