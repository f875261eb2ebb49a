/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The kernel's filter on a guest's tap. */
#ifndef PARENT_SETUP_GUARD_H
#define PARENT_SETUP_GUARD_H

#include "parent/setup/setup.h"

/* Priorities of the filters of link_close() and link_guard() on a tap: 1 runs first. */
#define CLOSED_PRIORITY 1
#define GUARD_PRIORITY	2

/* Install guard_closed() for the NIC @o on its tap @ifname, before link_guard()'s filter. Returns 0, or -1. */
int link_close(const char *ifname, const struct net_option *o);

/*
 * Install guard_program() on the tap @ifname, so that the kernel drops the guest's frames as
 * described there. Returns 0, or -1 with the reason in @why (@size bytes).
 */
int link_guard(const char *ifname, const struct net_config *c, char *why, size_t size);

/*
 * The same for net[@i], and stop the host from acting on router advertisements and redirects
 * of the guest; only if lguest-sep made the tap. Returns 0, even if a part is missing, which
 * is logged; with --strict, returns -1 after logging that.
 */
int net_guard(const struct config *c, unsigned i, const struct net_host *n);

#endif
