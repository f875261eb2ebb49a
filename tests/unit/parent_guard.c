// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The kernel's own check of a guest's address: frames written straight to the
 * tap, as a taken netd could, in a network namespace of this test's own (root).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <fcntl.h>
#include <net/if.h>
#include <netlink/netlink.h>
#include <netlink/route/link.h>
#include <poll.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "parent/setup.h"
#include "tests/unit/said.h"

#define HDR   12 /* the tap's own header, zeroes */
#define FRAME 60

static const uint8_t guest_mac[ETH_ALEN] = { 0x02, 0x11, 0x22, 0x33, 0x44, 0x55 };
static struct net_host a, b;
static struct config config;

static void make_bridge(void)
{
	struct nl_sock *s = nl_socket_alloc();
	struct rtnl_link *l = rtnl_link_alloc();

	assert_non_null(s);
	assert_int_equal(nl_connect(s, NETLINK_ROUTE), 0);
	rtnl_link_set_type(l, "bridge");
	rtnl_link_set_name(l, "br0");
	rtnl_link_set_flags(l, IFF_UP);
	assert_int_equal(rtnl_link_add(s, l, NLM_F_CREATE), 0);
	rtnl_link_put(l);
	nl_socket_free(s);
}

/* Two taps on one bridge: what the host lets in at @a comes out at @b. */
static int set_up(void **state)
{
	(void)state;
	if (geteuid() != 0 || unshare(CLONE_NEWNET) < 0)
		return 0;
	make_bridge();
	for (unsigned i = 0; i < 2; i++) {
		struct net_option *o = &config.net[i];

		o->kind = NET_BRIDGE;
		memcpy(o->ifname, "br0", 4);
		o->queues = 1;
		o->have_mac = true;
		memcpy(o->mac, guest_mac, ETH_ALEN);
		o->mac[5] = (uint8_t)(o->mac[5] + i);
	}
	assert_int_equal(net_open(&config.net[0], &a), 0);
	assert_int_equal(net_open(&config.net[1], &b), 0);
	link_done();
	usleep(50000);
	return 0;
}

static int take_down(void **state)
{
	(void)state;
	net_close(&a);
	net_close(&b);
	return 0;
}

static void need_network(void)
{
	if (!a.ntaps) {
		print_message("skipped: needs root\n");
		skip();
	}
}

static void send_from(const uint8_t mac[ETH_ALEN], uint8_t mark)
{
	uint8_t frame[HDR + FRAME] = { 0 };

	memset(frame + HDR, 0xff, ETH_ALEN);
	memcpy(frame + HDR + ETH_ALEN, mac, ETH_ALEN);
	frame[HDR + 12] = 0x88; /* an EtherType for experiments */
	frame[HDR + 13] = 0xb5;
	frame[HDR + 14] = mark;
	assert_int_equal(write(a.tap[0], frame, sizeof(frame)), sizeof(frame));
}

/* Does a frame with @mark come out at the other tap? The host's own chatter is passed over. */
static bool arrives(uint8_t mark)
{
	uint8_t frame[HDR + 2048];
	struct pollfd p = { .fd = b.tap[0], .events = POLLIN };

	while (poll(&p, 1, 300) > 0) {
		ssize_t n = read(b.tap[0], frame, sizeof(frame));

		if (n >= HDR + FRAME && frame[HDR + 12] == 0x88 && frame[HDR + 13] == 0xb5 && frame[HDR + 14] == mark)
			return true;
	}
	return false;
}

static void without_it_any_address_passes(void **state)
{
	uint8_t other[ETH_ALEN] = { 0x02, 0x66, 0x66, 0x66, 0x66, 0x66 };

	(void)state;
	need_network();
	send_from(other, 1);
	assert_true(arrives(1));
}

static void with_it_the_guests_own_alone(void **state)
{
	uint8_t other[ETH_ALEN];

	(void)state;
	need_network();
	a.config.spoof_check = true;
	assert_int_equal(net_guard(&config, 0, &a), 0);
	send_from(guest_mac, 2);
	assert_true(arrives(2));
	/* Each byte counts. */
	for (unsigned i = 0; i < ETH_ALEN; i++) {
		memcpy(other, guest_mac, ETH_ALEN);
		other[i] ^= i ? 0x80 : 0x10;
		send_from(other, (uint8_t)(10 + i));
		assert_false(arrives((uint8_t)(10 + i)));
	}
	send_from(guest_mac, 3);
	assert_true(arrives(3));
}

/* Standard error goes to a file while @fn runs; true if it then holds @text. */
static bool says(int *result, const char *text, const struct net_host *n)
{
	said_begin();
	*result = net_guard(&config, 0, n);
	said_end();
	return strstr(said, text) != NULL;
}

static void what_cannot_be_done_is_said(void **state)
{
	struct net_host gone = { .ifname = "nosuchtap0", .config = { .spoof_check = true } };
	int result;

	(void)state;
	need_network();
	assert_true(says(&result, "this host lacks: a filter on the tap", &gone));
	assert_int_equal(result, 0);
	config.strict = true;
	assert_true(says(&result, "--strict: not started", &gone));
	assert_int_equal(result, -1);
	config.strict = false;
}

/* spoof-check=off, and taps that were there before. */
static void nothing_is_put_where_it_was_not_asked_for(void **state)
{
	struct net_host gone = { .ifname = "nosuchtap0" };

	(void)state;
	config.strict = true;
	assert_int_equal(net_guard(&config, 0, &gone), 0);
	gone.config.spoof_check = true;
	config.net[0].kind = NET_TAP;
	assert_int_equal(net_guard(&config, 0, &gone), 0);
	config.net[0].kind = NET_BRIDGE;
	config.strict = false;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(without_it_any_address_passes),
		cmocka_unit_test(with_it_the_guests_own_alone),
		cmocka_unit_test(what_cannot_be_done_is_said),
		cmocka_unit_test(nothing_is_put_where_it_was_not_asked_for),
	};

	return cmocka_run_group_tests(tests, set_up, take_down);
}
