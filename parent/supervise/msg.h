/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Messages from roles, spawners and QEMU's monitor. */
#ifndef PARENT_SUPERVISE_MSG_H
#define PARENT_SUPERVISE_MSG_H

#include "parent/supervise/state.h"

/* The spawner of @r has sent a message. Returns true if the role has ended: the caller calls sup_role_ended() next. */
bool sup_role_spawner(struct supervisor *s, struct sup_role *r);
/* The control channel of @r is readable: handle a bounded number of messages. */
void sup_role_ctl(struct supervisor *s, struct sup_role *r);
/* The standard error of @r is readable: read once. Returns true if there may be more. */
bool sup_role_diag(struct supervisor *s, struct sup_role *r);
/* QEMU's monitor is readable: read once. */
void sup_monitor(struct supervisor *s);

/* SIGUSR1: ask every live role for its counters, which are printed when they arrive. */
void sup_ask_stats(struct supervisor *s);

/* Print the last counters that each role sent. */
void sup_print_stats(struct supervisor *s);

/* Print the last line of standard error of @r, which was held back because it may be the reason of the role's end. */
void sup_let_out(struct supervisor *s, struct sup_role *r);

#endif
