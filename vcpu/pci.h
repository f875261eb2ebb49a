/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One PCI bus, reached by configuration mechanism 1 (ports 0xcf8 to 0xcff), for
 * the kvm engine and for lguest hosts of 4.x. Runs in the vCPU process.
 *
 * Every register access is the guest's and may have any value. Nothing here
 * does I/O, allocates or holds a lock: the engine serialises accesses.
 */
#ifndef VCPU_PCI_H
#define VCPU_PCI_H

#include "common/util.h"

#define PCI_CFG_SIZE	    256
#define PCI_BARS	    6
#define PCI_PORT_ADDRESS    0xcf8u /* 4 bytes */
#define PCI_PORT_DATA	    0xcfcu /* 4 bytes */
#define PCI_DEVFN(slot, fn) (((slot) << 3) | (fn))

struct pci_dev;

struct pci_dev_ops {
	/* An access of @len (1, 2, 4, 8) bytes to memory BAR @bar; @off + @len is inside it. Reads return little-endian values. */
	uint64_t (*bar_read)(struct pci_dev *d, unsigned bar, uint64_t off, unsigned len);
	void (*bar_write)(struct pci_dev *d, unsigned bar, uint64_t off, unsigned len, uint64_t v);
	/*
	 * Configuration space as the device wants to see it; either may be NULL. Before a
	 * read of [off, off + len) (to fill d->cfg), after a write of it (d->cfg has the new bytes).
	 */
	void (*cfg_read)(struct pci_dev *d, unsigned off, unsigned len);
	void (*cfg_written)(struct pci_dev *d, unsigned off, unsigned len);
	/* A BAR was moved, or memory decoding was switched: see pci_bar_address(). May be NULL. */
	void (*moved)(struct pci_dev *d);
};

struct pci_dev {
	const struct pci_dev_ops *ops;
	void *owner;
	uint8_t cfg[PCI_CFG_SIZE];
	uint8_t wmask[PCI_CFG_SIZE]; /* bits that the guest may change */
	uint32_t bar_size[PCI_BARS]; /* a power of two of at least 16, or 0: no such BAR (reads 0, writes are lost) */
	uint32_t bar_home[PCI_BARS]; /* where pci_add_bar() put it */
	bool fixed;		     /* BARs always answer at bar_home (lguest: the kernel's memory window is fixed) */
};

struct pci_bus {
	struct pci_dev *dev[256]; /* by devfn */
	uint32_t address;	  /* the last value of port 0xcf8 */
};

/* Header of type 0 with these identities; no BARs yet, command and interrupt line writable. */
struct pci_ids {
	uint16_t vendor, device, subsys_vendor, subsys;
	uint32_t class; /* 24 bits */
	uint8_t revision;
};
void pci_dev_init(struct pci_dev *d, const struct pci_ids *ids);
/* A 32-bit memory BAR of @size bytes, already assigned to @address (a multiple of @size). */
void pci_add_bar(struct pci_dev *d, unsigned bar, uint32_t size, uint32_t address);
/* Link a capability of @len bytes (its first two are filled in here) at @off, 4-aligned, after those linked before. */
void pci_add_cap(struct pci_dev *d, unsigned off, uint8_t id, const void *cap, unsigned len);
void pci_attach(struct pci_bus *b, unsigned devfn, struct pci_dev *d);

/* Little-endian fields of cfg. */
uint16_t pci_get16(const struct pci_dev *d, unsigned off);
uint32_t pci_get32(const struct pci_dev *d, unsigned off);
void pci_put32(struct pci_dev *d, unsigned off, uint32_t v);

/* Where BAR @bar answers now; 0 if it is absent, unassigned or not decoded. */
uint32_t pci_bar_address(const struct pci_dev *d, unsigned bar);

/* Ports 0xcf8 to 0xcff, @len 1, 2 or 4; anything that is not there reads as ones. */
uint32_t pci_port_in(struct pci_bus *b, uint16_t port, unsigned len);
void pci_port_out(struct pci_bus *b, uint16_t port, unsigned len, uint32_t v);

/*
 * A memory access of @len (1, 2, 4, 8) bytes that no RAM answers. False if no
 * BAR covers all of it: then a read is all ones (*@v is set) and a write is lost.
 * Of overlapping BARs the one of the lowest devfn and number answers.
 */
bool pci_mem_read(struct pci_bus *b, uint64_t addr, unsigned len, uint64_t *v);
bool pci_mem_write(struct pci_bus *b, uint64_t addr, unsigned len, uint64_t v);

#endif
