/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Frames that a guest with --net=user may send to passt: all kinds of frames, for a NIC with
 * default settings, with reach=host and with restrict.
 */
// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
// clang-format on
#include <arpa/inet.h>
#include <string.h>

#include "netd/user.h"

enum { TCP = 6, UDP = 17, ICMP = 1, ICMP6 = 58 };
enum { SYN = 2, ACK = 16 };

static struct user u;
static uint8_t frame[200];
static size_t len;

static void put_address(struct in6_addr *to, const char *text)
{
	memset(to, 0, sizeof(*to));
	if (inet_pton(AF_INET6, text, to) == 1)
		return;
	to->s6_addr[10] = to->s6_addr[11] = 0xff;
	assert_int_equal(inet_pton(AF_INET, text, &to->s6_addr[12]), 1);
}

/* The host has 10.5.0.2, 192.168.7.1 and fd00:5::2, and asks 10.5.0.2 and fd00::53 for names. */
static struct user_config config(bool restricted, bool reach_host)
{
	static const char *const host[] = { "10.5.0.2", "192.168.7.1", "fd00:5::2" };
	static const char *const resolver[] = { "10.5.0.2", "169.254.1.53", "fd00::53" };
	struct user_config c = { .on = true, .restricted = restricted, .reach_host = reach_host };

	for (unsigned i = 0; i < 3; i++) {
		put_address(&c.host[c.nhost++], host[i]);
		put_address(&c.resolver[c.nresolvers++], resolver[i]);
	}
	return c;
}

/* A packet of @protocol from 10.5.0.9 or fd00:5::9, from port 40000 to @port; @flags: of TCP, or the ICMP type. */
static void packet(const char *to, unsigned protocol, unsigned port, unsigned flags)
{
	struct in6_addr a, from;
	bool v6 = strchr(to, ':') != NULL;
	uint8_t *l4;

	memset(frame, 0, sizeof(frame));
	memset(frame, 0x52, 12);
	put_address(&a, to);
	put_address(&from, v6 ? "fd00:5::9" : "10.5.0.9");
	frame[12] = v6 ? 0x86 : 0x08;
	frame[13] = v6 ? 0xdd : 0;
	frame[14] = v6 ? 0x60 : 0x45;
	if (v6) {
		frame[20] = (uint8_t)protocol;
		memcpy(frame + 22, &from, 16);
		memcpy(frame + 38, &a, 16);
		l4 = frame + 54;
	} else {
		frame[23] = (uint8_t)protocol;
		memcpy(frame + 26, &from.s6_addr[12], 4);
		memcpy(frame + 30, &a.s6_addr[12], 4);
		l4 = frame + 34;
	}
	len = (size_t)(l4 - frame) + 20;
	if (protocol == ICMP || protocol == ICMP6) {
		l4[0] = (uint8_t)flags;
		return;
	}
	l4[0] = 40000 >> 8;
	l4[1] = 40000 & 0xff;
	l4[2] = (uint8_t)(port >> 8);
	l4[3] = (uint8_t)port;
	l4[13] = (uint8_t)flags;
}

static void swap(bool v6)
{
	size_t n = v6 ? 16 : 4, at = v6 ? 22 : 26, l4 = v6 ? 54 : 34;
	uint8_t t[16];

	memcpy(t, frame + at, n);
	memmove(frame + at, frame + at + n, n);
	memcpy(frame + at + n, t, n);
	memcpy(t, frame + l4, 2);
	memmove(frame + l4, frame + l4 + 2, 2);
	memcpy(frame + l4 + 2, t, 2);
}

static const char *judged(const struct user_config *c, uint64_t now)
{
	return user_judge(&u, c, frame, len < USER_PEEK ? len : USER_PEEK, len, now);
}

static bool passes(const struct user_config *c)
{
	return judged(c, 1000) == NULL;
}

struct row {
	const char *to;
	unsigned protocol, port, flags;
	bool plain, reach, restricted; /* what passes */
};

