/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The part of QEMU's command line that describes the machine. Runs in the vCPU process before
 * QEMU is executed. The text of --cpu was checked by machine_cpu_ok(): it has no space, and
 * a comma in it can only add a property of the CPU.
 */
#include "common/machine.h"
#include "vcpu/qemu/machine.h"
#include "vcpu/qemu/words.h"

/* QEMU's interrupt controller of the virt machines serves 8 CPUs in version 2, which most kernels know. */
#define GIC2_CPUS 8

/*
 * Q35 boots fastest. Disabled: devices that a guest with virtio devices does not need, because
 * a guest could attack their code. hpet=off saves 0.5 s of boot.
 */
static void add_x86(struct qemu_args *a, const struct vcpu_config *c, const char *type)
{
	/*
	 * A boot loader switches line A20 by the keyboard controller. With graphics=off, the
	 * firmware shows on the serial port what a program prints by interrupt 10h.
	 */
	const char *boots = c->has_kernel ? "i8042=off" : "i8042=on,graphics=off";
	bool ide = false;

	for (unsigned i = 0; i < c->ndevices; i++)
		ide |= c->dev[i].kind == DEV_BLK && c->dev[i].bus == BUS_IDE;
	const char *power = c->machine_type ? "PIIX4_PM" : "ICH9-LPC";

	qemu_add(a, "-machine");
	qemu_add(a,
		 "%s,memory-backend=mem,dump-guest-core=off,hpet=off,smm=off,vmport=off,"
		 "%s,sata=%s,smbus=off,usb=off",
		 type, boots, ide ? "on" : "off");
	qemu_add(a, "-global"); /* No sleep states S3 and S4, because nothing would wake the guest */
	qemu_add(a, "%s.disable_s3=1", power);
	qemu_add(a, "-global");
	qemu_add(a, "%s.disable_s4=1", power);
	qemu_add(a, "-device"); /* Through this device the guest reports a kernel panic */
	qemu_add(a, "pvpanic");
	if (c->has_kernel)
		return;
	/* Kernels for a BIOS PC write to the text buffer of a VGA card, and many do not start without the card. */
	qemu_add(a, "-device");
	qemu_add(a, "VGA,vgamem_mb=4");
}

/* The virt machines: memory and devices on virtio-mmio or PCI Express, described by a device tree. */
static void add_virt(struct qemu_args *a, const struct vcpu_config *c, bool bare)
{
	const struct machine *m = machine_get(c->machine);

	qemu_add(a, "-machine");
	if (m->family == FAMILY_ARM)
		/* A 32-bit kernel without LPAE reaches no device above 4 GiB. */
		qemu_add(a, "virt,memory-backend=mem,dump-guest-core=off,gic-version=%u%s",
			 c->smp > GIC2_CPUS ? 3u : 2u, m->elf_class == 1 ? ",highmem=off" : "");
	else
		qemu_add(a, "virt,memory-backend=mem,dump-guest-core=off");
	qemu_add(a, "-global"); /* Virtio 1.x, as on PCI */
	qemu_add(a, "virtio-mmio.force-legacy=false");
	if (m->family == FAMILY_RISCV && c->firmware != FIRMWARE_FILE) {
		qemu_add(a, "-bios");
		qemu_add(a, bare ? "none" : "default");
	}
	qemu_add(a, "-device");
	qemu_add(a, "pvpanic-pci");
}

void qemu_add_machine(struct qemu_args *a, const struct vcpu_config *c, bool bare)
{
	const struct machine *m = machine_get(c->machine);
	unsigned long long mib = c->mem_bytes >> 20;

	qemu_add(a, "%s", machine_program(m));
	qemu_add(a, "-nodefaults");	/* No default network card, disk or monitor */
	qemu_add(a, "-no-user-config"); /* No configuration files of the host */
	qemu_add(a, "-display");
	qemu_add(a, "none");
	qemu_add(a, "-S");	   /* The supervisor starts the guest when QEMU's monitor is ready */
	qemu_add(a, "-no-reboot"); /* A reboot ends QEMU; the supervisor starts a new vCPU process */
	qemu_add(a, "-accel");
	qemu_add(a, "tcg,tb-size=128"); /* 128 MiB for translated code instead of 1 GiB */
	qemu_add(a, "-cpu");
	qemu_add(a, "%s", *c->cpu ? c->cpu : m->cpu);
	qemu_add(a, "-smp");
	qemu_add(a, "%u", c->smp ? c->smp : 1u);
	qemu_add(a, "-m");
	qemu_add(a, "%llu", mib);
	qemu_add(a, "-object");
	qemu_add(a, "memory-backend-file,id=mem,size=%lluM,share=on,mem-path=/proc/self/fd/%d", mib, VFD_MEM);
	/* QEMU's own seccomp filter, in addition to ours. */
	qemu_add(a, "-sandbox");
	qemu_add(a, "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny");
	if (c->firmware >= FIRMWARE_OVMF) {
		/* U-Boot for riscv runs in supervisor mode, so that it can start Linux; OpenSBI starts it. */
		qemu_add(a, m->family == FAMILY_RISCV && c->firmware == FIRMWARE_UBOOT ? "-kernel" : "-bios");
		qemu_add(a, "/proc/self/fd/%d", VFD_FIRMWARE);
	}
	if (m->family == FAMILY_X86)
		add_x86(a, c, m->type[c->machine_type]);
	else
		add_virt(a, c, bare);
}
