/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Loading kernels in ELF format. */
#ifndef VCPU_LOAD_ELF_H
#define VCPU_LOAD_ELF_H

#include "vcpu/load/load_private.h"

/* Load the segments of the file st->src and find its entry. Returns 0, or -1 with st->out->error set. */
int load_elf(struct load_state *st);

#endif
