/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * For which machine a kernel file is, from its first bytes. Runs in the vCPU process, confined.
 * The bytes are untrusted.
 */
#ifndef VCPU_KERNEL_MACHINE_H
#define VCPU_KERNEL_MACHINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum kernel_format {
	FORMAT_OTHER,	/* None of the formats below */
	FORMAT_BZIMAGE, /* Linux for x86 */
	FORMAT_IMAGE,	/* Linux for aarch64 or riscv: Image */
	FORMAT_ZIMAGE,	/* Linux for arm: zImage */
	FORMAT_ELF,
	FORMAT_EFI, /* An EFI program without one of the headers above, such as a unified kernel image */
};

struct kernel_machine {
	enum kernel_format format;
	const char *name; /* The machine as in --machine; NULL: one that is not there */
	uint64_t file;	  /* Length of the file in bytes by its header; 0: unknown */
	uint64_t memory;  /* Bytes of RAM that it needs by its header, from the start of RAM; 0: unknown */
};

/* Bytes from the start of the file that kernel_machine() needs. */
#define KERNEL_MACHINE_BYTES 1024

/* Examine the first @len bytes of a kernel file. */
struct kernel_machine kernel_machine(const uint8_t *p, size_t len);

/* True if a kernel for @kernel also runs on --machine=@machine: both names are the same, or a 32-bit x86 kernel. */
bool kernel_runs_on(const char *kernel, const char *machine);

#endif
