/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The setting dhcp of --tunnet=IP. Runs in the parent before it has opened anything; parent/setup/dhcp.c later adds
 * what depends on the host.
 */
#include <arpa/inet.h>
#include <string.h>

#include "parent/options/dhcp.h"
#include "parent/options/util.h"

/* True if a guest can have the address @a (host byte order) in the tap's network. */
static bool is_usable(const struct net_option *n, uint32_t a)
{
	uint32_t host = ntohl(n->ip.s_addr), rest = UINT32_MAX >> n->prefix;

	if ((a & ~rest) != (host & ~rest) || a == host)
		return false;
	/* A network of two addresses has neither a broadcast address nor one of its own (RFC 3021). */
	return n->prefix == 31 || ((a & rest) != 0 && (a & rest) != rest);
}

uint32_t dhcp_guest(const struct net_option *n)
{
	uint32_t host = ntohl(n->ip.s_addr), a;

	for (unsigned i = 0; i < n->own.n4; i++) {
		memcpy(&a, n->own.ip4[i], sizeof(a));
		if (is_usable(n, ntohl(a)))
			return ntohl(a);
	}
	if (n->own.n4 || n->own.n6)
		return 0;
	return is_usable(n, host + 1) ? host + 1 : is_usable(n, host - 1) ? host - 1 : 0;
}

/* The same for an IPv6 tap, whose network netd advertises. */
static const char *check_ra(struct opt_parser *p, const struct net_option *n)
{
	if (n->prefix != 64)
		return opt_why(p,
			       "dhcp: a guest forms its IPv6 address only in a network of 64 bits, not of %u; give /64",
			       n->prefix);
	if (n->own.n4 || n->own.n6)
		return opt_why(p, "dhcp: a guest chooses its IPv6 address itself; leave out ip= or dhcp");
	if (n->mtu && n->mtu < 1280)
		return opt_why(p, "dhcp: IPv6 needs mtu=1280 or more");
	return NULL;
}

const char *check_dhcp(struct opt_parser *p, const struct net_option *n)
{
	if (!n->dhcp)
		return NULL;
	if (n->kind == NET_USER)
		return opt_why(p, "dhcp: --net=user needs none; passt answers DHCP");
	if (n->kind == NET_BRIDGE)
		return opt_why(p, "dhcp: not on a bridge; a DHCP server of that network answers");
	if (n->kind != NET_TUNNET_IP)
		return opt_why(p, "dhcp: only for taps that lguest-sep makes with an address (--tunnet=IP)");
	if (n->v6)
		return check_ra(p, n);
	if (!dhcp_guest(n))
		return opt_why(p,
			       "dhcp: no address of ip= is one that a guest can have in the tap's network of %u bits; "
			       "add one with ip=",
			       n->prefix);
	return NULL;
}
