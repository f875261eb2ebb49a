/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Pause of a guest: its vCPU process and its helpers are stopped until the guest is resumed or ended. */
#ifndef PARENT_SUPERVISE_HOLD_H
#define PARENT_SUPERVISE_HOLD_H

#include "parent/supervise/state.h"

/*
 * Run the commands CONTROL_PAUSE and CONTROL_RESUME. Return NULL, or why that is not possible. The answer to a pause
 * that was begun for the client @ticket comes later (LATE_PAUSE).
 */
const char *sup_pause(struct supervisor *s, uint32_t ticket);
const char *sup_resume(struct supervisor *s);

/* QEMU reports that it has stopped its guest. */
void sup_hold_monitor(struct supervisor *s);
/* The spawner of @r reports that its role has stopped, for the request @number. */
void sup_hold_role(struct supervisor *s, struct sup_role *r, uint32_t number);
/* Act on a pause that is complete, or that takes too long. */
void sup_hold_due(struct supervisor *s, uint64_t now);
/* Returns when sup_hold_due() has to be called (ms); 0: no limit. */
uint64_t sup_hold_deadline(const struct supervisor *s);

#endif
