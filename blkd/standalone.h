/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Stand-alone blkd. */
#ifndef BLKD_STANDALONE_H
#define BLKD_STANDALONE_H

#include "blkd/options.h"

/*
 * Open the image that @o names, fill in @role, and serve front-ends. In the process of each
 * connection @make and then @serve are called, with the image at HFD_DISK, the delta of a
 * snapshot at HFD_DELTA and the front-end at HFD_FRONT. Returns the exit status; if the
 * image cannot be used, it logs the reason and exits with status 1.
 */
int blkd_standalone(const struct blkd_options *o, struct role_config *role, void (*make)(void *device),
		    int (*serve)(void *device));

#endif
