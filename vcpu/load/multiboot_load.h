/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Loading Multiboot kernels. */
#ifndef VCPU_LOAD_MULTIBOOT_LOAD_H
#define VCPU_LOAD_MULTIBOOT_LOAD_H

#include "vcpu/load/load_private.h"

/*
 * Read the kernel's Multiboot header, if it has one, to st->mb. If the header is invalid or
 * requires what there is not, st->mb.refused is set and out->error contains the reason: an
 * ELF kernel may still have a PVH entry. Returns 0, or -1 with out->error set.
 */
int multiboot_read(struct load_state *st);

/* Load a kernel whose header has addresses. Returns 0, or -1 with out->error set. */
int load_multiboot_flat(struct load_state *st);

/* The section headers of an ELF kernel. */
struct elf_sections {
	bool is64;
	uint64_t off;	/* Offset of the first one in the file */
	unsigned count; /* 0: the file has none */
	unsigned size;	/* Bytes of each */
	unsigned names; /* Index of the section with the names */
};

/*
 * After an ELF kernel was loaded: check its place, and load the sections that no segment
 * contains (symbols, debug information) above it. If they cannot be loaded and the kernel
 * does not require them, it gets none. Returns 0, or -1 with out->error set.
 */
int multiboot_elf_loaded(struct load_state *st, const struct elf_sections *s);

#endif
