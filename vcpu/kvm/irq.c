/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Connects the guest's notify registers and interrupts to eventfds inside KVM, so that
 * neither needs this process: an ioeventfd for each notify register, an irqfd and an MSI
 * route for each queue. Runs in the vCPU process, under the device lock, whenever the driver
 * changes them.
 */
#include <sys/ioctl.h>

#include "vcpu/kvm/irq.h"
#include "vcpu/kvm/kvm.h"
#include "vcpu/vm.h"

#define IOAPIC_PINS 24
#define PIC_PINS    8
#define MAX_ROUTES  (IOAPIC_PINS + 2 * PIC_PINS + MAX_DEVICES * MAX_QUEUES)

static union {
	struct kvm_irq_routing r;
	char room[sizeof(struct kvm_irq_routing) + MAX_ROUTES * sizeof(struct kvm_irq_routing_entry)];
} table;

static unsigned fixed_routes; /* Number of routes for pins of the interrupt controllers */

static void pin(unsigned gsi, unsigned chip, unsigned p)
{
	table.r.entries[table.r.nr++] = (struct kvm_irq_routing_entry){
		.gsi = gsi,
		.type = KVM_IRQ_ROUTING_IRQCHIP,
		.u.irqchip = { .irqchip = chip, .pin = p },
	};
}

static unsigned gsi_of(const struct device *d, unsigned q)
{
	return KVM_GSI_MSI + d->helper * MAX_QUEUES + q;
}

/* Give KVM the whole routing table: the pins, and the MSI message of every queue that has one. */
static int set_routes(struct kvm *k)
{
	table.r.nr = fixed_routes;
	for (unsigned i = 0; i < k->devices.n; i++) {
		const struct device *d = &k->devices.dev[i];

		for (unsigned q = 0; d->type == DEVICE_BACKED && q < d->front.nqueues; q++) {
			const struct kvm_wire *w = &k->wire[d->helper][q];

			if (!w->routed)
				continue;
			table.r.entries[table.r.nr++] = (struct kvm_irq_routing_entry){
				.gsi = gsi_of(d, q),
				.type = KVM_IRQ_ROUTING_MSI,
				.u.msi = { .address_lo = (uint32_t)w->addr,
					   .address_hi = (uint32_t)(w->addr >> 32),
					   .data = w->data },
			};
		}
	}
	return ioctl(VFD_VM, KVM_SET_GSI_ROUTING, &table.r);
}

int kvm_irq_init(struct kvm *k)
{
	for (unsigned i = 0; i < IOAPIC_PINS; i++) {
		/*
		 * As on every PC, the timer is line 0 of the PIC and pin 2 of the I/O APIC. A guest that uses the PIC
		 * does not read the table that says what the generation ID's interrupt is.
		 */
		if (i < 2 * PIC_PINS && i != 2 && i != PC_VMGENID_IRQ)
			pin(i, i < PIC_PINS ? KVM_IRQCHIP_PIC_MASTER : KVM_IRQCHIP_PIC_SLAVE, i % PIC_PINS);
		if (i != 2)
			pin(i, KVM_IRQCHIP_IOAPIC, i == 0 ? 2 : i);
	}
	fixed_routes = table.r.nr;
	if (set_routes(k) < 0)
		return vm_fail(k->vm, GUEST_ENGINE_FAILED, "KVM_SET_GSI_ROUTING: %m");
	return 0;
}

void kvm_irq_line(unsigned gsi, bool level)
{
	struct kvm_irq_level l = { .irq = gsi, .level = level };

	(void)!ioctl(VFD_VM, KVM_IRQ_LINE, &l);
}

static bool irqfd(unsigned gsi, int fd, bool on)
{
	struct kvm_irqfd i = { .fd = (uint32_t)fd, .gsi = gsi, .flags = on ? 0 : KVM_IRQFD_FLAG_DEASSIGN };

	return ioctl(VFD_VM, KVM_IRQFD, &i) == 0;
}

/*
 * Connect the notify register at @addr to the eventfd @fd, or disconnect it. Length 0, if
 * KVM supports it, matches any access width and is faster, because KVM need not decode the
 * instruction.
 */
static bool ioevent(const struct kvm *k, uint64_t addr, int fd, bool on)
{
	struct kvm_ioeventfd i = {
		.addr = addr, .len = k->any_length ? 0 : 2, .fd = fd, .flags = on ? 0 : KVM_IOEVENTFD_FLAG_DEASSIGN
	};

	return ioctl(VFD_VM, KVM_IOEVENTFD, &i) == 0;
}

/*
 * Move the notify register of a queue to @addr (0: none). If KVM refuses, because two BARs
 * overlap, notifications arrive as exits to this process instead.
 */
static void wire_notify(const struct kvm *k, struct kvm_wire *w, uint64_t addr, int fd)
{
	if (w->notify == addr)
		return;
	if (w->ioevent)
		ioevent(k, w->notify, fd, false);
	w->ioevent = addr && ioevent(k, addr, fd, true);
	w->notify = addr;
}

