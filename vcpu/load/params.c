/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The data that a kernel gets at its entry: memory map, command line, and boot_params
 * (Linux's Documentation/arch/x86/zero-page.rst), Xen's PVH start_info or Multiboot's information. Runs in the vCPU
 * process, confined, before the guest runs.
 */
#include <string.h>

#include "vcpu/load/load_private.h"
#include "vcpu/load/multiboot_info.h"
#include "vcpu/load/params.h"
#include "vcpu/load/src.h"

#define LOW_RAM_END 0x9fc00u /* On a PC, the extended BIOS data area (EBDA) begins here */
#define ROM_START   0xe0000u

#define HVM_START_MAGIC 0x336ec578u
#define SUBARCH_LGUEST	1

#define RAM	 1
#define RESERVED 2

/* xen/interface/hvm/start_info.h, version 1 */
struct start_info {
	uint32_t magic, version, flags, nr_modules;
	uint64_t modlist, cmdline, rsdp, memmap;
	uint32_t memmap_entries, reserved;
};
struct start_module {
	uint64_t addr, size, cmdline, reserved;
};
struct start_memmap {
	uint64_t addr, size;
	uint32_t type, reserved;
};

/* One page at LOAD_START_INFO. */
struct start_page {
	struct start_info info;
	struct start_module initrd;
	struct start_memmap map[MAP_MAX];
};

static unsigned memory_map(const struct load_request *rq, struct map_entry map[MAP_MAX])
{
	unsigned n = 0;

	if (rq->target == LOAD_FOR_LGUEST) {
		map[n++] = (struct map_entry){ 0, rq->ram_low, RAM };
		return n;
	}
	map[n++] = (struct map_entry){ 0, LOW_RAM_END, RAM };
	map[n++] = (struct map_entry){ LOW_RAM_END, 0xa0000 - LOW_RAM_END, RESERVED };
	map[n++] = (struct map_entry){ ROM_START, LOAD_KERNEL_MIN - ROM_START, RESERVED };
	map[n++] = (struct map_entry){ LOAD_KERNEL_MIN, rq->ram_low - LOAD_KERNEL_MIN, RAM };
	if (rq->ram_high)
		map[n++] = (struct map_entry){ LOAD_HIGH_RAM, rq->ram_high, RAM };
	return n;
}

static int put_pvh(struct load_state *st, const struct map_entry *map, unsigned n, uint64_t cmdline)
{
	static struct start_page p;

	memset(&p, 0, sizeof(p));
	p.info = (struct start_info){
		.magic = HVM_START_MAGIC,
		.version = 1,
		.cmdline = cmdline,
		.rsdp = st->rq->acpi_rsdp,
		.memmap = LOAD_START_INFO + offsetof(struct start_page, map),
		.memmap_entries = n,
	};
	for (unsigned i = 0; i < n; i++)
		p.map[i] = (struct start_memmap){ map[i].addr, map[i].size, map[i].type, 0 };
	if (st->out->initrd_size) {
		p.initrd = (struct start_module){ .addr = st->out->initrd, .size = st->out->initrd_size };
		p.info.nr_modules = 1;
		p.info.modlist = LOAD_START_INFO + offsetof(struct start_page, initrd);
	}
	st->out->boot_params = LOAD_START_INFO;
	return load_put(st, LOAD_START_INFO, &p, sizeof(p));
}

static int put_boot_params(struct load_state *st, const struct map_entry *map, unsigned n, uint64_t cmdline)
{
	static struct boot_params bp;
	bool lguest = st->rq->target == LOAD_FOR_LGUEST;

	memset(&bp, 0, sizeof(bp));
	bp.hdr = st->hdr;
	bp.hdr.type_of_loader = 0xff;
	bp.hdr.cmd_line_ptr = (uint32_t)cmdline;
	bp.hdr.ramdisk_image = (uint32_t)st->out->initrd;
	bp.hdr.ramdisk_size = (uint32_t)st->out->initrd_size;
	bp.hdr.setup_data = 0;
	if (lguest) {
		/* By these two fields a kernel finds its lguest entry and keeps the segment registers. */
		bp.hdr.version = MAX(bp.hdr.version, 0x0207);
		bp.hdr.loadflags |= KEEP_SEGMENTS;
		bp.hdr.hardware_subarch = SUBARCH_LGUEST;
		if (!bp.hdr.kernel_alignment)
			bp.hdr.kernel_alignment = 0x1000000;
	}
	bp.acpi_rsdp_addr = st->rq->acpi_rsdp;
	bp.e820_entries = (uint8_t)n;
	for (unsigned i = 0; i < n; i++)
		bp.e820_table[i] = (struct boot_e820_entry){ map[i].addr, map[i].size, map[i].type };
	st->out->boot_params = lguest ? 0 : LOAD_BOOT_PARAMS;
	return load_put(st, st->out->boot_params, &bp, sizeof(bp));
}

int load_params(struct load_state *st)
{
	uint64_t cmdline = st->rq->target == LOAD_FOR_LGUEST ? LOAD_LGUEST_CMDLINE : LOAD_CMDLINE;
	size_t len = strnlen(st->rq->cmdline, CMDLINE_MAX);
	struct map_entry map[MAP_MAX];
	unsigned n = memory_map(st->rq, map);

	if (len > st->cmdline_max || len >= CMDLINE_MAX)
		return load_fail(st->out, "the kernel command line has %zu bytes; this kernel allows %llu", len,
				 (unsigned long long)MIN(st->cmdline_max, CMDLINE_MAX - 1u));
	if (load_put(st, cmdline, st->rq->cmdline, len + 1) < 0)
		return -1;
	if (st->out->mode == LOAD_ENTRY_PVH)
		return put_pvh(st, map, n, cmdline);
	if (st->out->mode == LOAD_ENTRY_MULTIBOOT)
		return multiboot_put_info(st, map, n, cmdline);
	return put_boot_params(st, map, n, cmdline);
}
