/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Interrupts and notifications of the kvm engine. */
#ifndef VCPU_KVM_IRQ_H
#define VCPU_KVM_IRQ_H

#include "vcpu/kvm/kvm.h"

/* How virtio-pci devices interrupt a guest of the kvm engine. */
extern const struct vpci_host kvm_vpci_host;

/* Set up the routes of the interrupt controllers. Returns 0, or -1 with vm->end and vm->end_text set. */
int kvm_irq_init(struct kvm *k);
/*
 * Disconnect the interrupts of all queues of helpers: when this returns, KVM has sent every interrupt that a helper has
 * asked for. vpci_host.rewire connects them again.
 */
void kvm_irq_unwire(struct kvm *k);
/* Set the level of an interrupt line. */
void kvm_irq_line(unsigned gsi, bool level);
/* Send a non-maskable interrupt to the first CPU, as the NMI button of a PC does. */
void kvm_nmi(void);

#endif
