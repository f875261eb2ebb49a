/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Checks which addresses a guest claims (ip=). A pure function on copies. Only netd uses it. */
#ifndef NETD_CLAIMS_H
#define NETD_CLAIMS_H

#include "common/ctl.h"

/* True if ip= gives the guest addresses: without them there is nothing to check. Asked for each frame. */
static inline bool claims_limited(const struct net_config *c)
{
	return c->own.n4 || c->own.n6;
}

/*
 * True if the guest may send this frame. Always true without ip=; otherwise its sender must be one of the
 * guest's addresses in ARP (RFC 826), IPv4, IPv6 and neighbour discovery (RFC 4861), behind up to two
 * VLAN tags, and it must be one of these four.
 * @eth: a copy of the frame's first @have bytes, at least ETH_HLEN. A frame whose headers continue behind these bytes
 * is rejected.
 */
bool claims_allowed(const struct net_config *c, const uint8_t *eth, size_t have);

#endif
