/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Builds the rules that decide which packets of a guest the host accepts. There are three
 * families of rules. "inet" decides about IPv4 and IPv6. "netdev" drops everything else on
 * a tap with an address, because its hook sees all protocols. "bridge" marks the packets
 * that a guest on a bridge sends to the host, because the inet hooks see only the bridge
 * as the interface, not its port.
 *
 * The decision is made in the prerouting hook, after connection tracking and before the
 * host's own rules translate addresses or set marks: no later rule can accept a packet
 * that was dropped there. On a bridge it is made in the input hook as well, because
 * br_netfilter skips prerouting for frames that a bridge passes to the host.
 */
#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/rtnetlink.h>
#include <netinet/icmp6.h>
#include <netinet/ip_icmp.h>
#include <stdio.h>
#include <string.h>

#include "parent/setup/rules.h"

#define INET   NFPROTO_INET
#define BRIDGE NFPROTO_BRIDGE
#define NETDEV NFPROTO_NETDEV

/*
 * Priorities of the hooks. RAW: before connection tracking (-200). JUDGE: after it, and before mangle (-150) and dstnat
 * (-100). NAT: that of srcnat.
 */
#define PRIORITY_RAW   (-300)
#define PRIORITY_JUDGE (-199)
#define PRIORITY_NAT   100
/* NF_BR_LOCAL_IN of linux/netfilter_bridge.h, which conflicts with net/if.h. Our chain is the first at that hook. */
#define BR_LOCAL_IN   1
#define PRIORITY_MARK (-300)
/* Bits of NFT_CT_STATE. */
#define STATE(ctinfo) (1u << ((ctinfo) % IP_CT_IS_REPLY + 1))

#define RAW	    "before-tracking"
#define PREROUTING  "prerouting"
#define INPUT	    "input"
#define FORWARD	    "forward"
#define POSTROUTING "postrouting"

bool rules_wanted(const struct net_option *o)
{
	return o->kind == NET_TUNNET_IP || o->kind == NET_BRIDGE;
}

void rules_table(char name[RULES_TABLE_MAX], const struct rules_nic *first, pid_t pid)
{
	snprintf(name, RULES_TABLE_MAX, RULES_TABLE_PREFIX "%s-%d", first->ifname, (int)pid);
}

static bool is_bridge(const struct rules_nic *n)
{
	return n->o->kind == NET_BRIDGE;
}

/* Returns the mark for packets from this port: unique on this host, and unlikely to be used by other rules. */
static uint32_t mark_of(const struct rules_nic *n)
{
	return 0x6c000000u | (n->ifindex & 0xffffffu);
}

/* ---- conditions ---- */

static void from_guest(struct nft_batch *b, const struct rules_nic *n)
{
	nft_meta(b, is_bridge(n) ? NFT_META_MARK : NFT_META_IIF);
	nft_compare_u32(b, true, is_bridge(n) ? mark_of(n) : n->ifindex);
}

static void to_tap(struct nft_batch *b, const struct rules_nic *n, bool yes)
{
	nft_meta(b, NFT_META_OIF);
	nft_compare_u32(b, yes, n->ifindex);
}

static void protocol(struct nft_batch *b, uint8_t ip_version, uint8_t l4)
{
	if (ip_version) {
		nft_meta(b, NFT_META_NFPROTO);
		nft_compare_u8(b, ip_version);
	}
	nft_meta(b, NFT_META_L4PROTO);
	nft_compare_u8(b, l4);
}

/* The packet is an ICMP message (of IPv4 or IPv6) of type @type. */
static void icmp_type(struct nft_batch *b, uint8_t ip_version, uint8_t type)
{
	protocol(b, ip_version, ip_version == NFPROTO_IPV4 ? IPPROTO_ICMP : IPPROTO_ICMPV6);
	nft_payload(b, NFT_PAYLOAD_TRANSPORT_HEADER, 0, 1);
	nft_compare_u8(b, type);
}

