/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Chooses the engine and opens its device. */
#ifndef PARENT_SETUP_ENGINES_H
#define PARENT_SETUP_ENGINES_H

#include "parent/setup/setup.h"

/* Set h->engine and h->engine_fd as --engine= asks. Returns 0, or -1 after logging the reason. */
int engine_open(struct host *h);

/* The same for the engine @kind, without printing. Returns 0, or -1 with the reason in @why (256 bytes). */
int engine_try(struct host *h, enum engine_kind kind, char *why);

/* Free the memory that engine_try() allocated. The caller closes the descriptors before. */
void engine_forget(struct host *h);
/* Returns the name of an engine as in --engine=, such as "kvm". */
const char *engine_name(enum engine_kind kind);

#endif
