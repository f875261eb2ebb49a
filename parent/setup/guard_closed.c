/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Builds the filter that replaces nftables rules. Runs in the parent, inside the privileged
 * window; changes only its argument. Offsets are from the start of the frame, because frames
 * with VLAN tags are dropped first.
 */
#include <arpa/inet.h>
#include <netinet/icmp6.h>
#include <netinet/ip_icmp.h>

#include "parent/setup/guard_closed.h"
#include "parent/setup/guard_emit.h"

enum {
	TYPE = 2 * ETH_ALEN,
	IP4_FRAGMENT = ETH_HLEN + 6,
	IP4_PROTOCOL = ETH_HLEN + 9,
	IP4_SOURCE = ETH_HLEN + 12,
	IP4_TARGET = ETH_HLEN + 16,
	IP4_HEADER = 20,
	IP6_NEXT = ETH_HLEN + 6,
	IP6_TARGET = ETH_HLEN + 24,
	IP6_PAYLOAD = 40,
	TCP_FLAGS = ETH_HLEN + 13,
	PORT = ETH_HLEN + 2,
};

#define TCP_SYN 0x02
#define TCP_RST 0x04
#define TCP_ACK 0x10

static void pass(struct guard_program *p)
{
	put(p, BPF_RET | BPF_K, (uint32_t)TC_ACT_UNSPEC);
}

static void drop(struct guard_program *p)
{
	put(p, BPF_RET | BPF_K, TC_ACT_SHOT);
}

static void pass_if(struct guard_program *p, uint32_t k)
{
	unless(p, k, 1);
	pass(p);
}

/*
 * A load behind the end of a frame would end the whole classification with "accept", and the filter that comes after
 * this one would not run. So pass frames of fewer than @len bytes, which hold no IP payload, on to it.
 */
static void pass_shorter(struct guard_program *p, uint32_t len)
{
	put(p, BPF_LD | BPF_W | BPF_LEN, 0);
	p->code[p->n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, len, 1, 0);
	pass(p);
}

/* Pass the ports of reach=. The index register holds the length of the IP header. Ends the program. */
static void open_ports(struct guard_program *p, const struct net_option *o, uint8_t protocol)
{
	put(p, BPF_LD | BPF_H | BPF_IND, PORT);
	for (unsigned i = 0; i < o->nreach; i++)
		if (o->reach[i].protocol == protocol)
			pass_if(p, o->reach[i].port);
	drop(p);
}

/* Decide by protocol and ports. The accumulator holds the protocol, the index register the length of the IP header.
 * Ends the program. */
static void transport(struct guard_program *p, const struct net_option *o, bool v6)
{
	unsigned tcp, udp, icmp;

	unless(p, IPPROTO_TCP, 1);
	tcp = jump(p);
	unless(p, IPPROTO_UDP, 1);
	udp = jump(p);
	unless(p, v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP, 1);
	icmp = jump(p);
	drop(p);

	land(p, tcp); /* an answer acknowledges or resets */
	drop_shorter(p, TCP_FLAGS + 1);
	put(p, BPF_LD | BPF_B | BPF_IND, TCP_FLAGS);
	put(p, BPF_ALU | BPF_AND | BPF_K, TCP_RST | TCP_ACK);
	unless(p, 0, 1);
	put(p, BPF_JMP | BPF_JA, 1);
	pass(p);
	open_ports(p, o, IPPROTO_TCP);

	land(p, udp);
	drop_shorter(p, PORT + 2);
	open_ports(p, o, IPPROTO_UDP);

	land(p, icmp);
	drop_shorter(p, ETH_HLEN + 1);
	put(p, BPF_LD | BPF_B | BPF_IND, ETH_HLEN);
	pass_if(p, v6 ? ICMP6_ECHO_REQUEST : ICMP_ECHO);
	pass_if(p, v6 ? ICMP6_ECHO_REPLY : ICMP_ECHOREPLY);
	drop(p);
}

