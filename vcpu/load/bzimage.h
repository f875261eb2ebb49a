/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Loading Linux kernels in bzImage format. */
#ifndef VCPU_LOAD_BZIMAGE_H
#define VCPU_LOAD_BZIMAGE_H

#include "vcpu/load/load_private.h"

/* Check the header of the file st->src and load it. Returns 0, or -1 with st->out->error set. */
int load_bzimage(struct load_state *st);

#endif
