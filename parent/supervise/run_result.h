/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How a guest of lguest-sep run ended, from the guest's claim and from what the supervisor observed. */
#ifndef PARENT_SUPERVISE_RUN_RESULT_H
#define PARENT_SUPERVISE_RUN_RESULT_H

#include "parent/supervise/state.h"

/*
 * Checks a report that came from the guest. Returns true if @r is well-formed; its text is then NUL-terminated and
 * was made printable.
 */
bool run_result_ok(struct run_result *r);
/*
 * Returns the exit status for the well-formed report @r, or -1 if the guest could not start the command. Without @raw
 * (--raw-status), 123 stands for 123 to 255 and for a signal.
 */
int run_result_status(const struct run_result *r, bool raw);

/*
 * The guest powered off, or its round ended so. Returns the command's status with "" in @text, or EXIT_RUN_FAILED with
 * the reason.
 */
int sup_run_claim(struct supervisor *s, char *text, size_t size);

/* Keep the end of the guest's console output. */
void sup_run_console(const uint8_t *buf, size_t n);
/*
 * Returns the exit status of lguest-sep run. @status: the exit status that a guest without run would have. If it is
 * not the command's own status, this prints the reason and the end of the guest's console.
 */
int sup_run_status(struct supervisor *s, int status);

#endif
