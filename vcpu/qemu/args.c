/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * QEMU's command line. Runs in the vCPU process before QEMU is executed. Text that a user
 * chose must not become part of an option with commas, because it could add settings to
 * it. So the kernel command line is a word of its own, names of ports are restricted
 * (name_is_plain()), and everything else is numbers.
 *
 * Works with QEMU 7.2 (Debian 12) to 10 (Debian 13). A comment at each option gives its
 * reason. The order of devices is the order of PCI slots, and so that of vda, vdb, eth0 in
 * the guest.
 */
#include <string.h>

#include "common/fmt.h"
#include "common/machine.h"
#include "vcpu/qemu/args.h"
#include "vcpu/qemu/machine.h"
#include "vcpu/qemu/words.h"

/* The first ALONE devices have a PCI slot each; the others are functions of SHARED_SLOT. */
#define ALONE	     24
#define SHARED_SLOT  0x1a /* The first slot that the others leave free */
#define PLACE_LENGTH 40
_Static_assert(MAX_DEVICES - ALONE <= 8, "a slot has 8 functions");

/*
 * For bytes not QEMU's own device: it makes an exit status of the guest's number, in which one bit is lost. The
 * other takes no access but of a byte.
 */
static void add_exit_port(struct qemu_args *a, enum exit_port kind, unsigned base)
{
	if (kind == EXIT_PORT_BYTE) {
		qemu_add(a, "-chardev");
		qemu_add(a, "socket,id=exit,fd=%d", VFD_EXIT);
		qemu_add(a, "-device");
		qemu_add(a, "isa-debugcon,iobase=0x%x,readback=0,chardev=exit", base);
	} else if (kind == EXIT_PORT_ISA_DEBUG_EXIT) {
		qemu_add(a, "-device");
		qemu_add(a, "isa-debug-exit,iobase=0x%x,iosize=4", base);
	}
}

static void add_console(struct qemu_args *a, const struct vcpu_config *c, bool serial, bool monitor)
{
	qemu_add(a, "-chardev"); /* Standard input and output: VFD_CON_IN and VFD_CON_OUT */
	qemu_add(a, "stdio,id=con,signal=off");
	if (serial) {
		qemu_add(a, "-chardev");
		qemu_add(a, "socket,id=other,fd=%d", VFD_SERIAL);
	} else {
		qemu_add(a, "-chardev");
		qemu_add(a, "null,id=other");
	}
	qemu_add(a, "-serial");
	qemu_add(a, "chardev:%s", c->console_is_serial ? "con" : "other");
	qemu_add(a, "-device");
	/*
	 * A console device with only one port has no control messages, by which the driver
	 * reports that it has opened the port; input before that would be lost. So configure
	 * at least two. With an id, QEMU reports the opening as the event VSERPORT_CHANGE.
	 */
	qemu_add(a, "virtio-serial-pci,disable-legacy=on,max_ports=%u,id=serial", c->nports + 2u);
	qemu_add(a, "-device");
	qemu_add(a, "virtconsole,chardev=%s,id=hvc0", c->console_is_serial ? "other" : "con");
	add_exit_port(a, c->exit_port, c->exit_base);
	if (monitor) {
		qemu_add(a, "-chardev");
		qemu_add(a, "socket,id=mon,fd=%d", VFD_MONITOR);
		qemu_add(a, "-mon");
		qemu_add(a, "chardev=mon,mode=control");
	}
}

