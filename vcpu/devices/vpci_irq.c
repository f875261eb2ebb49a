/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Interrupts of virtio-pci devices: MSI-X vectors with masks and pending bits, INTx and the
 * ISR. Runs in the vCPU process. It makes no system call, and touches no guest memory but
 * the ISR byte.
 */
#include <linux/pci_regs.h>
#include <linux/virtio_config.h>

#include "vcpu/devices/vpci_private.h"

void vpci_rewire(struct vpci *v)
{
	if (v->host->rewire)
		v->host->rewire(v);
}

static bool msix_enabled(const struct vpci *v)
{
	return v->nvectors && (pci_get16(&v->pci, MSIX_CTRL) & PCI_MSIX_FLAGS_ENABLE);
}

static bool masked(const struct vpci *v, unsigned vec)
{
	return (pci_get16(&v->pci, MSIX_CTRL) & PCI_MSIX_FLAGS_MASKALL) ||
	       (v->msix[vec].ctrl & PCI_MSIX_ENTRY_CTRL_MASKBIT);
}

void vpci_update_intx(struct vpci *v)
{
	bool level = v->isr && !msix_enabled(v) && !(pci_get16(&v->pci, PCI_COMMAND) & PCI_COMMAND_INTX_DISABLE);

	/* lguest has edge-triggered lines, so each interrupt must be sent, even if the level is unchanged. */
	if (level == v->intx_level && !(level && v->host->compact))
		return;
	v->intx_level = level;
	v->pci.cfg[PCI_STATUS] &= (uint8_t)~PCI_STATUS_INTERRUPT;
	if (level)
		v->pci.cfg[PCI_STATUS] |= PCI_STATUS_INTERRUPT;
	v->host->intx(v, level);
}

static void send_vector(struct vpci *v, uint16_t vec)
{
	if (vec >= v->nvectors)
		return;
	if (masked(v, vec)) {
		v->pending |= BIT64(vec);
		return;
	}
	v->host->msi(v, (uint64_t)v->msix[vec].addr_hi << 32 | v->msix[vec].addr_lo, v->msix[vec].data);
}

/* PCI 3.0, 6.8.3.4: interrupts that came while a vector was masked are sent when it is unmasked. */
void vpci_send_pending(struct vpci *v)
{
	if (!v->pending || !msix_enabled(v))
		return;
	for (unsigned vec = 0; vec < v->nvectors; vec++) {
		if (!((v->pending >> vec) & 1) || masked(v, vec))
			continue;
		v->pending &= ~BIT64(vec);
		send_vector(v, (uint16_t)vec);
	}
}

void vpci_interrupt(struct vpci *v, unsigned q)
{
	if (!v->running || q >= v->dev->nqueues)
		return;
	if (msix_enabled(v)) {
		send_vector(v, v->queue[q].vector);
		return;
	}
	v->isr |= ISR_QUEUE;
	vpci_update_intx(v);
}

static void config_interrupt(struct vpci *v)
{
	if (!(v->status & VIRTIO_CONFIG_S_DRIVER_OK))
		return;
	if (msix_enabled(v)) {
		send_vector(v, v->config_vector);
		return;
	}
	v->isr |= ISR_CONFIG;
	if (v->isr_byte)
		WRITE_ONCE(*v->isr_byte, ISR_QUEUE | ISR_CONFIG);
	vpci_update_intx(v);
}

void vpci_config_changed(struct vpci *v)
{
	v->generation++;
	config_interrupt(v);
}

void vpci_needs_reset(struct vpci *v)
{
	/* After a reset the driver waits until it reads status 0 (4.1.4.3.1), so do not set a bit. */
	if (!v->status || (v->status & VIRTIO_CONFIG_S_NEEDS_RESET))
		return;
	v->status |= VIRTIO_CONFIG_S_NEEDS_RESET;
	config_interrupt(v);
}

enum vpci_irq vpci_queue_irq(const struct vpci *v, unsigned q, uint64_t *addr, uint32_t *data)
{
	uint16_t vec;

	if (!v->running || q >= v->dev->nqueues || !v->queue[q].enabled)
		return VPCI_IRQ_NONE;
	if (!msix_enabled(v))
		return VPCI_IRQ_INTX;
	vec = v->queue[q].vector;
	if (vec >= v->nvectors)
		return VPCI_IRQ_NONE;
	if (masked(v, vec))
		return VPCI_IRQ_MASKED;
	*addr = (uint64_t)v->msix[vec].addr_hi << 32 | v->msix[vec].addr_lo;
	*data = v->msix[vec].data;
	return VPCI_IRQ_MSI;
}

uint64_t vpci_notify_address(const struct vpci *v, unsigned q)
{
	uint32_t bar = pci_bar_address(&v->pci, 0);

	if (!bar || !v->running || q >= v->dev->nqueues || !v->queue[q].enabled)
		return 0;
	return (uint64_t)bar + v->notify_off + q * v->notify_multiplier;
}
