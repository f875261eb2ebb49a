/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Finds out from its first bytes what kind of file the user has given as a kernel, so that
 * an error message can name it. Runs in the vCPU process, confined. Sizes read from the file
 * are untrusted.
 */
#ifndef VCPU_KERNEL_CHECK_H
#define VCPU_KERNEL_CHECK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum kernel_kind {
	KERNEL_BZIMAGE,
	KERNEL_ELF,
	KERNEL_GZIP, /* A gzip file, perhaps a compressed kernel */
	KERNEL_NONE, /* Not a kernel */
};

/* Bytes from the start of the file that kernel_kind() needs. */
#define KERNEL_CHECK_BYTES 1024

/*
 * The kind of a file that begins with the @len bytes at @p (at most KERNEL_CHECK_BYTES). Sets
 * *@what to a static text with its article: "a gzip file", "an ELF file for another machine".
 */
enum kernel_kind kernel_kind(const uint8_t *p, size_t len, const char **what);

/* Requirements in the header of a bzImage, in bytes; 0: unknown. */
struct kernel_needs {
	uint64_t file;	 /* Length of the file */
	uint64_t memory; /* End address of the memory that it unpacks itself to and runs in */
};

/* Read them from the first @len bytes of a KERNEL_BZIMAGE (boot.rst, "Details of header fields"). */
struct kernel_needs kernel_needs(const uint8_t *p, size_t len);

/* Properties of an ELF kernel, from its program headers. */
struct kernel_elf {
	bool pvh;	 /* Has a PVH entry (a note that Xen defines). QEMU needs one to start an ELF kernel */
	uint64_t memory; /* End address of its segments in memory; 0: it has none, or they are unreadable */
	uint64_t low;	 /* Lowest address of its segments; only valid if @memory is not 0 */
	uint64_t file;	 /* Bytes that the file must have at least, for its segments */
};

/* Read them from the file @fd, with pread() only. */
struct kernel_elf kernel_elf(int fd);

#endif
