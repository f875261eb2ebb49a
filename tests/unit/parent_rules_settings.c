/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Guests on a bridge, what reach= and nat open, and how long the rules last, in the
 * world of parent_rules_world.h.
 */
#include <linux/if_tun.h>
#include <linux/rtnetlink.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/wait.h>

#include "common/fdtab.h"
#include "parent/setup/nft_dump.h"
#include "parent/setup/nft_text.h"
#include "tests/unit/parent_rules_world.h"
#include "tests/unit/said.h"

static const struct probe own_address = { "the tap's own address", "10.99.0.1", 0, true };
static const struct probe other_address = { "another interface's address", "10.88.0.1", 0, true };

/* The host's answer to whether a table of that name is there, which can be a moment late after close(2). */
static bool table_exists(void)
{
	struct nft_table_info info;

	assert_int_equal(nft_query_table(NFPROTO_INET, table_name(), &info), 0);
	return info.exists;
}

/* ---- on a bridge ---- */

/* Whether the host's inet rules see what passes a bridge: "1", "0". Where there is no br_netfilter they do not. */
static void br_netfilter(const char *on)
{
	int fd = open("/proc/sys/net/bridge/bridge-nf-call-iptables", O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return;
	assert_int_equal(write(fd, on, 1), 1);
	close(fd);
}

static bool neighbour_gets(const uint8_t *to)
{
	struct pollfd f = { .fd = neighbour.tap[0], .events = POLLIN };
	uint8_t frame[2048];
	struct packet p;

	packet_udp(&p, "10.66.0.2", "10.66.0.3", 4000, 9, 0);
	memcpy(p.bytes + HDR, to, ETH_ALEN);
	send_frame(&p);
	while (poll(&f, 1, 50) > 0) {
		ssize_t n = read(f.fd, frame, sizeof(frame));

		if (n == (ssize_t)p.len && !memcmp(frame + HDR, p.bytes + HDR, p.len - HDR))
			return true;
	}
	return false;
}

static void check_bridge(void)
{
	static const struct probe own = { "", "10.66.0.1", 0, true }, other = { "", "10.88.0.1", 0, true };
	static const struct probe own6 = { "", "fd66::1", 0, true }, all = { "", "255.255.255.255", 0, true };
	static const struct probe *const c[] = { &own, &other, &own6, &all };
	struct packet p;
	int fd;

	nic = 1;
	for (unsigned i = 0; i < ARRAY_SIZE(c); i++)
		if (!probe_arrives_in_time(c[i], PORT))
			fail_msg("does not arrive without rules: %s", c[i]->to);
	with_rules();
	for (unsigned i = 0; i < ARRAY_SIZE(c); i++)
		if (probe_arrives(c[i], PORT))
			fail_msg("arrives: %s", c[i]->to);
	assert_true(echo_answered("10.66.0.1"));
	assert_true(echo_answered("fd66::1"));
	assert_false(echo_answered("10.88.0.1"));
	assert_true(neighbour_gets((const uint8_t[]){ 2, 0, 0, 0, 0, 0x77 }));
	assert_true(neighbour_gets((const uint8_t[]){ 255, 255, 255, 255, 255, 255 }));
	fd = connected("10.66.0.1", "10.66.0.2", 7);
	packet_udp(&p, "10.66.0.2", "10.66.0.1", 7, 6000, 0);
	send_frame(&p);
	assert_true(arrived(fd));
	close(fd);
	without_rules();
	nic = 0;
}

static void a_bridge_shows_its_network_and_not_the_host(void **state)
{
	(void)state;
	need_network();
	br_netfilter("1");
	check_bridge();
	br_netfilter("0");
	check_bridge();
}

static void a_bridges_port_is_opened_for_its_guest(void **state)
{
	static const struct probe own = { "", "10.66.0.1", 0, true };

	(void)state;
	need_network();
	nic = 1;
	config.net[1].nreach = 1;
	config.net[1].reach[0].protocol = IPPROTO_UDP;
	config.net[1].reach[0].port = PORT;
	with_rules();
	assert_true(probe_arrives(&own, PORT));
	nic = 0;
	assert_false(probe_arrives(&own_address, PORT));
	config.net[1].nreach = 0;
	without_rules();
}

/* Rules of the host that set every packet's mark, as those that restore a connection's do. */
static void marks_of_the_hosts_rules_open_nothing(void **state)
{
	static const struct probe own = { "", "10.66.0.1", 0, true };

	(void)state;
	need_nft();
	run("nft 'table ip m { chain c { type filter hook prerouting priority mangle; meta mark set 1; }; }'");
	nic = 1;
	for (unsigned i = 0; i < 2; i++) {
		br_netfilter(i ? "1" : "0");
		with_rules();
		assert_false(probe_arrives(&own, PORT));
		without_rules();
		assert_true(probe_arrives(&own, PORT));
	}
	nic = 0;
	run("nft delete table ip m");
}

/* ---- settings ---- */

static void reach_opens_a_port(void **state)
{
	struct net_option *o = &config.net[0];

	(void)state;
	need_network();
	o->nreach = 1;
	o->reach[0].protocol = IPPROTO_TCP;
	o->reach[0].port = PORT;
	with_rules();
	assert_false(probe_arrives(&own_address, PORT));
	without_rules();
	o->reach[0].protocol = IPPROTO_UDP;
	with_rules();
	assert_true(probe_arrives(&own_address, PORT));
	assert_true(probe_arrives(&other_address, PORT));
	without_rules();
	o->reach[0].port = PORT + 1;
	with_rules();
	assert_false(probe_arrives(&own_address, PORT));
	without_rules();
	o->nreach = 0;
	o->reach_all = true;
	with_rules();
	assert_true(probe_arrives(&own_address, PORT));
	o->reach_all = false;
	without_rules();
}

static bool syn_answered(const char *to)
{
	struct packet p;

	packet_tcp_syn(&p, strchr(to, ':') ? "fd99::2" : "10.99.0.2", to, PORT);
	send_frame(&p);
	return host_sends(strchr(to, ':') ? 6 : 4, IPPROTO_TCP, PORT >> 8);
}

static void tcp_is_refused_in_silence_and_opened(void **state)
{
	struct sockaddr_in6 any = { .sin6_family = AF_INET6, .sin6_port = htons(PORT) };
	struct net_option *o = &config.net[0];
	int fd;

	(void)state;
	need_network();
	fd = socket(AF_INET6, SOCK_STREAM, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&any, sizeof(any)), 0);
	assert_int_equal(listen(fd, 1), 0);
	with_rules();
	assert_false(syn_answered("10.99.0.1"));
	assert_false(syn_answered("10.88.0.1"));
	assert_false(syn_answered("fd99::1"));
	without_rules();
	o->nreach = 1;
	o->reach[0].protocol = IPPROTO_TCP;
	o->reach[0].port = PORT;
	with_rules();
	assert_true(syn_answered("10.99.0.1"));
	assert_true(syn_answered("fd99::1"));
	without_rules();
	o->nreach = 0;
	close(fd);
}

