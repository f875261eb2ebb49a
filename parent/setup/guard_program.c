/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Builds the classic BPF program of the filter on a tap, which decides about frames from
 * the guest. It has only forward jumps, as classic BPF requires. Runs in the parent,
 * inside the privileged window; changes only its argument.
 */
#include <linux/if_ether.h>
#include <netinet/in.h>
#include <string.h>

#include "parent/setup/guard_claims.h"
#include "parent/setup/guard_emit.h"
#include "parent/setup/guard_program.h"

/* Most VLAN tags in the frame itself. The kernel has already removed one more before the program runs. */
#define MOST_TAGS 2
/* Most extension headers to skip before ICMPv6. Real traffic has one. */
#define MOST_EXTENSIONS 6

#define ICMP_REDIRECT_TYPE	    5	/* RFC 792 */
#define ICMP_ROUTER_ADVERTISEMENT   9	/* RFC 1256 */
#define ICMPV6_ROUTER_ADVERTISEMENT 134 /* RFC 4861, 4.2 */
#define ICMPV6_REDIRECT		    137 /* RFC 4861, 4.5 */

/* Ports of UDP (RFC 2131, 4.1; RFC 8415, 7.2). */
#define DHCP_SERVER   67
#define DHCP_CLIENT   68
#define DHCPV6_SERVER 547
#define DHCPV6_CLIENT 546

/* Drop the frame unless its source address is @mac. */
static void check_source(struct guard_program *p, const uint8_t mac[ETH_ALEN])
{
	put(p, BPF_LD | BPF_W | BPF_ABS, ETH_ALEN + 2);
	drop_unless(p, (uint32_t)mac[2] << 24 | (uint32_t)mac[3] << 16 | (uint32_t)mac[4] << 8 | mac[5]);
	put(p, BPF_LD | BPF_H | BPF_ABS, ETH_ALEN);
	drop_unless(p, (uint32_t)(mac[0] << 8 | mac[1]));
}

bool guard_program_mac(const struct guard_program *p, uint8_t *mac)
{
	static const uint8_t none[ETH_ALEN];
	struct guard_program same = { 0 };

	if (p->n < 6)
		return false;
	for (unsigned i = 0; i < 4; i++)
		mac[2 + i] = (uint8_t)(p->code[1].k >> (24 - 8 * i));
	mac[0] = (uint8_t)(p->code[4].k >> 8);
	mac[1] = (uint8_t)p->code[4].k;
	check_source(&same, mac);
	return memcmp(mac, none, ETH_ALEN) != 0 && !memcmp(same.code, p->code, same.n * sizeof(same.code[0]));
}

/*
 * Skip VLAN tags. Afterwards the accumulator holds the EtherType, and the index register
 * the offset behind it. Drop frames with more than MOST_TAGS tags, which no host needs.
 */
static void skip_tags(struct guard_program *p)
{
	put(p, BPF_LDX | BPF_W | BPF_IMM, ETH_HLEN);
	put(p, BPF_LD | BPF_H | BPF_ABS, 2 * ETH_ALEN);
	for (unsigned i = 0; i < MOST_TAGS; i++) {
		p->code[p->n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ETH_P_8021Q, 1, 0);
		unless(p, ETH_P_8021AD, 6); /* Skip the rest of this round. */
		put(p, BPF_LD | BPF_H | BPF_IND, 2);
		put(p, BPF_ST, SCRATCH_PROTOCOL);
		advance(p, 4);
		put(p, BPF_LD | BPF_MEM, SCRATCH_PROTOCOL);
	}
	drop_if(p, ETH_P_8021Q);
	drop_if(p, ETH_P_8021AD);
}

