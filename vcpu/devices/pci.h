/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An emulated PCI bus, accessed by configuration mechanism 1 (ports 0xcf8 to 0xcff), for
 * the kvm engine and for lguest on hosts with Linux 4.x. Runs in the vCPU process.
 *
 * Register accesses come from the guest and may have any value. Nothing here does I/O,
 * allocates or takes a lock; the caller holds the device lock.
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
	/* An access of @len (1, 2, 4 or 8) bytes at offset @off of memory BAR @bar; it lies inside. Little-endian. */
	uint64_t (*bar_read)(struct pci_dev *d, unsigned bar, uint64_t off, unsigned len);
	void (*bar_write)(struct pci_dev *d, unsigned bar, uint64_t off, unsigned len, uint64_t v);
	/*
	 * Accesses to bytes [off, off + len) of the configuration space. cfg_read is called
	 * before a read, to update d->cfg; cfg_written after a write has changed d->cfg. Both
	 * may be NULL.
	 */
	void (*cfg_read)(struct pci_dev *d, unsigned off, unsigned len);
	void (*cfg_written)(struct pci_dev *d, unsigned off, unsigned len);
	/* A BAR was moved, or memory decoding was enabled or disabled: see pci_bar_address(). May be NULL. */
	void (*moved)(struct pci_dev *d);
};

struct pci_dev {
	const struct pci_dev_ops *ops;
	void *owner;
	uint8_t cfg[PCI_CFG_SIZE];
	uint8_t wmask[PCI_CFG_SIZE]; /* Bits of cfg that the guest may change */
	uint32_t bar_size[PCI_BARS]; /* Bytes: a power of two, at least 16; 0: the device has no such BAR */
	uint32_t bar_home[PCI_BARS]; /* Address that pci_add_bar() has assigned */
	bool fixed; /* BARs stay at bar_home whatever the guest writes (lguest: its window cannot move) */
};

struct pci_bus {
	struct pci_dev *dev[256]; /* Indexed by PCI_DEVFN() */
	uint32_t address;	  /* Last value written to port 0xcf8 */
};

/* Identification of a device in its configuration space. */
struct pci_ids {
	uint16_t vendor, device, subsys_vendor, subsys;
	uint32_t class; /* Class code, 24 bits */
	uint8_t revision;
};
/* Initialise @d with a type 0 header and no BARs. The guest may write its command and interrupt line. */
void pci_dev_init(struct pci_dev *d, const struct pci_ids *ids);
/* Add a 32-bit memory BAR of @size bytes at @address, a multiple of @size. */
void pci_add_bar(struct pci_dev *d, unsigned bar, uint32_t size, uint32_t address);
/*
 * Add a capability of @len bytes at offset @off of the configuration space, a multiple of 4.
 * Its first two bytes (ID and link) are filled in here. Call it in the order of the list.
 */
void pci_add_cap(struct pci_dev *d, unsigned off, uint8_t id, const void *cap, unsigned len);
/* Put @d on the bus at PCI_DEVFN(slot, function). @d must stay valid. */
void pci_attach(struct pci_bus *b, unsigned devfn, struct pci_dev *d);

/* Read and write little-endian fields of d->cfg. */
uint16_t pci_get16(const struct pci_dev *d, unsigned off);
uint32_t pci_get32(const struct pci_dev *d, unsigned off);
void pci_put32(struct pci_dev *d, unsigned off, uint32_t v);

/* Current address of BAR @bar; 0 if it is absent, unassigned or memory decoding is off. */
uint32_t pci_bar_address(const struct pci_dev *d, unsigned bar);

/* Accesses of @len (1, 2 or 4) bytes to ports 0xcf8 to 0xcff. What does not exist reads as all ones. */
uint32_t pci_port_in(struct pci_bus *b, uint16_t port, unsigned len);
void pci_port_out(struct pci_bus *b, uint16_t port, unsigned len, uint32_t v);

/*
 * Accesses of @len (1, 2, 4 or 8) bytes to guest-physical addresses outside RAM. Returns
 * false if no BAR covers all of it: a read then sets *@v to all ones, a write is ignored.
 * If BARs overlap, the one with the lowest devfn and number is used.
 */
bool pci_mem_read(struct pci_bus *b, uint64_t addr, unsigned len, uint64_t *v);
bool pci_mem_write(struct pci_bus *b, uint64_t addr, unsigned len, uint64_t v);

#endif
