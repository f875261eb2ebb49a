/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Compares the rules of a guest's taps with what its options promise. */
#ifndef PARENT_AUDIT_NETWORK_H
#define PARENT_AUDIT_NETWORK_H

#include "parent/audit/audit.h"
#include "parent/options/config.h"
#include "parent/setup/rules.h"

/* Adds the checks of the taps that lguest-sep made for @g, whose command line was parsed into @c. */
void audit_network(struct audit_guest *g, const struct config *c);

/*
 * The same for @n taps in this network namespace. @held_by: for each the inode of the netlink socket
 * that its netd holds (UINT64_MAX: none), then 0.
 */
void audit_rules(struct audit_guest *g, const struct rules_nic *nic, unsigned n, const uint64_t *held_by);
/* The same of the filter on one tap. */
void audit_guard(struct audit_guest *g, const struct rules_nic *nic);

#endif
