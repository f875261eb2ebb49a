/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * dhcp of --tunnet=: which NICs can have it, which address the guest gets, and which of the host's resolvers. The last
 * needs root, for a mount namespace with another /etc/resolv.conf.
 */
#include <arpa/inet.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "parent/options/dhcp.h"
#include "parent/options/options.h"
#include "parent/setup/dhcp.h"
#include "parent/setup/link.h"
#include "tests/unit/said.h"

static struct config c;
static struct net_host host;

/* Parse the options of a guest with the NIC @nic. Returns as options_parse(). */
static int parse(const char *nic)
{
	char text[200], mem[] = "64", kernel[] = "k", me[] = "lguest-sep";
	char *argv[] = { me, text, mem, kernel, NULL };
	int status;

	snprintf(text, sizeof(text), "%s", nic);
	said_begin();
	status = options_parse(4, argv, &c);
	said_end();
	return status;
}

static void refused(const char *nic, const char *why)
{
	assert_int_equal(parse(nic), 2);
	said_one_line(why);
}

static void only_a_tap_with_an_address_has_it(void **state)
{
	(void)state;
	assert_int_equal(parse("--tunnet=10.77.0.1/24,nat,dhcp"), -1);
	assert_true(c.net[0].dhcp);
	assert_int_equal(parse("--tunnet=10.77.0.1/24,nat"), -1);
	assert_false(c.net[0].dhcp);
	refused("--net=user,dhcp", "--net=user,dhcp: dhcp: --net=user needs none; passt answers DHCP");
	refused("--net=bridge=br0,dhcp", "dhcp: not on a bridge");
	refused("--tunnet=bridge:br0,dhcp", "dhcp: not on a bridge");
	refused("--net=tap=t,dhcp", "dhcp: only for taps that lguest-sep makes with an address");
	refused("--net=fd=5,dhcp", "dhcp: only for taps that lguest-sep makes with an address");
	assert_int_equal(parse("--tunnet=[fd00::1],nat,dhcp"), -1);
	assert_true(c.net[0].dhcp);
	assert_int_equal(parse("--tunnet=[fd00::1]/64,dhcp,mtu=1280"), -1);
	refused("--tunnet=[fd00::1]/56,dhcp", "only in a network of 64 bits, not of 56; give /64");
	refused("--tunnet=[fd00::1]/127,nat,dhcp", "only in a network of 64 bits, not of 127; give /64");
	refused("--tunnet=[fd00::1]/64,dhcp,ip=fd00::2",
		"a guest chooses its IPv6 address itself; leave out ip= or dhcp");
	refused("--tunnet=[fd00::1]/64,dhcp,mtu=1279", "dhcp: IPv6 needs mtu=1280 or more");
	refused("--tunnet=10.77.0.1,dhcp=on", "takes no value");
	refused("--tunnet=10.77.0.1,dhcp,ip=fd00::2", "dhcp: no address of ip= is one that a guest can have");
	refused("--tunnet=10.77.0.1,dhcp,ip=10.77.1.2", "dhcp: no address of ip= is one that a guest can have");
	refused("--tunnet=10.77.0.1,dhcp,ip=10.77.0.255", "dhcp: no address of ip= is one that a guest can have");
	refused("--tunnet=10.77.0.1,dhcp,ip=10.77.0.0", "dhcp: no address of ip= is one that a guest can have");
}

