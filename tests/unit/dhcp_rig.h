/* SPDX-License-Identifier: GPL-2.0-or-later */
/* For the tests of netd's DHCP server: requests of a guest, which a test can change before they are answered. */
#ifndef TESTS_UNIT_DHCP_RIG_H
#define TESTS_UNIT_DHCP_RIG_H

#include <stdlib.h>

#include "tests/unit/netd_rig.h"

#include "netd/dhcp.h"

#define UDP	(ETH_HLEN + 20)
#define MESSAGE (UDP + 8)
#define OPTIONS (MESSAGE + 240)
#define ROOM	1600

static const struct dhcp_config served = { .on = true,
					   .router = true,
					   .prefix = 24,
					   .ndns = 2,
					   .host_mac = { 0xfe, 0x54, 0, 1, 2, 3 },
					   .host = { 10, 77, 0, 1 },
					   .guest = { 10, 77, 0, 2 },
					   .dns = { { 9, 9, 9, 9 }, { 192, 0, 2, 53 } } };

/* A request that a test changes before it is sent. */
static uint8_t frame[ROOM];
static size_t len;
static struct dhcp_reply reply;

static inline void set16(uint8_t *p, unsigned v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

/* Set the lengths in the headers to that of the frame. */
static inline void set_lengths(void)
{
	set16(frame + ETH_HLEN + 2, (unsigned)(len - ETH_HLEN));
	set16(frame + UDP + 4, (unsigned)(len - UDP));
}

static inline void add_option(unsigned code, const void *value, size_t n)
{
	frame[len++] = (uint8_t)code;
	frame[len++] = (uint8_t)n;
	memcpy(frame + len, value, n);
	len += n;
	set_lengths();
}

/* A message of type @type, as a client without an address sends it. */
static inline void request(uint8_t type)
{
	static const uint8_t headers[] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x52, 0x54, 0, 1,  2,  3, 8,
					   0,	 0x45, 0,    0,	   0,	 0,    0,    0,	   0, 64, 17, 0, 0,
					   0,	 0,    0,    0,	   0xff, 0xff, 0xff, 0xff, 0, 68, 0,  67 };
	static const uint8_t begin[] = { 1, 1, 6, 0, 0xde, 0xad, 0xbe, 0xef, 0, 7 };

	memset(frame, 0, sizeof(frame));
	memcpy(frame, headers, sizeof(headers));
	memcpy(frame + MESSAGE, begin, sizeof(begin));
	memcpy(frame + MESSAGE + 28, mac, sizeof(mac));
	memcpy(frame + MESSAGE + 236, "\x63\x82\x53\x63", 4);
	len = OPTIONS;
	add_option(53, &type, 1);
}

static inline void with_ip(unsigned code, const char *ip)
{
	add_option(code, ip, 4);
}

static inline void with_ciaddr(const char *ip)
{
	memcpy(frame + MESSAGE + 12, ip, 4);
}

/* Answer the frame, as it is in a buffer that ends with it. Returns the length of the answer. */
static inline size_t answer_with(const struct dhcp_config *c, unsigned mtu)
{
	uint8_t *copy = malloc(len);
	bool ours;

	assert_non_null(copy);
	memcpy(copy, frame, len);
	memset(&reply, 0xa5, sizeof(reply));
	reply.len = 0;
	ours = dhcp_is_request(c, copy, len);
	if (ours)
		dhcp_answer(c, mac, mtu, copy, len, &reply);
	free(copy);
	return reply.len;
}

/* The type of the answer to the frame with the end option added; 0: none. */
static inline unsigned answer(void)
{
	frame[len++] = 255;
	set_lengths();
	return answer_with(&served, 1500) ? reply.frame[OPTIONS + 2] : 0;
}

#endif
