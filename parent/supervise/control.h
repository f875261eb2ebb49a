/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The supervisor's side of the control plane. It sends controld the state of the guest, the
 * counters of the roles, answers, and the end of the guest. It trusts controld's messages no
 * more than those of any other role, and accepts only the commands of common/ctl.h, for this guest.
 */
#ifndef PARENT_SUPERVISE_CONTROL_H
#define PARENT_SUPERVISE_CONTROL_H

#include "parent/supervise/state.h"

/*
 * --detach: once the guest runs, tell the process that the user started, which then ends. If it is
 * gone, the user does not want the guest any more. Call it once for each turn of the loop.
 */
void sup_tell_ready(struct supervisor *s);
/* Act on the commands that have arrived, and send what has changed. Call it once for each turn of the loop. */
void sup_control_turn(struct supervisor *s);
/* Returns when sup_control_turn() has to be called at the latest, or @other if that is earlier (ms; 0: no limit). */
uint64_t sup_control_deadline(const struct supervisor *s, uint64_t other);

/* The guest has ended for good with exit status @status: notify controld's clients. Waits at most 3 s for that. */
void sup_control_over(struct supervisor *s, int status);

#endif
