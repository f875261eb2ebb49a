/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * QEMU's command line. Runs in the vCPU process before QEMU is executed. It
 * must never put text that a user chose into an option with commas: the kernel
 * command line is an argument of its own, everything else is numbers.
 *
 * Works with QEMU 7.2 (Debian 12) to 10 (Debian 13). Why each option is there
 * stands beside it; the order of devices is the order of PCI slots, and so of
 * vda, vdb, eth0 in the guest.
 */
#include "qemu_args.h"

#include <string.h>

/* The bus has slots for so many devices that are alone in one; the others are functions of one slot. */
#define ALONE	     24
#define SHARED_SLOT  0x1a /* the one after theirs */
#define PLACE_LENGTH 40
_Static_assert(MAX_DEVICES - ALONE <= 8, "a slot has 8 functions");

static void add(struct qemu_args *a, const char *fmt, ...) PRINTF_LIKE(2, 3);
static void add(struct qemu_args *a, const char *fmt, ...)
{
	size_t room = sizeof(a->text) - a->used;
	size_t n;
	va_list ap;

	if (a->argc == QEMU_MAX_ARGS || room < 2) {
		a->full = true;
		return;
	}
	va_start(ap, fmt);
	n = fmt_vline(a->text + a->used, room, fmt, ap);
	va_end(ap);
	if (n + 1 >= room) {
		a->full = true;
		return;
	}
	a->argv[a->argc++] = a->text + a->used;
	a->used += n + 1;
}

static void add_machine(struct qemu_args *a, const struct vcpu_config *c)
{
	unsigned long long mib = c->mem_bytes >> 20;

	add(a, "%s", QEMU_PATH);
	add(a, "-nodefaults");	   /* no default network card, disk, monitor */
	add(a, "-no-user-config"); /* no files of the host's administrator */
	add(a, "-display");
	add(a, "none");
	add(a, "-no-reboot"); /* a reboot ends QEMU; the supervisor starts a new one */
	/*
	 * q35 boots fastest. Off: what a guest of virtio devices has no use for,
	 * which is also code that it could attack. hpet=off saves 0.5 s of boot.
	 */
	add(a, "-machine");
	add(a, "q35,memory-backend=mem,dump-guest-core=off,hpet=off,smm=off,vmport=off,"
	       "i8042=off,sata=off,smbus=off,usb=off");
	add(a, "-accel");
	add(a, "tcg,tb-size=128"); /* translated code; the default is 1 GiB */
	add(a, "-cpu");
	add(a, "max,la57=off"); /* five-level page tables only cost time */
	add(a, "-smp");
	add(a, "%u", c->smp ? c->smp : 1u);
	add(a, "-m");
	add(a, "%llu", mib);
	add(a, "-object");
	add(a, "memory-backend-file,id=mem,size=%lluM,share=on,mem-path=/proc/self/fd/%d", mib, VFD_MEM);
	add(a, "-global"); /* no sleep states: nothing would wake the guest */
	add(a, "ICH9-LPC.disable_s3=1");
	add(a, "-global");
	add(a, "ICH9-LPC.disable_s4=1");
	/* QEMU's own filter, on top of ours. */
	add(a, "-sandbox");
	add(a, "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny");
	add(a, "-device"); /* how the guest says that it panicked */
	add(a, "pvpanic");
}

static void add_console(struct qemu_args *a, const struct vcpu_config *c, bool serial, bool monitor)
{
	add(a, "-chardev"); /* VFD_CON_IN and VFD_CON_OUT */
	add(a, "stdio,id=con,signal=off");
	if (serial) {
		add(a, "-chardev");
		add(a, "socket,id=other,fd=%d", VFD_SERIAL);
	} else {
		add(a, "-chardev");
		add(a, "null,id=other");
	}
	add(a, "-serial");
	add(a, "chardev:%s", c->console_is_serial ? "con" : "other");
	add(a, "-device");
	add(a, "virtio-serial-pci,disable-legacy=on,max_ports=1");
	add(a, "-device");
	add(a, "virtconsole,chardev=%s", c->console_is_serial ? "other" : "con");
	if (monitor) {
		add(a, "-chardev");
		add(a, "socket,id=mon,fd=%d", VFD_MONITOR);
		add(a, "-mon");
		add(a, "chardev=mon,mode=control");
	}
}

