/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The filter that replaces nftables rules on hosts without nftables, in the environment
 * of parent_rules_world.h.
 */
#include "tests/unit/parent_rules_world.h"
#include "tests/unit/said.h"

/* The NIC @which gets the filter. */
static void close_host(unsigned which)
{
	nic = which;
	assert_int_equal(link_close(host.net[nic].ifname, &config.net[nic]), 0);
}

static void open_host(void)
{
	char command[80];

	snprintf(command, sizeof(command), "tc filter del dev %s ingress prio 1", host.net[nic].ifname);
	run(command);
	nic = 0;
}

/* True if the host answers a TCP segment with @flags to its port 9, where nobody listens. */
static bool segment_answered(const char *to, uint8_t flags)
{
	bool v6 = strchr(to, ':');
	struct packet p;

	packet_tcp_syn(&p, v6 ? "fd99::2" : "10.99.0.2", to, 9);
	p.bytes[p.l4 + 13] = flags;
	put16(p.bytes + p.l4 + 16, 0);
	packet_sum(&p, IPPROTO_TCP, 16);
	send_frame(&p);
	return host_sends(v6 ? 6 : 4, IPPROTO_TCP, 0);
}

static void no_datagram_arrives(void **state)
{
	static const struct probe probes[] = {
		{ "the tap's own address", "10.99.0.1", 0, true },
		{ "another interface's address", "10.88.0.1", 0, true },
		{ "the broadcast address", "255.255.255.255", 0, true },
		{ "a multicast group", "224.0.0.251", 0, true },
		{ "IPv4 options", "10.99.0.1", P_OPTIONS, true },
		{ "two IPv4 fragments", "10.99.0.1", P_FRAGMENTS, true },
		{ "a VLAN that the host has on the tap", "10.55.0.1", P_VLAN, true },
		{ "a source behind another interface", "10.99.0.1", P_FOREIGN_SOURCE, true },
		{ "the tap's own IPv6 address", "fd99::1", 0, true },
		{ "another interface's IPv6 address", "fd88::1", 0, true },
		{ "all nodes", "ff02::1", 0, true },
		{ "IPv6 with hop-by-hop options", "fd99::1", P_OPTIONS, true },
		{ "two IPv6 fragments", "fd99::1", P_FRAGMENTS, true },
	};

	(void)state;
	need_network();
	for (unsigned i = 0; i < ARRAY_SIZE(probes); i++)
		if ((have_vlan || !(probes[i].option & P_VLAN)) && !probe_arrives(&probes[i], PORT))
			fail_msg("without the filter: %s does not arrive", probes[i].what);
	close_host(0);
	for (unsigned i = 0; i < ARRAY_SIZE(probes); i++)
		if (probe_arrives(&probes[i], PORT))
			fail_msg("%s reaches the host", probes[i].what);
	open_host();
}

static void connections_are_the_hosts_to_open(void **state)
{
	(void)state;
	need_network();
	assert_true(segment_answered("10.99.0.1", 0x02));
	assert_true(segment_answered("10.88.0.1", 0x10));
	assert_true(segment_answered("fd99::1", 0x02));
	close_host(0);
	assert_false(segment_answered("10.99.0.1", 0x02)); /* SYN */
	assert_false(segment_answered("10.99.0.1", 0x01)); /* FIN alone, as a scan sends it */
	assert_true(segment_answered("10.99.0.1", 0x10));  /* ACK: can belong to a connection */
	assert_false(segment_answered("10.88.0.1", 0x10));
	assert_false(segment_answered("fd99::1", 0x10));
	assert_true(echo_answered("10.99.0.1"));
	assert_false(echo_answered("10.88.0.1"));
	open_host();
}

static void an_ipv6_tap_is_closed_likewise(void **state)
{
	struct net_option *o = &config.net[0], before = *o;

	(void)state;
	need_network();
	o->v6 = true;
	o->prefix = 64;
	inet_pton(AF_INET6, "fd99::1", &o->ip6);
	close_host(0);
	assert_false(segment_answered("fd99::1", 0x02));
	assert_true(segment_answered("fd99::1", 0x10));
	assert_false(segment_answered("fd88::1", 0x10));
	assert_true(echo_answered("fd99::1"));
	assert_false(echo_answered("fd88::1"));
	assert_false(segment_answered("10.99.0.1", 0x10));
	open_host();
	*o = before;
}