/* The destination is an address of the interface that the packet arrived at. */
static void to_own_address(struct nft_batch *b)
{
	nft_fib(b, NFT_FIB_RESULT_ADDRTYPE, NFTA_FIB_F_DADDR | NFTA_FIB_F_IIF);
	nft_compare_u32(b, true, RTN_LOCAL);
}

/* The host would not send an answer to the source address out through this interface. */
static void spoofed_source(struct nft_batch *b)
{
	nft_fib(b, NFT_FIB_RESULT_OIF, NFTA_FIB_F_SADDR | NFTA_FIB_F_IIF | NFTA_FIB_F_PRESENT);
	nft_compare_u8(b, 0);
}

static void state(struct nft_batch *b, uint32_t states)
{
	static const uint32_t none;

	nft_ct(b, NFT_CT_STATE);
	nft_mask(b, &states, sizeof(states));
	nft_compare(b, false, &none, sizeof(none));
}

/* Register 1, an address of @len bytes, is in the network @ip with @prefix bits. */
static void in_network(struct nft_batch *b, const void *ip, unsigned prefix, unsigned len)
{
	uint8_t mask[sizeof(struct in6_addr)] = { 0 }, net[sizeof(struct in6_addr)];

	for (unsigned i = 0; i < prefix; i++)
		mask[i / 8] = (uint8_t)(mask[i / 8] | 0x80 >> i % 8);
	for (unsigned i = 0; i < len; i++)
		net[i] = ((const uint8_t *)ip)[i] & mask[i];
	nft_mask(b, mask, len);
	nft_compare(b, true, net, len);
}

/* ---- chains ---- */

static void end(struct nft_batch *b, int verdict)
{
	nft_verdict(b, verdict, NULL);
	nft_rule_end(b);
}

/*
 * Accept an ICMP error only if it is about a connection to the tap's own network. Otherwise a guest could end the
 * host's other connections with forged errors.
 */
static void errors_about_own_network(struct nft_batch *b, const struct rules_nic *n, bool v6)
{
	static const struct in6_addr link_local = { .s6_addr = { 0xfe, 0x80 } };

	nft_rule(b, INET, n->chain);
	protocol(b, v6 ? NFPROTO_IPV6 : NFPROTO_IPV4, v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP);
	state(b, STATE(IP_CT_RELATED));
	nft_ct_original(b, v6 ? NFT_CT_DST_IP6 : NFT_CT_DST_IP);
	if (!v6)
		in_network(b, &n->o->ip, n->o->prefix, sizeof(n->o->ip));
	else if (n->o->v6)
		in_network(b, &n->o->ip6, n->o->prefix, sizeof(n->o->ip6));
	else
		in_network(b, &link_local, 10, sizeof(link_local));
	end(b, NF_ACCEPT);
}

static void neighbour_discovery(struct nft_batch *b, const struct rules_nic *n)
{
	static const uint8_t types[] = { ND_NEIGHBOR_SOLICIT, ND_NEIGHBOR_ADVERT };

	for (unsigned i = 0; i < ARRAY_SIZE(types); i++) {
		nft_rule(b, INET, n->chain);
		icmp_type(b, NFPROTO_IPV6, types[i]);
		end(b, NF_ACCEPT);
	}
}

/* Packets for another machine: drop them unless nat or reach=forward was given. */
static void not_for_the_host(struct nft_batch *b, const struct rules_nic *n)
{
	nft_rule(b, INET, n->chain);
	nft_fib(b, NFT_FIB_RESULT_ADDRTYPE, NFTA_FIB_F_DADDR);
	nft_compare_u32(b, true, RTN_UNICAST);
	if (n->o->nat || n->o->reach_forward) {
		nft_fib(b, NFT_FIB_RESULT_OIF, NFTA_FIB_F_SADDR | NFTA_FIB_F_IIF | NFTA_FIB_F_PRESENT);
		nft_compare_u8(b, 1);
		end(b, NF_ACCEPT);
		nft_rule(b, INET, n->chain);
		nft_fib(b, NFT_FIB_RESULT_ADDRTYPE, NFTA_FIB_F_DADDR);
		nft_compare_u32(b, true, RTN_UNICAST);
	}
	end(b, NF_DROP);
}

