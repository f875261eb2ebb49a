/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An IPv6 router's advertisements for the one guest on a tap (dhcp of --tunnet=[IPV6]), from which the guest forms its
 * address (SLAAC, RFC 4862). It keeps no state, and works on copies, without I/O. docs/architecture.md says why it is
 * part of netd.
 */
#ifndef NETD_RA_H
#define NETD_RA_H

#include <linux/if_ether.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/ctl.h"

/* Bytes of a frame that ra_is_solicitation() needs: Ethernet, IPv6, and the message's type. */
#define RA_PEEK (ETH_HLEN + 40 + 1)
/* Longest advertisement: Ethernet, IPv6, the message, and its options: link-layer address, MTU, prefix, resolvers. */
#define RA_MAX (ETH_HLEN + 40 + 16 + 8 + 8 + 32 + 8 + 16 * DHCP_RESOLVERS)

/*
 * True if a frame from the guest is a router solicitation, without extension headers, to all routers or to an address
 * of the host's end. The first @have bytes of the frame are at @frame (at least RA_PEEK, or all). Such a frame is never
 * sent to the host.
 */
bool ra_is_solicitation(const struct ra_config *c, const uint8_t *frame, size_t have);

/*
 * Check the frame of @len bytes at @frame, for which ra_is_solicitation() is true, as RFC 4861 (6.1.1) requires, except
 * for its checksum: the guest may leave that to the device, and memory has no bit errors. @mac: the guest's address; a
 * solicitation of another one is refused. Returns NULL, or the reason for giving no answer.
 */
const char *ra_check(const uint8_t *mac, const uint8_t *frame, size_t len);

/*
 * Write the advertisement (RFC 4861, 4.2) for @c to @frame: a frame to all nodes, in which nothing comes from the
 * guest. @mtu: of the link, in bytes. Returns the frame's length.
 */
size_t ra_write(const struct ra_config *c, unsigned mtu, uint8_t frame[RA_MAX]);

#endif
