/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Memory, channels and processes of one start of the guest. */
#ifndef PARENT_SUPERVISE_START_H
#define PARENT_SUPERVISE_START_H

#include "parent/supervise/state.h"

/* Create memory, channels and processes for one start of the guest. Returns 0, or -1 after logging the reason. */
int sup_start(struct supervisor *s);

/* Start a successor of the helper @r, which has ended. Returns 0, or -1 after logging the reason. */
int sup_start_again(struct supervisor *s, struct sup_role *r);

/* Close what sup_start() made, after every role has ended. */
void sup_clean(struct supervisor *s);

#endif
