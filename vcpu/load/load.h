/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Loads a kernel and an initrd into guest memory, for the kvm and lguest engines (QEMU does
 * it itself). Runs in the vCPU process, under the loader's filter.
 *
 * The files are untrusted. Headers are checked on local copies, and pread() writes file
 * contents directly into guest memory. Nothing outside the RAM of the request is written.
 */
#ifndef VCPU_LOAD_H
#define VCPU_LOAD_H

#include "common/ctl.h"
#include "common/shm.h"

/* Guest-physical addresses with LOAD_FOR_KVM. */
#define LOAD_GDT	 0x0500u
#define LOAD_START_INFO	 0x6000u /* struct hvm_start_info of PVH */
#define LOAD_BOOT_PARAMS 0x7000u
#define LOAD_PAGE_TABLES 0x9000u  /* 6 pages: PML4, PDPT, 4 PD */
#define LOAD_MULTIBOOT	 0x10000u /* Multiboot's information, at most LOAD_MULTIBOOT_MAX bytes */
#define LOAD_CMDLINE	 0x20000u
#define LOAD_ACPI	 0xe0000u /* ACPI tables of the kvm engine, up to 1 MiB */
/* Guest-physical address with LOAD_FOR_LGUEST, which has boot_params at 0. */
#define LOAD_LGUEST_CMDLINE 0x1000u
/* Lowest address of a kernel image. */
#define LOAD_KERNEL_MIN 0x100000u

#define LOAD_MULTIBOOT_MAX 0x8000u

#define LOAD_HIGH_RAM 0x100000000ull /* Address of the RAM above 4 GiB */

enum load_for { LOAD_FOR_KVM, LOAD_FOR_LGUEST };

struct load_request {
	enum load_for target;
	int kernel;	     /* Descriptor of a regular file; not closed */
	int initrd;	     /* The same, or -1 */
	uint64_t ram_low;    /* Bytes of RAM at address 0: whole pages, at most 4 GiB */
	uint64_t ram_high;   /* Bytes of RAM at LOAD_HIGH_RAM; 0: none */
	uint64_t acpi_rsdp;  /* Guest-physical address of the ACPI RSDP; 0: none */
	const char *cmdline; /* At most CMDLINE_MAX - 1 bytes; the kernel's header may allow fewer */
};

/* The state of the first vCPU at the kernel's entry. */
enum load_mode {
	LOAD_ENTRY_64,	      /* Long mode, rsi = boot_params (boot.rst, "64-bit boot protocol") */
	LOAD_ENTRY_32,	      /* Protected mode without paging, esi = boot_params (boot.rst, "32-bit boot protocol") */
	LOAD_ENTRY_PVH,	      /* Protected mode without paging, ebx = start_info (Xen's PVH protocol) */
	LOAD_ENTRY_MULTIBOOT, /* The same, ebx = Multiboot's information, eax = a magic number */
};

struct load_result {
	enum load_mode mode;
	bool is_elf, is_gzip;
	uint64_t entry;			   /* Guest-physical address */
	uint64_t boot_params;		   /* Guest-physical address for esi, rsi or ebx */
	uint32_t magic;			   /* Multiboot: the value of eax */
	uint64_t kernel_start, kernel_end; /* RAM that the kernel needs, including its bss and init_size */
	uint64_t kernel_run;		   /* Where it runs: the address that a bzImage unpacks itself to */
	uint64_t initrd, initrd_size;	   /* Guest-physical address, page-aligned; size 0: none */
	char error[192];		   /* After a failure: the reason, for the user */
};

/*
 * Load kernel and initrd, and fill in boot_params (memory map, setup header, command line,
 * initrd). @mem must contain all of ram_low and ram_high. Returns 0, or -1 with out->error
 * set.
 */
int load_guest(const struct guest_mem *mem, const struct load_request *rq, struct load_result *out);

/* The boot protocol by which a kernel that load_guest() has loaded is entered: "Multiboot 1", "PVH" and so on. */
const char *load_protocol(const struct load_result *out);

/*
 * Check that a kernel that ends at @kernel_end, and an initrd of @initrd bytes above it, fit
 * below the address @top. Every engine checks this before the guest starts, because a kernel
 * that overlaps with its initrd hangs without a message. Returns 0, or -1 with out->error
 * set.
 */
int load_fit(struct load_result *out, uint64_t kernel_end, uint64_t initrd, uint64_t top);

#endif
