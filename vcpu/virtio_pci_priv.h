/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Between virtio_pci.c (PCI side, interrupts) and virtio_pci_regs.c (the virtio registers). vCPU process. */
#ifndef VCPU_VIRTIO_PCI_PRIV_H
#define VCPU_VIRTIO_PCI_PRIV_H

#include "vcpu/virtio_pci.h"

/* Offsets in BAR0. */
#define WIDE_ISR       0x1000u
#define WIDE_CONFIG    0x2000u
#define WIDE_NOTIFY    0x3000u
#define WIDE_SIZE      0x4000u
#define COMPACT_NOTIFY 0x38u
#define COMPACT_ISR    0x3au
#define COMPACT_CONFIG 0x3cu
#define COMMON_SIZE    0x38u /* virtio 1.0; 1.2 adds notify data and queue reset */
#define COMMON_SIZE_12 0x3cu
/* BAR1 */
#define MSIX_BAR_SIZE 0x1000u
#define MSIX_PBA      0x800u

/* Offsets in configuration space; those of common to pci_cfg are what lguest guests expect. */
#define CAP_COMMON 0x40u
#define CAP_NOTIFY 0x50u
#define CAP_ISR	   0x64u
#define CAP_DEVICE 0x74u
#define CAP_PCICFG 0x84u
#define CAP_MSIX   0x98u

/* Everything as at power-on. */
void vpci_reset(struct vpci *v);
uint64_t vpci_bar0_read(struct vpci *v, uint64_t off, unsigned len);
void vpci_bar0_write(struct vpci *v, uint64_t off, unsigned len, uint64_t val);
/* The ISR changed, or what gates it: bring the INTx line in line. */
void vpci_update_intx(struct vpci *v);
void vpci_rewire(struct vpci *v);

#endif