/* Frames that "other" has sent. */
static unsigned long other_sent(void)
{
	char line[512];
	unsigned long sent = 0;
	FILE *f = fopen("/proc/self/net/dev", "re");

	assert_non_null(f);
	while (fgets(line, sizeof(line), f)) {
		char *at = strstr(line, "other:");

		if (at)
			assert_int_equal(sscanf(at, "other: %*u %*u %*u %*u %*u %*u %*u %*u %*u %lu", &sent), 1);
	}
	fclose(f);
	return sent;
}

/* Does what the guest sends to somebody behind "other" come out there? */
static bool forwarded(void)
{
	unsigned long before = other_sent();
	struct packet p;

	for (unsigned i = 0; i < 100; i++) {
		packet_udp(&p, "10.99.0.2", "10.88.0.9", 4000, 9, 0);
		send_frame(&p);
	}
	return other_sent() - before >= 100;
}

/* Does what somebody behind "other" sends to the guest come out of the tap? */
static bool let_in(void)
{
	struct sockaddr_ll a = { .sll_family = AF_PACKET, .sll_ifindex = (int)if_nametoindex("others") };
	int fd = socket(AF_PACKET, SOCK_RAW, 0);
	struct packet p;

	packet_udp(&p, "10.88.0.9", "10.99.0.2", 9, 4001, 0);
	assert_true(sendto(fd, p.bytes + HDR, p.len - HDR, 0, (struct sockaddr *)&a, sizeof(a)) > 0);
	close(fd);
	return host_sends(4, IPPROTO_UDP, 0);
}