/* A datagram in two fragments, of which the second looks as if it had an open port too. */
static bool halves_arrive(void)
{
	struct packet p, tail;

	packet_udp(&p, "10.99.0.2", "10.99.0.1", 4000, PORT, 0);
	put16(p.bytes + p.l4 + 6, 0); /* no checksum */
	packet_cut(&p, &tail);
	put16(tail.bytes + tail.l4 + 2, PORT);
	send_frame(&p);
	send_frame(&tail);
	return arrived(listener);
}

static void reach_opens_its_port(void **state)
{
	static const struct probe own = { "", "10.99.0.1", 0, true };
	static const struct probe tagged = { "", "10.99.0.1", P_PRIORITY_TAG, true };
	struct net_option *o = &config.net[0];

	(void)state;
	need_network();
	o->nreach = 1;
	o->reach[0].protocol = IPPROTO_UDP;
	o->reach[0].port = PORT;
	assert_true(probe_arrives(&tagged, PORT));
	assert_true(halves_arrive());
	close_host(0);
	assert_true(probe_arrives(&own, PORT));
	assert_false(probe_arrives(&tagged, PORT));
	assert_false(halves_arrive());
	assert_false(segment_answered("10.99.0.1", 0x02));
	open_host();
	o->reach[0].protocol = IPPROTO_TCP;
	o->reach[0].port = 9;
	close_host(0);
	assert_false(probe_arrives(&own, PORT));
	assert_true(segment_answered("10.99.0.1", 0x02));
	open_host();
	o->nreach = 0;
	o->reach_all = true;
	close_host(0);
	assert_true(probe_arrives(&own, PORT));
	open_host();
	o->reach_all = false;
}

static void on_a_bridge_the_hosts_frames_are_closed(void **state)
{
	static const struct probe own = { "", "10.66.0.1", 0, true }, own6 = { "", "fd66::1", 0, true };
	struct pollfd f = { .fd = neighbour.tap[0], .events = POLLIN };
	uint8_t frame[2048];
	struct packet p;
	bool got = false;

	(void)state;
	need_network();
	nic = 1;
	assert_true(probe_arrives_in_time(&own, PORT));
	assert_true(probe_arrives_in_time(&own6, PORT));
	close_host(1);
	assert_false(probe_arrives(&own, PORT));
	assert_false(probe_arrives(&own6, PORT));
	assert_true(echo_answered("10.66.0.1"));
	packet_udp(&p, "10.66.0.2", "10.66.0.3", 4000, 9, 0);
	p.bytes[HDR + 5] = 0x77; /* somebody else on that network */
	send_frame(&p);
	while (!got && poll(&f, 1, 50) > 0)
		got = read(f.fd, frame, sizeof(frame)) == (ssize_t)p.len && !memcmp(frame + HDR, p.bytes + HDR, 6);
	assert_true(got);
	open_host();
}

/* The start without nftables: the filter is there, and the line says what is weaker. */
static void the_start_closes_what_it_can(void **state)
{
	static const struct probe own = { "", "10.99.0.1", 0, true };
	char command[160];

	(void)state;
	need_nft();
	snprintf(command, sizeof(command), "nft add table inet %s", table_name());
	run(command);
	said_begin();
	assert_int_equal(rules_send(&host), 0);
	assert_int_equal(rules_confirm(&host), 0);
	said_end();
	said_one_line("a filter that knows no connections takes their place");
	assert_false(probe_arrives(&own, PORT));
	run("tc filter del dev guest0 ingress prio 1");
	config.net[0].reach_forward = true;
	said_begin();
	assert_int_equal(rules_send(&host), 0);
	assert_int_equal(rules_confirm(&host), -1);
	said_end();
	config.net[0].reach_forward = false;
	snprintf(command, sizeof(command), "nft delete table inet %s", table_name());
	run(command);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_datagram_arrives),
		cmocka_unit_test(connections_are_the_hosts_to_open),
		cmocka_unit_test(an_ipv6_tap_is_closed_likewise),
		cmocka_unit_test(reach_opens_its_port),
		cmocka_unit_test(on_a_bridge_the_hosts_frames_are_closed),
		cmocka_unit_test(the_start_closes_what_it_can),
	};

	return cmocka_run_group_tests(tests, set_up, take_down);
}
