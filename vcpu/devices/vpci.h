/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The virtio-pci transport (virtio 1.2, clause 4.1; without the legacy interface), as a
 * device on the bus of vcpu/devices/pci.h. Runs in the vCPU process, on the thread of the
 * vCPU that accesses a register. The engine holds its device lock during every call.
 *
 * The transport only emulates registers. What the device does is described by a struct
 * vpci_device; how an interrupt reaches the guest, by a struct vpci_host of the engine.
 */
#ifndef VCPU_VPCI_H
#define VCPU_VPCI_H

#include "common/fdtab.h"
#include "common/shm.h"
#include "vcpu/devices/pci.h"

/* A console has most: two queues for each port, and two for control messages. A NIC has MAX_QUEUES and one. */
#define VPCI_MAX_QUEUES	 (2 * (MAX_PORTS + 1) + 2)
#define VPCI_MAX_VECTORS (VPCI_MAX_QUEUES + 1)
#define VPCI_NO_VECTOR	 0xffff
#define VPCI_CONFIG_MAX	 256 /* Bytes of device configuration */

struct vpci;

/* A queue as the driver has set it up. Size and addresses cannot change once it is enabled, until a reset. */
struct vpci_queue {
	uint16_t max_size;	    /* In entries */
	uint16_t size;		    /* In entries */
	uint16_t vector;	    /* Index in the MSI-X table, or VPCI_NO_VECTOR */
	bool enabled;		    /* The driver has written 1 to queue_enable */
	uint64_t desc, avail, used; /* Guest-physical addresses */
};

/* A device type: its identity, its features and the functions that implement it. */
struct vpci_device {
	const char *name; /* For messages: "blk0" */
	uint16_t type;	  /* Virtio device ID */
	uint32_t class;	  /* PCI class code, 24 bits */
	unsigned nqueues;
	uint16_t queue_max;  /* Largest queue size, in entries */
	unsigned config_len; /* Bytes of the configuration space */
	uint64_t features;   /* Offered features, including VIRTIO_F_VERSION_1 */
	void *owner;
	/* Accesses to bytes [off, off + len) of the configuration space, inside config_len. set_config may be NULL. */
	void (*get_config)(struct vpci *v, unsigned off, void *buf, unsigned len);
	void (*set_config)(struct vpci *v, unsigned off, const void *buf, unsigned len);
	/* The driver set FEATURES_OK, and v->features is final. False to refuse it. May be NULL. */
	bool (*features_ok)(struct vpci *v);
	/* The driver set DRIVER_OK: start every enabled queue. False: the device needs a reset. */
	bool (*start)(struct vpci *v);
	/* The driver enabled a queue after DRIVER_OK (2.6.1 allows it only after a queue reset). May be NULL. */
	bool (*start_queue)(struct vpci *v, unsigned q);
	/* The driver reset one queue (queue_reset, 4.1.4.3.2). NULL: VIRTIO_F_RING_RESET is not offered. */
	void (*stop_queue)(struct vpci *v, unsigned q);
	/* Device reset. On return the device uses no guest memory, unless stopping() is true. */
	void (*stop)(struct vpci *v);
	/* True until a reset is complete; the driver does not read status 0 before. NULL: always complete. */
	bool (*stopping)(const struct vpci *v);
	/* The driver notified queue @q by a register access, which no eventfd handled. */
	void (*notify)(struct vpci *v, unsigned q);
};

