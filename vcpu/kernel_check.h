/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a file that is given as a kernel really is, told from its first bytes.
 * Runs in the vCPU process, confined; never believes a size that it reads.
 */
#ifndef VCPU_KERNEL_CHECK_H
#define VCPU_KERNEL_CHECK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum kernel_kind {
	KERNEL_BZIMAGE,
	KERNEL_ELF,
	KERNEL_GZIP, /* perhaps a compressed kernel */
	KERNEL_NONE,
};

/* Bytes of the file's beginning that kernel_kind() wants to see. */
#define KERNEL_CHECK_BYTES 1024

/*
 * Judge the first @len bytes (at most KERNEL_CHECK_BYTES) of a file. *@what is
 * set to a static text with its article: "a gzip file", "an ELF file for another machine".
 */
enum kernel_kind kernel_kind(const uint8_t *p, size_t len, const char **what);

/* What a bzImage's header says that it needs, in bytes; 0: it does not say. */
struct kernel_needs {
	uint64_t file;	 /* length of the file */
	uint64_t memory; /* end of the memory that it unpacks itself to, and runs in */
};

/* From the first @len bytes of a file that kernel_kind() calls KERNEL_BZIMAGE (boot.rst, "Details of header fields"). */
struct kernel_needs kernel_needs(const uint8_t *p, size_t len);

/*
 * True if the ELF file @fd has a note with Xen's 32-bit entry (PVH): QEMU starts
 * no other ELF kernel. Reads the file by pread() alone.
 */
bool kernel_has_pvh(int fd);

#endif