/* Accept a later fragment of the IPv4 packet at the index register; otherwise move the register behind the header. */
static void skip_ipv4(struct guard_program *p)
{
	put(p, BPF_LD | BPF_H | BPF_IND, 6); /* fragment offset */
	put(p, BPF_ALU | BPF_AND | BPF_K, 0x1fff);
	accept_unless(p, 0);
	put(p, BPF_LD | BPF_B | BPF_IND, 0); /* header length in words */
	put(p, BPF_ALU | BPF_AND | BPF_K, 0x0f);
	put(p, BPF_ALU | BPF_LSH | BPF_K, 2);
	put(p, BPF_ALU | BPF_ADD | BPF_X, 0);
	put(p, BPF_MISC | BPF_TAX, 0);
}

/* Drop packets that only a DHCP server sends, by the ports in the UDP header at the index register; accept others. */
static void check_udp(struct guard_program *p, uint16_t server, uint16_t client)
{
	put(p, BPF_LD | BPF_W | BPF_IND, 0);
	drop_if(p, (uint32_t)server << 16 | client);
	put(p, BPF_RET | BPF_K, TC_ACT_OK);
}

/* Drop redirects, router advertisements and DHCP answers in the IPv4 packet at the index register. */
static void check_ipv4(struct guard_program *p)
{
	unsigned udp;

	put(p, BPF_LD | BPF_B | BPF_IND, 9); /* protocol */
	unless(p, IPPROTO_UDP, 1);
	udp = jump(p);
	accept_unless(p, IPPROTO_ICMP);
	skip_ipv4(p);
	put(p, BPF_LD | BPF_B | BPF_IND, 0); /* type */
	drop_if(p, ICMP_REDIRECT_TYPE);
	drop_if(p, ICMP_ROUTER_ADVERTISEMENT);
	put(p, BPF_RET | BPF_K, TC_ACT_OK);
	land(p, udp);
	skip_ipv4(p);
	check_udp(p, DHCP_SERVER, DHCP_CLIENT);
}

static const uint8_t plain[] = { IPPROTO_HOPOPTS, IPPROTO_ROUTING, IPPROTO_DSTOPTS, 135, 139, 140 };

/*
 * Drop a fragment of a packet (not one that is whole) in which another extension header follows the fragment header at
 * the index register: the chain of headers could end in a later fragment, which nobody looks into. RFC 7112 forbids
 * packets whose first fragment does not hold all headers.
 */
static void whole_chain(struct guard_program *p)
{
	put(p, BPF_LD | BPF_H | BPF_IND, 2);
	put(p, BPF_ALU | BPF_AND | BPF_K, 0xfff9); /* offset, and whether more follows */
	p->code[p->n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 1 + 2 * (sizeof(plain) + 2), 0);
	put(p, BPF_LD | BPF_B | BPF_IND, 0);
	for (unsigned i = 0; i < sizeof(plain); i++)
		drop_if(p, plain[i]);
	drop_if(p, IPPROTO_FRAGMENT);
	drop_if(p, IPPROTO_AH);
}

/*
 * Skip one IPv6 extension header. Before, the index register holds its offset and the
 * accumulator its number; afterwards those of the next header. Accept the frame if it is
 * not an extension header.
 */