static void the_guest_has_a_stable_address_of_the_network(void **state)
{
	static const char *const wanted[][2] = {
		{ "--tunnet=10.77.0.1/24,dhcp", "10.77.0.2" },
		{ "--tunnet=10.77.0.254/24,dhcp", "10.77.0.253" },
		{ "--tunnet=10.77.0.255/23,dhcp", "10.77.1.0" },
		{ "--tunnet=10.77.0.1/30,dhcp", "10.77.0.2" },
		{ "--tunnet=10.77.0.2/30,dhcp", "10.77.0.1" },
		{ "--tunnet=10.77.0.0/31,dhcp", "10.77.0.1" },
		{ "--tunnet=10.77.0.1/31,dhcp", "10.77.0.0" },
		{ "--tunnet=127.255.255.254/1,dhcp", "127.255.255.253" },
		{ "--tunnet=10.77.0.1/24,dhcp,ip=10.77.0.77", "10.77.0.77" },
		{ "--tunnet=10.77.0.1/24,dhcp,ip=192.0.2.1,ip=10.77.0.78,ip=10.77.0.77", "10.77.0.78" },
	};

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(wanted); i++) {
		struct in_addr a;

		assert_int_equal(parse(wanted[i][0]), -1);
		a.s_addr = htonl(dhcp_guest(&c.net[0]));
		assert_string_equal(inet_ntoa(a), wanted[i][1]);
	}
}

/* Make @text the host's /etc/resolv.conf, as this process sees it. */
static void resolvers_are(const char *text)
{
	char path[] = "/tmp/resolv-XXXXXX";
	static bool before;
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	/* Nothing can be mounted on a removed file. */
	assert_true(!before || umount2("/etc/resolv.conf", MNT_DETACH) == 0);
	before = true;
	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
	assert_int_equal(mount(path, "/etc/resolv.conf", NULL, MS_BIND, NULL), 0);
	unlink(path);
}

/* Configure the NIC @nic; check that the guest is told of the resolvers @want, separated by spaces, and the router. */
static void tells_of(const char *nic, bool router, const char *want)
{
	const struct dhcp_config *d = &host.config.dhcp;
	char got[100] = "";

	assert_int_equal(parse(nic), -1);
	memset(&host, 0, sizeof(host));
	said_begin();
	dhcp_configure(&c.net[0], &host, "--tunnet=x");
	said_end();
	for (unsigned i = 0; i < d->ndns; i++) {
		struct in_addr a;

		memcpy(&a, d->dns[i], sizeof(a));
		snprintf(got + strlen(got), sizeof(got) - strlen(got), "%s%s", i ? " " : "", inet_ntoa(a));
	}
	assert_string_equal(got, want);
	assert_true(d->on && d->router == router && d->prefix == 24);
	assert_memory_equal(d->host, "\x0a\x4d\x00\x01", 4);
	assert_memory_equal(d->guest, "\x0a\x4d\x00\x02", 4);
}

static void only_resolvers_that_the_guest_reaches_are_named(void **state)
{
	struct link_address a = { .family = AF_INET, .prefix = 32 };

	(void)state;
	if (geteuid() != 0 || unshare(CLONE_NEWNS | CLONE_NEWNET) != 0 ||
	    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 || access("/etc/resolv.conf", F_OK) != 0) {
		print_message("skipped: needs root, namespaces and an /etc/resolv.conf\n");
		skip();
	}
	a.v4.s_addr = inet_addr("192.0.2.7");
	assert_int_equal(link_add_address("lo", &a), 0);
	link_done();
	resolvers_are("nameserver 127.0.0.53\nnameserver 192.0.2.7\nnameserver fd00::1\nnameserver 0.0.0.0\n"
		      "nameserver 9.9.9.9\n");
	tells_of("--tunnet=10.77.0.1/24,nat,dhcp", true, "9.9.9.9");
	tells_of("--tunnet=10.77.0.1/24,dhcp", false, "");
	resolvers_are("search example.org\nnameserver 192.0.2.7\nnameserver 192.0.2.53\nnameserver 10.77.0.1\n");
	tells_of("--tunnet=10.77.0.1/24,nat,dhcp", true, "192.0.2.53");
	tells_of("--tunnet=10.77.0.1/24,reach=forward,dhcp", true, "192.0.2.53");
	tells_of("--tunnet=10.77.0.1/24,nat,dhcp,reach=tcp:53", true, "192.0.2.53");
	tells_of("--tunnet=10.77.0.1/24,nat,dhcp,reach=udp:53", true, "192.0.2.7 192.0.2.53 10.77.0.1");
	tells_of("--tunnet=10.77.0.1/24,nat,dhcp,reach=all", true, "192.0.2.7 192.0.2.53 10.77.0.1");
	resolvers_are("nameserver 127.0.0.53\n");
	if (access("/run/systemd/resolve/resolv.conf", F_OK) == 0)
		return;
	tells_of("--tunnet=10.77.0.1/24,nat,dhcp", true, "");
	said_one_line("--tunnet=x: dhcp: /etc/resolv.conf names no IPv4 resolver that the guest can reach");
}

