/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Interface between vpci_cfg.c (PCI), vpci_regs.c (virtio registers) and vpci_irq.c (interrupts). */
#ifndef VCPU_VPCI_PRIVATE_H
#define VCPU_VPCI_PRIVATE_H

#include "vcpu/devices/vpci.h"

/* Offsets in BAR0: normal layout (WIDE) and that of lguest (COMPACT, see vpci_host.compact). */
#define WIDE_ISR       0x1000u
#define WIDE_CONFIG    0x2000u
#define WIDE_NOTIFY    0x3000u
#define WIDE_SIZE      0x4000u
#define COMPACT_NOTIFY 0x38u
#define COMPACT_ISR    0x3au
#define COMPACT_CONFIG 0x3cu
#define COMMON_SIZE    0x38u /* Virtio 1.0; 1.2 adds queue_notify_data and queue_reset */
#define COMMON_SIZE_12 0x3cu
/* BAR1: the vector table, then the pending bit array at MSIX_PBA. */
#define MSIX_BAR_SIZE 0x1000u
#define MSIX_PBA      0x800u

/* Offsets of capabilities in the configuration space; lguest guests expect all but MSI-X at these. */
#define CAP_COMMON 0x40u
#define CAP_NOTIFY 0x50u
#define CAP_ISR	   0x64u
#define CAP_DEVICE 0x74u
#define CAP_PCICFG 0x84u
#define CAP_MSIX   0x98u

#define MSIX_CTRL (CAP_MSIX + PCI_MSIX_FLAGS)

/* Bits of the ISR (4.1.4.5). */
#define ISR_QUEUE  1u
#define ISR_CONFIG 2u

/* vpci_regs.c: reset the device to its state at power-on. */
void vpci_reset(struct vpci *v);
/* vpci_regs.c: accesses of @len (1, 2, 4 or 8) bytes at offset @off of BAR0. */
uint64_t vpci_bar0_read(struct vpci *v, uint64_t off, unsigned len);
void vpci_bar0_write(struct vpci *v, uint64_t off, unsigned len, uint64_t val);

/* vpci_irq.c: call this after a change of the ISR, of MSI-X enable or of the command register. */
void vpci_update_intx(struct vpci *v);
/* Call the engine's rewire(), if it has one. */
void vpci_rewire(struct vpci *v);
/* Send pending interrupts of vectors that are not masked. */
void vpci_send_pending(struct vpci *v);

#endif