/* Determine how queue @q interrupts. True if its MSI message has changed, so that routes must be set. */
static bool plan_queue(struct device *d, unsigned q, struct kvm_wire *w, enum vpci_irq *how)
{
	uint64_t addr = 0;
	uint32_t data = 0;
	bool change;

	*how = d->front.running[q] ? vpci_queue_irq(&d->v, q, &addr, &data) : VPCI_IRQ_NONE;
	if (*how != VPCI_IRQ_MSI)
		return false;
	change = !w->routed || w->addr != addr || w->data != data;
	w->routed = true;
	w->addr = addr;
	w->data = data;
	return change;
}

static void wire_queue(struct device *d, unsigned q, struct kvm_wire *w, enum vpci_irq how)
{
	bool direct = how == VPCI_IRQ_MSI;
	int call = device_call_fd(d, q);

	if (direct && !w->irqfd) {
		devices_watch_call(d, q, false);
		w->irqfd = irqfd(gsi_of(d, q), call, true);
		/* If the eventfd was signalled before, KVM sends the interrupt at once. */
	} else if (!direct && w->irqfd) {
		irqfd(gsi_of(d, q), call, false);
		w->irqfd = false;
	}
	devices_watch_call(d, q, how == VPCI_IRQ_INTX || how == VPCI_IRQ_MASKED || (direct && !w->irqfd));
}

void kvm_irq_unwire(struct kvm *k)
{
	for (unsigned i = 0; i < k->devices.n; i++) {
		struct device *d = &k->devices.dev[i];

		for (unsigned q = 0; d->type == DEVICE_BACKED && q < d->front.nqueues; q++) {
			struct kvm_wire *w = &k->wire[d->helper][q];

			if (w->irqfd)
				irqfd(gsi_of(d, q), device_call_fd(d, q), false);
			w->irqfd = false;
		}
	}
}

static void rewire_helper(struct kvm *k, struct device *d)
{
	enum vpci_irq how[MAX_QUEUES] = { VPCI_IRQ_NONE };
	bool routes = false;

	for (unsigned q = 0; q < d->front.nqueues; q++)
		routes |= plan_queue(d, q, &k->wire[d->helper][q], &how[q]);
	/* If KVM refuses the guest's MSI message, the queue has no interrupts, which harms only the guest. */
	if (routes)
		(void)!set_routes(k);
	for (unsigned q = 0; q < d->front.nqueues; q++) {
		struct kvm_wire *w = &k->wire[d->helper][q];

		wire_notify(k, w, d->front.running[q] ? vpci_notify_address(&d->v, q) : 0, device_kick_fd(d, q));
		wire_queue(d, q, w, how[q]);
	}
}

static void rewire(struct vpci *v)
{
	struct kvm *k = v->host_owner;
	struct device *d = (struct device *)v;
	unsigned own = d->type == DEVICE_RNG ? OWN_RNG : OWN_CONSOLE_RX;

	if (d->type == DEVICE_BACKED) {
		rewire_helper(k, d);
		return;
	}
	for (unsigned q = 0; q < d->desc.nqueues; q++)
		wire_notify(k, &k->own_wire[own + q], vpci_notify_address(v, q), VFD_OWNKICK0 + (int)(own + q));
}

/* Several slots share an interrupt line: it is high while any of them wants it. */
static void intx(struct vpci *v, bool level)
{
	struct kvm *k = v->host_owner;

	for (unsigned i = 0; i < k->devices.n; i++) {
		const struct vpci *other = &k->devices.dev[i].v;

		level |= other->intx_level && other->irq_line == v->irq_line;
	}
	kvm_irq_line(v->irq_line, level);
}

static void msi(struct vpci *v, uint64_t addr, uint32_t data)
{
	struct kvm_msi m = { .address_lo = (uint32_t)addr, .address_hi = (uint32_t)(addr >> 32), .data = data };

	/* KVM refuses an invalid address or vector, which harms only the guest. */
	(void)v;
	(void)!ioctl(VFD_VM, KVM_SIGNAL_MSI, &m);
}

/*
 * As a message to the local APIC with ID 0 (Intel SDM volume 3, 11.11: physical destination; delivery mode NMI).
 * KVM_NMI on VFD_VCPU0 would wait until that CPU leaves KVM_RUN, for ever if it sleeps in HLT. Only the first CPU gets
 * it: an NMI wakes a CPU that was never started, and KVM_RUN then returns EAGAIN without end.
 */
void kvm_nmi(void)
{
	struct kvm_msi m = { .address_lo = 0xfee00000, .data = 4 << 8 };

	(void)!ioctl(VFD_VM, KVM_SIGNAL_MSI, &m);
}

const struct vpci_host kvm_vpci_host = {
	.intx = intx,
	.msi = msi,
	.rewire = rewire,
};
