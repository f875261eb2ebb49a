/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The environment of the tests of a tap's rules: a network namespace with a tap, a bridge and
 * another interface. Tests write frames directly to the tap, as a compromised netd could, and
 * check what the host does with them. Needs root.
 */
#ifndef PARENT_RULES_WORLD_H
#define PARENT_RULES_WORLD_H

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/netfilter.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "parent/setup/guard.h"
#include "parent/setup/link.h"
#include "parent/setup/net.h"
#include "parent/setup/rules.h"
#include "tests/unit/parent_rules_rig.h"

#define PORT 5000

static struct config config;
static struct host host;
static unsigned nic;		  /* which one frames go to and come from: 0 has an address, 1 is on a bridge */
static struct net_host neighbour; /* another port of that bridge */
static bool can_run, have_vlan;
static int listener; /* UDP on all addresses of both families */

static inline void run(const char *command)
{
	if (system(command) != 0)
		fail_msg("failed: %s", command);
}

/* A tap with 10.99.0.1/24 and fd99::1; the host has other addresses on "other". */
static inline void make_tap(void)
{
	struct net_option *o = &config.net[0];

	host.c = &config;
	host.rules = -1;
	config.nnets = 2;
	o->kind = NET_TUNNET_IP;
	o->ip.s_addr = htonl(0x0a630001);
	o->prefix = 24;
	o->queues = 1;
	o->have_mac = true;
	memcpy(o->mac, guest_mac, ETH_ALEN);
	memcpy(o->name, "guest0", 7);
	assert_int_equal(net_open(o, &host.net[0], false), 0);
	assert_int_equal(net_guard(&config, 0, &host.net[0]), 0);
	link_done();
	run("ip link set guest0 address 02:aa:aa:aa:aa:01; ip addr add fd99::1/64 dev guest0 nodad;"
	    "ip neigh add 10.99.0.2 lladdr 02:11:22:33:44:55 dev guest0;"
	    "ip neigh add fd99::2 lladdr 02:11:22:33:44:55 dev guest0");
	have_vlan = system("ip link add link guest0 name guest0.5 type vlan id 5 2>/dev/null") == 0;
	if (have_vlan)
		run("ip link set guest0.5 up; ip addr add 10.55.0.1/24 dev guest0.5");
}

/* Two taps on a bridge with 10.66.0.1/24 and fd66::1: a guest's, and that of somebody else. */
static inline void make_bridge(void)
{
	struct net_option *o = &config.net[1], other;

	run("ip link add br6 address 02:aa:aa:aa:aa:01 type bridge; ip link set br6 up; ip addr add 10.66.0.1/24 dev br6;"
	    "ip addr add fd66::1/64 dev br6 nodad; ip neigh add 10.66.0.2 lladdr 02:11:22:33:44:55 dev br6;"
	    "ip neigh add fd66::2 lladdr 02:11:22:33:44:55 dev br6");
	o->kind = NET_BRIDGE;
	memcpy(o->ifname, "br6", 4);
	o->queues = 1;
	o->have_mac = true;
	memcpy(o->mac, guest_mac, ETH_ALEN);
	assert_int_equal(net_open(o, &host.net[1], false), 0);
	other = *o;
	assert_int_equal(net_open(&other, &neighbour, false), 0);
	link_done();
}

static inline int set_up(void **state)
{
	struct sockaddr_in6 any = { .sin6_family = AF_INET6, .sin6_port = htons(PORT) };

	struct ip_mreqn group = { .imr_multiaddr.s_addr = htonl(0xe00000fb) };

	(void)state;
	if (geteuid() != 0 || unshare(CLONE_NEWNET) < 0 || access("/dev/net/tun", F_OK) < 0)
		return 0;
	run("ip link set lo up; ip link add other type veth peer name others; ip link set other up address 02:aa:aa:aa:aa:01;"
	    "ip link set others up; ip addr add 10.88.0.1/24 dev other;"
	    "ip addr add fd88::1/64 dev other nodad; ip neigh add 10.88.0.9 lladdr 02:00:00:00:00:99 dev other;"
	    "ip addr add 169.254.1.1/16 dev other");
	listener = socket(AF_INET6, SOCK_DGRAM | SOCK_NONBLOCK, 0);
	assert_int_equal(bind(listener, (struct sockaddr *)&any, sizeof(any)), 0);
	make_tap();
	make_bridge();
	group.imr_ifindex = (int)if_nametoindex("guest0");
	assert_int_equal(setsockopt(listener, IPPROTO_IP, IP_ADD_MEMBERSHIP, &group, sizeof(group)), 0);
	can_run = true;
	return 0;
}

