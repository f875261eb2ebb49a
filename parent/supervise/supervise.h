/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The supervisor, from the guest's first start to its end. */
#ifndef PARENT_SUPERVISE_H
#define PARENT_SUPERVISE_H

#include "parent/setup/setup.h"

/*
 * Run the guest of @h until it ends for good. Returns the exit status of lguest-sep.
 * The caller has given up every privilege before.
 */
int supervise(struct host *h);

#endif