/* The same for an IPv6 tap. */
static void advertises(const char *nic, bool router, const char *want)
{
	static const uint8_t host_mac[ETH_ALEN] = { 0xfe, 0x54, 0, 1, 2, 3 };
	const struct ra_config *ra = &host.config.ra;
	char got[200] = "", one[INET6_ADDRSTRLEN];

	assert_int_equal(parse(nic), -1);
	memset(&host, 0, sizeof(host));
	memcpy(host.host_mac, host_mac, ETH_ALEN);
	said_begin();
	dhcp_configure(&c.net[0], &host, "--tunnet=x");
	said_end();
	for (unsigned i = 0; i < ra->ndns; i++) {
		inet_ntop(AF_INET6, ra->dns[i], one, sizeof(one));
		snprintf(got + strlen(got), sizeof(got) - strlen(got), "%s%s", i ? " " : "", one);
	}
	assert_string_equal(got, want);
	assert_true(ra->on && ra->router == router && !host.config.dhcp.on && ra->interval_ms == 600000);
	assert_memory_equal(ra->host_mac, host_mac, ETH_ALEN);
	assert_memory_equal(ra->host, "\xfd\x77\0\0\0\0\0\0\0\0\0\0\0\0\0\1", 16);
	assert_memory_equal(ra->local, "\xfe\x80\0\0\0\0\0\0\xfc\x54\0\xff\xfe\1\2\3", 16);
}

static void an_ipv6_guest_is_told_of_ipv6_resolvers(void **state)
{
	struct link_address a = { .family = AF_INET6, .prefix = 128 };

	(void)state;
	if (geteuid() != 0 || unshare(CLONE_NEWNS | CLONE_NEWNET) != 0 ||
	    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 || access("/etc/resolv.conf", F_OK) != 0) {
		print_message("skipped: needs root, namespaces and an /etc/resolv.conf\n");
		skip();
	}
	inet_pton(AF_INET6, "2001:db8::7", &a.v6);
	assert_int_equal(link_add_address("lo", &a), 0);
	link_done();
	resolvers_are("nameserver ::1\nnameserver 9.9.9.9\nnameserver 2001:db8::7\nnameserver fe80::1\n"
		      "nameserver 2001:db8::53\n");
	advertises("--tunnet=[fd77::1]/64,nat,dhcp", true, "2001:db8::53");
	advertises("--tunnet=[fd77::1]/64,dhcp", false, "");
	resolvers_are("nameserver 2001:db8::7\nnameserver fd77::1\nnameserver ::\nnameserver 2001:db8::53\n");
	advertises("--tunnet=[fd77::1]/64,reach=forward,dhcp", true, "2001:db8::53");
	advertises("--tunnet=[fd77::1]/64,nat,dhcp,reach=udp:53", true, "2001:db8::7 fd77::1 2001:db8::53");
	resolvers_are("nameserver 9.9.9.9\n");
	if (access("/run/systemd/resolve/resolv.conf", F_OK) == 0)
		return;
	advertises("--tunnet=[fd77::1]/64,nat,dhcp", true, "");
	said_one_line("--tunnet=x: dhcp: /etc/resolv.conf names no IPv6 resolver that the guest can reach");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_a_tap_with_an_address_has_it),
		cmocka_unit_test(the_guest_has_a_stable_address_of_the_network),
		cmocka_unit_test(only_resolvers_that_the_guest_reaches_are_named),
		cmocka_unit_test(an_ipv6_guest_is_told_of_ipv6_resolvers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
