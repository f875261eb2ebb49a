/* SPDX-License-Identifier: GPL-2.0-or-later */
/* --reset=fresh: the tables of nodes.h, as they were at the checkpoint. */
#ifndef FSD_BEGIN_H
#define FSD_BEGIN_H

#include <stdint.h>

/*
 * Before nodes_make() with @limit: make the tables in @to, which are empty, as those in @from, which nobody can write any
 * more. Neither is one of a checkpoint (past.h). Returns 0, or -1 with errno set.
 */
int nodes_begin(int from, int to, uint32_t limit);

#endif
