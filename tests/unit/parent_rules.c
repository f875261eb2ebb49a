/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which packets the host accepts from a guest by default. Each kind of frame that the rules
 * must drop is first sent without rules, to show that it would arrive.
 */
#include "tests/unit/parent_rules_world.h"

/* ---- UDP to the host ---- */

static const struct probe probes[] = {
	{ "the tap's own address", "10.99.0.1", 0, true },
	{ "another interface's address", "10.88.0.1", 0, true },
	{ "a link-local IPv4 address of the host", "169.254.1.1", 0, true },
	{ "the broadcast address", "255.255.255.255", 0, true },
	{ "the network's broadcast address", "10.99.0.255", 0, true },
	{ "a multicast group", "224.0.0.251", 0, true },
	{ "a loopback address", "127.0.0.1", 0, false },
	{ "the guest's own address", "10.99.0.2", 0, false },
	{ "IPv4 options", "10.99.0.1", P_OPTIONS, true },
	{ "two IPv4 fragments", "10.99.0.1", P_FRAGMENTS, true },
	{ "a priority tag", "10.99.0.1", P_PRIORITY_TAG, true },
	{ "a VLAN that the host has on the tap", "10.55.0.1", P_VLAN, true },
	{ "a source behind another interface", "10.99.0.1", P_FOREIGN_SOURCE, true },
	{ "the tap's own IPv6 address", "fd99::1", 0, true },
	{ "another interface's IPv6 address", "fd88::1", 0, true },
	{ "all nodes", "ff02::1", 0, true },
	{ "IPv6 with hop-by-hop options", "fd99::1", P_OPTIONS, true },
	{ "two IPv6 fragments", "fd99::1", P_FRAGMENTS, true },
};

static void what_arrives_without_rules_does_not_with_them(void **state)
{
	static const struct probe later = { "an address that came later", "10.77.7.7", 0, true };

	(void)state;
	need_network();
	for (unsigned i = 0; i < ARRAY_SIZE(probes); i++)
		if ((have_vlan || !(probes[i].option & P_VLAN)) && probe_arrives(&probes[i], PORT) != probes[i].alone)
			fail_msg("without rules: %s: arrives: %d", probes[i].what, !probes[i].alone);
	with_rules();
	for (unsigned i = 0; i < ARRAY_SIZE(probes); i++)
		if (probe_arrives(&probes[i], PORT))
			fail_msg("%s reaches the host", probes[i].what);
	run("ip addr add 10.77.7.7/32 dev other");
	assert_false(probe_arrives(&later, PORT));
	without_rules();
	assert_true(probe_arrives(&later, PORT));
	assert_true(probe_arrives(&probes[0], PORT));
}

/* A datagram whose first fragment holds the UDP header alone. True if it arrives. */
static bool tiny_fragments_arrive(void)
{
	struct packet p, tail;
	uint8_t *h;

	packet_udp(&p, "10.99.0.2", "10.99.0.1", 4000, PORT, 0);
	put16(p.bytes + p.l4 + 6, 0); /* no checksum */
	tail = p;
	tail.len -= 8;
	memmove(tail.bytes + tail.l4, tail.bytes + tail.l4 + 8, tail.len - tail.l4);
	h = tail.bytes + tail.ip;
	put16(h + 2, (unsigned)(tail.len - tail.ip));
	put16(h + 6, 1); /* its place, in units of 8 bytes */
	put16(h + 10, 0);
	put16(h + 10, fold(add_up(0, h, 20)));
	p.len = p.l4 + 8;
	h = p.bytes + p.ip;
	put16(h + 2, 20 + 8);
	put16(h + 6, 0x2000); /* more follows */
	put16(h + 10, 0);
	put16(h + 10, fold(add_up(0, h, 20)));
	send_frame(&p);
	send_frame(&tail);
	return arrived(listener);
}

static void tiny_fragments_are_put_together_before_the_judgement(void **state)
{
	struct net_option *o = &config.net[0];

	(void)state;
	need_network();
	assert_true(tiny_fragments_arrive());
	with_rules();
	assert_false(tiny_fragments_arrive());
	without_rules();
	o->nreach = 1;
	o->reach[0].protocol = IPPROTO_UDP;
	o->reach[0].port = PORT;
	with_rules();
	assert_true(tiny_fragments_arrive());
	without_rules();
	o->nreach = 0;
}

/* A protocol that a module of the host's kernel would handle: after ARP, IPv4 and IPv6 there is none. */
static void other_protocols_are_dropped(void **state)
{
	static const uint16_t types[] = { 0x88b5, ETH_P_PPP_DISC, 46 /* LLC */ };
	int fd = socket(AF_PACKET, SOCK_RAW, 0);

	(void)state;
	need_network();
	for (unsigned i = 0; i < 2 * ARRAY_SIZE(types); i++) {
		uint16_t type = types[i / 2];
		struct sockaddr_ll a = { .sll_family = AF_PACKET,
					 .sll_protocol = htons(type < 1536 ? ETH_P_802_2 : type),
					 .sll_ifindex = (int)if_nametoindex("guest0") };
		struct packet p;

		assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
		if (i % 2)
			with_rules();
		packet_begin(&p, tap_mac, type, 0);
		p.len = p.ip + 46;
		send_frame(&p);
		if (arrived(fd) == (i % 2))
			fail_msg("EtherType %#x, %s rules", type, i % 2 ? "with" : "without");
		without_rules();
	}
	close(fd);
}

/* ---- what is open to every guest ---- */

