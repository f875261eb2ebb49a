/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The file system device for the loop of common/backend.h. */
#ifndef FSD_DEVICE_H
#define FSD_DEVICE_H

#include "fsd/fsd.h"

/*
 * Make the device: takes the share's directory at HFD_ROOT. @generation: number of processes that served it before.
 * Before confinement. Returns 0, or -1 with the reason in @why.
 */
int fsd_init(struct fsd *d, const struct fs_config *c, uint32_t generation, char *why, size_t why_size);
/* Fill in the device's part of a back-end's configuration. */
void fsd_backend(struct fsd *d, const char *name, struct backend_config *bc);

#endif
