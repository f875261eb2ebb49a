/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Makes the initrd of lguest-sep run. */
#ifndef PARENT_RUN_RUN_H
#define PARENT_RUN_RUN_H

#include "parent/options/config.h"

/*
 * Make the initrd with the rights of the user, before anything else is opened. It contains the user's own initrd (or
 * busybox), our init, modules, the files of --copy= and the command. Sets c->run.initrd to a memory file, which the
 * caller owns. Returns 0, or -1 after logging the reason.
 */
int run_initrd(struct config *c);

#endif
