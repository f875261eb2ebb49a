/* SPDX-License-Identifier: GPL-2.0-or-later */
/* netd lets a guest with ip= claim its own addresses and no others. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "netd/claims.h"
#include "tests/unit/claims_rig.h"

static void a_guest_claims_its_own_addresses_only(void **state)
{
	struct net_config c = claims_config();

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(claims); i++) {
		struct packet p;

		claim_build(&p, &claims[i]);
		if (claims_allowed(&c, p.bytes + HDR, p.len - HDR) != claims[i].allowed)
			fail_msg("%s: %s", claims[i].what, claims[i].allowed ? "refused" : "allowed");
	}
}

static void without_ip_any_address_is_allowed(void **state)
{
	struct net_config c = claims_config();

	(void)state;
	c.own.n4 = c.own.n6 = 0;
	for (unsigned i = 0; i < ARRAY_SIZE(claims); i++) {
		struct packet p;

		claim_build(&p, &claims[i]);
		assert_true(claims_allowed(&c, p.bytes + HDR, p.len - HDR));
	}
}

static void a_sender_mac_of_another_in_arp_is_refused(void **state)
{
	struct net_config c = claims_config();
	struct packet p;

	(void)state;
	claim_arp(&p, "10.99.0.2");
	assert_true(claims_allowed(&c, p.bytes + HDR, p.len - HDR));
	p.bytes[p.ip + 13] ^= 1;
	assert_false(claims_allowed(&c, p.bytes + HDR, p.len - HDR));
	p.bytes[p.ip + 13] ^= 1;
	p.bytes[p.ip + 4] = 8; /* another length of addresses: the sender's would lie elsewhere */
	assert_false(claims_allowed(&c, p.bytes + HDR, p.len - HDR));
}

/* Whatever is not in the copy is not judged, so nothing may be decided there: at every length. */
static void headers_that_are_not_all_there_are_refused(void **state)
{
	struct net_config c = claims_config();

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(claims); i++) {
		struct packet p;
		size_t len;

		if (claims[i].allowed)
			continue;
		claim_build(&p, &claims[i]);
		for (len = ETH_HLEN; len < p.len - HDR; len++)
			if (claims_allowed(&c, p.bytes + HDR, len))
				fail_msg("%s: allowed with its first %zu bytes", claims[i].what, len);
	}
}

/* Seven extension headers, or one that says it is longer than the frame. */
static void a_chain_of_headers_has_an_end(void **state)
{
	struct net_config c = claims_config();
	uint8_t f[14 + 40 + 8 * 8] = { 0 };
	struct packet p;

	(void)state;
	packet_udp(&p, "fd99::2", "fd99::1", 1, 2, 0);
	memcpy(f, p.bytes + HDR, 14 + 40);
	f[14 + 6] = IPPROTO_DSTOPTS;
	for (unsigned i = 0; i < 7; i++)
		f[14 + 40 + 8 * i] = i < 6 ? IPPROTO_DSTOPTS : IPPROTO_UDP;
	assert_false(claims_allowed(&c, f, sizeof(f)));
	f[14 + 40 + 8 * 5] = IPPROTO_UDP;
	assert_true(claims_allowed(&c, f, sizeof(f)));
	f[14 + 40 + 1] = 255;
	assert_false(claims_allowed(&c, f, sizeof(f)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_guest_claims_its_own_addresses_only),
		cmocka_unit_test(without_ip_any_address_is_allowed),
		cmocka_unit_test(a_sender_mac_of_another_in_arp_is_refused),
		cmocka_unit_test(headers_that_are_not_all_there_are_refused),
		cmocka_unit_test(a_chain_of_headers_has_an_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
