/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef PARENT_DOCTOR_RULES_H
#define PARENT_DOCTOR_RULES_H

/* Adds findings about the rules for a guest's tap, nat and IPv6, and about what ordinary users can use. */
void doctor_rules(void);

#endif
