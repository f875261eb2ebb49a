/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Interface between the files of the loader (load.c, src.c, elf.c, bzimage.c, params.c,
 * multiboot*.c). Runs in the vCPU process before the guest runs.
 */
#ifndef VCPU_LOAD_PRIVATE_H
#define VCPU_LOAD_PRIVATE_H

#include <asm/bootparam.h>

#include "vcpu/load/load.h"
#include "vcpu/load/multiboot.h"

/*
 * The kernel file, unpacked while it is read if it is a gzip file. Offsets are those of the
 * unpacked file. Reading forward is cheap; reading backward unpacks it from the start again.
 */
struct load_src {
	int fd;
	bool gzip;
	uint64_t limit;		 /* Most bytes that it may unpack to: the size of the guest's RAM */
	struct load_result *out; /* Receives error messages */
};

/* Most ELF section headers that a Multiboot kernel gets, and bytes of the largest kind. */
#define MULTIBOOT_SECTIONS_MAX	128u
#define MULTIBOOT_SECTION_BYTES 64u

/* The section headers of an ELF kernel for Multiboot's information. */
struct multiboot_sections {
	unsigned count; /* 0: none */
	unsigned size;	/* Bytes of each */
	unsigned names; /* Index of the section with the names */
	uint8_t table[MULTIBOOT_SECTIONS_MAX * MULTIBOOT_SECTION_BYTES];
};

/* State of loading one guest. */
struct load_state {
	const struct guest_mem *mem;
	const struct load_request *rq;
	struct load_result *out;
	struct load_src src;
	struct setup_header hdr; /* Setup header of the bzImage; for an ELF file, a suitable one */
	uint64_t initrd_max;	 /* Highest address that the last byte of the initrd may have */
	uint64_t cmdline_max;	 /* Longest command line in bytes, without the NUL */
	struct multiboot mb;	 /* The kernel's Multiboot header, if it has one */
	struct multiboot_sections sections;
};

#define LOAD_PAGE 4096u

#endif