static void skip_extension(struct guard_program *p)
{
	unsigned fragment, authentication, next[2], generic[sizeof(plain)];

	for (unsigned i = 0; i < sizeof(plain); i++) {
		unless(p, plain[i], 1);
		generic[i] = jump(p);
	}
	unless(p, IPPROTO_FRAGMENT, 1);
	fragment = jump(p);
	unless(p, IPPROTO_AH, 1);
	authentication = jump(p);
	put(p, BPF_RET | BPF_K, TC_ACT_OK);

	land(p, fragment);
	if (p->claims)
		claims_fragment(p);
	whole_chain(p);
	/* RFC 8200, 4.5: only the first fragment holds the message's type. */
	put(p, BPF_LD | BPF_H | BPF_IND, 2);
	put(p, BPF_ALU | BPF_AND | BPF_K, 0xfff8);
	accept_unless(p, 0);
	put(p, BPF_LD | BPF_B | BPF_IND, 0);
	put(p, BPF_ST, SCRATCH_PROTOCOL);
	advance(p, 8);
	next[0] = jump(p);

	land(p, authentication); /* RFC 4302, 2.2: length in words, minus 2 */
	put(p, BPF_LD | BPF_B | BPF_IND, 0);
	put(p, BPF_ST, SCRATCH_PROTOCOL);
	put(p, BPF_LD | BPF_B | BPF_IND, 1);
	put(p, BPF_ALU | BPF_ADD | BPF_K, 2);
	put(p, BPF_ALU | BPF_LSH | BPF_K, 2);
	put(p, BPF_ALU | BPF_ADD | BPF_X, 0);
	put(p, BPF_MISC | BPF_TAX, 0);
	next[1] = jump(p);

	for (unsigned i = 0; i < sizeof(plain); i++)
		land(p, generic[i]); /* RFC 8200, 4.3: length in units of 8 bytes, minus 1 */
	put(p, BPF_LD | BPF_B | BPF_IND, 0);
	put(p, BPF_ST, SCRATCH_PROTOCOL);
	put(p, BPF_LD | BPF_B | BPF_IND, 1);
	put(p, BPF_ALU | BPF_ADD | BPF_K, 1);
	put(p, BPF_ALU | BPF_LSH | BPF_K, 3);
	put(p, BPF_ALU | BPF_ADD | BPF_X, 0);
	put(p, BPF_MISC | BPF_TAX, 0);

	land(p, next[0]);
	land(p, next[1]);
	put(p, BPF_LD | BPF_MEM, SCRATCH_PROTOCOL);
}

/* Drop redirects, router advertisements and DHCP answers in the IPv6 packet at the index register. */
static void check_ipv6(struct guard_program *p)
{
	unsigned found[MOST_EXTENSIONS + 1], udp[MOST_EXTENSIONS + 1];

	put(p, BPF_LD | BPF_B | BPF_IND, 6); /* next header */
	put(p, BPF_ST, SCRATCH_PROTOCOL);
	advance(p, 40);
	put(p, BPF_LD | BPF_MEM, SCRATCH_PROTOCOL);
	for (unsigned i = 0; i <= MOST_EXTENSIONS; i++) {
		unless(p, IPPROTO_ICMPV6, 1);
		found[i] = jump(p);
		unless(p, IPPROTO_UDP, 1);
		udp[i] = jump(p);
		if (i < MOST_EXTENSIONS)
			skip_extension(p);
	}
	put(p, BPF_RET | BPF_K, TC_ACT_SHOT); /* Such a long chain of headers only serves to hide the message. */
	for (unsigned i = 0; i <= MOST_EXTENSIONS; i++)
		land(p, found[i]);
	put(p, BPF_LD | BPF_B | BPF_IND, 0); /* type */
	drop_if(p, ICMPV6_ROUTER_ADVERTISEMENT);
	drop_if(p, ICMPV6_REDIRECT);
	if (p->claims)
		claims_icmpv6(p, p->claims);
	put(p, BPF_RET | BPF_K, TC_ACT_OK);
	for (unsigned i = 0; i <= MOST_EXTENSIONS; i++)
		land(p, udp[i]);
	check_udp(p, DHCPV6_SERVER, DHCPV6_CLIENT);
}

void guard_program(struct guard_program *p, const struct net_config *c)
{
	unsigned ipv4, ipv6;

	p->n = 0;
	p->claims = c->own.n4 || c->own.n6 ? c : NULL;
	if (c->spoof_check)
		check_source(p, c->mac);
	skip_tags(p);
	unless(p, ETH_P_IP, 1);
	ipv4 = jump(p);
	unless(p, ETH_P_IPV6, 1);
	ipv6 = jump(p);
	if (p->claims) {
		drop_unless(p, ETH_P_ARP);
		claims_arp(p, c);
	}
	put(p, BPF_RET | BPF_K, TC_ACT_OK);
	land(p, ipv4);
	if (p->claims)
		claims_ipv4(p, c);
	check_ipv4(p);
	land(p, ipv6);
	if (p->claims)
		claims_ipv6(p, c);
	check_ipv6(p);
}
