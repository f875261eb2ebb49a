/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Log messages for the user. */
#ifndef PARENT_SUPERVISE_LINES_H
#define PARENT_SUPERVISE_LINES_H

#include "parent/supervise/state.h"

/*
 * Queue one log message for the user; never waits. sup_note(): for messages that report no error; not with --quiet.
 * sup_verbose(): only with --verbose.
 */
void sup_line(struct supervisor *s, const char *fmt, ...) PRINTF_LIKE(2, 3);
void sup_note(struct supervisor *s, const char *fmt, ...) PRINTF_LIKE(2, 3);
void sup_verbose(struct supervisor *s, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* Report the confinement layers (LAYER_BIT() of @missing) that the process @who lacks, on one or more lines. */
void sup_lacks(struct supervisor *s, const char *who, uint32_t missing);
/* Report each layer that any process (the supervisor, too) lacks: one line per layer, with the processes' names. */
void sup_sum_lacks(struct supervisor *s);

/* True if our messages and the guest's output go to the same place, so that ours are inserted between its lines. */
bool sup_lines_join(const struct supervisor *s);

/* If so, move the messages from s->err to s->out, unless the guest is in the middle of a line and @now is false. */
void sup_join_lines(struct supervisor *s, bool now);

#endif
