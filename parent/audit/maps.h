/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Reads mappings, seals, descriptors and the root directory of one process. */
#ifndef PARENT_AUDIT_MAPS_H
#define PARENT_AUDIT_MAPS_H

#include "parent/audit/facts.h"

/*
 * Each of these fills its part of @f, whose pid is set. If this user may not see that part, it stays unchanged, and
 * have_maps, have_fds or have_root stays false.
 */
void facts_maps(struct facts *f);
void facts_fds(struct facts *f);
void facts_root(struct facts *f);

/* Returns the name of a kind of descriptor, such as "socket". */
const char *fd_kind_text(enum fd_kind k);

#endif
