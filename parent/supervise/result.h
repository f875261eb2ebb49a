/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Writes the file of --result at the end of a guest that was started. */
#ifndef PARENT_SUPERVISE_RESULT_H
#define PARENT_SUPERVISE_RESULT_H

#include "parent/supervise/state.h"

/* Keep the last message as the reason of the end; @status is that of a guest without run. Call it before messages about
 * lost output. */
void sup_result_conclude(struct supervisor *s, int status);
/* Write the file. @status: the exit status of lguest-sep. */
void sup_result_write(struct supervisor *s, int status);

#endif
