/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The information that a Multiboot kernel gets at its entry. */
#ifndef VCPU_LOAD_MULTIBOOT_INFO_H
#define VCPU_LOAD_MULTIBOOT_INFO_H

#include "vcpu/load/load_private.h"
#include "vcpu/load/params.h"

/*
 * Write it to guest memory: the memory map of @n entries at @map, the command line at the
 * guest-physical address @cmdline, and what st contains. Returns 0, or -1 with out->error set.
 */
int multiboot_put_info(struct load_state *st, const struct map_entry *map, unsigned n, uint64_t cmdline);

#endif
