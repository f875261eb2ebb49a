/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Reading the kernel file, plain or gzip; and pointers to guest RAM. */
#ifndef VCPU_LOAD_SRC_H
#define VCPU_LOAD_SRC_H

#include "vcpu/load/load_private.h"

/* Format out->error. Always returns -1. */
int load_fail(struct load_result *out, const char *fmt, ...) PRINTF_LIKE(2, 3);

/*
 * Initialise @s for the file @fd, which stays the caller's, and find out whether it is a gzip
 * file. @limit: most bytes that it may unpack to. @out receives error messages. Returns 0,
 * or -1 with out->error set, as do the functions below.
 */
int src_open(struct load_src *s, int fd, uint64_t limit, struct load_result *out);

/* Read exactly @len bytes at @off of the unpacked file into @buf. */
int src_read(struct load_src *s, uint64_t off, void *buf, uint64_t len);

/* Read up to @len bytes at @off. Returns their number, which is smaller only at the end of the file; or -1. */
int64_t src_read_some(struct load_src *s, uint64_t off, void *buf, uint64_t len);

/* Gzip: unpack the rest, which checks length and checksum, and check that nothing follows. */
int src_finish(struct load_src *s);

/*
 * A pointer to guest-physical [gpa, gpa + len). NULL unless all of it is RAM between
 * LOAD_KERNEL_MIN and ram_low.
 */
void *load_ram(const struct load_state *st, uint64_t gpa, uint64_t len);

/* Write @len bytes to the guest-physical address @gpa below ram_low. Returns 0, or -1 with out->error set. */
int load_put(const struct load_state *st, uint64_t gpa, const void *buf, size_t len);

#endif
