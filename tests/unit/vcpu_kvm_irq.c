/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Whatever a driver does, and in whatever order, exactly the currently valid doorbells and
 * interrupts are registered with the kernel: one eventfd for each, and none left over from a
 * reset, a move or a mask. Uses a test double of KVM's three ioctls.
 */
#include <errno.h>
#include <linux/pci_regs.h>
#include <linux/virtio_config.h>
#include <linux/virtio_pci.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

#include "vcpu/kvm/irq.h"
#include "vcpu/kvm/kvm.h"

#define DEVICES 3
#define QUEUES	3
#define STEPS	40000

/* ---- the test double: KVM's state, and its rejections (virt/kvm/eventfd.c) ---- */

static struct {
	bool on;
	uint64_t addr;
	int fd;
} bell[64];
static struct {
	bool on;
	uint32_t gsi;
	int fd;
} irq[64];
static struct {
	bool on;
	uint64_t addr;
	uint32_t data;
} route[KVM_GSI_MSI + MAX_DEVICES * MAX_QUEUES];
static unsigned strays; /* taken back without having been there, or there twice */

static int refuse(int error)
{
	errno = error;
	return -1;
}

static int ioevent(const struct kvm_ioeventfd *i)
{
	bool off = i->flags & KVM_IOEVENTFD_FLAG_DEASSIGN;
	unsigned at = ARRAY_SIZE(bell);

	assert_int_equal(i->flags & ~KVM_IOEVENTFD_FLAG_DEASSIGN, 0);
	for (unsigned n = 0; n < ARRAY_SIZE(bell); n++) {
		if (bell[n].on && bell[n].addr == i->addr && (!off || bell[n].fd == i->fd)) {
			if (!off)
				return refuse(EEXIST);
			bell[n].on = false;
			return 0;
		}
		if (!bell[n].on)
			at = n;
	}
	strays += off;
	if (off)
		return refuse(ENOENT);
	assert_true(at < ARRAY_SIZE(bell)); /* a leak */
	bell[at].on = true;
	bell[at].addr = i->addr;
	bell[at].fd = i->fd;
	return 0;
}

static int irqfd(const struct kvm_irqfd *i)
{
	bool off = i->flags & KVM_IRQFD_FLAG_DEASSIGN;
	unsigned at = ARRAY_SIZE(irq);

	for (unsigned n = 0; n < ARRAY_SIZE(irq); n++) {
		if (irq[n].on && irq[n].fd == (int)i->fd) {
			strays += !off || irq[n].gsi != i->gsi;
			irq[n].on = !off;
			return off ? 0 : refuse(EBUSY);
		}
		if (!irq[n].on)
			at = n;
	}
	strays += off;
	if (off)
		return 0;
	assert_true(at < ARRAY_SIZE(irq));
	irq[at].on = true;
	irq[at].gsi = i->gsi;
	irq[at].fd = (int)i->fd;
	return 0;
}

static int routing(const struct kvm_irq_routing *r)
{
	memset(route, 0, sizeof(route));
	for (unsigned n = 0; n < r->nr; n++) {
		const struct kvm_irq_routing_entry *e = &r->entries[n];

		if (e->type != KVM_IRQ_ROUTING_MSI)
			continue;
		assert_true(e->gsi >= KVM_GSI_MSI && e->gsi < ARRAY_SIZE(route));
		route[e->gsi].on = true;
		route[e->gsi].addr = (uint64_t)e->u.msi.address_hi << 32 | e->u.msi.address_lo;
		route[e->gsi].data = e->u.msi.data;
	}
	return 0;
}

static struct kvm_msi signalled; /* the last message */

/* Takes libc's place in this program. */
int ioctl(int fd, unsigned long request, ...)
{
	va_list ap;
	const void *arg;

	va_start(ap, request);
	arg = va_arg(ap, const void *);
	va_end(ap);
	if (fd != VFD_VM)
		return refuse(ENOTTY);
	switch (request) {
	case KVM_IOEVENTFD:
		return ioevent(arg);
	case KVM_IRQFD:
		return irqfd(arg);
	case KVM_SET_GSI_ROUTING:
		return routing(arg);
	case KVM_SIGNAL_MSI:
		signalled = *(const struct kvm_msi *)arg;
		return 0;
	default: /* KVM_IRQ_LINE */
		return 0;
	}
}

/* ---- devices whose helper always accepts the driver's settings ---- */

static struct kvm k;
static struct vm vm;

static bool start_queue(struct vpci *v, unsigned q)
{
	((struct device *)v)->front.running[q] = true;
	return true;
}

static bool start(struct vpci *v)
{
	for (unsigned q = 0; q < QUEUES; q++)
		if (v->queue[q].enabled)
			start_queue(v, q);
	return true;
}

static void stop_queue(struct vpci *v, unsigned q)
{
	((struct device *)v)->front.running[q] = false;
}

static void stop(struct vpci *v)
{
	memset(((struct device *)v)->front.running, 0, sizeof(bool) * QUEUES);
}

