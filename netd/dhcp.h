/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A DHCP server for the one guest on a tap (dhcp of --tunnet=IP). It has one address to give, keeps no state between
 * messages, and works on copies, without I/O. docs/architecture.md says why it is part of netd.
 */
#ifndef NETD_DHCP_H
#define NETD_DHCP_H

#include <linux/if_ether.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/ctl.h"

/* Bytes of a frame that dhcp_is_request() needs: Ethernet, the longest IPv4 header and the UDP header. */
#define DHCP_PEEK (ETH_HLEN + 60 + 8)
/* Longest answer: Ethernet, IPv4, UDP, and the message that every client accepts (RFC 2131, 2). */
#define DHCP_MESSAGE_MAX 548
#define DHCP_REPLY_MAX	 (ETH_HLEN + 20 + 8 + DHCP_MESSAGE_MAX)

struct dhcp_reply {
	size_t len;	 /* Bytes of the frame to give to the guest; 0: none */
	const char *why; /* What became of the request, for the comment of a capture */
	bool declined; /* The guest cannot use the address, because another machine has it or for a reason of its own */
	uint8_t frame[DHCP_REPLY_MAX];
};

/*
 * True if a frame from the guest is for this DHCP server: an unfragmented IPv4 packet to UDP port 67 of the host's end,
 * of the network's broadcast address, or of 255.255.255.255. The first @have bytes of the frame are at @frame (at least
 * DHCP_PEEK, or all). Such a frame is never sent to the host.
 */
bool dhcp_is_request(const struct dhcp_config *c, const uint8_t *frame, size_t have);

/*
 * Answer the frame of @len bytes at @frame, for which dhcp_is_request() is true, as RFC 2131 (section 4.3) lays down for
 * a server. @mac: the guest's address, the only client. @mtu: of the link, in bytes. A request that is malformed, comes
 * from a relay, or chose another server gets no answer. Fills in all of @r but unused bytes of the frame.
 */
void dhcp_answer(const struct dhcp_config *c, const uint8_t *mac, unsigned mtu, const uint8_t *frame, size_t len,
		 struct dhcp_reply *r);

#endif