static void ipv4(struct guard_program *p, const struct net_option *o)
{
	uint32_t mask = o->prefix ? UINT32_MAX << (32 - o->prefix) : 0; /* No address: on a bridge. */

	pass_shorter(p, ETH_HLEN + IP4_HEADER + 1);
	if (o->kind == NET_TUNNET_IP) {
		put(p, BPF_LD | BPF_W | BPF_ABS, IP4_TARGET);
		drop_unless(p, ntohl(o->ip.s_addr));
		put(p, BPF_LD | BPF_W | BPF_ABS, IP4_SOURCE);
		put(p, BPF_ALU | BPF_AND | BPF_K, mask);
		drop_unless(p, ntohl(o->ip.s_addr) & mask);
	}
	if (o->reach_all) {
		pass(p);
		return;
	}
	put(p, BPF_LD | BPF_H | BPF_ABS, IP4_FRAGMENT); /* a fragment hides its ports */
	put(p, BPF_ALU | BPF_AND | BPF_K, 0x3fff);
	drop_unless(p, 0);
	put(p, BPF_LDX | BPF_B | BPF_MSH, ETH_HLEN);
	put(p, BPF_LD | BPF_B | BPF_ABS, IP4_PROTOCOL);
	transport(p, o, false);
}

static void ipv6(struct guard_program *p, const struct net_option *o)
{
	unsigned other;

	pass_shorter(p, ETH_HLEN + IP6_PAYLOAD + 1);
	put(p, BPF_LD | BPF_B | BPF_ABS, IP6_NEXT);
	unless(p, IPPROTO_ICMPV6, 1);
	put(p, BPF_JMP | BPF_JA, 1);
	other = jump(p);
	put(p, BPF_LD | BPF_B | BPF_ABS, ETH_HLEN + IP6_PAYLOAD);
	pass_if(p, ND_NEIGHBOR_SOLICIT);
	pass_if(p, ND_NEIGHBOR_ADVERT);
	land(p, other);
	if (o->kind == NET_TUNNET_IP && !o->v6) {
		drop(p);
		return;
	}
	for (unsigned i = 0; i < 4 && o->kind == NET_TUNNET_IP; i++) {
		put(p, BPF_LD | BPF_W | BPF_ABS, IP6_TARGET + 4 * i);
		drop_unless(p, ntohl(o->ip6.s6_addr32[i]));
	}
	if (o->reach_all) {
		pass(p);
		return;
	}
	put(p, BPF_LDX | BPF_W | BPF_IMM, IP6_PAYLOAD);
	put(p, BPF_LD | BPF_B | BPF_ABS, IP6_NEXT); /* an extension header is none of the protocols */
	transport(p, o, true);
}

/* Pass frames that are for none of @macs. */
static void for_the_host(struct guard_program *p, uint8_t (*macs)[ETH_ALEN], unsigned nmacs)
{
	unsigned found[4], n = 0;

	for (unsigned i = 0; i < nmacs && i < ARRAY_SIZE(found); i++) {
		const uint8_t *m = macs[i];

		put(p, BPF_LD | BPF_W | BPF_ABS, 0);
		unless(p, (uint32_t)m[0] << 24 | (uint32_t)m[1] << 16 | (uint32_t)m[2] << 8 | m[3], 3);
		put(p, BPF_LD | BPF_H | BPF_ABS, 4);
		unless(p, (uint32_t)(m[4] << 8 | m[5]), 1);
		found[n++] = jump(p);
	}
	pass(p);
	while (n)
		land(p, found[--n]);
}

void guard_closed(struct guard_program *p, const struct net_option *o, uint8_t (*macs)[ETH_ALEN], unsigned nmacs)
{
	unsigned v4, v6;

	p->n = 0;
	p->claims = NULL;
	if (o->kind == NET_BRIDGE)
		for_the_host(p, macs, nmacs);
	put(p, BPF_LD | BPF_W | BPF_ABS, (uint32_t)SKF_AD_OFF + SKF_AD_VLAN_TAG_PRESENT);
	drop_unless(p, 0);
	put(p, BPF_LD | BPF_H | BPF_ABS, TYPE);
	pass_if(p, ETH_P_ARP);
	unless(p, ETH_P_IP, 1);
	v4 = jump(p);
	unless(p, ETH_P_IPV6, 1);
	v6 = jump(p);
	drop(p);
	land(p, v4);
	if (o->kind == NET_TUNNET_IP && o->v6)
		drop(p);
	else
		ipv4(p, o);
	land(p, v6);
	ipv6(p, o);
}
