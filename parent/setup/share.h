/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Shared directories. */
#ifndef PARENT_SETUP_SHARE_H
#define PARENT_SETUP_SHARE_H

#include "parent/setup/setup.h"

/*
 * Check each directory of --share= and fill in h->share, before the rooms are made: fsd's room clones the directory.
 * The engine has been chosen. Returns 0, or -1 after logging the reason.
 */
int shares_open(struct host *h);
/* Take the clone of the directory from the room of share @i. */
void share_take(struct host *h, unsigned i, struct spawner *s);
void share_close(struct share_host *s);
/* No descriptor of @s is open. */
void share_clear(struct share_host *s);

#endif
