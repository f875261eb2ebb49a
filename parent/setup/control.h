/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The socket through which users see and control a running guest (--name, --control). */
#ifndef PARENT_SETUP_CONTROL_H
#define PARENT_SETUP_CONTROL_H

#include "parent/setup/setup.h"

/*
 * Opens h->control, listening at its abstract address, and fills h->name and h->owner; without --name and the like
 * does nothing. Returns 0, or -1 after logging the reason; h->name_taken is set if that is another guest of the name.
 */
int control_open(struct host *h);

#endif
