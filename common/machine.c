/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The table of machines: see machine.h. */
#include <elf.h>
#include <string.h>
#include <unistd.h>

#include "common/machine.h"
#include "common/util.h"

#define OPENSBI "/usr/share/qemu/opensbi-riscv64-generic-fw_dynamic.bin"

/*
 * CPUs: x86 without five-level page tables, which would only make the guest slower. QEMU's own
 * default for aarch64 is a 32-bit CPU, and its "max" is slow because it emulates pointer
 * authentication. RAM: hw/arm/virt.c and hw/riscv/virt.c of QEMU.
 */
static const struct machine machines[MACHINE_COUNT] = {
	[MACHINE_X86_64] = { .program = "/usr/bin/qemu-system-x86_64",
			     .package = "qemu-system-x86",
			     .type = { "q35", "pc" },
			     .cpu = "max,la57=off",
			     .serial = "ttyS0",
			     .uefi = { "/usr/share/ovmf/OVMF.fd", "ovmf" },
			     .uboot = { "/usr/lib/u-boot/qemu-x86_64/u-boot.rom", "u-boot-qemu" },
			     .family = FAMILY_X86,
			     .pe_machine = 0x8664,
			     .elf_machine = EM_X86_64 },
	[MACHINE_I386] = { .program = "/usr/bin/qemu-system-i386",
			   .wrapped = "/usr/libexec/qemu-system-i386", /* Debian 12 */
			   .package = "qemu-system-x86",
			   .type = { "q35", "pc" },
			   .cpu = "max",
			   .serial = "ttyS0",
			   .uboot = { "/usr/lib/u-boot/qemu-x86/u-boot.rom", "u-boot-qemu" },
			   .family = FAMILY_X86,
			   .pe_machine = 0x14c,
			   .elf_machine = EM_386,
			   .elf_class = ELFCLASS32 },
	[MACHINE_AARCH64] = { .program = "/usr/bin/qemu-system-aarch64",
			      .package = "qemu-system-arm",
			      .type = { "virt" },
			      .cpu = "cortex-a72",
			      .serial = "ttyAMA0",
			      .uefi = { "/usr/share/qemu-efi-aarch64/QEMU_EFI.fd", "qemu-efi-aarch64" },
			      .uboot = { "/usr/lib/u-boot/qemu_arm64/u-boot.bin", "u-boot-qemu" },
			      .family = FAMILY_ARM,
			      .pe_machine = 0xaa64,
			      .elf_machine = EM_AARCH64,
			      .elf_class = ELFCLASS64,
			      .mmio_disks = 32,
			      .ram_base = 0x40000000 },
	[MACHINE_ARM] = { .program = "/usr/bin/qemu-system-arm",
			  .package = "qemu-system-arm",
			  .type = { "virt" },
			  .cpu = "cortex-a15",
			  .serial = "ttyAMA0",
			  .uefi = { "/usr/share/AAVMF/AAVMF32_CODE.fd", "qemu-efi-arm" },
			  .uboot = { "/usr/lib/u-boot/qemu_arm/u-boot.bin", "u-boot-qemu" },
			  .family = FAMILY_ARM,
			  .pe_machine = 0x1c2,
			  .elf_machine = EM_ARM,
			  .elf_class = ELFCLASS32,
			  .mmio_disks = 32,
			  .ram_base = 0x40000000,
			  .mem_max = UINT64_C(3) << 30 },
	[MACHINE_RISCV64] = { .program = "/usr/bin/qemu-system-riscv64",
			      .package = "qemu-system-misc",
			      .type = { "virt" },
			      .cpu = "rv64",
			      .serial = "ttyS0",
			      .firmware = OPENSBI,
			      .uboot = { "/usr/lib/u-boot/qemu-riscv64_smode/u-boot.bin", "u-boot-qemu" },
			      .family = FAMILY_RISCV,
			      .elf_machine = EM_RISCV,
			      .elf_class = ELFCLASS64,
			      .mmio_disks = 8,
			      .ram_base = 0x80000000 },
	/* Debian packages no OpenSBI for it. */
	[MACHINE_RISCV32] = { .program = "/usr/bin/qemu-system-riscv32",
			      .package = "qemu-system-misc",
			      .type = { "virt" },
			      .cpu = "rv32",
			      .serial = "ttyS0",
			      .family = FAMILY_RISCV,
			      .elf_machine = EM_RISCV,
			      .elf_class = ELFCLASS32,
			      .mmio_disks = 8,
			      .ram_base = 0x80000000,
			      .mem_max = UINT64_C(2) << 30 },
#define X(sym, text) [MACHINE_##sym].name = text,
	MACHINES(X)
#undef X
};

const struct machine *machine_get(unsigned id)
{
	return &machines[id];
}

const char *machine_program(const struct machine *m)
{
	return m->wrapped && access(m->wrapped, X_OK) == 0 ? m->wrapped : m->program;
}

const char *machine_exe(const struct machine *m)
{
	return strrchr(m->program, '/') + 1;
}

unsigned machine_find(const char *name, size_t len)
{
	unsigned id = 0;

	while (id < MACHINE_COUNT && (strlen(machines[id].name) != len || memcmp(machines[id].name, name, len) != 0))
		id++;
	return id;
}

unsigned machine_type_find(const struct machine *m, const char *name)
{
	unsigned t = 0;

	while (t < MACHINE_TYPES && (!m->type[t] || strcmp(m->type[t], name) != 0))
		t++;
	return t;
}

const char *machine_of_elf(uint16_t elf_machine, uint8_t elf_class)
{
	for (unsigned id = 0; id < MACHINE_COUNT; id++) {
		const struct machine *m = &machines[id];

		if (m->elf_machine == elf_machine && (!m->elf_class || m->elf_class == elf_class))
			return m->name;
	}
	return NULL;
}

bool machine_cpu_ok(const char *cpu)
{
	static const char good[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.,=+";
	size_t len = strspn(cpu, good);

	/* For "help" QEMU prints a list and starts nothing. */
	return len > 0 && len < CPU_MAX && !cpu[len] && *cpu != '-' && strcmp(cpu, "help") != 0;
}

bool machine_is_program(const char *name)
{
	for (unsigned id = 0; id < MACHINE_COUNT; id++)
		if (!strcmp(machine_exe(&machines[id]), name))
			return true;
	return false;
}
