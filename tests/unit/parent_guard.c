/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The kernel's filter on a tap: frames written directly to the tap, as a compromised netd
 * could, in a network namespace of this test. Needs root.
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <net/if.h>
#include <netlink/netlink.h>
#include <netlink/route/link.h>
#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "parent/setup/guard.h"
#include "parent/setup/link.h"
#include "parent/setup/net.h"
#include "parent/setup/setup.h"
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

/* Make the bridge forward all frames, without passing them to the host's rules. */
static void write_0(const char *path)
{
	int fd = open(path, O_WRONLY);

	if (fd < 0)
		return;
	assert_int_equal(write(fd, "0", 1), 1);
	close(fd);
}

/* Two taps on one bridge: frames that the host accepts at tap @a arrive at tap @b. */
static int set_up(void **state)
{
	(void)state;
	if (geteuid() != 0 || access("/dev/net/tun", F_OK) < 0 || unshare(CLONE_NEWNET) < 0)
		return 0;
	make_bridge();
	write_0("/proc/sys/net/bridge/bridge-nf-call-iptables");
	write_0("/proc/sys/net/bridge/bridge-nf-call-ip6tables");
	for (unsigned i = 0; i < 2; i++) {
		struct net_option *o = &config.net[i];

		o->kind = NET_BRIDGE;
		memcpy(o->ifname, "br0", 4);
		o->queues = 1;
		o->have_mac = true;
		memcpy(o->mac, guest_mac, ETH_ALEN);
		o->mac[5] = (uint8_t)(o->mac[5] + i);
	}
	assert_int_equal(net_open(&config.net[0], &a, false), 0);
	assert_int_equal(net_open(&config.net[1], &b, false), 0);
	link_done();
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
		print_message("skipped: needs root and /dev/net/tun\n");
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

/* Returns the mark of the next test frame at the other tap, or 0 after @ms. Skips frames of the host. */
static uint8_t next_mark(int ms)
{
	uint8_t frame[HDR + 2048];
	struct pollfd p = { .fd = b.tap[0], .events = POLLIN };

	while (poll(&p, 1, ms) > 0) {
		ssize_t n = read(b.tap[0], frame, sizeof(frame));

		if (n >= HDR + FRAME && frame[HDR + 12] == 0x88 && frame[HDR + 13] == 0xb5)
			return frame[HDR + 14];
	}
	return 0;
}

static void without_it_any_address_passes(void **state)
{
	uint8_t other[ETH_ALEN] = { 0x02, 0x66, 0x66, 0x66, 0x66, 0x66 };
	uint8_t mark = 0;

	(void)state;
	need_network();
	/* The bridge's ports may need a moment to forward. */
	for (unsigned tries = 0; tries < 600 && !mark; tries++) {
		send_from(other, 1);
		mark = next_mark(100);
	}
	assert_int_equal(mark, 1);
	while (next_mark(100))
		;
}

static void with_it_the_guests_own_alone(void **state)
{
	uint8_t other[ETH_ALEN];

	(void)state;
	need_network();
	a.config.spoof_check = true;
	assert_int_equal(net_guard(&config, 0, &a), 0);
	send_from(guest_mac, 2);
	assert_int_equal(next_mark(60000), 2);
	/* Each byte counts. */
	for (unsigned i = 0; i < ETH_ALEN; i++) {
		memcpy(other, guest_mac, ETH_ALEN);
		other[i] ^= i ? 0x80 : 0x10;
		/* Frames keep their order: the first one to arrive is the second one. */
		send_from(other, (uint8_t)(10 + i));
		send_from(guest_mac, 3);
		assert_int_equal(next_mark(60000), 3);
	}
}

/* A frame of the guest's: its head up to the EtherType, then @n words of bytes; the rest is zero. */
struct kind {
	const char *what;
	bool passes;
	unsigned n;
	uint8_t bytes[96]; /* from the EtherType on */
};

#define IPV4(proto, frag_high, frag_low) \
	0x45, 0, 0, 60, 0, 0, frag_high, frag_low, 64, proto, 0, 0, 10, 0, 0, 2, 10, 0, 0, 1
#define ADDRESS	   0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1
#define IPV6(next) 0x60, 0, 0, 0, 0, 40, next, 255, ADDRESS, ADDRESS
#define EXT(next)  next, 0, 1, 4, 0, 0, 0, 0
#define KIND(text, ok, ...)                                   \
	{                                                     \
		text, ok, sizeof((uint8_t[]){ __VA_ARGS__ }), \
		{                                             \
			__VA_ARGS__                           \
		}                                             \
	}

static const struct kind kinds[] = {
	KIND("ARP", true, 0x08, 0x06, 0, 1),
	KIND("IPv4 TCP", true, 0x08, 0x00, IPV4(6, 0, 0), 5),
	KIND("ICMP echo", true, 0x08, 0x00, IPV4(1, 0, 0), 8),
	KIND("ICMP redirect", false, 0x08, 0x00, IPV4(1, 0, 0), 5, 1),
	KIND("ICMP router advertisement", false, 0x08, 0x00, IPV4(1, 0, 0), 9),
	KIND("ICMP redirect, first fragment", false, 0x08, 0x00, IPV4(1, 0x20, 0), 5),
	KIND("ICMP, later fragment", true, 0x08, 0x00, IPV4(1, 0, 9), 5),
	KIND("ICMP redirect behind IPv4 options", false, 0x08, 0x00, 0x46, 0, 0, 60, 0, 0, 0, 0, 64, 1, 0, 0, 10, 0, 0,
	     2, 10, 0, 0, 1, 1, 1, 1, 1, 5),
	KIND("ICMP redirect, tagged", false, 0x81, 0x00, 0, 5, 0x08, 0x00, IPV4(1, 0, 0), 5),
	KIND("ICMP echo, tagged", true, 0x81, 0x00, 0, 5, 0x08, 0x00, IPV4(1, 0, 0), 8),
	KIND("ICMPv6 echo", true, 0x86, 0xdd, IPV6(58), 128),
	KIND("router solicitation", true, 0x86, 0xdd, IPV6(58), 133),
	KIND("router advertisement", false, 0x86, 0xdd, IPV6(58), 134),
	KIND("neighbour solicitation", true, 0x86, 0xdd, IPV6(58), 135),
	KIND("neighbour advertisement", true, 0x86, 0xdd, IPV6(58), 136),
	KIND("ICMPv6 redirect", false, 0x86, 0xdd, IPV6(58), 137),
	KIND("MLD report behind hop-by-hop options", true, 0x86, 0xdd, IPV6(0), EXT(58), 143),
	KIND("router advertisement behind hop-by-hop options", false, 0x86, 0xdd, IPV6(0), EXT(58), 134),
	KIND("behind a longer extension header", false, 0x86, 0xdd, IPV6(60), 58, 1, 1, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
	     0, 0, 137),
	KIND("behind two extension headers", false, 0x86, 0xdd, IPV6(0), EXT(43), EXT(58), 134),
	KIND("first fragment", false, 0x86, 0xdd, IPV6(44), 58, 0, 0, 1, 0, 0, 0, 7, 134),
	KIND("first fragment with half of the headers", false, 0x86, 0xdd, IPV6(44), 60, 0, 0, 1, 0, 0, 0, 7, EXT(58)),
	KIND("first fragment with half of the headers, of UDP", false, 0x86, 0xdd, IPV6(44), 60, 0, 0, 1, 0, 0, 0, 7,
	     EXT(17)),
	KIND("a whole packet behind a fragment header", true, 0x86, 0xdd, IPV6(44), 60, 0, 0, 0, 0, 0, 0, 7, EXT(58),
	     128),
	KIND("later fragment", true, 0x86, 0xdd, IPV6(44), 58, 0, 0, 9, 0, 0, 0, 7, 134),
	KIND("behind an authentication header", false, 0x86, 0xdd, IPV6(51), 58, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 134),
	KIND("TCP behind an extension header", true, 0x86, 0xdd, IPV6(60), EXT(6), 134),
	KIND("seven extension headers", false, 0x86, 0xdd, IPV6(60), EXT(60), EXT(60), EXT(60), EXT(60), EXT(60),
	     EXT(60)),
	KIND("router advertisement, tagged", false, 0x81, 0x00, 0, 5, 0x86, 0xdd, IPV6(58), 134),
	KIND("router advertisement, tagged twice", false, 0x88, 0xa8, 0, 5, 0x81, 0x00, 0, 6, 0x86, 0xdd, IPV6(58),
	     134),
	KIND("router advertisement, tagged three times", false, 0x88, 0xa8, 0, 5, 0x88, 0xa8, 0, 6, 0x81, 0x00, 0, 7,
	     0x86, 0xdd, IPV6(58), 134),
	KIND("tagged four times", false, 0x81, 0, 0, 5, 0x81, 0, 0, 6, 0x81, 0, 0, 7, 0x81, 0, 0, 8, 0x88, 0xb5),
};

/* The destination is nobody's, which a bridge sends to all ports; its last byte is the mark. */
static const uint8_t nobody[ETH_ALEN - 1] = { 0x02, 0xa5, 0xa5, 0xa5, 0xa5 };

static bool is_ours(const uint8_t *frame)
{
	return memcmp(frame + HDR, nobody, sizeof(nobody)) == 0;
}

/* Frames that wait at the other tap are thrown away; true if one of them has @mark. */
static bool arrived(uint8_t mark, int wait_ms)
{
	uint8_t frame[HDR + 2048];
	struct pollfd p = { .fd = b.tap[0], .events = POLLIN };

	while (poll(&p, 1, wait_ms) > 0) {
		ssize_t n = read(b.tap[0], frame, sizeof(frame));

		if (n > HDR + 16 && is_ours(frame) && frame[HDR + 5] == mark)
			return true;
	}
	return false;
}

static void send_kind(const struct kind *k, const uint8_t source[ETH_ALEN], uint8_t mark)
{
	uint8_t frame[HDR + 128] = { 0 };

	memcpy(frame + HDR, nobody, sizeof(nobody));
	frame[HDR + 5] = mark;
	memcpy(frame + HDR + ETH_ALEN, source, ETH_ALEN);
	memcpy(frame + HDR + 2 * ETH_ALEN, k->bytes, k->n);
	assert_int_equal(write(a.tap[0], frame, sizeof(frame)), sizeof(frame));
}

/* After each frame, send one that passes: once that has arrived, the filter has decided about the first. */
static void messages_for_routes_are_dropped(void **state)
{
	static const struct kind probe = KIND("", true, 0x88, 0xb5);

	(void)state;
	need_network();
	for (unsigned i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		bool passed;

		send_kind(&kinds[i], guest_mac, 1);
		passed = kinds[i].passes && arrived(1, 5000);
		send_kind(&probe, guest_mac, 2);
		for (;;) {
			uint8_t frame[HDR + 2048];
			struct pollfd p = { .fd = b.tap[0], .events = POLLIN };
			ssize_t n;

			assert_int_equal(poll(&p, 1, 5000), 1);
			n = read(b.tap[0], frame, sizeof(frame));
			if (n <= HDR + 16 || !is_ours(frame))
				continue;
			if (frame[HDR + 5] == 2)
				break;
			passed = true;
		}
		if (passed != kinds[i].passes)
			fail_msg("%s: %s", kinds[i].what, passed ? "passed" : "dropped");
	}
}

/* Router advertisements and redirects are dropped even if the guest may use any address. */
static void they_are_without_a_check_of_the_source(void **state)
{
	const uint8_t other[ETH_ALEN] = { 0x02, 0x66, 0x66, 0x66, 0x66, 0x66 };
	const struct kind *advertisement = NULL;
	static const struct kind probe = KIND("", true, 0x88, 0xb5);

	(void)state;
	need_network();
	for (unsigned i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (!strcmp(kinds[i].what, "router advertisement"))
			advertisement = &kinds[i];
	net_close(&a);
	assert_int_equal(net_open(&config.net[0], &a, false), 0);
	link_done();
	a.config.spoof_check = false;
	assert_int_equal(net_guard(&config, 0, &a), 0);
	send_kind(advertisement, other, 3);
	send_kind(&probe, other, 4);
	assert_true(arrived(4, 5000));
	send_kind(advertisement, other, 3);
	assert_false(arrived(3, 300));
}

/* A bridge takes the lowest address of its ports; ours must never be it. */
static void the_hosts_end_cannot_win_a_bridges_address(void **state)
{
	struct ifreq r = { 0 };

	(void)state;
	need_network();
	memcpy(r.ifr_name, a.ifname, IFNAMSIZ);
	assert_int_equal(ioctl(a.tap[0], SIOCGIFHWADDR, &r), 0);
	assert_int_equal((uint8_t)r.ifr_hwaddr.sa_data[0], 0xfe);
	assert_memory_equal(r.ifr_hwaddr.sa_data + 1, guest_mac + 1, ETH_ALEN - 1);
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

/* An existing tap belongs to its owner: it gets no filter, and a message says what is not filtered. */
static void other_peoples_taps_are_left_alone(void **state)
{
	struct net_host gone = { .ifname = "nosuchtap0", .config = { .spoof_check = true } };
	int result;

	(void)state;
	config.strict = true;
	config.net[0].kind = NET_TAP;
	assert_true(says(&result, "redirects reach the host", &gone));
	assert_int_equal(result, 0);
	config.net[0].kind = NET_BRIDGE;
	config.strict = false;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(without_it_any_address_passes),
		cmocka_unit_test(with_it_the_guests_own_alone),
		cmocka_unit_test(messages_for_routes_are_dropped),
		cmocka_unit_test(the_hosts_end_cannot_win_a_bridges_address),
		cmocka_unit_test(they_are_without_a_check_of_the_source),
		cmocka_unit_test(what_cannot_be_done_is_said),
		cmocka_unit_test(other_peoples_taps_are_left_alone),
	};

	return cmocka_run_group_tests(tests, set_up, take_down);
}
