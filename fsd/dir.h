/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Listings of directories. */
#ifndef FSD_DIR_H
#define FSD_DIR_H

#include "fsd/fsd.h"

/*
 * Execute READDIR, or READDIRPLUS with @plus, for the directory @n. Returns the length of the reply in r->reply, or a
 * negative error number.
 */
int fsd_readdir(struct fsd *d, struct fs_req *r, struct node *n, bool plus);

#endif
