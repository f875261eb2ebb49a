/* SPDX-License-Identifier: GPL-2.0-or-later */
/* passt, the program behind a NIC of --net=user. It and the netd of that NIC start and end as a pair. */
#ifndef PARENT_SUPERVISE_PASST_H
#define PARENT_SUPERVISE_PASST_H

#include "parent/supervise/state.h"

/* The other process of the pair that @r belongs to; NULL: @r is in none. */
struct sup_role *sup_partner(const struct supervisor *s, const struct sup_role *r);

/*
 * Start the passt of @netd. Returns netd's end of the connection to passt, which the caller closes, or -1 after
 * logging the reason.
 */
int sup_passt_start(struct supervisor *s, struct sup_role *netd);

/* True if @line, from the standard error of @r, is passt's process ID, by which it reports that it is ready. */
bool sup_passt_ready(const struct sup_role *r, const char *line);

#endif