static void notify(struct vpci *v, unsigned q)
{
	(void)v;
	(void)q;
}

static void get_config(struct vpci *v, unsigned off, void *buf, unsigned len)
{
	(void)v;
	(void)off;
	memset(buf, 0, len);
}

static const struct vpci_device helper = {
	.name = "test",
	.type = 2,
	.class = 0x018000,
	.nqueues = QUEUES,
	.queue_max = 256,
	.config_len = 8,
	.features = BIT64(VIRTIO_F_VERSION_1) | BIT64(VIRTIO_F_RING_RESET),
	.get_config = get_config,
	.start = start,
	.start_queue = start_queue,
	.stop_queue = stop_queue,
	.stop = stop,
	.notify = notify,
};

static void at_number(int fd, int number)
{
	assert_int_equal(dup2(fd, number), number);
	close(fd);
}

static int once(void **state)
{
	const struct rlimit room = { VFD_LIMIT, VFD_LIMIT };
	uint32_t next = KVM_PCI_BASE;

	(void)state;
	if (setrlimit(RLIMIT_NOFILE, &room) < 0)
		return -1;
	at_number(epoll_create1(0), VFD_EPOLL);
	k.vm = &vm;
	k.any_length = true;
	assert_int_equal(kvm_irq_init(&k), 0);
	for (unsigned i = 0; i < DEVICES; i++) {
		struct device *d = &k.devices.dev[k.devices.n++];

		d->all = &k.devices;
		d->type = DEVICE_BACKED;
		d->helper = i;
		d->desc = helper;
		d->front.nqueues = QUEUES;
		for (unsigned q = 0; q < QUEUES; q++)
			at_number(eventfd(0, EFD_NONBLOCK), device_call_fd(d, q));
		d->v.host_owner = &k;
		d->v.index = i;
		vpci_init(&d->v, &d->desc, &kvm_vpci_host, KVM_GSI_INTX + i, 1, &next);
		pci_attach(&k.devices.bus, PCI_DEVFN(1 + i, 0), &d->v.pci);
	}
	return 0;
}

/* ---- a driver that does anything ---- */

static uint32_t seed;

static unsigned any(unsigned n)
{
	seed = seed * 1664525 + 1013904223;
	return (seed >> 16) % n;
}

static void cfg(unsigned d, unsigned reg, unsigned len, uint32_t v)
{
	pci_port_out(&k.devices.bus, PCI_PORT_ADDRESS, 4, 0x80000000 | (1 + d) << 11 | (reg & 0xfc));
	pci_port_out(&k.devices.bus, (uint16_t)(PCI_PORT_DATA + (reg & 3)), len, v);
}

/* Registers are reached even where the BAR answers nowhere, or under another's. */
static void common(struct vpci *v, unsigned off, unsigned len, uint32_t val)
{
	v->pci.ops->bar_write(&v->pci, 0, off, len, val);
}

static void begin(struct vpci *v)
{
	common(v, VIRTIO_PCI_COMMON_STATUS, 1, 0);
	common(v, VIRTIO_PCI_COMMON_STATUS, 1, 3);
	common(v, VIRTIO_PCI_COMMON_GFSELECT, 4, 1);
	common(v, VIRTIO_PCI_COMMON_GF, 4, 1 | 1u << (VIRTIO_F_RING_RESET - 32));
	common(v, VIRTIO_PCI_COMMON_STATUS, 1, 11);
}

static void step(unsigned d)
{
	static const uint32_t place[] = { 0xd0000000, 0xd0004000, 0xe0000000, 0xe0000000, 0, 0xffffffff };
	struct vpci *v = &k.devices.dev[d].v;

	common(v, VIRTIO_PCI_COMMON_Q_SELECT, 2, any(QUEUES + 1));
	switch (any(12)) {
	case 0:
		if (any(8) == 0)
			common(v, VIRTIO_PCI_COMMON_STATUS, 1, 0);
		break;
	case 1:
		if (any(8) == 0 || !v->status)
			begin(v);
		break;
	case 2:
	case 3:
		common(v, VIRTIO_PCI_COMMON_Q_ENABLE, 2, 1);
		break;
	case 4:
		if (any(4) == 0)
			common(v, 0x3a, 2, 1); /* queue_reset */
		break;
	case 5:
	case 6:
		common(v, VIRTIO_PCI_COMMON_STATUS, 1, 15);
		break;
	case 7:
		common(v, VIRTIO_PCI_COMMON_Q_MSIX, 2, any(QUEUES + 3));
		break;
	case 8:
		v->pci.ops->bar_write(&v->pci, 1, 16 * any(QUEUES + 2) + 4 * any(4), 4, any(4) ? 0 : any(3));
		break;
	case 9:
		cfg(d, 0x9a, 2, (any(4) ? 2 : any(4)) << 14); /* MSI-X enable, mask all */
		break;
	case 10:
		cfg(d, PCI_BASE_ADDRESS_0 + 4 * any(2), 4, place[any(ARRAY_SIZE(place))]);
		break;
	default:
		cfg(d, PCI_COMMAND, 2, any(4) ? PCI_COMMAND_MEMORY : 0);
		break;
	}
}

