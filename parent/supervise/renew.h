/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * --reset=fresh: for each reset of the guest, the processes of all helpers end, and others take their places. The vCPU
 * process asks for that in two steps, between which it knows that no process of a helper is left. Controld goes on.
 */
#ifndef PARENT_SUPERVISE_RENEW_H
#define PARENT_SUPERVISE_RENEW_H

#include "parent/supervise/state.h"

/*
 * The vCPU process asks to end all helpers, or with @start to start others. @keeps: because of a checkpoint; otherwise
 * what the guest wrote to snapshots after it is dropped. Kills the vCPU process if it may not ask.
 */
void sup_renew_asked(struct supervisor *s, bool start, bool keeps);
/*
 * The process of @r has ended. Returns true if it did so for a reset, which starts another one. If it crashed instead,
 * which the guest may have caused, prints why, and counts a restart for --max-restarts.
 */
bool sup_renew_ends(struct supervisor *s, struct sup_role *r);
/* Do what is due, and end the guest if a helper does not end or start in time. Call it often. */
void sup_renew_turn(struct supervisor *s);
/* Returns the earlier one of @other and the time at which sup_renew_turn() has something to do (ms); 0: none. */
uint64_t sup_renew_deadline(const struct supervisor *s, uint64_t other);

#endif
