/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Rounds of lguest-sep run --checkpoint-at=command: the guest goes back to its checkpoint when a round is over, and
 * each round has a status of its own. How a round ended is a report of the vCPU process; the command's status is a
 * claim of the guest, which counts only if all of the output that it names arrived in the same round.
 */
#ifndef PARENT_SUPERVISE_ROUNDS_H
#define PARENT_SUPERVISE_ROUNDS_H

#include "parent/setup/result.h"
#include "parent/supervise/state.h"

/* Forget all rounds, before the first start of the guest. */
void sup_rounds_prepare(struct supervisor *s);
/* The vCPU process reports that a round is over because of @why, and waits. Kills it if no round runs. */
void sup_round_over(struct supervisor *s, uint32_t why);
/* If a round is over and all of its output is written: judge it, and let the guest go on. Call it often. */
void sup_rounds_turn(struct supervisor *s);
/* True if all rounds have been judged. */
bool sup_rounds_done(const struct supervisor *s);
/*
 * Returns the exit status of lguest-sep run with rounds: that of the first one that failed. @status: the exit status
 * that a guest without run would have. Prints a line if rounds failed or are missing.
 */
int sup_rounds_status(struct supervisor *s, int status);
/* Write the key "rounds" of --result. */
void sup_rounds_result(const struct supervisor *s, struct json *j);

#endif
