/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Prints the results of the audit. */
#ifndef PARENT_AUDIT_PRINT_H
#define PARENT_AUDIT_PRINT_H

#include "parent/audit/audit.h"

/* Print the results of @n guests to standard output, as text or as JSON. */
void audit_print_text(const struct audit_guest *g, unsigned n);
void audit_print_json(const struct audit_guest *g, unsigned n);
/* Returns how many checks of @g have the verdict @v. */
unsigned audit_count(const struct audit_guest *g, enum verdict v);

#endif
