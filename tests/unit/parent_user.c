/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The settings of --net=user and pcap= are parsed into struct config; a mistake causes one
 * line and status 2.
 */
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "parent/options/config.h"
#include "parent/options/options.h"
#include "tests/unit/said.h"

static struct config c;

static int parse(const char *const *words)
{
	char *argv[8], copy[6][256];
	int argc = 0, status;

	argv[argc++] = (char *)(uintptr_t) "lguest-sep";
	for (; *words; words++, argc++) {
		assert_true(strlen(*words) < sizeof(copy[0]));
		argv[argc] = memcpy(copy[argc - 1], *words, strlen(*words) + 1);
	}
	argv[argc] = NULL;
	said_begin();
	status = options_parse(argc, argv, &c);
	said_end();
	return status;
}

struct bad {
	const char *words[6];
	const char *text; /* Part of the one line. */
};

static const struct bad bad[] = {
	{ { "--net=user=x", "64", "k" }, "--net=user, and settings after a comma" },
	{ { "--net=user,nat", "64", "k" }, "nat: --net=user needs none" },
	{ { "--net=user,reach=host,restrict", "64", "k" }, "restrict: it does not go together with reach=host" },
	{ { "--net=user,forward=22:22", "64", "k" }, "write tcp:[ADDR:]PORT:GUESTPORT" },
	{ { "--net=user,forward=tcp:22", "64", "k" }, "write tcp:[ADDR:]PORT:GUESTPORT" },
	{ { "--net=user,forward=tcp:1.2.3:1:2", "64", "k" }, "this is no IPv4 address" },
	{ { "--net=user,forward=tcp:[::ffff:1.2.3.4]:1:2", "64", "k" }, "this is no IPv6 address" },
	{ { "--net=user,forward=tcp:[::1:1:2", "64", "k" }, "write an IPv6 address as [ADDR]:" },
	{ { "--net=user,forward=tcp:1:2,forward=tcp:0.0.0.0:1:3", "64", "k" }, "this port is forwarded already" },
	{ { "--net=user,forward=tcp:1:2", "--net=user,forward=tcp:1:3", "64", "k" },
	  "has that port forwarded already" },
	{ { "--net=tap=t,forward=tcp:1:2", "64", "k" }, "forward: only with --net=user" },
	{ { "--tunnet=10.0.0.1,restrict", "64", "k" }, "restrict: only with --net=user" },
	{ { "--tunnet=10.0.0.1,max=64k", "64", "k" }, "max: it limits a capture file; add pcap=FILE" },
	{ { "--tunnet=10.0.0.1,pcap=f,max=1k", "64", "k" }, "give the capture file's size in bytes, 4k or more" },
	{ { "--tunnet=10.0.0.1,pcap=f", "--tunnet=10.0.1.1,pcap=f", "64", "k" }, "records to that file already" },
	{ { "--net=user,queues=2", "64", "k" }, "queues: --net=user has one queue pair" },
	{ { "--net=user,forward=tcp:0:22", "64", "k" }, "write tcp:[ADDR:]PORT:GUESTPORT" },
	{ { "--net=user,forward=udp:1:65536", "64", "k" }, "write tcp:[ADDR:]PORT:GUESTPORT" },
	{ { "--tunnet=10.0.0.1,reach=host", "64", "k" }, "reach=host: only with --net=user" },
	{ { "--tunnet=10.0.0.1,pcap=", "64", "k" }, "the name of a file is missing" },
	{ { "--net=user,mtu=65521", "64", "k" }, "mtu: it is at most 65520" },
	{ { "--net=user,ifname=t", "64", "k" }, "ifname: --net=user has no tap" },
	{ { "--net=user,reach=tcp:1", "64", "k" }, "reach: with --net=user there is only reach=host" },
};

static void mistakes(void **state)
{
	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
		if (parse(bad[i].words) != EXIT_USAGE || !strstr(said, bad[i].text))
			fail_msg("%s: %s", bad[i].words[0], said);
		assert_ptr_equal(strchr(said, '\n'), said + strlen(said) - 1);
	}
}

static void expect_forward(unsigned i, bool udp, const char *addr, unsigned port, unsigned guest)
{
	const struct forward *f = &c.net[0].forward[i];
	struct in6_addr a = { .s6_addr = { [10] = 0xff, [11] = 0xff } };

	if (inet_pton(AF_INET6, addr, &a) != 1)
		assert_int_equal(inet_pton(AF_INET, addr, &a.s6_addr[12]), 1);
	assert_int_equal(f->udp, udp);
	assert_memory_equal(&f->addr, &a, sizeof(a));
	assert_int_equal(f->port, port);
	assert_int_equal(f->guest_port, guest);
}

static void every_setting(void **state)
{
	static const char *const words[] = {
		"--net=user,restrict,forward=tcp:2222:22,forward=udp:0.0.0.0:2222:53,"
		"forward=tcp:[::1]:80:8080,mtu=1400,pcap=a,,b,max=1M,mac=02:00:00:00:00:01",
		"64", "k", NULL
	};
	static const char *const plain[] = { "--net=user,reach=host", "64", "k", NULL };
	const struct net_option *n = &c.net[0];

	(void)state;
	assert_int_equal(parse(words), -1);
	assert_int_equal(n->kind, NET_USER);
	assert_true(n->isolated && !n->reach_host && n->have_mac);
	assert_int_equal(n->nforwards, 3);
	expect_forward(0, false, "127.0.0.1", 2222, 22);
	expect_forward(1, true, "0.0.0.0", 2222, 53);
	expect_forward(2, false, "::1", 80, 8080);
	assert_int_equal(n->mtu, 1400);
	assert_string_equal(n->pcap, "a,b");
	assert_int_equal(n->pcap_max, 1 << 20);
	assert_int_equal(parse(plain), -1);
	assert_true(n->reach_host && !n->isolated && !n->pcap && !n->nforwards);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(mistakes), cmocka_unit_test(every_setting) };

	return cmocka_run_group_tests_name("parent: --net=user", tests, NULL, NULL);
}
