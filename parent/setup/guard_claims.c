/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Builds the checks of ip= in the filter on a tap. netd makes the same checks (netd/claims.c);
 * the kernel's still hold if a guest has taken over netd. Runs in the parent, inside the
 * privileged window; changes only its argument.
 */
#include <arpa/inet.h>
#include <netinet/icmp6.h>

#include "parent/setup/guard_claims.h"
#include "parent/setup/guard_emit.h"

/* Most addresses that are compared: those of ip=, the link-local one and "::". */
#define MOST_ADDRESSES (MAX_OWN_ADDRESSES + 2)

/* Offsets, in bytes, in an IPv6 header and in a neighbour discovery message. */
#define IP6_SOURCE 8
#define ND_TARGET  8

static uint32_t word(const uint8_t *bytes)
{
	return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

/* Drop the frame unless the accumulator holds an IPv4 address of the guest, or none. */
static void one_of_ipv4(struct guard_program *p, const struct net_config *c)
{
	unsigned found[MOST_ADDRESSES], n = 0;

	unless(p, 0, 1);
	found[n++] = jump(p);
	for (unsigned i = 0; i < c->own.n4; i++) {
		unless(p, word(c->own.ip4[i]), 1);
		found[n++] = jump(p);
	}
	put(p, BPF_RET | BPF_K, TC_ACT_SHOT);
	while (n)
		land(p, found[--n]);
}

/* Jump if the 16 bytes @offset behind the index register are @ip. Returns the jump's position. */
static unsigned jump_if_ipv6(struct guard_program *p, uint32_t offset, const uint8_t *ip)
{
	for (unsigned i = 0; i < 4; i++) {
		put(p, BPF_LD | BPF_W | BPF_IND, offset + 4 * i);
		unless(p, word(ip + 4 * i), (uint8_t)(2 * (3 - i) + 1)); /* Skip the other words and the jump. */
	}
	return jump(p);
}

/* Drop the frame unless the 16 bytes @offset behind the index register are an address of the guest. */
static void one_of_ipv6(struct guard_program *p, const struct net_config *c, uint32_t offset)
{
	unsigned found[MOST_ADDRESSES], n = 0;
	uint8_t local[16];

	own_link_local(c->mac, local);
	found[n++] = jump_if_ipv6(p, offset, local);
	for (unsigned i = 0; i < c->own.n6; i++)
		found[n++] = jump_if_ipv6(p, offset, c->own.ip6[i]);
	put(p, BPF_RET | BPF_K, TC_ACT_SHOT);
	while (n)
		land(p, found[--n]);
}

void claims_arp(struct guard_program *p, const struct net_config *c)
{
	drop_shorter(p, 18); /* A NIC would pad the rest with zeros. */
	put(p, BPF_LD | BPF_W | BPF_IND, 0);
	drop_unless(p, 1 << 16 | ETH_P_IP); /* Ethernet and IPv4, with their lengths */
	put(p, BPF_LD | BPF_H | BPF_IND, 4);
	drop_unless(p, ETH_ALEN << 8 | 4);
	put(p, BPF_LD | BPF_W | BPF_IND, 8); /* sender's MAC address */
	drop_unless(p, word(c->mac));
	put(p, BPF_LD | BPF_H | BPF_IND, 12);
	drop_unless(p, (uint32_t)(c->mac[4] << 8 | c->mac[5]));
	put(p, BPF_LD | BPF_W | BPF_IND, 14); /* sender's IP address */
	one_of_ipv4(p, c);
}

void claims_ipv4(struct guard_program *p, const struct net_config *c)
{
	put(p, BPF_LD | BPF_W | BPF_IND, 12);
	one_of_ipv4(p, c);
}

void claims_ipv6(struct guard_program *p, const struct net_config *c)
{
	static const uint8_t none[16];
	unsigned unspecified, end;

	unspecified = jump_if_ipv6(p, IP6_SOURCE, none);
	one_of_ipv6(p, c, IP6_SOURCE);
	put(p, BPF_LD | BPF_W | BPF_IMM, 0);
	put(p, BPF_ST, SCRATCH_UNSPECIFIED);
	end = jump(p);
	land(p, unspecified);
	put(p, BPF_LD | BPF_W | BPF_IMM, 1);
	put(p, BPF_ST, SCRATCH_UNSPECIFIED);
	land(p, end);
}

void claims_icmpv6(struct guard_program *p, const struct net_config *c)
{
	unsigned advertisement, solicitation, end[2];

	put(p, BPF_LD | BPF_B | BPF_IND, 0); /* type */
	unless(p, ND_NEIGHBOR_ADVERT, 1);
	advertisement = jump(p);
	unless(p, ND_NEIGHBOR_SOLICIT, 1);
	solicitation = jump(p);
	end[0] = jump(p);
	/* A solicitation from "::" asks if anybody has the address, before its sender takes it (RFC 4862, 5.4). */
	land(p, solicitation);
	put(p, BPF_LD | BPF_MEM, SCRATCH_UNSPECIFIED);
	unless(p, 0, 1);
	end[1] = jump(p);
	land(p, advertisement);
	one_of_ipv6(p, c, ND_TARGET);
	land(p, end[0]);
	land(p, end[1]);
}

void claims_fragment(struct guard_program *p)
{
	put(p, BPF_LD | BPF_B | BPF_IND, 0);
	unless(p, IPPROTO_ICMPV6, 4);
	put(p, BPF_LD | BPF_H | BPF_IND, 2);
	put(p, BPF_ALU | BPF_AND | BPF_K, 0xfff9); /* offset, and whether more follows */
	drop_unless(p, 0);
}
