/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * --machine= and --cpu=: their parsers, and the checks of other options against the machine.
 * Runs in the parent before it opens anything.
 */
#include <string.h>

#include "parent/options/boot.h"
#include "parent/options/machine.h"
#include "parent/options/saved.h"
#include "parent/options/shmem.h"
#include "parent/options/util.h"

const char *parse_machine(struct opt_parser *p, void *to, const char *value)
{
	static const char why[] = "choose x86_64, i386, aarch64, arm, riscv64 or riscv32";
	struct config *c = to;
	size_t len = strcspn(value, ":");
	unsigned id = machine_find(value, len), type = 0;

	(void)p;
	if (id == MACHINE_COUNT)
		return why;
	if (value[len])
		type = machine_type_find(machine_get(id), value + len + 1);
	if (type == MACHINE_TYPES)
		return machine_get(id)->family == FAMILY_X86 ? "the types of this machine are q35 and pc"
							     : "the only type of this machine is virt";
	c->machine = (enum machine_id)id;
	c->machine_type = type;
	c->machine_type_set = value[len] != 0;
	c->machine_set = true;
	return NULL;
}

/* The names of --firmware; every other value is a file. */
static const char *const firmware_name[FIRMWARE_FILE] = {
	[FIRMWARE_AUTO] = "auto",	[FIRMWARE_NONE] = "none", [FIRMWARE_OPENSBI] = "opensbi",
	[FIRMWARE_SEABIOS] = "seabios", [FIRMWARE_OVMF] = "ovmf", [FIRMWARE_UBOOT] = "u-boot",
};

const char *parse_firmware(struct opt_parser *p, void *to, const char *value)
{
	struct config *c = to;
	unsigned i = 0;

	(void)p;
	if (!*value)
		return "choose " FIRMWARE_NAMES ", or give a file";
	while (i < FIRMWARE_FILE && strcmp(value, firmware_name[i]) != 0)
		i++;
	c->firmware = (enum firmware)i;
	c->firmware_path = i == FIRMWARE_FILE ? value : NULL;
	return NULL;
}

const char *parse_cpu(struct opt_parser *p, void *to, const char *value)
{
	(void)p;
	if (!machine_cpu_ok(value))
		return "give a CPU model as QEMU names it, such as cortex-a53 or max,sve=off: letters, digits and -_.,=+";
	((struct config *)to)->cpu = value;
	return NULL;
}

static int check_exit_port(const struct config *c, const struct machine *m)
{
	if (c->exit_port.kind == EXIT_PORT_SIFIVE_TEST && m->family != FAMILY_RISCV)
		return complain(
			EXIT_USAGE,
			"--exit-port=sifive-test: only riscv machines have this device; add --machine=riscv64, or give --exit-port=byte");
	if (c->exit_port.kind == EXIT_PORT_SIFIVE_TEST && c->exit_port.at_qemu)
		return complain(EXIT_USAGE,
				"--exit-port=sifive-test: its device has one address only; leave iobase= out");
	if (c->exit_port.kind && c->exit_port.kind != EXIT_PORT_SIFIVE_TEST && m->family != FAMILY_X86)
		return complain(EXIT_USAGE, "--exit-port: a machine %s has no I/O ports; %s", m->name,
				m->family == FAMILY_RISCV ? "give --exit-port=sifive-test"
							  : "leave --exit-port out, and let the guest power off");
	return -1;
}

static int check_firmware(struct config *c, const struct machine *m)
{
	const struct firmware_file *f = c->firmware == FIRMWARE_OVMF ? &m->uefi : &m->uboot;

	if (c->firmware == FIRMWARE_SEABIOS && m->family != FAMILY_X86)
		return complain(EXIT_USAGE, "--firmware=seabios: it is for x86 machines, not for %s", m->name);
	if (c->firmware == FIRMWARE_OPENSBI && m->family != FAMILY_RISCV)
		return complain(EXIT_USAGE, "--firmware=opensbi: it is for riscv machines, not for %s", m->name);
	if (c->firmware == FIRMWARE_NONE && m->family == FAMILY_X86)
		return complain(EXIT_USAGE, "--firmware=none: QEMU's %s machine starts every kernel by its firmware",
				m->name);
	if (c->firmware == FIRMWARE_OVMF || c->firmware == FIRMWARE_UBOOT) {
		if (!f->path)
			return complain(EXIT_USAGE, "--firmware=%s: there is none for %s; give the firmware's file",
					firmware_name[c->firmware], m->name);
		c->firmware_path = f->path;
	}
	if (c->firmware == FIRMWARE_UBOOT && m->family == FAMILY_RISCV && !c->no_kernel)
		return complain(EXIT_USAGE,
				"--firmware=u-boot: on %s it only boots a disk; leave KERNEL out and give --boot-disk=",
				m->name);
	if (c->firmware == FIRMWARE_OPENSBI && !m->firmware)
		return complain(EXIT_USAGE,
				"--firmware=opensbi: there is none for %s; its kernels start in machine mode", m->name);
	return -1;
}

/* Can the share @o be taken back? Returns -1, or the exit status after reporting why not. */
static int check_share_taken_back(const struct share_option *o)
{
	if (o->vhost_user)
		return complain(EXIT_USAGE,
				"--checkpoint: not with %s%s, because another program's share cannot be taken back",
				o->option, o->path);
	if (o->read_write)
		return complain(EXIT_USAGE,
				"--checkpoint: a directory that the guest writes to cannot be taken back; leave %s",
				strcmp(o->option, "--out=") ? "rw out, and the share is read-only" : "--out= out");
	return -1;
}

