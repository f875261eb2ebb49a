/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The part of the filter on a tap that checks which IP addresses a guest claims (ip=), as netd does. */
#ifndef PARENT_SETUP_GUARD_CLAIMS_H
#define PARENT_SETUP_GUARD_CLAIMS_H

#include "parent/setup/guard_program.h"

/*
 * Each appends instructions that check the header at the index register. They drop the frame if the guest claims an
 * address that is not its own; otherwise the program continues with the instruction after them.
 */
void claims_arp(struct guard_program *p, const struct net_config *c);
void claims_ipv4(struct guard_program *p, const struct net_config *c);
/* Sets SCRATCH_UNSPECIFIED. */
void claims_ipv6(struct guard_program *p, const struct net_config *c);
/* The same for an ICMPv6 message. */
void claims_icmpv6(struct guard_program *p, const struct net_config *c);
/* The same for an IPv6 fragment header: drops fragments that may be neighbour discovery, as RFC 6980 requires. */
void claims_fragment(struct guard_program *p);

#endif