static void nothing_is_forwarded_unless_asked_for(void **state)
{
	struct net_option *o = &config.net[0];

	(void)state;
	need_network();
	run("echo 1 > /proc/sys/net/ipv4/ip_forward");
	assert_true(forwarded());
	assert_true(let_in());
	with_rules();
	assert_false(forwarded());
	assert_false(let_in());
	without_rules();
	o->reach_forward = true;
	with_rules();
	assert_true(forwarded());
	assert_true(let_in());
	without_rules();
	o->reach_forward = false;
	o->nat = true;
	with_rules();
	assert_true(forwarded());
	assert_false(let_in());
	assert_false(probe_arrives(&other_address, PORT));
	without_rules();
	o->nat = false;
	run("echo 0 > /proc/sys/net/ipv4/ip_forward");
}

static void what_the_host_closes_is_said(void **state)
{
	struct net_option *o = &config.net[0];

	(void)state;
	need_nft();
	o->nat = true;
	said_begin();
	with_rules();
	said_end();
	said_one_line("net0: nat: this host forwards nothing: net.ipv4.ip_forward is 0");
	without_rules();
	o->nat = false;
	run("nft 'table ip walls { chain in { type filter hook input priority 0; policy drop; }; }'");
	said_begin();
	with_rules();
	said_end();
	assert_string_equal(said, "");
	without_rules();
	o->reach_all = true;
	said_begin();
	with_rules();
	said_end();
	said_one_line("net0: reach: the table ip walls drops incoming packets");
	without_rules();
	o->reach_all = false;
	run("nft delete table ip walls");
}

/* ---- how long ---- */

static void the_table_ends_with_its_socket(void **state)
{
	int second;

	(void)state;
	need_network();
	assert_false(table_exists());
	with_rules();
	assert_true(table_exists());
	second = dup(host.rules);
	without_rules();
	assert_true(table_exists());
	assert_false(probe_arrives(&own_address, PORT));
	close(second);
	assert_false(table_exists());
}

/* Two interfaces at these numbers of a process that is killed: true if the one at @first goes first. */
static bool goes_first(int first, int second)
{
	struct sockaddr_nl a = { .nl_family = AF_NETLINK, .nl_groups = RTMGRP_LINK };
	struct pollfd p = { .fd = socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE), .events = POLLIN };
	struct ifreq ifr = { .ifr_flags = IFF_TAP | IFF_NO_PI };
	unsigned index[2] = { 0 };
	char buf[16384] __attribute__((aligned(8)));
	pid_t pid;

	for (unsigned i = 0; i < 2; i++) {
		int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);

		snprintf(ifr.ifr_name, IFNAMSIZ, "order%u", i);
		assert_int_equal(ioctl(fd, TUNSETIFF, &ifr), 0);
		index[i] = if_nametoindex(ifr.ifr_name);
		assert_true(dup2(fd, i ? second : first) >= 0);
		close(fd);
	}
	assert_int_equal(bind(p.fd, (struct sockaddr *)&a, sizeof(a)), 0);
	pid = fork();
	if (pid == 0)
		for (;;)
			pause();
	close(first);
	close(second);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	while (poll(&p, 1, 10000) > 0) {
		ssize_t n = recv(p.fd, buf, sizeof(buf), 0);

		for (struct nlmsghdr *h = (void *)buf; n > 0 && NLMSG_OK(h, (size_t)n); h = NLMSG_NEXT(h, n)) {
			unsigned gone = (unsigned)((struct ifinfomsg *)NLMSG_DATA(h))->ifi_index;

			if (h->nlmsg_type != RTM_DELLINK || (gone != index[0] && gone != index[1]))
				continue;
			close(p.fd);
			return gone == index[0];
		}
	}
	fail_msg("no interface was removed");
	return false;
}

/* So that the rules, whose number is the lower one, outlive the tap. */
static void a_killed_process_lets_go_of_its_highest_descriptor_first(void **state)
{
	(void)state;
	need_network();
	assert_true((int)HFD_RULES < (int)HFD_TAP0);
	assert_true(goes_first(HFD_TAP0, 20));
	assert_false(goes_first(20, HFD_TAP0));
}

