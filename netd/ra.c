/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Advertises the host's end of a tap as an IPv6 router. Runs in netd, on copies of what the guest sent; never touches
 * guest memory, never does I/O.
 */
#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <string.h>

#include "common/util.h"
#include "netd/ra.h"
#include "netd/wire.h"

#define HOP_LIMIT  255	 /* Of neighbour discovery: the packet was not forwarded (RFC 4861, 6.1.1) */
#define USUAL_HOPS 64	 /* Hop limit for the guest's own packets */
#define LIFETIME   9000u /* Of router and resolvers in seconds; the longest that RFC 4861 (6.2.1) permits */
#define FOREVER	   UINT32_MAX
#define MTU_LEAST  1280u /* RFC 8200, 5 */
#define PREFIX_LEN 64
#define OPT_RDNSS  25 /* RFC 8106, 5.1 */

enum {
	IP6_LEN = 40,
	IP6_PAYLOAD = 4,
	IP6_NEXT = 6,
	IP6_HOPS = 7,
	IP6_SOURCE = 8,
	IP6_TARGET = 24,
	/* Offsets in a message, and lengths without options. */
	CODE = 1,
	SUM = 2,
	RS_LEN = 8,
	RA_HOPS = 4,
	RA_LIFETIME = 6,
	RA_LEN = 16,
	UNIT = 8, /* Of options' lengths, in bytes */
};

bool ra_is_solicitation(const struct ra_config *c, const uint8_t *frame, size_t have)
{
	static const uint8_t all_routers[16] = { 0xff, 2, [15] = 2 };
	const uint8_t *ip = frame + ETH_HLEN, *to = ip + IP6_TARGET;

	return have >= RA_PEEK && get16(frame + 2 * ETH_ALEN) == ETH_P_IPV6 && ip[0] >> 4 == 6 &&
	       ip[IP6_NEXT] == IPPROTO_ICMPV6 && ip[IP6_LEN] == ND_ROUTER_SOLICIT &&
	       (!memcmp(to, all_routers, sizeof(all_routers)) || !memcmp(to, c->local, sizeof(c->local)) ||
		!memcmp(to, c->host, sizeof(c->host)));
}

/* Check the options in the @len bytes at @p. @unspecified: the sender has no address yet. */
static const char *check_options(const uint8_t *p, size_t len, const uint8_t *mac, bool unspecified)
{
	for (size_t at = 0, step; at < len; at += step) {
		step = len - at < 2 ? 0 : (size_t)p[at + 1] * UNIT;
		if (!step || step > len - at)
			return "dropped: a router solicitation with malformed options";
		if (p[at] != ND_OPT_SOURCE_LINKADDR)
			continue;
		if (unspecified || step != UNIT || memcmp(p + at + 2, mac, ETH_ALEN) != 0)
			return "dropped: a router solicitation for another hardware address";
	}
	return NULL;
}

const char *ra_check(const uint8_t *mac, const uint8_t *frame, size_t len)
{
	static const uint8_t unspecified[16];
	const uint8_t *ip = frame + ETH_HLEN, *m = ip + IP6_LEN;
	size_t size = get16(ip + IP6_PAYLOAD);

	if (size > len - ETH_HLEN - IP6_LEN || size < RS_LEN)
		return "dropped: a router solicitation that is not whole";
	if (ip[IP6_HOPS] != HOP_LIMIT || m[CODE] != 0)
		return "dropped: a router solicitation with another hop limit than 255, or another code than 0";
	if (memcmp(frame + ETH_ALEN, mac, ETH_ALEN) != 0)
		return "dropped: a router solicitation from another hardware address";
	return check_options(m + RS_LEN, size - RS_LEN, mac,
			     !memcmp(ip + IP6_SOURCE, unspecified, sizeof(unspecified)));
}

/* Begin an option of @len bytes, which are zero. */
static uint8_t *begin_option(uint8_t *p, unsigned type, size_t len)
{
	p[0] = (uint8_t)type;
	p[1] = (uint8_t)(len / UNIT);
	return p + len;
}

static uint8_t *put_options(uint8_t *p, const struct ra_config *c, unsigned mtu)
{
	unsigned ndns = MIN(c->ndns, (unsigned)DHCP_RESOLVERS);
	uint8_t *o = p;

	p = begin_option(o, ND_OPT_SOURCE_LINKADDR, UNIT);
	memcpy(o + 2, c->host_mac, ETH_ALEN);
	if (mtu >= MTU_LEAST) {
		o = p;
		p = begin_option(o, ND_OPT_MTU, UNIT);
		put32(o + 4, mtu);
	}
	o = p;
	p = begin_option(o, ND_OPT_PREFIX_INFORMATION, 4 * UNIT);
	o[2] = PREFIX_LEN;
	o[3] = ND_OPT_PI_FLAG_ONLINK | ND_OPT_PI_FLAG_AUTO;
	put32(o + 4, FOREVER);
	put32(o + 8, FOREVER);
	memcpy(o + 16, c->host, PREFIX_LEN / 8);
	if (!ndns)
		return p;
	o = p;
	p = begin_option(o, OPT_RDNSS, UNIT + ndns * sizeof(c->dns[0]));
	put32(o + 4, LIFETIME);
	memcpy(o + UNIT, c->dns, ndns * sizeof(c->dns[0]));
	return p;
}

size_t ra_write(const struct ra_config *c, unsigned mtu, uint8_t frame[RA_MAX])
{
	static const uint8_t all_nodes_mac[ETH_ALEN] = { 0x33, 0x33, [5] = 1 }, all_nodes[16] = { 0xff, 2, [15] = 1 };
	uint8_t *ip = frame + ETH_HLEN, *m = ip + IP6_LEN;
	size_t len;

	memset(frame, 0, RA_MAX);
	memcpy(frame, all_nodes_mac, ETH_ALEN);
	memcpy(frame + ETH_ALEN, c->host_mac, ETH_ALEN);
	put16(frame + 2 * ETH_ALEN, ETH_P_IPV6);
	m[0] = ND_ROUTER_ADVERT;
	m[RA_HOPS] = USUAL_HOPS;
	/* A lifetime of 0: no default router. */
	put16(m + RA_LIFETIME, c->router ? LIFETIME : 0);
	len = (size_t)(put_options(m + RA_LEN, c, mtu) - m);
	ip[0] = 0x60;
	put16(ip + IP6_PAYLOAD, (unsigned)len);
	ip[IP6_NEXT] = IPPROTO_ICMPV6;
	ip[IP6_HOPS] = HOP_LIMIT;
	memcpy(ip + IP6_SOURCE, c->local, sizeof(c->local));
	memcpy(ip + IP6_TARGET, all_nodes, sizeof(all_nodes));
	/* The pseudo-header: addresses, length and protocol (RFC 8200, 8.1). */
	put16(m + SUM, fold(add_words(add_words(IPPROTO_ICMPV6 + (uint32_t)len, ip + IP6_SOURCE, 32), m, len)));
	return ETH_HLEN + IP6_LEN + len;
}
