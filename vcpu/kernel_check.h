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

/*
 * True if the ELF file @fd has a note with Xen's 32-bit entry (PVH): QEMU starts
 * no other ELF kernel. Reads the file by pread() alone.
 */
bool kernel_has_pvh(int fd);

#endif
