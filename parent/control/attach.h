/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The guest's console over its control socket: lguest-sep logs and lguest-sep attach. */
#ifndef PARENT_CONTROL_ATTACH_H
#define PARENT_CONTROL_ATTACH_H

#include "parent/control/guest.h"

/*
 * Show the guest's output until the guest ends, the listener has sent everything, or (with @input) the user detaches
 * with ^]. With @input, standard input goes to the guest; a terminal is in raw mode meanwhile. Returns the exit status.
 */
int attach_run(struct guest *g, bool input);

#endif