/* Where device @i goes, as options; mostly QEMU counts the slots. */
static const char *place(unsigned i, char text[PLACE_LENGTH])
{
	text[0] = '\0';
	if (i >= ALONE)
		fmt_line(text, PLACE_LENGTH, ",addr=0x%x.%u,multifunction=on", SHARED_SLOT, i - ALONE);
	return text;
}

static void add_disk(struct qemu_args *a, const struct vcpu_device *d, unsigned i)
{
	unsigned queues = MAX(d->queues, 1);
	char where[PLACE_LENGTH];

	add(a, "-chardev");
	if (d->listening)
		add(a, "socket,id=c%u,path=/blk%u.sock,reconnect=1", i, d->index);
	else
		add(a, "socket,id=c%u,fd=%d", i, VFD_FRONT0 + (int)i);
	add(a, "-device");
	add(a, "vhost-user-blk-pci,chardev=c%u,num-queues=%u,disable-legacy=on%s", i, queues, place(i, where));
}

/*
 * QEMU takes no connected descriptor here ("does not support FD passing"): a
 * listening socket lies in its root. vectors=0: with MSI-X, vhost-user-net
 * crashes QEMU 7.2 under TCG. romfile=: no boot ROM.
 */
static void add_nic(struct qemu_args *a, const struct vcpu_device *d, unsigned i)
{
	unsigned pairs = MAX(d->queues / 2u, 1u);
	char mtu[24] = "", where[PLACE_LENGTH];

	if (d->mtu && d->mtu != 1500)
		fmt_line(mtu, sizeof(mtu), ",host_mtu=%u", d->mtu);
	add(a, "-chardev");
	add(a, "socket,id=c%u,path=/net%u.sock,reconnect=1", i, d->index);
	add(a, "-netdev");
	add(a, "vhost-user,id=n%u,chardev=c%u,queues=%u", i, i, pairs);
	add(a, "-device");
	add(a,
	    "virtio-net-pci,netdev=n%u,mac=%02x:%02x:%02x:%02x:%02x:%02x,vectors=0,romfile=,"
	    "disable-legacy=on%s%s%s",
	    i, d->mac[0], d->mac[1], d->mac[2], d->mac[3], d->mac[4], d->mac[5], pairs > 1 ? ",mq=on" : "", mtu,
	    place(i, where));
}

int qemu_args(struct qemu_args *a, const struct vcpu_config *c, bool serial, bool monitor)
{
	memset(a, 0, sizeof(*a));
	add_machine(a, c);
	add_console(a, c, serial, monitor);
	for (unsigned i = 0; i < c->ndevices && i < MAX_DEVICES; i++) {
		if (c->dev[i].kind == DEV_NET)
			add_nic(a, &c->dev[i], i);
		else
			add_disk(a, &c->dev[i], i);
	}
	if (c->rng) {
		add(a, "-object"); /* getrandom(): no file */
		add(a, "rng-builtin,id=rng");
		add(a, "-device");
		add(a, "virtio-rng-pci,rng=rng,disable-legacy=on");
	}
	add(a, "-kernel");
	add(a, "/proc/self/fd/%d", VFD_KERNEL);
	if (c->has_initrd) {
		add(a, "-initrd");
		add(a, "/proc/self/fd/%d", VFD_INITRD);
	}
	add(a, "-append");
	add(a, "%s", c->cmdline);
	a->argv[a->argc] = NULL;
	return a->full ? -1 : 0;
}
