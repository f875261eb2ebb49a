/* SPDX-License-Identifier: GPL-2.0-or-later */
/* --save= and --from=: a checkpoint of the guest as a file, and guests that start from it. */
#ifndef PARENT_OPTIONS_SAVED_H
#define PARENT_OPTIONS_SAVED_H

#include "parent/options/config.h"

/*
 * With --from=, check the @n words after the options: MEM-MB only. Returns -1, or the exit status after printing the
 * reason.
 */
int saved_words(struct config *c, int n, char **words);
/*
 * Check both options against the others, and choose what follows from them. Call it before the check of --checkpoint.
 * Returns -1, or the exit status after printing the reason.
 */
int saved_check(struct config *c);

#endif
