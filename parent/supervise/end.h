/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Decisions about the end of the guest, and all deadlines. */
#ifndef PARENT_SUPERVISE_END_H
#define PARENT_SUPERVISE_END_H

#include "parent/supervise/state.h"

/* The process of @r has ended, with the wait status in r->end: decide what that means for the guest. */
void sup_role_ended(struct supervisor *s, struct sup_role *r);

/*
 * Ask the guest to power off within @grace_s seconds; if it does not, end it with exit status @status.
 * Ends the guest at once if it was asked before, or does not run yet.
 */
void sup_power_button(struct supervisor *s, int status, unsigned grace_s);

/* Act on every deadline that has passed. */
void sup_deadlines(struct supervisor *s);
/* Returns the milliseconds until the next deadline, or until the time @other (ms; 0: none); -1 if there is none. */
int sup_timeout_ms(const struct supervisor *s, uint64_t other);

/* True if the guest reset, and is started again once all of this start has ended. */
bool sup_reboots(const struct supervisor *s);

/* All processes have ended. Returns the exit status, or -1 to start the guest again. */
int sup_conclude(struct supervisor *s);

#endif