/* Accept packets to the ports of reach=tcp:PORT and reach=udp:PORT. */
static void open_ports(struct nft_batch *b, const struct rules_nic *n)
{
	for (unsigned i = 0; i < n->o->nreach; i++) {
		const uint16_t port = htons(n->o->reach[i].port);

		nft_rule(b, INET, n->chain);
		protocol(b, 0, n->o->reach[i].protocol);
		nft_payload(b, NFT_PAYLOAD_TRANSPORT_HEADER, 2, sizeof(port));
		nft_compare(b, true, &port, sizeof(port));
		end(b, NF_ACCEPT);
	}
}

/* Build the chain that every packet of this guest passes through. */
static void judge(struct nft_batch *b, const struct rules_nic *n)
{
	nft_chain(b, INET, n->chain, NULL);
	neighbour_discovery(b, n);
	not_for_the_host(b, n);
	if (n->o->reach_all) {
		nft_rule(b, INET, n->chain);
		end(b, NF_ACCEPT);
		return;
	}
	open_ports(b, n);
	nft_rule(b, INET, n->chain);
	spoofed_source(b);
	end(b, NF_DROP);
	for (unsigned v6 = 0; v6 < 2; v6++) {
		nft_rule(b, INET, n->chain);
		icmp_type(b, v6 ? NFPROTO_IPV6 : NFPROTO_IPV4, v6 ? ICMP6_ECHO_REQUEST : ICMP_ECHO);
		to_own_address(b);
		end(b, NF_ACCEPT);
	}
	nft_rule(b, INET, n->chain);
	state(b, STATE(IP_CT_ESTABLISHED));
	end(b, NF_ACCEPT);
	if (!is_bridge(n)) {
		if (!n->o->v6)
			errors_about_own_network(b, n, false);
		errors_about_own_network(b, n, true);
	}
	nft_rule(b, INET, n->chain);
	end(b, NF_DROP);
}

/* Exempt echo requests from connection tracking, so that they cannot fill the host's table of connections. */
static void before_tracking(struct nft_batch *b, const struct rules_nic *n)
{
	for (unsigned v6 = 0; v6 < 2; v6++) {
		nft_rule(b, INET, RAW);
		from_guest(b, n);
		icmp_type(b, v6 ? NFPROTO_IPV6 : NFPROTO_IPV4, v6 ? ICMP6_ECHO_REQUEST : ICMP_ECHO);
		to_own_address(b);
		nft_do(b, "notrack");
		nft_rule_end(b);
	}
}

static void jump(struct nft_batch *b, const char *chain, const struct rules_nic *n)
{
	nft_rule(b, INET, chain);
	from_guest(b, n);
	nft_verdict(b, NFT_JUMP, n->chain);
	nft_rule_end(b);
}

static void forward(struct nft_batch *b, const struct rules_nic *n)
{
	if (n->o->reach_forward)
		return;
	if (!n->o->nat) {
		nft_rule(b, INET, FORWARD);
		from_guest(b, n);
		end(b, NF_DROP);
	}
	/* Other packets forwarded to a bridge may be for other machines on it. */
	if (is_bridge(n))
		return;
	if (n->o->nat) {
		nft_rule(b, INET, FORWARD);
		to_tap(b, n, true);
		state(b, STATE(IP_CT_ESTABLISHED) | STATE(IP_CT_RELATED));
		end(b, NF_ACCEPT);
	}
	nft_rule(b, INET, FORWARD);
	to_tap(b, n, true);
	end(b, NF_DROP);
}

static void masquerade(struct nft_batch *b, const struct rules_nic *n)
{
	const struct net_option *o = n->o;

	nft_rule(b, INET, POSTROUTING);
	nft_meta(b, NFT_META_NFPROTO);
	nft_compare_u8(b, o->v6 ? NFPROTO_IPV6 : NFPROTO_IPV4);
	to_tap(b, n, false);
	if (o->v6) {
		nft_payload(b, NFT_PAYLOAD_NETWORK_HEADER, 8, sizeof(o->ip6));
		in_network(b, &o->ip6, o->prefix, sizeof(o->ip6));
	} else {
		nft_payload(b, NFT_PAYLOAD_NETWORK_HEADER, 12, sizeof(o->ip));
		in_network(b, &o->ip, o->prefix, sizeof(o->ip));
	}
	nft_do(b, "masq");
	nft_rule_end(b);
}

