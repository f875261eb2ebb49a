/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The PCI and virtio registers of a saved device, as records. What is read may have been made by anyone: nothing is
 * accepted that writes of a guest could not have led to. Runs in the vCPU process under the device lock.
 */
#ifndef VCPU_VPCI_SAVED_H
#define VCPU_VPCI_SAVED_H

#include "vcpu/devices/records.h"
#include "vcpu/devices/vpci.h"

/*
 * The configuration space of @d, as record @index. When reading, what the guest cannot change must be the same
 * already. Returns false with r->error set.
 */
bool saved_pci(struct records *r, unsigned index, struct pci_dev *d);
/*
 * The configuration space and registers of @v, which must be as after vpci_init() when reading. The interrupt line
 * and the engine's eventfds follow them; no queue is started. *@offered: the features that the guest was offered,
 * which can differ in VIRTIO_CONSOLE_F_SIZE. Returns false with r->error set.
 */
bool saved_vpci(struct records *r, struct vpci *v, uint64_t *offered);

#endif