/* Can device @i be taken back? Returns -1, or the exit status after reporting why not. */
static int check_taken_back(struct config *c, unsigned i)
{
	struct disk_option *o = &c->disk[c->device[i].index];
	const struct net_option *n = &c->net[c->device[i].index];

	if (c->device[i].kind == DEV_FS)
		return check_share_taken_back(&c->share[c->device[i].index]);
	if (c->device[i].kind == DEV_NET && n->kind == NET_VHOST_USER)
		return complain(
			EXIT_USAGE,
			"--checkpoint: not with --vhost-user-net=%s, because another program's NIC cannot be taken back",
			n->path);
	if (c->device[i].kind == DEV_NET)
		return -1;
	if (o->vhost_user)
		return complain(EXIT_USAGE,
				"--checkpoint: not with %s%s, because another program's disk cannot be taken back",
				disk_how(o), o->path);
	if (!o->read_only && !o->snapshot)
		return complain(
			EXIT_USAGE,
			"--checkpoint: a file that the guest writes cannot be taken back; use %s%s,snapshot or ,ro",
			disk_how(o), o->path);
	o->levels = o->snapshot && !c->fresh;
	o->fresh = o->snapshot && c->fresh;
	return -1;
}

/* Can another process take the place of device @i's? Returns -1, or the exit status after reporting why not. */
static int check_fresh(const struct config *c, unsigned i)
{
	const struct disk_option *o = &c->disk[c->device[i].index];
	const struct share_option *share = &c->share[c->device[i].index];

	if (c->device[i].kind == DEV_FS && c->from)
		return complain(EXIT_USAGE,
				"--reset=fresh: not with --from and %s%s, because its process could change what the "
				"saved guest had open; leave --reset out",
				share->option, share->path);
	if (c->device[i].kind == DEV_BLK && o->snapshot && c->from)
		return complain(
			EXIT_USAGE,
			"--reset=fresh: not with --from and %s%s,snapshot, because its process could change what "
			"the saved guest wrote; leave --reset out",
			disk_how(o), o->path);
	return -1;
}

/* Only the kvm engine can take a guest back, and only state that its processes can return to. */
static int check_checkpoint(struct config *c)
{
	const char *with = c->run.on ? "--checkpoint-at=command" : "--checkpoint";
	bool reset_on = false;

	for (unsigned i = 0; i < RESET_ONS; i++)
		reset_on |= c->reset_on.on[i];
	if (!c->checkpoint && (c->resets || reset_on || c->fresh_set))
		return complain(EXIT_USAGE, "%s: only with %s",
				c->resets  ? "--resets"
				: reset_on ? "--reset-on"
					   : "--reset",
				with);
	if (!c->checkpoint)
		return -1;
	if (c->engine != ENGINE_AUTO && c->engine != ENGINE_KVM)
		return complain(EXIT_USAGE, "--checkpoint: only the kvm engine can take a guest back; leave %s out",
				c->machine_set ? "--machine"
				: c->cpu       ? "--cpu"
					       : "--engine or --firmware");
	for (unsigned i = 0; i < c->ndevices; i++)
		if (check_taken_back(c, i) >= 0)
			return EXIT_USAGE;
	for (unsigned i = 0; c->fresh && i < c->ndevices; i++)
		if (check_fresh(c, i) >= 0)
			return EXIT_USAGE;
	if (c->run.on && !c->run.rounds)
		return complain(EXIT_USAGE, "--checkpoint: with run give --checkpoint-at=command instead");
	if (c->run.on && !c->resets)
		return complain(EXIT_USAGE, "--checkpoint-at: give --resets=N, and COMMAND runs N times more");
	c->reset_on.on[RESET_ON_POWEROFF] |= c->run.on;
	if (!c->exit_port.kind)
		c->exit_port = (struct exit_port_option){ .kind = EXIT_PORT_BYTE };
	c->engine = ENGINE_KVM;
	return -1;
}

int machine_check(struct config *c)
{
	const struct machine *m = machine_get(c->machine);
	int status;

	if (c->firmware != FIRMWARE_AUTO && c->engine != ENGINE_AUTO && c->engine != ENGINE_QEMU)
		return complain(EXIT_USAGE, "--firmware: only the qemu engine has one; leave --engine out");
	if (c->firmware != FIRMWARE_AUTO)
		c->engine = ENGINE_QEMU;
	if (c->machine_set || c->cpu) {
		if (c->engine != ENGINE_AUTO && c->engine != ENGINE_QEMU)
			return complain(EXIT_USAGE, "%s: only the qemu engine has a choice; leave --engine out",
					c->machine_set ? "--machine" : "--cpu");
		c->engine = ENGINE_QEMU;
	}
	status = boot_check(c);
	if (status < 0)
		status = check_exit_port(c, m);
	if (status < 0)
		status = check_firmware(c, m);
	if (status >= 0)
		return status;
	if (c->run.on && c->machine != MACHINE_X86_64)
		return complain(
			EXIT_USAGE,
			"run: the program that it adds to the guest is for x86_64 only; leave --machine=%s out, or start the guest without run",
			m->name);
	if (saved_check(c) >= 0 || check_checkpoint(c) >= 0 || shmem_check(c) >= 0)
		return EXIT_USAGE;
	if (c->vmgenid_set && !c->checkpoint && !c->from)
		return complain(EXIT_USAGE, "--vmgenid: only with --checkpoint, --save or --from");
	if (m->mem_max && c->mem_bytes > m->mem_max)
		return complain(EXIT_USAGE, "MEM-MB: a machine %s has at most %llu MiB of memory", m->name,
				(unsigned long long)(m->mem_max >> 20));
	return -1;
}
