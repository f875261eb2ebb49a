/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The firmware file of --firmware=. */
#ifndef PARENT_SETUP_FIRMWARE_H
#define PARENT_SETUP_FIRMWARE_H

#include "parent/setup/setup.h"

/* Open the file h->c->firmware_path as h->firmware, and check its size. Returns 0, or -1 after logging the reason. */
int firmware_open(struct host *h);

#endif