/* A port's name becomes part of an option, so it may have only letters, digits and "-_.". */
static bool name_is_plain(const char *name)
{
	return *name && !name[strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.")];
}

/*
 * Add the named ports, from number 1 on. They have no id, so QEMU sends no events for them. If the
 * socket is full, QEMU leaves the guest's output in the port's queue.
 */
static void add_ports(struct qemu_args *a, const struct vcpu_config *c)
{
	for (unsigned i = 0; i < c->nports && i < MAX_PORTS; i++) {
		if (!name_is_plain(c->port[i])) {
			a->full = true;
			return;
		}
		qemu_add(a, "-chardev");
		qemu_add(a, "socket,id=p%u,fd=%u", i, VFD_PORT0 + 2 * i);
		qemu_add(a, "-device");
		qemu_add(a, "virtserialport,bus=serial.0,nr=%u,chardev=p%u,name=%s", i + 1, i, c->port[i]);
	}
}

/* The setting for the PCI address of the device at position @at. Empty for the first ALONE, which QEMU numbers. */
static const char *place(unsigned at, char text[PLACE_LENGTH])
{
	text[0] = '\0';
	if (at >= ALONE)
		fmt_line(text, PLACE_LENGTH, ",addr=0x%x.%u,multifunction=on", SHARED_SLOT, at - ALONE);
	return text;
}

static void add_disk_channel(struct qemu_args *a, const struct vcpu_device *d, unsigned i)
{
	qemu_add(a, "-chardev");
	if (d->listening)
		qemu_add(a, "socket,id=c%u,path=/blk%u.sock,reconnect=1", i, d->index);
	else
		qemu_add(a, "socket,id=c%u,fd=%d", i, VFD_FRONT0 + (int)i);
}

/* Add a disk as virtio-mmio device number @slot. Bus 0 is the first in the device tree. */
static void add_mmio_disk(struct qemu_args *a, const struct vcpu_device *d, unsigned i, unsigned slot)
{
	add_disk_channel(a, d, i);
	qemu_add(a, "-device");
	qemu_add(a, "vhost-user-blk,chardev=c%u,num-queues=%u,bus=virtio-mmio-bus.%u", i, MAX(d->queues, 1), slot);
}

/* The setting for the place of disk @d in the firmware's boot order. */
static const char *boot_order(const struct vcpu_device *d, char text[PLACE_LENGTH])
{
	text[0] = '\0';
	if (d->boot)
		fmt_line(text, PLACE_LENGTH, ",bootindex=%u", d->boot);
	return text;
}

static void add_disk(struct qemu_args *a, const struct vcpu_device *d, unsigned i, unsigned at)
{
	unsigned queues = MAX(d->queues, 1);
	char where[PLACE_LENGTH], order[PLACE_LENGTH];

	add_disk_channel(a, d, i);
	qemu_add(a, "-device");
	qemu_add(a, "vhost-user-blk-pci,chardev=c%u,num-queues=%u,disable-legacy=on%s%s", i, queues, place(at, where),
		 boot_order(d, order));
}

/*
 * Add an IDE disk or CD, number @slot of them. blkd serves it by NBD, so QEMU holds no file; if blkd is started again,
 * QEMU connects again and repeats what was not answered. Errors of the disk go to the guest and never stop it.
 */
static void add_ide(struct qemu_args *a, const struct vcpu_config *c, unsigned i, unsigned slot)
{
	const struct vcpu_device *d = &c->dev[i];
	unsigned units = c->machine_type ? 2 : 1; /* pc has two disks on each channel, q35 one on each port */
	char order[PLACE_LENGTH];

	qemu_add(a, "-blockdev");
	qemu_add(a, "driver=nbd,node-name=d%u,server.type=unix,server.path=/blk%u.sock,reconnect-delay=60%s", i,
		 d->index, d->cdrom ? ",read-only=on" : "");
	qemu_add(a, "-device");
	qemu_add(a, "%s,drive=d%u,bus=ide.%u,unit=%u%s%s", d->cdrom ? "ide-cd" : "ide-hd", i, slot / units,
		 slot % units, d->cdrom ? "" : ",werror=report,rerror=report", boot_order(d, order));
}

/*
 * Add a NIC. QEMU accepts no connected descriptor for it ("does not support FD passing"), so
 * it connects to a listening socket in its root. vectors=0: with MSI-X, vhost-user-net
 * crashes QEMU 7.2 under TCG. romfile=: no boot ROM.
 */
static void add_nic(struct qemu_args *a, const struct vcpu_device *d, unsigned i, unsigned at)
{
	unsigned pairs = MAX(d->queues / 2u, 1u);
	char mtu[24] = "", where[PLACE_LENGTH];

	if (d->mtu && d->mtu != 1500)
		fmt_line(mtu, sizeof(mtu), ",host_mtu=%u", d->mtu);
	qemu_add(a, "-chardev");
	qemu_add(a, "socket,id=c%u,path=/net%u.sock,reconnect=1", i, d->index);
	qemu_add(a, "-netdev");
	qemu_add(a, "vhost-user,id=n%u,chardev=c%u,queues=%u", i, i, pairs);
	qemu_add(a, "-device");
	qemu_add(a,
		 "virtio-net-pci,netdev=n%u,mac=%02x:%02x:%02x:%02x:%02x:%02x,vectors=0,romfile=,"
		 "disable-legacy=on%s%s%s",
		 i, d->mac[0], d->mac[1], d->mac[2], d->mac[3], d->mac[4], d->mac[5], pairs > 1 ? ",mq=on" : "", mtu,
		 place(at, where));
}

/*
 * The virtio-mmio bus of disk @at of @n. Linux names disks in the order of the device tree, which
 * begins with the first bus on an arm machine, and with the last one on a riscv machine. A
 * kernel that looks for its only disk on the first bus finds it there.
 */
static unsigned mmio_bus(const struct machine *m, unsigned at, unsigned n)
{
	return m->family == FAMILY_RISCV ? n - 1 - at : at;
}

/*
 * Add the disks: those of a virt machine are on virtio-mmio as far as it has buses. @at: number of
 * devices on PCI before them. Returns that number with them.
 */
static unsigned add_disks(struct qemu_args *a, const struct vcpu_config *c, unsigned n, unsigned at)
{
	const struct machine *m = machine_get(c->machine);
	unsigned disks = 0, mmio = 0, ide = 0, nmmio;

	for (unsigned i = 0; i < n; i++)
		disks += c->dev[i].kind == DEV_BLK;
	nmmio = MIN(disks, (unsigned)m->mmio_disks);
	for (unsigned i = 0; i < n; i++) {
		if (c->dev[i].kind != DEV_BLK)
			continue;
		if (c->dev[i].bus == BUS_IDE) {
			add_ide(a, c, i, ide++);
			continue;
		}
		if (mmio < nmmio)
			add_mmio_disk(a, &c->dev[i], i, mmio_bus(m, mmio, nmmio));
		else
			add_disk(a, &c->dev[i], i, at++);
		mmio++;
	}
	return at;
}

static void add_share(struct qemu_args *a, const struct vcpu_device *d, unsigned i, unsigned at)
{
	unsigned queues = MAX(d->queues, FS_QUEUES) - FS_URGENT_QUEUES;
	char where[PLACE_LENGTH];

	if (!name_is_plain(d->tag)) {
		a->full = true;
		return;
	}
	qemu_add(a, "-chardev"); /* Connected: QEMU cannot connect a share again, so a path is of no use */
	qemu_add(a, "socket,id=c%u,fd=%d", i, VFD_FRONT0 + (int)i);
	qemu_add(a, "-device");
	qemu_add(a, "vhost-user-fs-pci,chardev=c%u,tag=%s,num-request-queues=%u%s", i, d->tag, queues,
		 place(at, where));
}

/* NICs first: their slots, after which guests name them, do not depend on the number of disks. */
static void add_devices(struct qemu_args *a, const struct vcpu_config *c)
{
	unsigned n = MIN(c->ndevices, (uint32_t)MAX_DEVICES), at = 0;

	for (unsigned i = 0; i < n; i++)
		if (c->dev[i].kind == DEV_NET)
			add_nic(a, &c->dev[i], i, at++);
	at = add_disks(a, c, n, at);
	for (unsigned i = 0; i < n; i++)
		if (c->dev[i].kind == DEV_FS)
			add_share(a, &c->dev[i], i, at++);
}

static void add_kernel(struct qemu_args *a, const struct vcpu_config *c)
{
	qemu_add(a, "-kernel");
	qemu_add(a, "/proc/self/fd/%d", VFD_KERNEL);
	if (c->has_initrd) {
		qemu_add(a, "-initrd");
		qemu_add(a, "/proc/self/fd/%d", VFD_INITRD);
	}
	qemu_add(a, "-append");
	qemu_add(a, "%s", c->cmdline);
}

int qemu_args(struct qemu_args *a, const struct vcpu_config *c, bool serial, bool monitor, bool bare)
{
	memset(a, 0, sizeof(*a));
	qemu_add_machine(a, c, bare);
	add_console(a, c, serial, monitor);
	add_ports(a, c);
	add_devices(a, c);
	if (c->rng) {
		qemu_add(a, "-object"); /* rng-builtin uses getrandom(), and so no file */
		qemu_add(a, "rng-builtin,id=rng");
		qemu_add(a, "-device");
		qemu_add(a, "virtio-rng-pci,rng=rng,disable-legacy=on");
	}
	if (c->has_kernel)
		add_kernel(a, c);
	a->argv[a->argc] = NULL;
	return a->full ? -1 : 0;
}
