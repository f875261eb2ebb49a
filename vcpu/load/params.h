/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The data that a kernel gets at its entry. */
#ifndef VCPU_LOAD_PARAMS_H
#define VCPU_LOAD_PARAMS_H

#include "vcpu/load/load_private.h"

/* An entry of the memory map. */
struct map_entry {
	uint64_t addr, size; /* Bytes */
	uint32_t type;	     /* By ACPI: 1 RAM, 2 reserved */
};
#define MAP_MAX 8 /* Most entries */

/*
 * Write the command line and boot_params (for PVH: start_info; for Multiboot: its information) to guest memory. Call it
 * after the initrd was loaded. Returns 0, or -1 with st->out->error set.
 */
int load_params(struct load_state *st);

#endif
