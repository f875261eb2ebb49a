/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Frames for a tap, with the tap's own header of 12 zero bytes before each: UDP, ICMP
 * and TCP over IPv4 and IPv6, and what a hostile guest wraps them in.
 */
#ifndef PARENT_RULES_RIG_H
#define PARENT_RULES_RIG_H

#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <string.h>

#include "common/util.h"

#define HDR 12

static const uint8_t guest_mac[ETH_ALEN] = { 0x02, 0x11, 0x22, 0x33, 0x44, 0x55 };
static const uint8_t tap_mac[ETH_ALEN] = { 0x02, 0xaa, 0xaa, 0xaa, 0xaa, 0x01 };

enum packet_option {
	P_OPTIONS = 1,	      /* IPv4: a router alert; IPv6: a hop-by-hop header */
	P_FRAGMENTS = 2,      /* cut into two frames: packet_tail() gives the second */
	P_PRIORITY_TAG = 4,   /* 802.1Q with VLAN 0 */
	P_VLAN = 8,	      /* 802.1Q with VLAN 5 */
	P_FOREIGN_SOURCE = 16 /* from a host behind another interface */
};

struct packet {
	uint8_t bytes[HDR + 256];
	size_t len;
	size_t ip, l4; /* where these headers are */
};

static inline void put16(uint8_t *at, unsigned v)
{
	at[0] = (uint8_t)(v >> 8);
	at[1] = (uint8_t)v;
}

static inline uint32_t add_up(uint32_t sum, const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		sum += i & 1 ? p[i] : (uint32_t)p[i] << 8;
	return sum;
}

static inline unsigned fold(uint32_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return ~sum & 0xffff;
}

/* Ethernet, with a tag if @option asks for one. */
static inline void packet_begin(struct packet *p, const uint8_t *to, unsigned type, unsigned option)
{
	memset(p, 0, sizeof(*p));
	memcpy(p->bytes + HDR, to, ETH_ALEN);
	memcpy(p->bytes + HDR + ETH_ALEN, guest_mac, ETH_ALEN);
	p->len = HDR + 2 * ETH_ALEN;
	if (option & (P_PRIORITY_TAG | P_VLAN)) {
		put16(p->bytes + p->len, ETH_P_8021Q);
		put16(p->bytes + p->len + 2, option & P_VLAN ? 5 : 0);
		p->len += 4;
	}
	put16(p->bytes + p->len, type);
	p->len += 2;
	p->ip = p->len;
}

/* The IPv4 header for @payload bytes of @protocol that follow. */
static inline void packet_ip4(struct packet *p, const char *from, const char *to, uint8_t protocol, size_t payload,
			      unsigned option)
{
	static const uint8_t broadcast[ETH_ALEN] = { 255, 255, 255, 255, 255, 255 };
	static const uint8_t group[ETH_ALEN] = { 0x01, 0x00, 0x5e, 0, 0, 1 };
	size_t header = option & P_OPTIONS ? 24 : 20;
	uint8_t *h;

	packet_begin(p, strstr(to, "255") ? broadcast : !strncmp(to, "224", 3) ? group : tap_mac, ETH_P_IP, option);
	h = p->bytes + p->ip;
	h[0] = (uint8_t)(0x40 | header / 4);
	put16(h + 2, (unsigned)(header + payload));
	put16(h + 4, 0x1234);
	h[8] = 64;
	h[9] = protocol;
	inet_pton(AF_INET, from, h + 12);
	inet_pton(AF_INET, to, h + 16);
	if (option & P_OPTIONS)
		memcpy(h + 20, "\x94\x04\0\0", 4); /* RFC 2113 */
	put16(h + 10, fold(add_up(0, h, header)));
	p->l4 = p->ip + header;
	p->len = p->l4 + payload;
}

static inline void packet_ip6(struct packet *p, const char *from, const char *to, uint8_t protocol, size_t payload,
			      unsigned option)
{
	static const uint8_t group[ETH_ALEN] = { 0x33, 0x33, 0, 0, 0, 1 };
	size_t extra = option & P_OPTIONS ? 8 : 0;
	uint8_t *h;

	packet_begin(p, !strncmp(to, "ff02", 4) ? group : tap_mac, ETH_P_IPV6, option);
	h = p->bytes + p->ip;
	h[0] = 0x60;
	put16(h + 4, (unsigned)(extra + payload));
	h[6] = extra ? 0 : protocol;
	h[7] = 255;
	inet_pton(AF_INET6, from, h + 8);
	inet_pton(AF_INET6, to, h + 24);
	if (extra)
		memcpy(h + 40, (uint8_t[]){ protocol, 0, 1, 4, 0, 0, 0, 0 }, 8); /* PadN */
	p->l4 = p->ip + 40 + extra;
	p->len = p->l4 + payload;
}