static const struct row rows[] = {
	{ "1.2.3.4", TCP, 80, SYN, true, true, false },
	{ "1.2.3.4", TCP, 80, SYN | ACK, true, true, true },
	{ "1.2.3.4", TCP, 80, ACK, true, true, true },
	{ "1.2.3.4", UDP, 53, 0, true, true, false },
	{ "1.2.3.4", ICMP, 0, 8, true, true, false },
	{ "1.2.3.4", ICMP, 0, 5, false, false, false }, /* redirect */
	{ "1.2.3.4", 132, 0, 0, false, false, false },	/* SCTP */
	{ "10.5.0.2", TCP, 80, SYN, false, true, false },
	{ "10.5.0.2", TCP, 80, ACK, true, true, true }, /* an answer to the host */
	{ "10.5.0.2", UDP, 80, 0, false, true, false },
	{ "10.5.0.2", ICMP, 0, 8, false, true, false },
	{ "10.5.0.2", UDP, 53, 0, true, true, false }, /* a resolver */
	{ "10.5.0.2", TCP, 53, SYN, true, true, false },
	{ "192.168.7.1", TCP, 22, SYN, false, true, false },
	{ "192.168.7.1", UDP, 53, 0, false, true, false },
	{ "127.0.0.1", TCP, 22, SYN, false, false, false },
	{ "127.0.0.1", TCP, 22, ACK, false, false, false },
	{ "127.9.9.9", UDP, 53, 0, false, false, false },
	{ "127.0.0.1", UDP, 67, 0, false, false, false },
	{ "0.0.0.0", TCP, 22, SYN, false, false, false },
	{ "0.1.2.3", UDP, 1, 0, false, false, false },
	{ "169.254.169.254", TCP, 80, SYN, false, true, false },
	{ "169.254.1.53", UDP, 53, 0, true, true, false },
	{ "169.254.1.53", UDP, 54, 0, false, true, false },
	{ "224.0.0.251", UDP, 5353, 0, false, false, false },
	{ "239.255.255.250", UDP, 1900, 0, false, false, false },
	{ "255.255.255.255", UDP, 9, 0, false, false, false },
	{ "240.0.0.1", TCP, 1, SYN, false, false, false },
	{ "2001:db8::1", TCP, 80, SYN, true, true, false },
	{ "2001:db8::1", UDP, 80, 0, true, true, false },
	{ "2001:db8::1", ICMP6, 0, 128, true, true, false },
	{ "2001:db8::1", ICMP6, 0, 137, false, false, false }, /* redirect */
	{ "fd00:5::2", TCP, 80, SYN, false, true, false },
	{ "fd00:5::2", UDP, 53, 0, false, true, false },
	{ "fd00::53", UDP, 53, 0, true, true, false },
	{ "::1", TCP, 22, SYN, false, false, false },
	{ "::", TCP, 22, SYN, false, false, false },
	{ "::127.0.0.1", TCP, 22, SYN, false, false, false },
	{ "fe80::1", TCP, 22, SYN, false, true, false },
	{ "fe80::1", TCP, 22, ACK, true, true, true },
	{ "fe80::1", ICMP6, 0, 135, true, true, true },
	{ "ff02::1:ff00:1", ICMP6, 0, 135, true, true, true },
	{ "ff02::2", ICMP6, 0, 133, true, true, true },
	{ "ff02::1", ICMP6, 0, 128, false, false, false },
	{ "ff02::1:2", UDP, 547, 0, true, true, true },
	{ "ff02::fb", UDP, 5353, 0, false, false, false },
	{ "2001:db8::1", 44, 0, 0, false, false, false }, /* a fragment */
	{ "2001:db8::1", 0, 0, 0, false, false, false },  /* hop-by-hop options */
	{ "2001:db8::1", ICMP, 0, 8, false, false, false },
};

static void each_destination(void **state)
{
	const struct user_config plain = config(false, false), reach = config(false, true),
				 restricted = config(true, false);

	(void)state;
	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct row *r = &rows[i];

		packet(r->to, r->protocol, r->port, r->flags);
		if (passes(&plain) != r->plain || passes(&reach) != r->reach || passes(&restricted) != r->restricted)
			fail_msg("%s, protocol %u, port %u, flags %u: %d %d %d", r->to, r->protocol, r->port, r->flags,
				 passes(&plain), passes(&reach), passes(&restricted));
	}
}

/* A mapped address in an IPv6 packet is the IPv4 one. */
static void ipv4_written_as_ipv6(void **state)
{
	const struct user_config c = config(false, true);

	(void)state;
	packet("2001:db8::1", TCP, 22, SYN);
	memset(frame + 38, 0, 10);
	memset(frame + 48, 0xff, 2);
	memcpy(frame + 50, "\x7f\0\0\1", 4);
	assert_false(passes(&c));
	memcpy(frame + 50, "\x01\2\3\4", 4);
	assert_false(passes(&c));
}