static inline int take_down(void **state)
{
	(void)state;
	net_close(&host.net[0]);
	net_close(&host.net[1]);
	net_close(&neighbour);
	if (host.rules >= 0)
		close(host.rules);
	return 0;
}

static inline void need_network(void)
{
	if (!can_run) {
		print_message("skipped: needs root and /dev/net/tun\n");
		skip();
	}
}

/* For tests in which another program changes the rules. */
static inline void need_nft(void)
{
	need_network();
	if (system("command -v nft > /dev/null") != 0) {
		print_message("skipped: needs nft (apt-get install nftables)\n");
		skip();
	}
}

/* ---- the guest's side ---- */

static inline void send_frame(const struct packet *p)
{
	assert_int_equal(write(host.net[nic].tap[0], p->bytes, p->len), p->len);
}

/* The kernel handles a frame before write(2) returns, so that what arrives is there by then. */
static inline bool arrived(int fd)
{
	char byte[64];
	ssize_t n = recv(fd, byte, sizeof(byte), MSG_DONTWAIT);

	return n >= 0;
}

/* A frame from the host of this IP protocol, within the time that a busy machine may take. */
static inline bool host_sends(uint8_t version, uint8_t protocol, uint8_t type)
{
	struct pollfd p = { .fd = host.net[nic].tap[0], .events = POLLIN };
	uint8_t f[2048];

	while (poll(&p, 1, 50) > 0) {
		ssize_t n = read(p.fd, f, sizeof(f));

		if (n > 0 && packet_is(f, (size_t)n, version, protocol, type))
			return true;
	}
	return false;
}

/* The table of the guest whose supervisor is this process. */
static inline const char *table_name(void)
{
	static char name[RULES_TABLE_MAX];
	const struct rules_nic first = { .ifname = "guest0" };

	rules_table(name, &first, getpid());
	return name;
}

static inline void with_rules(void)
{
	assert_int_equal(rules_send(&host), 0);
	assert_int_equal(rules_confirm(&host), 0);
	assert_true(host.rules >= 0);
}

static inline void without_rules(void)
{
	if (host.rules >= 0)
		close(host.rules);
	host.rules = -1;
}

/* A datagram to the host. */
struct probe {
	const char *what, *to;
	unsigned option; /* enum packet_option */
	bool alone;	 /* arrives where there are no rules */
};

static inline bool probe_arrives(const struct probe *c, uint16_t port)
{
	const char *from4 = nic ? "10.66.0.2" : "10.99.0.2", *from6 = nic ? "fd66::2" : "fd99::2";
	const char *from = strchr(c->to, ':') ? from6 : from4;
	struct packet p, tail;

	if (c->option & P_FOREIGN_SOURCE)
		from = "10.88.0.9";
	packet_udp(&p, from, c->to, 4000, port, c->option);
	if (c->option & P_FRAGMENTS)
		packet_cut(&p, &tail);
	send_frame(&p);
	if (c->option & P_FRAGMENTS)
		send_frame(&tail);
	return arrived(listener);
}

/* The same of a bridge that was just made, which gets its carrier and its IPv6 routes a moment later. */
static inline bool probe_arrives_in_time(const struct probe *c, uint16_t port)
{
	for (unsigned i = 0; i < 1000; i++, usleep(10000))
		if (probe_arrives(c, port))
			return true;
	return false;
}

static inline bool echo_answered(const char *to)
{
	bool v6 = strchr(to, ':');
	struct packet p;

	packet_icmp(&p, v6 ? (nic ? "fd66::2" : "fd99::2") : (nic ? "10.66.0.2" : "10.99.0.2"), to, v6 ? 128 : 8, 0,
		    "echo", 4);
	send_frame(&p);
	return v6 ? host_sends(6, IPPROTO_ICMPV6, 129) : host_sends(4, IPPROTO_ICMP, 0);
}

static inline int connected(const char *from, const char *to, uint16_t port)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(6000) };
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	inet_pton(AF_INET, from, &a.sin_addr);
	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	a.sin_port = htons(port);
	inet_pton(AF_INET, to, &a.sin_addr);
	assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(send(fd, "hello", 5, 0), 5);
	return fd;
}

#endif