/* The checksum of the transport header over IPv4 or IPv6, to the two bytes at @at of it. */
static inline void packet_sum(struct packet *p, uint8_t protocol, size_t at)
{
	const uint8_t *h = p->bytes + p->ip;
	size_t len = p->len - p->l4;
	bool v6 = h[0] >> 4 == 6;
	uint32_t sum = v6 || protocol != IPPROTO_ICMP ? (uint32_t)len + protocol : 0;

	if (v6)
		sum = add_up(sum, h + 8, 32);
	else if (protocol != IPPROTO_ICMP)
		sum = add_up(sum, h + 12, 8);
	put16(p->bytes + p->l4 + at, fold(add_up(sum, p->bytes + p->l4, len)));
}

#define SHORT_UDP 24 /* three times eight bytes: can be cut after the first two */

static inline void packet_udp(struct packet *p, const char *from, const char *to, uint16_t sport, uint16_t dport,
			      unsigned option)
{
	if (strchr(to, ':'))
		packet_ip6(p, from, to, IPPROTO_UDP, SHORT_UDP, option);
	else
		packet_ip4(p, from, to, IPPROTO_UDP, SHORT_UDP, option);
	put16(p->bytes + p->l4, sport);
	put16(p->bytes + p->l4 + 2, dport);
	put16(p->bytes + p->l4 + 4, SHORT_UDP);
	packet_sum(p, IPPROTO_UDP, 6);
}

static inline void packet_tcp_syn(struct packet *p, const char *from, const char *to, uint16_t dport)
{
	if (strchr(to, ':'))
		packet_ip6(p, from, to, IPPROTO_TCP, 20, 0);
	else
		packet_ip4(p, from, to, IPPROTO_TCP, 20, 0);
	put16(p->bytes + p->l4, 40000);
	put16(p->bytes + p->l4 + 2, dport);
	p->bytes[p->l4 + 12] = 0x50;
	p->bytes[p->l4 + 13] = 0x02; /* SYN */
	put16(p->bytes + p->l4 + 14, 1000);
	packet_sum(p, IPPROTO_TCP, 16);
}

/* An ICMP or ICMPv6 message of @type and @code with @body behind its first eight bytes. */
static inline void packet_icmp(struct packet *p, const char *from, const char *to, uint8_t type, uint8_t code,
			       const void *body, size_t len)
{
	bool v6 = strchr(to, ':');
	uint8_t protocol = v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP;

	if (v6)
		packet_ip6(p, from, to, protocol, 8 + len, 0);
	else
		packet_ip4(p, from, to, protocol, 8 + len, 0);
	p->bytes[p->l4] = type;
	p->bytes[p->l4 + 1] = code;
	if (len)
		memcpy(p->bytes + p->l4 + 8, body, len);
	packet_sum(p, protocol, 2);
}

/* Cut @p after 16 bytes of its payload; @tail gets the rest. IPv6: with a fragment header in each. */
static inline void packet_cut(struct packet *p, struct packet *tail)
{
	uint8_t *h = p->bytes + p->ip, *t;
	size_t extra = h[0] >> 4 == 6 ? 8 : 0;
	uint8_t rest[SHORT_UDP];

	memcpy(rest, p->bytes + p->l4, SHORT_UDP);
	if (extra) {
		memcpy(p->bytes + p->l4, (uint8_t[]){ h[6], 0, 0, 1, 1, 2, 3, 4 }, 8);
		memcpy(p->bytes + p->l4 + 8, rest, 16);
		h[6] = IPPROTO_FRAGMENT;
	}
	p->len = p->l4 + extra + 16;
	*tail = *p;
	t = tail->bytes + tail->ip;
	memcpy(tail->bytes + tail->l4 + extra, rest + 16, 8);
	tail->len = tail->l4 + extra + 8;
	if (extra) {
		put16(h + 4, 8 + 16);
		put16(t + 4, 8 + 8);
		put16(tail->bytes + tail->l4 + 2, 16);
		return;
	}
	put16(h + 2, 20 + 16);
	put16(h + 6, 0x2000);
	put16(t + 2, 20 + 8);
	put16(t + 6, 2);
	for (unsigned i = 0; i < 2; i++) {
		uint8_t *x = i ? t : h;

		put16(x + 10, 0);
		put16(x + 10, fold(add_up(0, x, 20)));
	}
}

/* A frame read from the tap is IP of @version and @protocol, whose first byte (ICMP: the type) is @type. */
static inline bool packet_is(const uint8_t *f, size_t n, uint8_t version, uint8_t protocol, uint8_t type)
{
	const uint8_t *h = f + HDR + ETH_HLEN;

	if (n < HDR + ETH_HLEN + 48 - (version == 4 ? 20 : 0) || h[0] >> 4 != version)
		return false;
	return version == 4 ? h[9] == protocol && h[20] == type : h[6] == protocol && h[40] == type;
}

#endif
