/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The headers of Multiboot kernels: the Multiboot Specification 0.6.96 (version 1) and the
 * Multiboot2 Specification 2.0 (version 2). Runs in the vCPU process, confined. The header is
 * untrusted; it is examined on a copy of the file's beginning.
 */
#ifndef VCPU_LOAD_MULTIBOOT_H
#define VCPU_LOAD_MULTIBOOT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vcpu/load/load.h"

/* A header lies completely in this many bytes at the start of the file (clause 3.1 of both specifications). */
#define MULTIBOOT1_SEARCH 8192u
#define MULTIBOOT2_SEARCH 32768u

/* Values of eax at the entry. */
#define MULTIBOOT1_MAGIC 0x2badb002u
#define MULTIBOOT2_MAGIC 0x36d76289u

/* Tags of version 2's information that a kernel can ask for. */
#define MULTIBOOT_TAG_CMDLINE	1u
#define MULTIBOOT_TAG_NAME	2u
#define MULTIBOOT_TAG_MODULE	3u
#define MULTIBOOT_TAG_MEMORY	4u
#define MULTIBOOT_TAG_MAP	6u
#define MULTIBOOT_TAG_SECTIONS	9u
#define MULTIBOOT_TAG_ACPI_NEW	15u
#define MULTIBOOT_TAG_LOAD_BASE 21u

/* What the header of a kernel contains. */
struct multiboot {
	unsigned version; /* 1 or 2; 0: no header */
	bool refused;	  /* The header is invalid, or requires what there is not */
	uint32_t at;	  /* Offset of the header in the file */
	bool has_address; /* The four addresses below are given: they replace the file's ELF headers */
	uint32_t header_addr, load_addr, load_end, bss_end;
	bool has_entry; /* @entry is given */
	uint32_t entry;
	bool needs_sections; /* It requires the ELF section headers */
	bool wants_base;     /* It asks for the address that it is loaded to */
	bool has_range;	     /* It must be loaded to addresses from @low to @high, at a multiple of @align */
	uint32_t low, high, align;
};

/*
 * Find the header in the first @len bytes of a file. If there are headers of both versions,
 * version 1 is used, as QEMU does. Sets m->version and m->at only. Returns m->version.
 */
unsigned multiboot_find(const uint8_t *p, size_t len, struct multiboot *m);

/*
 * Read the header that multiboot_find() has found in @p. Returns 0; or -1 with out->error
 * set: it is damaged, or requires something that there is not.
 */
int multiboot_parse(const uint8_t *p, size_t len, struct multiboot *m, struct load_result *out);

/* Where a kernel with has_address lies in its file, and where it is loaded to. */
struct multiboot_flat {
	uint64_t off;	/* First byte in the file */
	uint64_t size;	/* Bytes in the file; 0: the rest of the file */
	uint64_t addr;	/* Guest-physical address */
	uint64_t memsz; /* Bytes in memory; 0: as many as are in the file */
};

/* Compute them. Returns 0, or -1 with out->error set. */
int multiboot_flat(const struct multiboot *m, struct multiboot_flat *f, struct load_result *out);

#endif
