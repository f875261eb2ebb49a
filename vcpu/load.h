/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Loading a kernel and an initrd into guest memory, for every engine that does
 * it itself (kvm, lguest). Runs in the vCPU process, under its start filter.
 *
 * The files are attacker-made. Headers are judged on local copies, file contents
 * go by pread() straight into guest memory, and nothing outside the RAM that
 * the request names is ever written.
 */
#ifndef VCPU_LOAD_H
#define VCPU_LOAD_H

#include "common/ctl.h"
#include "common/shm.h"

/* Where things lie in guest-physical memory: LOAD_FOR_KVM. Below 640 KiB. */
#define LOAD_GDT	 0x0500u
#define LOAD_START_INFO	 0x6000u /* PVH */
#define LOAD_BOOT_PARAMS 0x7000u
#define LOAD_PAGE_TABLES 0x9000u /* 6 pages: PML4, PDPT, 4 PD */
#define LOAD_CMDLINE	 0x20000u
#define LOAD_ACPI	 0xe0000u /* up to 1 MiB: tables of the engine */
/* LOAD_FOR_LGUEST (boot_params is at guest-physical 0). */
#define LOAD_LGUEST_CMDLINE 0x1000u
/* First byte that a kernel image may use. */
#define LOAD_KERNEL_MIN 0x100000u

#define LOAD_HIGH_RAM 0x100000000ull /* where ram_high begins */

enum load_for { LOAD_FOR_KVM, LOAD_FOR_LGUEST };

struct load_request {
	enum load_for target;
	int kernel;	   /* descriptor; regular file */
	int initrd;	   /* descriptor, or -1 */
	uint64_t ram_low;  /* bytes of RAM from 0; a whole number of pages, at most 4 GiB */
	uint64_t ram_high; /* bytes of RAM from LOAD_HIGH_RAM; 0: none */
	uint64_t
		top_reserve; /* bytes below the initrd (or the end of ram_low) that stay free: page tables of old lguest hosts */
	uint64_t acpi_rsdp;  /* guest-physical, for boot_params and PVH; 0: none */
	const char *cmdline; /* at most CMDLINE_MAX - 1 bytes, and what the kernel's header allows */
};

/* How the first vCPU begins. */
enum load_mode {
	LOAD_ENTRY_64, /* long mode, rsi = boot_params (Documentation/arch/x86/boot.rst, 64-bit boot protocol) */
	LOAD_ENTRY_32, /* protected mode without paging, esi = boot_params (32-bit boot protocol; lguest: physical entry) */
	LOAD_ENTRY_PVH, /* protected mode without paging, ebx = start_info (Xen's PVH protocol) */
};

struct load_result {
	enum load_mode mode;
	bool is_elf, is_gzip;
	uint64_t entry;			   /* guest-physical */
	uint64_t boot_params;		   /* guest-physical; what esi/rsi/ebx point to */
	uint64_t kernel_start, kernel_end; /* bytes of RAM that the image needs, its bss and init_size included */
	uint64_t kernel_run;		   /* where it runs: where a bzImage unpacks itself to, or kernel_start */
	uint64_t initrd, initrd_size;	   /* guest-physical, page-aligned; size 0: none */
	char error[192];		   /* on failure: one clear reason, for the user */
};

/*
 * Load everything; boot_params (e820, header, command line, initrd) are complete
 * afterwards. @mem must hold all of ram_low and ram_high. 0, or -1 with out->error.
 */
int load_guest(const struct guest_mem *mem, const struct load_request *rq, struct load_result *out);

#endif