static void other_packets(void **state)
{
	const struct user_config c = config(false, false);

	(void)state;
	packet("1.2.3.4", UDP, 80, 0);
	frame[21] = 1; /* a fragment that is not the first */
	assert_false(passes(&c));
	frame[21] = 0;
	frame[20] = 0x20; /* more fragments */
	assert_false(passes(&c));
	frame[20] = 0x40; /* do not fragment */
	assert_true(passes(&c));
	frame[14] = 0x44; /* a header of 16 bytes */
	assert_false(passes(&c));
	frame[14] = 0x4f; /* one of 60, of which the ports are not there */
	assert_false(passes(&c));
	frame[14] = 0x65;
	assert_false(passes(&c));
	packet("1.2.3.4", TCP, 80, SYN);
	frame[12] = 0x81; /* VLAN, QinQ, LLC, EAPOL */
	assert_false(passes(&c));
	frame[12] = 0x88;
	frame[13] = 0xa8;
	assert_false(passes(&c));
	frame[12] = 0;
	assert_false(passes(&c));
	frame[12] = 0x08;
	frame[13] = 0x06; /* ARP, too short and whole */
	len = 41;
	assert_false(passes(&c));
	len = 42;
	assert_true(passes(&c));
}

/* No packet is read past its end, and no truncated packet passes. */
static void every_length(void **state)
{
	static const char *const to[] = { "1.2.3.4", "2001:db8::1" };
	static const unsigned protocol[] = { TCP, UDP };
	static const unsigned header[] = { 20, 8 };
	const struct user_config c = config(false, false);

	(void)state;
	for (unsigned v6 = 0; v6 < 2; v6++)
		for (unsigned p = 0; p < 2; p++) {
			packet(to[v6], protocol[p], 80, SYN);
			for (len = 0; len < 80; len++)
				assert_int_equal(passes(&c), len >= (v6 ? 54u : 34u) + header[p]);
		}
}

static void dhcp(void **state)
{
	const struct user_config c = config(true, false);

	(void)state;
	packet("255.255.255.255", UDP, 67, 0);
	assert_false(passes(&c));
	frame[34] = 0;
	frame[35] = 68;
	assert_true(passes(&c));
}

/* The guest may answer UDP from outside: only from that port, to that peer, for a limited time, in a bounded table. */
static void answers(void **state)
{
	const struct user_config c = config(true, false), plain = config(false, false);

	(void)state;
	for (unsigned v6 = 0; v6 < 2; v6++) {
		const char *peer = v6 ? "2001:db8::7" : "8.8.8.8";

		memset(&u, 0, sizeof(u));
		packet(peer, UDP, 5000, 0);
		assert_non_null(judged(&c, 1000));
		swap(v6);
		user_learn(&u, &c, frame, len, 1000);
		packet(peer, UDP, 5000, 0);
		assert_null(judged(&c, 1000 + USER_FLOW_MS - 1));
		assert_null(judged(&c, 1000 + 2 * USER_FLOW_MS - 2));
		assert_non_null(judged(&c, 1000 + 4 * USER_FLOW_MS));
		packet(peer, UDP, 5001, 0);
		assert_non_null(judged(&c, 1001));
		packet(v6 ? "2001:db8::8" : "8.8.8.9", UDP, 5000, 0);
		assert_non_null(judged(&c, 1001));
	}
	/* A flow from the host itself, without restrict; one from elsewhere needs no entry. */
	memset(&u, 0, sizeof(u));
	packet("192.168.7.1", UDP, 5000, 0);
	swap(false);
	user_learn(&u, &plain, frame, len, 1000);
	for (unsigned i = 0; i < 2 * USER_FLOWS; i++) {
		packet("8.8.8.8", UDP, 1000 + i, 0);
		swap(false);
		user_learn(&u, &plain, frame, len, 1000 + i);
	}
	packet("192.168.7.1", UDP, 5000, 0);
	assert_null(judged(&plain, 2000));
	/* The oldest flow is replaced. */
	memset(&u, 0, sizeof(u));
	for (unsigned i = 0; i <= USER_FLOWS; i++) {
		packet("8.8.8.8", UDP, 1000 + i, 0);
		swap(false);
		user_learn(&u, &c, frame, len, 1000 + i);
	}
	packet("8.8.8.8", UDP, 1000, 0);
	assert_non_null(judged(&c, 2000));
	packet("8.8.8.8", UDP, 1001, 0);
	assert_null(judged(&c, 2000));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_destination),
		cmocka_unit_test(ipv4_written_as_ipv6),
		cmocka_unit_test(other_packets),
		cmocka_unit_test(every_length),
		cmocka_unit_test(dhcp),
		cmocka_unit_test(answers),
	};

	return cmocka_run_group_tests_name("netd: what passt gets", tests, NULL, NULL);
}