/* True if the doorbell of a running queue is at @addr and signals @fd. */
static bool answers(uint64_t addr, int fd)
{
	for (unsigned d = 0; d < DEVICES; d++)
		for (unsigned q = 0; q < QUEUES; q++)
			if (device_kick_fd(&k.devices.dev[d], q) == fd)
				return k.devices.dev[d].front.running[q] &&
				       vpci_notify_address(&k.devices.dev[d].v, q) == addr;
	return false;
}

static bool has_irq(int fd, unsigned *gsi)
{
	for (unsigned n = 0; n < ARRAY_SIZE(irq); n++)
		if (irq[n].on && irq[n].fd == fd) {
			*gsi = irq[n].gsi;
			return true;
		}
	return false;
}

static void all_is_as_it_should_be(void)
{
	for (unsigned n = 0; n < ARRAY_SIZE(bell); n++)
		assert_true(!bell[n].on || answers(bell[n].addr, bell[n].fd));
	for (unsigned d = 0; d < DEVICES; d++)
		for (unsigned q = 0; q < QUEUES; q++) {
			struct device *dev = &k.devices.dev[d];
			uint64_t addr = 0;
			uint32_t data = 0;
			unsigned gsi = 0;
			enum vpci_irq how =
				dev->front.running[q] ? vpci_queue_irq(&dev->v, q, &addr, &data) : VPCI_IRQ_NONE;

			assert_int_equal(has_irq(device_call_fd(dev, q), &gsi), how == VPCI_IRQ_MSI);
			assert_int_equal(dev->watching[q], how == VPCI_IRQ_INTX || how == VPCI_IRQ_MASKED);
			if (how == VPCI_IRQ_MSI)
				assert_true(route[gsi].on && route[gsi].addr == addr && route[gsi].data == data);
		}
	assert_int_equal(strays, 0);
}

static unsigned count(bool bells)
{
	unsigned n = 0;

	for (unsigned i = 0; i < ARRAY_SIZE(bell); i++)
		n += bells ? bell[i].on : irq[i].on;
	return n;
}

static void any_order(void **state)
{
	unsigned most_bells = 0, most_irqs = 0;

	(void)state;
	for (unsigned i = 0; i < STEPS; i++) {
		step(any(DEVICES));
		all_is_as_it_should_be();
		most_bells = MAX(most_bells, count(true));
		most_irqs = MAX(most_irqs, count(false));
	}
	/* it did come to something */
	assert_true(most_bells >= 2 * QUEUES && most_irqs >= 4);
	for (unsigned d = 0; d < DEVICES; d++)
		common(&k.devices.dev[d].v, VIRTIO_PCI_COMMON_STATUS, 1, 0);
	all_is_as_it_should_be();
	assert_int_equal(count(true) + count(false), 0);
}

/* A correct driver that restarts repeatedly: each time, the kernel handles all doorbells and interrupts. */
static void again_and_again(void **state)
{
	(void)state;
	for (unsigned d = 0; d < DEVICES; d++) {
		cfg(d, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
		cfg(d, PCI_BASE_ADDRESS_0, 4, KVM_PCI_BASE + 0x10000 * d);
		cfg(d, 0x9a, 2, PCI_MSIX_FLAGS_ENABLE);
	}
	for (unsigned i = 0; i < 3000; i++) {
		for (unsigned d = 0; d < DEVICES; d++) {
			struct vpci *v = &k.devices.dev[d].v;

			begin(v);
			for (unsigned q = 0; q < QUEUES; q++) {
				v->pci.ops->bar_write(&v->pci, 1, 16 * (q + 1) + 8, 4, i + q);
				v->pci.ops->bar_write(&v->pci, 1, 16 * (q + 1) + 12, 4, 0);
				common(v, VIRTIO_PCI_COMMON_Q_SELECT, 2, q);
				common(v, VIRTIO_PCI_COMMON_Q_MSIX, 2, q + 1);
				common(v, VIRTIO_PCI_COMMON_Q_ENABLE, 2, 1);
			}
			common(v, VIRTIO_PCI_COMMON_STATUS, 1, 15);
		}
		assert_int_equal(count(true), DEVICES * QUEUES);
		assert_int_equal(count(false), DEVICES * QUEUES);
		all_is_as_it_should_be();
	}
}

/* Intel SDM, volume 3, 11.11: to the local APIC 0, physically, delivery mode NMI, edge. */
static void an_nmi_is_for_the_first_cpu(void **state)
{
	(void)state;
	kvm_nmi();
	assert_int_equal(signalled.address_hi, 0);
	assert_int_equal(signalled.address_lo, 0xfee00000);
	assert_int_equal(signalled.data, 0x400);
	assert_int_equal(signalled.flags, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(any_order),
		cmocka_unit_test(again_and_again),
		cmocka_unit_test(an_nmi_is_for_the_first_cpu),
	};

	return cmocka_run_group_tests(tests, once, NULL);
}
