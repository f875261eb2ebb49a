/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Names in the arguments of requests. */
#ifndef FSD_NAME_H
#define FSD_NAME_H

#include "fsd/fsd.h"

/*
 * Read the name with its NUL at byte *@at of the arguments; *@at is the byte after it then. Returns 0, or a negative error
 * number if no directory entry can have this name.
 */
int fsd_name(const struct fs_req *r, uint32_t *at, const char **name);

#endif
