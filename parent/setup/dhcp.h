/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Configures the DHCP server or IPv6 router of a tap (dhcp of --tunnet=IP), which netd is. Runs in the parent, in the
 * privileged window.
 */
#ifndef PARENT_SETUP_DHCP_H
#define PARENT_SETUP_DHCP_H

#include "parent/setup/setup.h"

/*
 * Fill in n->config.dhcp for @o, or n->config.ra for an IPv6 tap. n->host_mac must be set. The guest is told of a
 * router and of the host's resolvers if its packets are forwarded; a line says so if it can reach none of them (@who
 * begins that line).
 */
void dhcp_configure(const struct net_option *o, struct net_host *n, const char *who);

#endif