/*
 * On a tap with an address, drop everything but ARP, IPv4 and IPv6: VLAN tags, LLC, and
 * protocols that a module of the host's kernel might handle.
 */
static void ingress(struct nft_batch *b, const struct rules_nic *n)
{
	static const uint16_t types[] = { ETH_P_ARP, ETH_P_IP, ETH_P_IPV6 };
	const struct nft_hook hook = { "filter", NF_NETDEV_INGRESS, PRIORITY_RAW, n->ifname };

	nft_chain(b, NETDEV, n->chain, &hook);
	for (unsigned i = 0; i < ARRAY_SIZE(types); i++) {
		const uint16_t type = htons(types[i]);

		nft_rule(b, NETDEV, n->chain);
		nft_payload(b, NFT_PAYLOAD_LL_HEADER, 2 * ETH_ALEN, sizeof(type));
		nft_compare(b, true, &type, sizeof(type));
		end(b, NF_ACCEPT);
	}
	nft_rule(b, NETDEV, n->chain);
	end(b, NF_DROP);
}

static void mark(struct nft_batch *b, const struct rules_nic *n)
{
	nft_rule(b, BRIDGE, INPUT);
	nft_meta(b, NFT_META_IIF);
	nft_compare_u32(b, true, n->ifindex);
	nft_set_mark(b, mark_of(n));
	nft_rule_end(b);
}

static bool any(const struct rules_nic *nic, unsigned n, bool (*is)(const struct rules_nic *n))
{
	for (unsigned i = 0; i < n; i++)
		if (is(&nic[i]))
			return true;
	return false;
}

static bool has_address(const struct rules_nic *n)
{
	return !is_bridge(n);
}

static bool has_nat(const struct rules_nic *n)
{
	return n->o->nat;
}

static void hooks(struct nft_batch *b, const struct rules_nic *nic, unsigned n)
{
	static const struct nft_hook raw = { "filter", NF_INET_PRE_ROUTING, PRIORITY_RAW, NULL };
	static const struct nft_hook prerouting = { "filter", NF_INET_PRE_ROUTING, PRIORITY_JUDGE, NULL };
	static const struct nft_hook input = { "filter", NF_INET_LOCAL_IN, PRIORITY_JUDGE, NULL };
	static const struct nft_hook forwarding = { "filter", NF_INET_FORWARD, PRIORITY_JUDGE, NULL };
	static const struct nft_hook nat = { "nat", NF_INET_POST_ROUTING, PRIORITY_NAT, NULL };
	static const struct nft_hook bridge = { "filter", BR_LOCAL_IN, PRIORITY_MARK, NULL };

	nft_table(b, INET);
	nft_chain(b, INET, RAW, &raw);
	nft_chain(b, INET, PREROUTING, &prerouting);
	nft_chain(b, INET, FORWARD, &forwarding);
	if (any(nic, n, has_nat))
		nft_chain(b, INET, POSTROUTING, &nat);
	if (any(nic, n, has_address))
		nft_table(b, NETDEV);
	if (!any(nic, n, is_bridge))
		return;
	nft_chain(b, INET, INPUT, &input);
	nft_table(b, BRIDGE);
	nft_chain(b, BRIDGE, INPUT, &bridge);
}

void rules_build(struct nft_batch *b, const struct rules_nic *nic, unsigned n)
{
	hooks(b, nic, n);
	for (unsigned i = 0; i < n; i++) {
		judge(b, &nic[i]);
		before_tracking(b, &nic[i]);
		jump(b, PREROUTING, &nic[i]);
		forward(b, &nic[i]);
		if (nic[i].o->nat)
			masquerade(b, &nic[i]);
		if (is_bridge(&nic[i])) {
			jump(b, INPUT, &nic[i]);
			mark(b, &nic[i]);
		} else {
			ingress(b, &nic[i]);
		}
	}
}
