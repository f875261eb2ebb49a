/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The filter on a tap lets a guest with ip= claim its own addresses and no others, and lets
 * nobody answer as a DHCP server. The program runs in the kernel, on a socket: what it
 * accepts (TC_ACT_OK is 0) arrives with no bytes, what it drops with as many as TC_ACT_SHOT.
 */
#include <errno.h>
#include <linux/pkt_cls.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "parent/setup/guard_program.h"
#include "tests/unit/claims_rig.h"

/* True if the filter of @c accepts the frame @p. */
static bool accepted(const struct net_config *c, const struct packet *p)
{
	static struct guard_program program;
	struct sock_fprog f = { 0 };
	uint8_t byte[16];
	int pair[2];
	ssize_t n;

	guard_program(&program, c);
	f.len = (unsigned short)program.n;
	f.filter = program.code;
	assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM, 0, pair), 0);
	assert_int_equal(setsockopt(pair[1], SOL_SOCKET, SO_ATTACH_FILTER, &f, sizeof(f)), 0);
	(void)!send(pair[0], p->bytes + HDR, p->len - HDR, 0);
	n = recv(pair[1], byte, sizeof(byte), MSG_DONTWAIT);
	close(pair[0]);
	close(pair[1]);
	assert_true(n == TC_ACT_SHOT || (n < 0 && errno == EAGAIN));
	return n < 0;
}

static void a_guest_claims_its_own_addresses_only(void **state)
{
	struct net_config c = claims_config(), any = c;

	(void)state;
	any.own.n4 = any.own.n6 = 0;
	for (unsigned i = 0; i < ARRAY_SIZE(claims); i++) {
		struct packet p;

		claim_build(&p, &claims[i]);
		if (accepted(&c, &p) != claims[i].allowed)
			fail_msg("%s: %s", claims[i].what, claims[i].allowed ? "refused" : "allowed");
		if (!accepted(&any, &p) && claims[i].tags <= 2)
			fail_msg("%s: refused without ip=", claims[i].what);
	}
}

static void all_the_addresses_of_ip_are_allowed(void **state)
{
	struct net_config c = claims_config();
	struct packet p;

	(void)state;
	while (c.own.n4 < MAX_OWN_ADDRESSES) {
		memcpy(c.own.ip4[c.own.n4], (const uint8_t[]){ 10, 99, 1, c.own.n4 }, 4);
		c.own.n4++;
	}
	while (c.own.n6 < MAX_OWN_ADDRESSES) {
		memcpy(c.own.ip6[c.own.n6], c.own.ip6[0], 16);
		c.own.ip6[c.own.n6][7] = c.own.n6;
		c.own.n6++;
	}
	packet_udp(&p, "10.99.1.3", "10.99.0.1", 4000, 9, 0);
	assert_true(accepted(&c, &p));
	packet_udp(&p, "10.99.1.4", "10.99.0.1", 4000, 9, 0);
	assert_false(accepted(&c, &p));
	packet_udp(&p, "fd99:0:0:3::2", "fd99::1", 4000, 9, 0);
	assert_true(accepted(&c, &p));
	packet_udp(&p, "fd99:0:0:4::2", "fd99::1", 4000, 9, 0);
	assert_false(accepted(&c, &p));
}

static void no_guest_answers_as_a_dhcp_server(void **state)
{
	static const struct {
		const char *from, *to;
		uint16_t sport, dport;
		unsigned option;
		bool accepted;
	} row[] = {
		{ "10.99.0.2", "255.255.255.255", 67, 68, 0, false },
		{ "10.99.0.2", "10.99.0.3", 67, 68, P_OPTIONS, false },
		{ "10.99.0.2", "10.99.0.3", 67, 68, P_FRAGMENTS, false },
		{ "0.0.0.0", "255.255.255.255", 68, 67, 0, true },
		{ "10.99.0.2", "10.99.0.3", 67, 67, 0, true }, /* a relay */
		{ LOCAL, "fe80::9", 547, 546, 0, false },
		{ LOCAL, "fe80::9", 547, 546, P_OPTIONS, false },
		{ LOCAL, "ff02::1:2", 546, 547, 0, true },
	};
	struct net_config c = claims_config();

	(void)state;
	for (unsigned i = 0; i < 2 * ARRAY_SIZE(row); i++) {
		struct packet p, tail;

		c.own.n4 = c.own.n6 = i % 2; /* with and without ip= */
		packet_udp(&p, row[i / 2].from, row[i / 2].to, row[i / 2].sport, row[i / 2].dport, row[i / 2].option);
		if (row[i / 2].option & P_FRAGMENTS)
			packet_cut(&p, &tail);
		if (accepted(&c, &p) != row[i / 2].accepted)
			fail_msg("row %u: %s", i / 2, row[i / 2].accepted ? "dropped" : "accepted");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_guest_claims_its_own_addresses_only),
		cmocka_unit_test(all_the_addresses_of_ip_are_allowed),
		cmocka_unit_test(no_guest_answers_as_a_dhcp_server),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
