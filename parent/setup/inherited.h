/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Descriptors that were open before we started. */
#ifndef PARENT_SETUP_INHERITED_H
#define PARENT_SETUP_INHERITED_H

#include "parent/setup/setup.h"

/* List all open descriptors except the three standard ones. Returns 0, or -1 after logging the reason. */
int inherited_note(void);
/* True if these and the standard ones are all known to be local (local.h). Call inherited_note() first. */
bool inherited_are_local(void);
/* Close the listed descriptors except those of --net=fd=N. */
void inherited_close(const struct config *c);

#endif
