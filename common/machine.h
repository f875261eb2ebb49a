/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The machines that the qemu engine can emulate (--machine): for each one the QEMU program, and
 * what the other parts need to know about the machine. One table, used by the parent and by the
 * vCPU process.
 */
#ifndef COMMON_MACHINE_H
#define COMMON_MACHINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Machines, with their names in --machine. The first one is the default. */
#define MACHINES(X)           \
	X(X86_64, "x86_64")   \
	X(I386, "i386")       \
	X(AARCH64, "aarch64") \
	X(ARM, "arm")         \
	X(RISCV64, "riscv64") \
	X(RISCV32, "riscv32")

enum machine_id {
#define X(sym, text) MACHINE_##sym,
	MACHINES(X)
#undef X
		MACHINE_COUNT,
};

enum machine_family { FAMILY_X86, FAMILY_ARM, FAMILY_RISCV };

/* Most types of one machine, and most characters of --cpu including the NUL. */
#define MACHINE_TYPES 2
#define CPU_MAX	      128

/* What runs before the kernel (--firmware). */
enum firmware {
	FIRMWARE_AUTO, /* The machine's own; on riscv none if an ELF kernel is linked to the firmware's address */
	FIRMWARE_NONE,
	FIRMWARE_OPENSBI,
	FIRMWARE_SEABIOS,
	FIRMWARE_OVMF, /* From here on: a file (VFD_FIRMWARE) */
	FIRMWARE_UBOOT,
	FIRMWARE_FILE,
};

/* Most bytes of a firmware file. The largest flash of QEMU's machines has 64 MiB. */
#define FIRMWARE_MAX (UINT64_C(64) << 20)

/* A firmware file that a Debian package brings; path NULL: there is none for the machine. */
struct firmware_file {
	const char *path, *package;
};

struct machine {
	const char *name;		  /* As in --machine, and in messages */
	const char *program;		  /* Path of the QEMU program; see machine_program() */
	const char *wrapped;		  /* Its path where @program is a shell script that starts it; or NULL */
	const char *package;		  /* Debian's package of that program */
	const char *type[MACHINE_TYPES];  /* Types in --machine=NAME:TYPE, the default first */
	const char *cpu;		  /* Value of -cpu without --cpu */
	const char *serial;		  /* Name of the serial console in console= */
	const char *firmware;		  /* Path of the firmware file; NULL: QEMU's default for the machine */
	struct firmware_file uefi, uboot; /* For --firmware=ovmf, u-boot; on riscv OpenSBI starts the latter */
	enum machine_family family;
	uint16_t pe_machine;  /* Machine of its EFI programs (PE/COFF, "Machine Types"); 0: there are none */
	uint16_t elf_machine; /* e_machine of its ELF kernels */
	uint8_t elf_class;    /* EI_CLASS of its ELF kernels; 0: either */
	uint8_t mmio_disks;   /* Disks that are virtio-mmio devices; the others are on PCI */
	uint64_t ram_base;    /* Guest-physical address of the first byte of RAM */
	uint64_t mem_max;     /* Most bytes of RAM; 0: no limit of its own */
};

/* The machine of number @id, which must be below MACHINE_COUNT. */
const struct machine *machine_get(unsigned id);

/* Path of the program itself on this host, in the caller's root directory. */
const char *machine_program(const struct machine *m);

/* The last part of that path, which is the same wherever the program is. */
const char *machine_exe(const struct machine *m);

/* The number of the machine @name (@len bytes of it), or MACHINE_COUNT. */
unsigned machine_find(const char *name, size_t len);

/* The number of the type @name of @m, or MACHINE_TYPES. */
unsigned machine_type_find(const struct machine *m, const char *name);

/* Name of the machine whose ELF kernels have this e_machine and class; NULL: there is none. */
const char *machine_of_elf(uint16_t elf_machine, uint8_t elf_class);

/* True if @cpu may be a value of -cpu: a model and its properties, without a character that has another meaning. */
bool machine_cpu_ok(const char *cpu);

/* True if @name is the last part of the path of a QEMU program that we start. */
bool machine_is_program(const char *name);

#endif
