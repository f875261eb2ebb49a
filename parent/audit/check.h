/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Compares what /proc shows of a guest with what this build promises. */
#ifndef PARENT_AUDIT_CHECK_H
#define PARENT_AUDIT_CHECK_H

#include "parent/audit/audit.h"

/* Fill check[] of @g and of each of its processes, which have been read. */
void audit_judge(struct audit_guest *g);

/* Adds one check of the guest as a whole; @what is static text. */
void audit_guest_check(struct audit_guest *g, enum verdict v, const char *what, const char *promised, const char *fmt,
		       ...) PRINTF_LIKE(5, 6);

#endif
