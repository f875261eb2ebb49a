/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Virtio 1.x over PCI (virtio 1.2, clause 4.1; no legacy interface), as a
 * device of vcpu/pci.h. Runs in the vCPU process, called by the thread whose
 * guest access it is; the engine holds its device lock around every call.
 *
 * The transport knows registers and nothing else: the device behind it is a
 * struct vpci_device, the way to the guest's interrupts a struct vpci_host.
 */
#ifndef VCPU_VIRTIO_PCI_H
#define VCPU_VIRTIO_PCI_H

#include "common/fdtab.h"
#include "common/shm.h"
#include "vcpu/pci.h"

#define VPCI_MAX_QUEUES	 (MAX_QUEUES + 1) /* a NIC's control queue is the one more */
#define VPCI_MAX_VECTORS (VPCI_MAX_QUEUES + 1)
#define VPCI_NO_VECTOR	 0xffff
#define VPCI_CONFIG_MAX	 256 /* bytes of device configuration */

struct vpci;

/* Geometry that the driver gave, fixed from DRIVER_OK (or queue_enable, if later) until reset. */
struct vpci_queue {
	uint16_t max_size;
	uint16_t size;
	uint16_t vector; /* of the MSI-X table, or VPCI_NO_VECTOR */
	bool enabled;
	uint64_t desc, avail, used; /* guest-physical */
};

/* The device behind the transport. */
struct vpci_device {
	const char *name; /* "blk0": for lines */
	uint16_t type;	  /* virtio device id */
	uint32_t class;	  /* PCI class code, 24 bits */
	unsigned nqueues;
	uint16_t queue_max;
	unsigned config_len;
	uint64_t features; /* offered; VIRTIO_F_VERSION_1 is among them */
	void *owner;
	/* @off + @len is inside config_len. set may be NULL: writes are lost. */
	void (*get_config)(struct vpci *v, unsigned off, void *buf, unsigned len);
	void (*set_config)(struct vpci *v, unsigned off, const void *buf, unsigned len);
	/* FEATURES_OK: v->features are final. False: refused. May be NULL. */
	bool (*features_ok)(struct vpci *v);
	/* DRIVER_OK: begin with every enabled queue. False: the device asks for a reset. */
	bool (*start)(struct vpci *v);
	/* Enabled after DRIVER_OK (2.6.1: only after a queue reset, but drivers do). May be NULL. */
	bool (*start_queue)(struct vpci *v, unsigned q);
	/* queue_reset (4.1.4.3.2). NULL: VIRTIO_F_RING_RESET is not offered. */
	void (*stop_queue)(struct vpci *v, unsigned q);
	/* Device reset. Returns with nothing in flight: no guest memory is touched afterwards. */
	void (*stop)(struct vpci *v);
	/* The driver's notification came as an access (no eventfd took it). */
	void (*notify)(struct vpci *v, unsigned q);
};

/* What differs between the hosts that the bus serves. */
struct vpci_host {
	/*
	 * lguest 4.x: BAR0 alone, with common configuration at 0x00, notify (one 16-bit
	 * register for all queues) at 0x38, ISR at 0x3a and device configuration at 0x3c;
	 * no MSI-X. Else BAR0 has a page for each, and BAR1 the MSI-X tables.
	 */
	bool compact;
	/* Level of the device's INTx line. With MSI-X enabled it is never raised. */
	void (*intx)(struct vpci *v, bool level);
	/* Send this message now. NULL where there is no MSI-X. */
	void (*msi)(struct vpci *v, uint64_t addr, uint32_t data);
	/*
	 * A byte of shared memory at guest-physical *@gpa (16-aligned, 16 bytes its own) that
	 * the driver reads as the ISR without an exit: it always says that there was an
	 * interrupt, so the line must be the device's own or handlers must look further.
	 * NULL, or a NULL answer: the ISR is a register.
	 */
	uint8_t *(*isr_byte)(struct vpci *v, uint32_t *gpa);
	/*
	 * Something changed in how queues interrupt (vectors, masks, MSI-X enable, device
	 * start and reset), or in where notify registers answer: bring eventfds in line with
	 * vpci_queue_irq() and vpci_notify_address(). May be NULL.
	 */
	void (*rewire)(struct vpci *v);
};

enum vpci_irq { VPCI_IRQ_NONE, VPCI_IRQ_INTX, VPCI_IRQ_MASKED, VPCI_IRQ_MSI };

struct vpci {
	struct pci_dev pci;
	const struct vpci_device *dev;
	const struct vpci_host *host;
	void *host_owner;  /* the engine's */
	unsigned index;	   /* the engine's numbering of its devices */
	unsigned irq_line; /* as given; the register is the guest's to write */

	uint8_t status, generation, isr;
	uint8_t *isr_byte; /* see vpci_host */
	uint32_t device_feature_select, driver_feature_select;
	uint64_t features;	  /* the driver's; only bits that were offered count */
	uint64_t driver_features; /* as written, unjudged */
	uint16_t queue_select, config_vector;
	struct vpci_queue queue[VPCI_MAX_QUEUES];
	bool running, intx_level;
	bool refused; /* the driver wrote feature bits of 64 and up */

	unsigned nvectors;
	struct {
		uint32_t addr_lo, addr_hi, data, ctrl;
	} msix[VPCI_MAX_VECTORS];
	uint32_t pending;    /* pending bit array */
	unsigned notify_off; /* of BAR0, and bytes between two queues' registers */
	unsigned notify_multiplier;
};

/*
 * Make the transport for @dev. BARs are placed from *@bar_next on, which is
 * moved behind them. @irq_line: PCI_INTERRUPT_LINE; @irq_pin: 0 or 1 (INTA).
 */
void vpci_init(struct vpci *v, const struct vpci_device *dev, const struct vpci_host *host, unsigned irq_line,
	       unsigned irq_pin, uint32_t *bar_next);

/* A used buffer of queue @q is worth an interrupt (in-process devices, and watched call eventfds). */
void vpci_interrupt(struct vpci *v, unsigned q);
/* The device's configuration changed: next generation, configuration interrupt. */
void vpci_config_changed(struct vpci *v);
/* The device is broken until it is reset (2.1.1): DEVICE_NEEDS_RESET, configuration interrupt. */
void vpci_needs_reset(struct vpci *v);

/* How queue @q interrupts now; for VPCI_IRQ_MSI *@addr and *@data are the message. */
enum vpci_irq vpci_queue_irq(const struct vpci *v, unsigned q, uint64_t *addr, uint32_t *data);
/* Where a 16-bit write notifies queue @q; 0: nowhere now. */
uint64_t vpci_notify_address(const struct vpci *v, unsigned q);
static inline bool vpci_has(const struct vpci *v, unsigned bit)
{
	return (v->features >> bit) & 1;
}

#endif
