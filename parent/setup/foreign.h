/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Devices that another vhost-user program serves. */
#ifndef PARENT_SETUP_FOREIGN_H
#define PARENT_SETUP_FOREIGN_H

#include "parent/setup/setup.h"

/* True if another program serves device @d. */
bool device_is_foreign(const struct config *c, unsigned d);

/*
 * Connect to the program that serves device @d: sets h->role[@d].foreign. The engine has been chosen. Returns 0, or -1
 * after logging the reason.
 */
int foreign_open(struct host *h, unsigned d);

#endif
