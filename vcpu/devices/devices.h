/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * All devices of a guest on its PCI bus: console, rng, and one for each helper. Used by the
 * kvm and lguest engines (QEMU has its own devices). Runs in the vCPU process; all
 * functions need the engine's device lock.
 */
#ifndef VCPU_DEVICES_H
#define VCPU_DEVICES_H

#include "vcpu/devices/device.h"

struct devices_place {
	uint32_t bar_base;    /* Lowest guest-physical address for BARs */
	unsigned first_irq;   /* Compact layout (vpci_host.compact): device i has interrupt line first_irq + i */
	unsigned intx_base;   /* Otherwise: slot n has interrupt line intx_base + n % 8 */
	struct pci_dev *last; /* The engine's own device, to put behind all others; NULL: none */
};

/*
 * Create all descriptors, and VFD_EPOLL with VFD_CTL, VFD_CON_IN, VFD_WAKE and the others
 * in it. Runs under the start filter, and reads no data from the guest or a helper. @ds must
 * be zeroed. Returns 0, or -1 with vm->end and vm->end_text set.
 */
int devices_create(struct devices *ds, struct vm *vm, const struct vpci_host *host, void *host_owner);

/*
 * Then, under the loader's filter: negotiate with all helpers and put the devices on the
 * bus. Returns 0, or -1 as above.
 */
int devices_attach(struct devices *ds, const struct devices_place *place);

/*
 * Where device @i stands among the devices on the bus, from 0: NICs come before disks, so that a guest that
 * names them after their slots (enp0s2) keeps the names when it gets another disk.
 */
unsigned devices_position(const struct devices *ds, unsigned i);

/* Handle the event of descriptor @fd of VFD_EPOLL. False if @fd belongs to no device. */
bool devices_event(struct devices *ds, int fd, uint32_t events);
/* Continue work that a budget ended. True if there is still more. */
bool devices_work(struct devices *ds);
/* True if there is such work. After a register access of the guest, the caller then wakes the main thread. */
bool devices_have_work(const struct devices *ds);
/* For vpci_host.rewire: add the call eventfd of queue @q to VFD_EPOLL, or remove it. */
void devices_watch_call(struct device *d, unsigned q, bool on);

#endif
