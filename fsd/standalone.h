/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Stand-alone fsd. */
#ifndef FSD_STANDALONE_H
#define FSD_STANDALONE_H

#include "fsd/options.h"

/*
 * Open the directory that @o names, fill in @role, and serve front-ends. In the process of each connection @make and
 * then @serve are called, with the directory at HFD_ROOT, the front-end at HFD_FRONT and, with --rw, the count of what
 * guests have added at HFD_ADDED. Returns the exit status; if the directory cannot be used, it logs the reason and exits
 * with status 1.
 */
int fsd_standalone(const struct fsd_options *o, struct role_config *role, void (*make)(void *device),
		   int (*serve)(void *device));

#endif
