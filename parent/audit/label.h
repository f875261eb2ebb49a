/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which AppArmor profile each process of a guest should have. */
#ifndef PARENT_AUDIT_LABEL_H
#define PARENT_AUDIT_LABEL_H

#include "parent/audit/audit.h"

/*
 * Write to @promised (@size bytes) which label the process @p should have, such as "lguest-sep-blkd (enforce)".
 * Returns false if this guest has no AppArmor profiles, because its supervisor has none.
 */
bool audit_label(const struct audit_guest *g, const struct audit_process *p, char *promised, size_t size);

#endif
