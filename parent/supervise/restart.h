/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Restart of helpers that end while the guest runs. */
#ifndef PARENT_SUPERVISE_RESTART_H
#define PARENT_SUPERVISE_RESTART_H

#include "parent/supervise/state.h"

/*
 * Schedule the restart of helper @r, which has ended. @ended_well: with exit status 0.
 * Returns false if the user wants no restarts (--max-restarts=0), or QEMU would not use its successor.
 */
bool sup_restart_later(struct supervisor *s, struct sup_role *r, bool ended_well);

/*
 * Print why @r ended, and count one restart for it. Returns false after ending the guest, if that exceeds
 * --max-restarts within a minute.
 */
bool sup_restart_counts(struct supervisor *s, struct sup_role *r);
/* Restart the helpers whose time has come. End the guest if that would exceed --max-restarts within a minute. */
void sup_restart_due(struct supervisor *s);
/* Returns when the next restart is due (ms), or 0 if none is scheduled. */
uint64_t sup_restart_deadline(const struct supervisor *s);
/* True if a helper is down, or was within the last 3 seconds. */
bool sup_restart_recent(const struct supervisor *s);

/* Print why controld (@r) ended, and that the guest goes on without it. */
void sup_restart_gave_up(struct supervisor *s, struct sup_role *r);

/* Returns the end of a message about the end of helper @r: if the guest runs, why it is not restarted, or "". */
const char *sup_restart_text(const struct supervisor *s, const struct sup_role *r);

/*
 * The successor @r has confined itself and is ready. With QEMU a disk serves only once QEMU has connected to it, and
 * sup_restart_due() ends the guest if QEMU has said nothing after a minute in which the guest ran.
 */
void sup_restarted(struct supervisor *s, struct sup_role *r);
/* Helper @r has sent CTL_FRONT with @front, an enum ctl_front or any other number. */
void sup_front_changed(struct supervisor *s, struct sup_role *r, uint32_t front);

#endif
