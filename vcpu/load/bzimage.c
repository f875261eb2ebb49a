/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Loads bzImage kernels (Linux's Documentation/arch/x86/boot.rst). Runs in the vCPU process,
 * confined, before the guest runs. The setup header is checked on a local copy.
 */
#include <string.h>

#include "vcpu/load/bzimage.h"
#include "vcpu/load/kernel_check.h"
#include "vcpu/load/load_private.h"
#include "vcpu/load/src.h"

#define HDR_OFF		  0x1f1u
#define VERSION_INIT_SIZE 0x020a
#define VERSION_XLOAD	  0x020c

/* Copy the setup header, which ends at 0x202 plus the value of the byte at 0x201. */
static int read_setup(struct load_state *st)
{
	uint8_t page[1024] = { 0 };
	int64_t n = src_read_some(&st->src, 0, page, sizeof(page));
	const char *what;
	size_t end;

	if (n < 0)
		return -1;
	if (kernel_kind(page, (size_t)n, &what) != KERNEL_BZIMAGE)
		return load_fail(st->out, "not a kernel (bzImage or ELF), but %s%s", what,
				 st->out->is_gzip ? ", compressed" : "");
	memset(&st->hdr, 0, sizeof(st->hdr));
	end = 0x202u + page[0x201];
	memcpy(&st->hdr, page + HDR_OFF, MIN(end - HDR_OFF, sizeof(st->hdr)));
	if (st->hdr.version < 0x0202 || !(st->hdr.loadflags & LOADED_HIGH))
		return load_fail(st->out, "the kernel's boot protocol is too old (version 0x%x)", st->hdr.version);
	if (st->hdr.version < VERSION_INIT_SIZE) {
		st->hdr.init_size = 0;
		st->hdr.pref_address = 0;
	}
	if (st->hdr.version < VERSION_XLOAD)
		st->hdr.xloadflags = 0;
	return 0;
}

/* Choose *@load, the address of the protected-mode part: the one that the kernel prefers, or 1 MiB. */
static int place(struct load_state *st, uint64_t *load)
{
	const struct setup_header *h = &st->hdr;
	uint64_t need = h->init_size, base;

	*load = LOAD_KERNEL_MIN;
	if (st->rq->target == LOAD_FOR_KVM && h->relocatable_kernel && h->pref_address)
		*load = h->pref_address;
	base = *load;
	if (h->relocatable_kernel && h->kernel_alignment) {
		/* The kernel unpacks itself to the next multiple of its alignment, not below pref_address. */
		if (!is_power_of_two(h->kernel_alignment))
			return load_fail(st->out, "the kernel's alignment 0x%x is not a power of two",
					 h->kernel_alignment);
		base = (base + h->kernel_alignment - 1) & ~(uint64_t)(h->kernel_alignment - 1);
		base = MAX(base, h->pref_address);
	} else if (h->pref_address) {
		base = h->pref_address;
	}
	if (!load_ram(st, *load, 1) || (need && !load_ram(st, base, need)))
		return load_fail(st->out, "the kernel needs memory up to %llu MiB; give the guest more (MEM-MB)",
				 (unsigned long long)((base >> 20) + (need >> 20) + 1));
	st->out->kernel_end = need ? base + need : 0;
	st->out->kernel_run = base;
	return 0;
}

/* Read the protected-mode part. Its size is in the header or, up to protocol 2.03, the rest of the file. */
static int read_payload(struct load_state *st, uint64_t load)
{
	const struct setup_header *h = &st->hdr;
	uint64_t off = ((h->setup_sects ? h->setup_sects : 4u) + 1u) * 512u;
	uint64_t room = st->rq->ram_low - load;
	uint64_t want = (uint64_t)h->syssize * 16;
	int64_t n;

	if (h->version < 0x0204 || !want)
		want = room;
	else if (want > room)
		return load_fail(st->out, "the kernel is larger than the guest's memory");
	n = src_read_some(&st->src, off, load_ram(st, load, want), want);
	if (n < 0)
		return -1;
	/* The header gives the size in units of 16 bytes, so up to 15 bytes may be missing. */
	if (n < 512 || (want != room && want - (uint64_t)n >= 16))
		return load_fail(st->out, "the kernel file is truncated");
	if (want == room && (uint64_t)n == room)
		return load_fail(st->out, "the kernel is larger than the guest's memory");
	st->out->kernel_start = load;
	st->out->kernel_end = MAX(st->out->kernel_end, load + (uint64_t)n);
	return 0;
}

int load_bzimage(struct load_state *st)
{
	struct load_result *out = st->out;
	uint64_t load;

	if (read_setup(st) < 0 || place(st, &load) < 0 || read_payload(st, load) < 0)
		return -1;
	st->hdr.code32_start = (uint32_t)load;
	out->mode = LOAD_ENTRY_32;
	out->entry = load;
	if (st->rq->target == LOAD_FOR_KVM && (st->hdr.xloadflags & XLF_KERNEL_64)) {
		out->mode = LOAD_ENTRY_64;
		out->entry = load + 0x200;
	}
	st->initrd_max = st->hdr.version >= 0x0203 && st->hdr.initrd_addr_max ? st->hdr.initrd_addr_max : 0x37ffffff;
	st->cmdline_max = st->hdr.version >= 0x0206 && st->hdr.cmdline_size ? st->hdr.cmdline_size : 255;
	return 0;
}