static void echo_is_for_the_taps_own_addresses(void **state)
{
	(void)state;
	need_network();
	assert_true(echo_answered("10.88.0.1"));
	assert_true(echo_answered("fd88::1"));
	with_rules();
	assert_true(echo_answered("10.99.0.1"));
	assert_true(echo_answered("fd99::1"));
	assert_false(echo_answered("10.88.0.1"));
	assert_false(echo_answered("fd88::1"));
	without_rules();
}

/* 1000 echo requests with as many identifiers leave nothing in the host's table of connections. */
static void echo_takes_no_connection(void **state)
{
	char digits[16] = "";
	FILE *f;

	(void)state;
	need_network();
	with_rules();
	for (unsigned i = 0; i < 1000; i++) {
		struct packet p;

		packet_icmp(&p, "10.99.0.2", "10.99.0.1", 8, 0, "echo", 4);
		put16(p.bytes + p.l4 + 4, i);
		put16(p.bytes + p.l4 + 2, 0);
		packet_sum(&p, IPPROTO_ICMP, 2);
		send_frame(&p);
	}
	f = fopen("/proc/sys/net/netfilter/nf_conntrack_count", "re");
	if (f) {
		assert_non_null(fgets(digits, sizeof(digits), f));
		fclose(f);
		assert_true(atoi(digits) < 100);
	}
	while (host_sends(4, IPPROTO_ICMP, 0))
		;
	without_rules();
}

static bool arp_answered(const char *address)
{
	struct pollfd p = { .fd = host.net[nic].tap[0], .events = POLLIN };
	struct packet q;
	uint8_t f[2048];

	packet_begin(&q, (const uint8_t[]){ 255, 255, 255, 255, 255, 255 }, ETH_P_ARP, 0);
	memcpy(q.bytes + q.ip, "\0\1\x08\0\6\4\0\1", 8);
	memcpy(q.bytes + q.ip + 8, guest_mac, ETH_ALEN);
	inet_pton(AF_INET, "10.99.0.2", q.bytes + q.ip + 14);
	inet_pton(AF_INET, address, q.bytes + q.ip + 24);
	q.len = q.ip + 46;
	send_frame(&q);
	while (poll(&p, 1, 50) > 0) {
		ssize_t n = read(p.fd, f, sizeof(f));

		if (n >= HDR + 42 && f[HDR + 12] == 0x08 && f[HDR + 13] == 0x06 && f[HDR + 21] == 2)
			return true;
	}
	return false;
}

static void neighbours_are_found(void **state)
{
	struct packet p;
	uint8_t body[16];

	(void)state;
	need_network();
	with_rules();
	assert_true(arp_answered("10.99.0.1"));
	assert_false(arp_answered("10.88.0.1"));
	inet_pton(AF_INET6, "fd99::1", body);
	packet_icmp(&p, "fd99::2", "fd99::1", 135, 0, body, sizeof(body));
	send_frame(&p);
	assert_true(host_sends(6, IPPROTO_ICMPV6, 136));
	without_rules();
}

/* ---- answers to the host ---- */

static void answers_to_the_host_arrive(void **state)
{
	struct packet p;
	int fd;

	(void)state;
	need_network();
	with_rules();
	fd = connected("10.99.0.1", "10.99.0.2", 7);
	packet_udp(&p, "10.99.0.2", "10.99.0.1", 7, 6000, 0);
	send_frame(&p);
	assert_true(arrived(fd));
	/* Another port is no answer. */
	packet_udp(&p, "10.99.0.2", "10.99.0.1", 8, PORT, 0);
	send_frame(&p);
	assert_false(arrived(listener));
	close(fd);
	without_rules();
}

/* The guest pretends to be the peer of a connection that the host has with somebody else. */
static void answers_of_others_cannot_be_forged(void **state)
{
	struct packet p;
	int fd;

	(void)state;
	need_network();
	with_rules();
	fd = connected("10.88.0.1", "10.88.0.9", 7);
	packet_udp(&p, "10.88.0.9", "10.88.0.1", 7, 6000, 0);
	send_frame(&p);
	assert_false(arrived(fd));
	without_rules();
	send_frame(&p);
	assert_true(arrived(fd));
	close(fd);
}

/* Port unreachable from the guest, about what @fd sent from @from to @to. */
static bool error_taken(int fd, const char *from, const char *to)
{
	struct packet inner, p;
	int error = 0;
	socklen_t len = sizeof(error);

	packet_udp(&inner, from, to, 6000, 7, 0);
	packet_icmp(&p, "10.99.0.2", from, 3, 3, inner.bytes + inner.ip, 28);
	send_frame(&p);
	assert_int_equal(getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len), 0);
	return error == ECONNREFUSED;
}

static void errors_are_taken_about_the_taps_own_network(void **state)
{
	int own, other;

	(void)state;
	need_network();
	with_rules();
	own = connected("10.99.0.1", "10.99.0.2", 7);
	other = connected("10.88.0.1", "10.88.0.9", 7);
	assert_true(error_taken(own, "10.99.0.1", "10.99.0.2"));
	assert_false(error_taken(other, "10.88.0.1", "10.88.0.9"));
	without_rules();
	assert_true(error_taken(other, "10.88.0.1", "10.88.0.9"));
	close(own);
	close(other);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_arrives_without_rules_does_not_with_them),
		cmocka_unit_test(tiny_fragments_are_put_together_before_the_judgement),
		cmocka_unit_test(other_protocols_are_dropped),
		cmocka_unit_test(echo_is_for_the_taps_own_addresses),
		cmocka_unit_test(echo_takes_no_connection),
		cmocka_unit_test(neighbours_are_found),
		cmocka_unit_test(answers_to_the_host_arrive),
		cmocka_unit_test(answers_of_others_cannot_be_forged),
		cmocka_unit_test(errors_are_taken_about_the_taps_own_network),
	};

	return cmocka_run_group_tests(tests, set_up, take_down);
}
