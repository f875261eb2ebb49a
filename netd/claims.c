/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Judges which addresses a guest claims to have. Runs in netd, on copies of what the
 * guest gave; never touches guest memory, never does I/O. parent/setup/guard_claims.c has
 * the kernel check the same on taps that lguest-sep makes.
 */
#include <linux/if_ether.h>
#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <string.h>

#include "netd/claims.h"
#include "netd/wire.h"

/* Most VLAN tags and IPv6 extension headers that are followed. Frames with more are refused. */
#define MAX_TAGS       2
#define MAX_EXTENSIONS 6

enum {
	ARP_LEN = 28,
	ARP_SENDER_MAC = 8,
	ARP_SENDER_IP = 14,
	IP4_LEN = 20,
	IP4_SOURCE = 12,
	IP6_LEN = 40,
	IP6_NEXT = 6,
	IP6_SOURCE = 8,
	ND_TARGET = 8,
	ND_LEN = 24,
};

static bool is_own4(const struct net_config *c, const uint8_t *ip)
{
	for (unsigned i = 0; i < c->own.n4 && i < MAX_OWN_ADDRESSES; i++)
		if (!memcmp(ip, c->own.ip4[i], sizeof(c->own.ip4[i])))
			return true;
	return false;
}

static bool is_own6(const struct net_config *c, const uint8_t *ip)
{
	uint8_t local[16];

	for (unsigned i = 0; i < c->own.n6 && i < MAX_OWN_ADDRESSES; i++)
		if (!memcmp(ip, c->own.ip6[i], sizeof(c->own.ip6[i])))
			return true;
	own_link_local(c->mac, local);
	return !memcmp(ip, local, sizeof(local));
}

static bool arp_allowed(const struct net_config *c, const uint8_t *p, size_t len)
{
	static const uint8_t head[] = { 0, 1, 0x08, 0, 6, 4 }; /* Ethernet and IPv4, with their lengths */
	static const uint8_t none[4];

	return len >= ARP_LEN && !memcmp(p, head, sizeof(head)) && !memcmp(p + ARP_SENDER_MAC, c->mac, ETH_ALEN) &&
	       (is_own4(c, p + ARP_SENDER_IP) || !memcmp(p + ARP_SENDER_IP, none, sizeof(none)));
}

static bool ip4_allowed(const struct net_config *c, const uint8_t *p, size_t len)
{
	static const uint8_t none[4];

	return len >= IP4_LEN && p[0] >> 4 == 4 &&
	       (is_own4(c, p + IP4_SOURCE) || !memcmp(p + IP4_SOURCE, none, sizeof(none)));
}

/* An ICMPv6 message. @unspecified: its source is "::", as in duplicate address detection (RFC 4862, 5.4). */
static bool icmp6_allowed(const struct net_config *c, const uint8_t *p, size_t len, bool unspecified)
{
	if (!len)
		return false;
	if (p[0] != ND_NEIGHBOR_ADVERT && !(p[0] == ND_NEIGHBOR_SOLICIT && unspecified))
		return true;
	return len >= ND_LEN && is_own6(c, p + ND_TARGET);
}

/* Length of the extension header of type @next at @p (RFC 8200, 4; RFC 4302, 2.2), 0 for any other header. */
static size_t extension_len(unsigned next, const uint8_t *p)
{
	switch (next) {
	case IPPROTO_HOPOPTS:
	case IPPROTO_ROUTING:
	case IPPROTO_DSTOPTS:
	case 135: /* Mobility, RFC 6275 */
	case 139: /* Host identity, RFC 7401 */
	case 140: /* Shim6, RFC 5533 */
		return ((size_t)p[1] + 1) * 8;
	case IPPROTO_FRAGMENT:
		return 8;
	case IPPROTO_AH:
		return ((size_t)p[1] + 2) * 4;
	default:
		return 0;
	}
}

static bool ip6_allowed(const struct net_config *c, const uint8_t *p, size_t len)
{
	static const uint8_t none[16];
	unsigned next;
	bool unspecified;
	size_t at = IP6_LEN;

	if (len < IP6_LEN || p[0] >> 4 != 6)
		return false;
	unspecified = !memcmp(p + IP6_SOURCE, none, sizeof(none));
	if (!unspecified && !is_own6(c, p + IP6_SOURCE))
		return false;
	next = p[IP6_NEXT];
	for (unsigned i = 0; next != IPPROTO_ICMPV6; i++) {
		size_t step;

		/* Other protocols claim only the source address, which has been checked already. */
		if (at + 8 > len)
			return extension_len(next, (const uint8_t[]){ 0, 0 }) == 0;
		step = extension_len(next, p + at);
		if (!step)
			return true;
		if (i == MAX_EXTENSIONS)
			return false;
		if (next == IPPROTO_FRAGMENT) {
			/* RFC 6980: neighbour discovery is never fragmented; reject what may be such a fragment. */
			if (p[at] == IPPROTO_ICMPV6 && get16(p + at + 2) & 0xfff9)
				return false;
			if (get16(p + at + 2) & 0xfff8)
				return true;
		}
		next = p[at];
		at += step;
	}
	return at < len && icmp6_allowed(c, p + at, len - at, unspecified);
}

bool claims_allowed(const struct net_config *c, const uint8_t *eth, size_t have)
{
	size_t at = ETH_HLEN;
	unsigned type;

	if (!claims_limited(c))
		return true;
	if (have < ETH_HLEN)
		return false;
	type = get16(eth + 2 * ETH_ALEN);
	for (unsigned i = 0; i < MAX_TAGS && (type == ETH_P_8021Q || type == ETH_P_8021AD); i++) {
		if (at + 4 > have)
			return false;
		type = get16(eth + at + 2);
		at += 4;
	}
	switch (type) {
	case ETH_P_ARP:
		return arp_allowed(c, eth + at, have - at);
	case ETH_P_IP:
		return ip4_allowed(c, eth + at, have - at);
	case ETH_P_IPV6:
		return ip6_allowed(c, eth + at, have - at);
	default:
		return false;
	}
}
