/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Commands to the guest: a non-maskable interrupt, the keys of Linux's sysrq, checkpoint and reset. */
#ifndef PARENT_SUPERVISE_STEER_H
#define PARENT_SUPERVISE_STEER_H

#include "parent/supervise/state.h"

/*
 * Run the commands CONTROL_NMI and CONTROL_SYSRQ. Return NULL, or why that is not possible. If *@later is true, the
 * answer to the client @ticket comes later (LATE_NMI, LATE_SYSRQ), unless there is a reason.
 */
const char *sup_nmi(struct supervisor *s, uint32_t ticket, bool *later);
const char *sup_sysrq(struct supervisor *s, uint64_t key, uint32_t ticket, bool *later);

/* Run the commands CONTROL_CHECKPOINT, and with @reset CONTROL_RESET. Returns NULL, or why that is not possible. */
const char *sup_checkpoint(struct supervisor *s, bool reset);

/* QEMU reports whether (@sent) it has sent the break that sup_sysrq() asked for. */
void sup_break_sent(struct supervisor *s, bool sent);
/* QEMU reports whether (@sent) it has sent the interrupt that sup_nmi() asked for. */
void sup_nmi_sent(struct supervisor *s, bool sent);
/* The guest is started again, or for the first time: what QEMU was asked for comes to nothing. */
void sup_steer_over(struct supervisor *s);
/* Act on a break, an interrupt or a start of QEMU that takes too long. */
void sup_steer_due(struct supervisor *s, uint64_t now);
/* Returns when sup_steer_due() has to be called (ms); 0: no limit. */
uint64_t sup_steer_deadline(const struct supervisor *s);

#endif
