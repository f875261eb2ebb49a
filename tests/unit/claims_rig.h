/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Frames of a guest with ip=10.99.0.2 and ip=fd99::2, and which of them it may send. The
 * tests of netd and of the filter on the tap share them.
 */
#ifndef CLAIMS_RIG_H
#define CLAIMS_RIG_H

#include "common/ctl.h"
#include "tests/unit/parent_rules_rig.h"

/* The link-local address of guest_mac. */
#define LOCAL "fe80::11:22ff:fe33:4455"

static inline struct net_config claims_config(void)
{
	struct net_config c = { .spoof_check = true, .own = { .n4 = 1, .n6 = 1 } };

	memcpy(c.mac, guest_mac, ETH_ALEN);
	inet_pton(AF_INET, "10.99.0.2", c.own.ip4[0]);
	inet_pton(AF_INET6, "fd99::2", c.own.ip6[0]);
	return c;
}

enum claim_kind { ARP, UDP, ADVERT, SOLICIT };

struct claim {
	const char *what;
	enum claim_kind kind;
	const char *from;   /* the sender's IP address */
	const char *target; /* of neighbour discovery */
	unsigned option;    /* enum packet_option */
	unsigned tags;	    /* VLAN tags in the frame */
	unsigned type;	    /* in place of the EtherType; 0: as it is */
	bool allowed;
};

static const struct claim claims[] = {
	{ "ARP of its own", ARP, "10.99.0.2", NULL, 0, 0, 0, true },
	{ "an ARP probe, from nobody", ARP, "0.0.0.0", NULL, 0, 0, 0, true },
	{ "ARP of its own with a tag", ARP, "10.99.0.2", NULL, 0, 1, 0, true },
	{ "ARP for the host", ARP, "10.99.0.1", NULL, 0, 0, 0, false },
	{ "gratuitous ARP for another guest", ARP, "10.99.0.3", NULL, 0, 0, 0, false },
	{ "the same with a VLAN tag", ARP, "10.99.0.3", NULL, 0, 1, 0, false },
	{ "the same with two tags (QinQ)", ARP, "10.99.0.3", NULL, 0, 2, 0, false },
	{ "its own with three tags", ARP, "10.99.0.2", NULL, 0, 3, 0, false },
	{ "reverse ARP", ARP, "10.99.0.2", NULL, 0, 0, 0x8035, false },
	{ "LLC", UDP, "10.99.0.2", NULL, 0, 0, 46, false },
	{ "IPv4 of its own", UDP, "10.99.0.2", NULL, 0, 0, 0, true },
	{ "IPv4 from nobody (DHCP)", UDP, "0.0.0.0", NULL, 0, 0, 0, true },
	{ "IPv4 with options", UDP, "10.99.0.2", NULL, P_OPTIONS, 0, 0, true },
	{ "IPv4 of another", UDP, "10.99.0.3", NULL, 0, 0, 0, false },
	{ "IPv4 of another, with options", UDP, "10.99.0.3", NULL, P_OPTIONS, 0, 0, false },
	{ "IPv4 of another, two tags", UDP, "10.99.0.3", NULL, 0, 2, 0, false },
	{ "a loopback address", UDP, "127.0.0.1", NULL, 0, 0, 0, false },
	{ "IPv6 of its own", UDP, "fd99::2", NULL, 0, 0, 0, true },
	{ "its link-local address", UDP, LOCAL, NULL, 0, 0, 0, true },
	{ "IPv6 from nobody", UDP, "::", NULL, 0, 0, 0, true },
	{ "IPv6 of another", UDP, "fd99::3", NULL, 0, 0, 0, false },
	{ "IPv6 of another, with a tag", UDP, "fd99::3", NULL, 0, 1, 0, false },
	{ "another's link-local address", UDP, "fe80::1", NULL, 0, 0, 0, false },
	{ "an advertisement of its own", ADVERT, "fd99::2", "fd99::2", 0, 0, 0, true },
	{ "an advertisement of its link-local address", ADVERT, "fd99::2", LOCAL, 0, 0, 0, true },
	{ "an advertisement for the router", ADVERT, "fd99::2", "fe80::1", 0, 0, 0, false },
	{ "an advertisement for another", ADVERT, LOCAL, "fd99::3", 0, 0, 0, false },
	{ "the same behind an extension header", ADVERT, LOCAL, "fd99::3", P_OPTIONS, 0, 0, false },
	{ "the same with two tags", ADVERT, LOCAL, "fd99::3", 0, 2, 0, false },
	{ "the same in fragments", ADVERT, LOCAL, "fd99::3", P_FRAGMENTS, 0, 0, false },
	{ "it asks for another", SOLICIT, "fd99::2", "fd99::3", 0, 0, 0, true },
	{ "it asks if its own address is free", SOLICIT, "::", "fd99::2", 0, 0, 0, true },
	{ "it asks if another's is", SOLICIT, "::", "fd99::3", 0, 0, 0, false },
};

static inline void claim_arp(struct packet *p, const char *from)
{
	packet_begin(p, (const uint8_t[]){ 255, 255, 255, 255, 255, 255 }, ETH_P_ARP, 0);
	memcpy(p->bytes + p->ip, "\0\1\x08\0\6\4\0\2", 8);
	memcpy(p->bytes + p->ip + 8, guest_mac, ETH_ALEN);
	inet_pton(AF_INET, from, p->bytes + p->ip + 14);
	inet_pton(AF_INET, from, p->bytes + p->ip + 24);
	p->len = p->ip + 46;
}

/* One more tag behind the addresses. */
static inline void claim_tag(struct packet *p, unsigned protocol)
{
	uint8_t *at = p->bytes + HDR + 2 * ETH_ALEN;

	memmove(at + 4, at, p->len - HDR - 2 * ETH_ALEN);
	put16(at, protocol);
	put16(at + 2, 5);
	p->len += 4;
}

/* The frame is @p->bytes + HDR, @p->len - HDR bytes. */
static inline void claim_build(struct packet *p, const struct claim *c)
{
	uint8_t target[16];
	struct packet tail;

	switch (c->kind) {
	case ARP:
		claim_arp(p, c->from);
		break;
	case UDP:
		packet_udp(p, c->from, strchr(c->from, ':') ? "fd99::1" : "10.99.0.1", 4000, 9, c->option);
		break;
	default:
		inet_pton(AF_INET6, c->target, target);
		packet_icmp(p, c->from, "ff02::1", c->kind == ADVERT ? 136 : 135, 0, target, sizeof(target));
		if (c->option & P_OPTIONS) {
			/* An empty hop-by-hop header before the message. */
			memmove(p->bytes + p->l4 + 8, p->bytes + p->l4, p->len - p->l4);
			memcpy(p->bytes + p->l4, "\x3a\0\1\4\0\0\0\0", 8);
			p->bytes[p->ip + 6] = 0;
			p->l4 += 8;
			p->len += 8;
			put16(p->bytes + p->ip + 4, (unsigned)(p->len - p->ip - 40));
		}
	}
	if (c->option & P_FRAGMENTS)
		packet_cut(p, &tail);
	if (c->type)
		put16(p->bytes + HDR + 2 * ETH_ALEN, c->type);
	for (unsigned i = 0; i < c->tags; i++)
		claim_tag(p, i ? ETH_P_8021AD : ETH_P_8021Q);
}

#endif
