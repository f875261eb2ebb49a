/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Processes that do not end although they were killed. */
#ifndef PARENT_SUPERVISE_STUCK_H
#define PARENT_SUPERVISE_STUCK_H

#include "parent/supervise/state.h"

/* Count each process as ended that was killed 5 seconds ago and still lives, and print one line for it. */
void sup_stuck_due(struct supervisor *s);
/* Returns when the next killed process will count as stuck (ms), or 0 if no killed process lives. */
uint64_t sup_stuck_deadline(const struct supervisor *s);

/*
 * Writes the end of a message to @text (@size bytes): "; FILE stays locked until then" if the process of @r holds the
 * lock of a disk image, otherwise an empty string.
 */
void sup_lock_text(const struct supervisor *s, const struct sup_role *r, char *text, size_t size);

#endif
