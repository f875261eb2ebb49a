/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * For which machine a kernel file is: see kernel_machine.h. Headers by Documentation/arch/arm64/booting.rst,
 * Documentation/arch/riscv/boot-image-header.rst, arch/arm/boot/compressed/head.S and
 * Documentation/arch/x86/boot.rst of Linux.
 */
#include <elf.h>
#include <string.h>

#include "common/machine.h"
#include "common/util.h"
#include "vcpu/load/kernel_machine.h"

#define ZIMAGE_MAGIC	   0x016f2818
#define RISCV32_TEXT_START 0x400000 /* text_offset of a 32-bit riscv kernel; a 64-bit one has half of it */
#define XLF_KERNEL_64	   1

static uint32_t le32(const uint8_t *p)
{
	return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static uint64_t le64(const uint8_t *p)
{
	return le32(p) | (uint64_t)le32(p + 4) << 32;
}

/* Both headers have text_offset at 8 and image_size at 16. */
static uint64_t image_memory(const uint8_t *p)
{
	uint64_t offset = le64(p + 8), size = le64(p + 16);

	return offset <= UINT64_MAX - size ? offset + size : UINT64_MAX;
}

static struct kernel_machine elf_machine(const uint8_t *p)
{
	struct kernel_machine k = { .format = FORMAT_ELF };

	if (p[EI_DATA] == ELFDATA2LSB)
		k.name = machine_of_elf((uint16_t)(p[18] | p[19] << 8), p[EI_CLASS]);
	return k;
}

/* "PE Format" of Microsoft: the offset of the signature is at 0x3c, and the machine follows the signature. */
static struct kernel_machine pe_machine(const uint8_t *p, size_t len)
{
	struct kernel_machine k = { .format = FORMAT_OTHER };
	uint32_t at = le32(p + 0x3c);

	if (at > len - 6 || memcmp(p + at, "PE\0\0", 4) != 0)
		return k;
	for (unsigned id = 0; id < MACHINE_COUNT; id++) {
		const struct machine *m = machine_get(id);

		if (m->pe_machine && m->pe_machine == (p[at + 4] | p[at + 5] << 8))
			k = (struct kernel_machine){ .format = FORMAT_EFI, .name = m->name };
	}
	return k;
}

struct kernel_machine kernel_machine(const uint8_t *p, size_t len)
{
	struct kernel_machine k = { .format = FORMAT_OTHER };

	if (len < 64)
		return k;
	if (memcmp(p, ELFMAG, SELFMAG) == 0)
		return elf_machine(p);
	if (memcmp(p + 56, "ARM\x64", 4) == 0)
		return (struct kernel_machine){ FORMAT_IMAGE, machine_get(MACHINE_AARCH64)->name, 0, image_memory(p) };
	if (memcmp(p + 56, "RSC\x05", 4) == 0) {
		bool is32 = le64(p + 8) == RISCV32_TEXT_START;

		return (struct kernel_machine){ FORMAT_IMAGE,
						machine_get(is32 ? MACHINE_RISCV32 : MACHINE_RISCV64)->name, 0,
						image_memory(p) };
	}
	if (le32(p + 0x24) == ZIMAGE_MAGIC) {
		uint32_t start = le32(p + 0x28), end = le32(p + 0x2c);

		return (struct kernel_machine){ FORMAT_ZIMAGE, machine_get(MACHINE_ARM)->name,
						end > start ? end - start : 0, 0 };
	}
	if (len >= 0x260 && memcmp(p + 0x202, "HdrS", 4) == 0) {
		bool is64 = (p[0x206] | p[0x207] << 8) >= 0x020c && p[0x236] & XLF_KERNEL_64;

		k.format = FORMAT_BZIMAGE;
		k.name = machine_get(is64 ? MACHINE_X86_64 : MACHINE_I386)->name;
	} else if (memcmp(p, "MZ", 2) == 0) {
		return pe_machine(p, len);
	}
	return k;
}

bool kernel_runs_on(const char *kernel, const char *machine)
{
	return !strcmp(kernel, machine) || (!strcmp(kernel, machine_get(MACHINE_I386)->name) &&
					    !strcmp(machine, machine_get(MACHINE_X86_64)->name));
}
