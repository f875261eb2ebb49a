/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The setting dhcp of --tunnet=IP: if a NIC can have it, and which address its guest gets. */
#ifndef PARENT_OPTIONS_DHCP_H
#define PARENT_OPTIONS_DHCP_H

#include "common/options.h"
#include "parent/options/config.h"

/*
 * The IPv4 address that the DHCP server of @n, a tap with an IPv4 address, gives to the guest, in host byte order: the
 * first of ip= in the tap's network; without ip= the one after the host's (or before it, where that is the broadcast
 * address). 0: there is none.
 */
uint32_t dhcp_guest(const struct net_option *n);

/* Check that dhcp, if it was given, fits @n. Returns NULL, or the reason. */
const char *check_dhcp(struct opt_parser *p, const struct net_option *n);

#endif
