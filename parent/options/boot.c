/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * --boot-disk= and --cdrom=, and what they exclude. Runs in the parent before it opens anything. Only the
 * qemu engine has firmware, which boots these disks in the order of the command line.
 */
#include <string.h>

#include "parent/options/boot.h"
#include "parent/options/util.h"

const struct disk_option *boot_first(const struct config *c)
{
	for (unsigned i = 0; i < c->ndisks; i++)
		if (c->disk[i].boot)
			return &c->disk[i];
	return NULL;
}

/* IDE of the machine pc has two channels with two disks each; q35 has six ports. */
#define PC_IDE	4
#define Q35_IDE 6

/* Choose the bus of each disk in the boot order. Returns -1, or the exit status after printing the reason. */
static int choose_buses(struct config *c, const struct machine *m)
{
	bool x86 = m->family == FAMILY_X86;
	unsigned n = 0;

	for (unsigned i = 0; i < c->ndisks; i++) {
		struct disk_option *d = &c->disk[i];

		if (!d->boot)
			continue;
		if (d->bus == BUS_AUTO)
			d->bus = x86 ? BUS_IDE : BUS_VIRTIO;
		n += d->bus == BUS_IDE;
		if (d->bus == BUS_IDE && !x86)
			return complain(EXIT_USAGE, "%s%s: a machine %s has no IDE; leave bus=ide out", disk_how(d),
					d->path, m->name);
		if (d->bus == BUS_IDE && *d->serial)
			return complain(EXIT_USAGE, "%s%s: serial: only a virtio disk has one; add bus=virtio",
					disk_how(d), d->path);
	}
	/* IDE as kernels for a PC know it, at ports 0x1f0 and 0x170; q35 has SATA. */
	if (n && !c->machine_type_set)
		c->machine_type = machine_type_find(m, "pc");
	if (n > (c->machine_type ? PC_IDE : Q35_IDE))
		return complain(EXIT_USAGE,
				"--boot-disk: a machine %s has at most %d IDE disks and CDs; add bus=virtio",
				m->type[c->machine_type], c->machine_type ? PC_IDE : Q35_IDE);
	return -1;
}

int boot_check(struct config *c)
{
	const struct machine *m = machine_get(c->machine);
	const struct disk_option *first = boot_first(c);

	if (!first)
		return -1;
	if (c->engine != ENGINE_AUTO && c->engine != ENGINE_QEMU)
		return complain(EXIT_USAGE,
				"%s%s: only the qemu engine has the firmware that boots a disk; leave --engine out",
				disk_how(first), first->path);
	c->engine = ENGINE_QEMU;
	if (c->run.on)
		return complain(EXIT_USAGE, "run: it starts a kernel of Linux; leave %s out", disk_how(first));
	if (c->no_kernel && c->initrd)
		return complain(EXIT_USAGE, "--initrd: only a KERNEL gets one; leave it out, or give a KERNEL");
	if (c->no_kernel && c->firmware == FIRMWARE_OPENSBI)
		return complain(EXIT_USAGE, "--firmware=opensbi: it cannot boot a disk; give a KERNEL");
	if (c->no_kernel && m->family != FAMILY_X86 && c->firmware <= FIRMWARE_OPENSBI)
		return complain(
			EXIT_USAGE,
			"KERNEL is missing: the firmware of a machine %s boots no disk; give a KERNEL, or --firmware=u-boot",
			m->name);
	return choose_buses(c, m);
}