/* What depends on the engine: the register layout, and how to interrupt the guest. */
struct vpci_host {
	/*
	 * Register layout for lguest on Linux 4.x: only BAR0, with the common configuration at
	 * 0x00, one 16-bit notify register for all queues at 0x38, ISR at 0x3a and device
	 * configuration at 0x3c; no MSI-X. Otherwise BAR0 has a page for each of them, and
	 * BAR1 holds the MSI-X tables.
	 */
	bool compact;
	/* Set the level of the device's INTx line. It is never raised while MSI-X is enabled. */
	void (*intx)(struct vpci *v, bool level);
	/* Send an MSI message. NULL if there is no MSI-X. */
	void (*msi)(struct vpci *v, uint64_t addr, uint32_t data);
	/*
	 * Returns a byte in guest memory that the driver reads as the ISR, without an exit to
	 * this process, and its guest-physical address in *@gpa (a multiple of 16; the next 15
	 * bytes are unused). The byte always reports an interrupt. That is right if devices do
	 * not share the line; if they do, each driver checks its rings in vain. NULL, or a
	 * result of NULL: the ISR is a register.
	 */
	uint8_t *(*isr_byte)(struct vpci *v, uint32_t *gpa);
	/*
	 * Called after a change of the interrupts (vectors, masks, MSI-X enable, device start
	 * and reset) or of the notify addresses: update the eventfds to vpci_queue_irq() and
	 * vpci_notify_address(). May be NULL.
	 */
	void (*rewire)(struct vpci *v);
};

_Static_assert(VPCI_MAX_QUEUES > MAX_QUEUES, "a NIC's queues and its control queue");
_Static_assert(VPCI_MAX_VECTORS <= 64, "a vector has a bit of vpci.pending");

enum vpci_irq { VPCI_IRQ_NONE, VPCI_IRQ_INTX, VPCI_IRQ_MASKED, VPCI_IRQ_MSI };

struct vpci {
	struct pci_dev pci;
	const struct vpci_device *dev;
	const struct vpci_host *host;
	void *host_owner;  /* For the engine's own use */
	unsigned index;	   /* Number of the device in the engine */
	unsigned irq_line; /* Interrupt line in use; the guest may write another value to the register */

	uint8_t status, generation, isr;
	uint8_t *isr_byte; /* Result of vpci_host.isr_byte(), or NULL */
	uint32_t device_feature_select, driver_feature_select;
	uint64_t features;	  /* Features in use, set at FEATURES_OK */
	uint64_t driver_features; /* Features that the driver has written, not checked */
	uint16_t queue_select, config_vector;
	struct vpci_queue queue[VPCI_MAX_QUEUES];
	bool running;	 /* Between DRIVER_OK and a reset */
	bool intx_level; /* Level of the INTx line that this device wants */
	bool refused;	 /* The driver has written feature bits above 63 */

	unsigned nvectors;
	struct {
		uint32_t addr_lo, addr_hi, data, ctrl;
	} msix[VPCI_MAX_VECTORS];
	uint64_t pending;	    /* Pending bit array of MSI-X */
	unsigned notify_off;	    /* Offset of the notify registers in BAR0 */
	unsigned notify_multiplier; /* Bytes from one queue's notify register to the next; 0: one for all */
};

/*
 * Initialise the transport for @dev, which must stay valid. Its BARs are placed at *@bar_next
 * and above; *@bar_next is moved behind them. @irq_line: initial value of
 * PCI_INTERRUPT_LINE. @irq_pin: 0 (none) or 1 (INTA).
 */
void vpci_init(struct vpci *v, const struct vpci_device *dev, const struct vpci_host *host, unsigned irq_line,
	       unsigned irq_pin, uint32_t *bar_next);

/* Interrupt the driver because of queue @q. */
void vpci_interrupt(struct vpci *v, unsigned q);
/* The configuration space has changed: increment its generation and interrupt the driver. */
void vpci_config_changed(struct vpci *v);
/* The device does not work until it is reset (2.1.1): set DEVICE_NEEDS_RESET and interrupt the driver. */
void vpci_needs_reset(struct vpci *v);

/* How queue @q interrupts the driver now. VPCI_IRQ_MSI: the message is *@addr, *@data. */
enum vpci_irq vpci_queue_irq(const struct vpci *v, unsigned q, uint64_t *addr, uint32_t *data);
/* The guest-physical address of the notify register of queue @q; 0 if it has none now. */
uint64_t vpci_notify_address(const struct vpci *v, unsigned q);
static inline bool vpci_has(const struct vpci *v, unsigned bit)
{
	return (v->features >> bit) & 1;
}

#endif
