/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Between the files of the loader (load.c, load_src.c, load_elf.c,
 * load_bzimage.c, load_params.c). Runs in the vCPU process before the guest does.
 */
#ifndef VCPU_LOAD_PRIV_H
#define VCPU_LOAD_PRIV_H

#include <asm/bootparam.h>

#include "vcpu/load.h"

/* The kernel file as it reads once unpacked. Reading forward is cheap; a step back unpacks anew. */
struct load_src {
	int fd;
	bool gzip;
	uint64_t limit;		 /* most bytes that it may unpack to: the guest's RAM */
	struct load_result *out; /* for out->error */
};

/* What the loader of a format finds out. */
struct load_state {
	const struct guest_mem *mem;
	const struct load_request *rq;
	struct load_result *out;
	struct load_src src;
	/* Linux's own header; for ELF files one is made up. */
	struct setup_header hdr;
	uint64_t initrd_max;  /* highest address of the initrd's last byte */
	uint64_t cmdline_max; /* bytes without the NUL */
};

/* Always returns -1, with the reason in out->error. */
int load_fail(struct load_result *out, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* Looks at the first bytes of @fd: gzip or plain. 0 or -1. */
int src_open(struct load_src *s, int fd, uint64_t limit, struct load_result *out);
/*
 * [off, off + len) of the unpacked file into @buf. 0 or -1 (truncated, damaged,
 * unpacks to more than the limit).
 */
int src_read(struct load_src *s, uint64_t off, void *buf, uint64_t len);
/* At most @len bytes from @off on; the number read, less at the end; or -1. */
int64_t src_read_some(struct load_src *s, uint64_t off, void *buf, uint64_t len);
/* Gzip: unpack what is left, so that length and checksum are judged, and nothing follows. 0 or -1. */
int src_finish(struct load_src *s);

/* [gpa, gpa + len) of RAM below ram_low and the image's lower bound, as a pointer; NULL if it is not all RAM. */
void *load_ram(const struct load_state *st, uint64_t gpa, uint64_t len);

int load_elf(struct load_state *st);
int load_bzimage(struct load_state *st);
/* Command line, boot_params and, for PVH, start_info. After the initrd's place is known. */
int load_params(struct load_state *st);

#define LOAD_PAGE 4096u

#endif