/* A name that somebody else has is left alone. */
static void another_ones_table_is_not_touched(void **state)
{
	struct nft_text before, after;
	char text[128], command[160];

	(void)state;
	need_nft();
	snprintf(command, sizeof(command),
		 "nft 'table inet %s { chain in { type filter hook input priority 0; accept; }; }'", table_name());
	run(command);
	assert_int_equal(nft_text_of_table(NFPROTO_INET, table_name(), &before), 0);
	assert_int_equal(before.n, 2); /* its chain and the rule */
	said_begin();
	assert_int_equal(rules_send(&host), 0);
	assert_int_equal(rules_confirm(&host), 0);
	said_end();
	said_one_line(
		"this host lacks: nftables rules for a tap (a table that belongs to a process (Linux 5.12): File exists)");
	assert_int_equal(host.rules, -1);
	config.strict = true;
	said_begin();
	assert_int_equal(rules_send(&host), 0);
	assert_int_equal(rules_confirm(&host), -1);
	said_end();
	said_one_line("--strict: not started");
	config.strict = false;
	assert_int_equal(nft_text_of_table(NFPROTO_INET, table_name(), &after), 0);
	assert_true(nft_text_same(&before, &after, text, sizeof(text)));
	nft_text_free(&before);
	nft_text_free(&after);
	snprintf(command, sizeof(command), "nft delete table inet %s", table_name());
	run(command);
}

/* A guest is started again before the kernel has removed what its killed predecessor had. */
static void a_predecessors_table_is_no_obstacle(void **state)
{
	int to[2], back[2];
	char byte = 0;
	pid_t pid;

	(void)state;
	need_network();
	assert_int_equal(pipe(to), 0);
	assert_int_equal(pipe(back), 0);
	pid = fork();
	if (!pid) {
		with_rules();
		(void)!write(back[1], &byte, 1);
		close(to[1]);
		(void)!read(to[0], &byte, 1);
		_exit(0);
	}
	assert_int_equal(read(back[0], &byte, 1), 1);
	with_rules();
	without_rules();
	close(to[1]);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	close(to[0]);
	close(back[0]);
	close(back[1]);
}

/* The largest batch that the command line can ask for is taken whole. */
static void many_nics_fit_into_a_batch(void **state)
{
	static struct rules_nic many[MAX_DEVICES];
	static struct nft_batch b;
	static struct net_option o;
	const char *what;
	int fd;

	(void)state;
	need_network();
	o = config.net[0];
	o.nat = true;
	o.nreach = MAX_REACH;
	for (unsigned i = 0; i < MAX_REACH; i++) {
		o.reach[i].protocol = IPPROTO_TCP;
		o.reach[i].port = (uint16_t)(i + 1);
	}
	for (unsigned i = 0; i < MAX_DEVICES; i++) {
		many[i] = (struct rules_nic){ .o = &o, .ifname = "guest0", .ifindex = if_nametoindex("guest0") };
		snprintf(many[i].chain, sizeof(many[i].chain), "net%u", i);
	}
	assert_int_equal(nft_begin(&b, "lguest-sep-many"), 0);
	rules_build(&b, many, MAX_DEVICES);
	assert_false(b.failed);
	fd = nft_socket();
	assert_int_equal(nft_send(&b, fd), 0);
	if (nft_answer(&b, fd, &what) < 0)
		fail_msg("%s: %s", what, strerror(errno));
	close(fd);
	nft_free(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_bridge_shows_its_network_and_not_the_host),
		cmocka_unit_test(a_bridges_port_is_opened_for_its_guest),
		cmocka_unit_test(marks_of_the_hosts_rules_open_nothing),
		cmocka_unit_test(reach_opens_a_port),
		cmocka_unit_test(tcp_is_refused_in_silence_and_opened),
		cmocka_unit_test(nothing_is_forwarded_unless_asked_for),
		cmocka_unit_test(what_the_host_closes_is_said),
		cmocka_unit_test(the_table_ends_with_its_socket),
		cmocka_unit_test(a_killed_process_lets_go_of_its_highest_descriptor_first),
		cmocka_unit_test(another_ones_table_is_not_touched),
		cmocka_unit_test(a_predecessors_table_is_no_obstacle),
		cmocka_unit_test(many_nics_fit_into_a_batch),
	};

	return cmocka_run_group_tests(tests, set_up, take_down);
}
