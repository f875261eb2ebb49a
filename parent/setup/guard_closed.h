/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A filter on a tap that protects the host if nftables is missing: what can be checked without tracking connections. */
#ifndef PARENT_SETUP_GUARD_CLOSED_H
#define PARENT_SETUP_GUARD_CLOSED_H

#include "parent/options/config.h"
#include "parent/setup/guard_program.h"

/*
 * Write the program. It does not track connections: it passes TCP segments that open no connection, and UDP
 * packets to the ports of reach= only.
 * With NET_TUNNET_IP it passes packets to the address of the tap only. On a bridge it checks only frames for one
 * of the @nmacs MAC addresses of the host, and passes broadcasts and frames for others. Its verdict is TC_ACT_SHOT,
 * or TC_ACT_UNSPEC: the next filter decides.
 */
void guard_closed(struct guard_program *p, const struct net_option *o, uint8_t (*macs)[ETH_ALEN], unsigned nmacs);

#endif
