// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Every option, good and bad: what it becomes in struct config, and that a
 * mistake gives one line that names option, value and what to do, and status 2.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "parent/config.h"
#include "tests/unit/said.h"

#define MAX_ARGS 12

static struct config c;

/* Parse a command line of words; standard output and error are caught. */
static int parse(const char *const *words)
{
	char *argv[MAX_ARGS + 2], copy[MAX_ARGS][256];
	int argc = 0, status, null = memfd_create("null", 0), out = dup(1);

	argv[argc++] = (char *)(uintptr_t) "lguest-sep";
	for (; *words; words++) {
		assert_true(strlen(*words) < sizeof(copy[0]));
		memcpy(copy[argc - 1], *words, strlen(*words) + 1);
		argv[argc] = copy[argc - 1];
		argc++;
	}
	argv[argc] = NULL;
	said_begin();
	dup2(null, 1);
	status = options_parse(argc, argv, &c);
	dup2(out, 1);
	said_end();
	close(out);
	close(null);
	return status;
}

#define PARSE(...) parse((const char *const[]){ __VA_ARGS__, NULL })
/* One option, with memory and kernel after it. */
#define WITH(...) PARSE(__VA_ARGS__, "64", "vmlinuz")

struct bad {
	const char *words[4];
	const char *text; /* part of the one line */
};

static const struct bad bad[] = {
	{ { "--nonsense", "64", "k" }, "--nonsense: there is no such option" },
	{ { "-x", "64", "k" }, "-x: there is no such option" },
	{ { "-vv", "64", "k" }, "-vv: there is no such option" },
	{ { "--verbose=yes", "64", "k" }, "--verbose=yes: this option takes no value" },
	{ { "--block" }, "--block: a value is missing" },
	{ { "64" }, "KERNEL is missing" },
	{ { "--rng" }, "MEM-MB and KERNEL are missing" },
	{ { "0", "k" }, "MEM-MB 0:" },
	{ { "many", "k" }, "MEM-MB many:" },
	{ { "64k", "k" }, "MEM-MB 64k:" },
	{ { "+64", "k" }, "MEM-MB +64:" },
	{ { "18446744073709551680", "k" }, "MEM-MB 18446744073709551680:" },
	{ { "64", "" }, "KERNEL: the name of a file is missing" },
	/* Else a guest would start without what was asked for, and nobody would know. */
	{ { "64", "--rng", "k" }, "--rng: options come before MEM-MB" },
	{ { "64", "k", "quiet", "--strict" }, "--strict: options come before MEM-MB" },
	{ { "64", "k", "--block=d,ro" }, "--block=d,ro: options come before MEM-MB" },
	{ { "--block=", "64", "k" }, "--block=: the name of a file is missing" },
	{ { "--block=d,what", "64", "k" }, "--block=d,what: what: there is no such setting" },
	{ { "--block=d,", "64", "k" }, "(nothing): there is no such setting" },
	{ { "--block=d,serial=", "64", "k" }, "1 to 20 characters" },
	{ { "--block=d,serial=123456789012345678901", "64", "k" }, "1 to 20 characters" },
	{ { "--block=d,serial=a b", "64", "k" }, "visible ASCII" },
	{ { "--block=d,lock=maybe", "64", "k" }, "lock=on or lock=off" },
	{ { "--block=d,direct=1", "64", "k" }, "direct=on or direct=off" },
	{ { "--block=d,cache=x", "64", "k" }, "writeback, none or unsafe" },
	{ { "--block=d,queues=0", "64", "k" }, "1 to 16" },
	{ { "--block=d,queues=17", "64", "k" }, "1 to 16" },
	{ { "--block=d,io=fast", "64", "k" }, "auto, uring or sync" },
	{ { "--block=d,rate=0", "64", "k" }, "requests a second" },
	{ { "--block=d,bandwidth=1T", "64", "k" }, "bytes a second" },
	{ { "--block=d,ro,snapshot", "64", "k" }, "take one of the two" },
	{ { "--tunnet=10.0.0.999", "64", "k" }, "10.0.0.999: is no IPv4 address" },
	{ { "--tunnet=", "64", "k" }, "is no IPv4 address" },
	{ { "--tunnet=10.0.0.1/33", "64", "k" }, "1 to 31 bits" },
	{ { "--tunnet=10.0.0.1/0", "64", "k" }, "1 to 31 bits" },
	{ { "--name=", "64", "k" }, "1 to 60 letters" },
	{ { "--name=a b", "64", "k" }, "1 to 60 letters" },
	{ { "--name=a/b", "64", "k" }, "1 to 60 letters" },
	{ { "--tunnet=10.0.0.0", "64", "k" }, "network's own address" },
	{ { "--tunnet=10.0.0.255", "64", "k" }, "broadcast address" },
	{ { "--tunnet=10.1.255.255/16", "64", "k" }, "broadcast address" },
	{ { "--tunnet=0.0.0.1", "64", "k" }, "network 0" },
	{ { "--tunnet=224.0.0.1", "64", "k" }, "multicast" },
	{ { "--tunnet=10.0.0.1:02:00:00:00:00:zz", "64", "k" }, "is no hardware address" },
	{ { "--tunnet=10.0.0.1:02:00:00:00:00", "64", "k" }, "is no hardware address" },
	{ { "--tunnet=10.0.0.1:02:00:00:00:00:01:02", "64", "k" }, "is no hardware address" },
	{ { "--tunnet=10.0.0.1:01:00:00:00:00:01", "64", "k" }, "is a group address" },
	{ { "--tunnet=10.0.0.1:00:00:00:00:00:00", "64", "k" }, "is all zero" },
	{ { "--tunnet=bridge:", "64", "k" }, "the bridge's name: is empty" },
	{ { "--tunnet=bridge:0123456789abcdef", "64", "k" }, "15 characters" },
	{ { "--tunnet=bridge:a/b", "64", "k" }, "an interface's name cannot have" },
	{ { "--tunnet=bridge:..", "64", "k" }, "cannot be an interface's name" },
	{ { "--tunnet=bridge:br0:1", "64", "k" }, "is no hardware address" },
	{ { "--net=br0", "64", "k" }, "br0: begin with tap=NAME" },
	{ { "--net=mac=02:00:00:00:00:01", "64", "k" }, "begin with tap=NAME" },
	{ { "--net=tap=tap%d", "64", "k" }, "an interface's name cannot have" },
	{ { "--net=fd=2", "64", "k" }, "3 or more" },
	{ { "--net=fd=x", "64", "k" }, "3 or more" },
	{ { "--net=fd=5,queues=2", "64", "k" }, "one descriptor is one queue pair" },
	{ { "--net=tap=t,mtu=67", "64", "k" }, "68 to 65521" },
	{ { "--net=tap=t,mtu=65522", "64", "k" }, "68 to 65521" },
	{ { "--net=tap=t,offload=no", "64", "k" }, "on or off" },
	{ { "--net=tap=t,spoof-check=", "64", "k" }, "on or off" },
	{ { "--net=tap=t,queues=9", "64", "k" }, "1 to 8" },
	{ { "--net=tap=t,rate=-1", "64", "k" }, "packets a second" },
	{ { "--net=tap=t,bandwidth=x", "64", "k" }, "bytes a second" },
	{ { "--net=tap=t,speed=1", "64", "k" }, "speed=1: there is no such setting" },
	{ { "--tunnet=10.0.0.1", "--tunnet=10.0.0.1/16", "64", "k" }, "has that address already" },
	{ { "--tunnet=10.0.0.1:02:00:00:00:00:01", "--net=tap=t,mac=02:00:00:00:00:01", "64", "k" },
	  "has that hardware address already" },
	{ { "--net=tap=t", "--net=tap=t,queues=2", "64", "k" }, "has that tap already" },
	{ { "--net=fd=5", "--net=fd=5", "64", "k" }, "has that tap already" },
	{ { "--initrd=", "64", "k" }, "--initrd: the name of a file is missing" },
	{ { "--drop-to=nosuchuser", "64", "k" }, "there is no user nosuchuser" },
	{ { "--drop-to=nobody:nosuchgroup", "64", "k" }, "there is no group nosuchgroup" },
	{ { "--drop-to=:nogroup", "64", "k" }, "no USER or USER:GROUP" },
	{ { "--drop-to=root", "64", "k" }, "would drop nothing" },
	{ { "--drop-to=nobody:root", "64", "k" }, "would drop nothing" },
	{ { "--drop-to=4000000000", "64", "k" }, "say its group too" },
	{ { "--engine=vmware", "64", "k" }, "--engine=vmware: no such engine" },
	{ { "--smp=0", "64", "k" }, "--smp=0: give a number from 1 to 32" },
	{ { "--smp=33", "64", "k" }, "--smp=33: give a number from 1 to 32" },
	{ { "--timeout=0", "64", "k" }, "--timeout=0: give a number" },
	{ { "--timeout=x", "64", "k" }, "--timeout=x: give a number" },
	{ { "--on-fault=ignore", "64", "k" }, "say reset or kill" },
	{ { "--max-reboots=-1", "64", "k" }, "--max-reboots=-1: give a number" },
	{ { "--max-restarts=x", "64", "k" }, "--max-restarts=x: give a number" },
	{ { "--poll-us=1000001", "64", "k" }, "--poll-us=1000001: give a number" },
	{ { "--vhost-user-blk=", "64", "k" }, "the name of a file is missing" },
	{ { "--vhost-user-net=", "64", "k" }, "the name of a socket is missing" },
};

static void mistakes_are_one_line_and_status_2(void **state)
{
	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
		const char *words[6] = { 0 };

		for (unsigned w = 0; w < 4; w++)
			words[w] = bad[i].words[w];
		if (parse(words) != EXIT_USAGE || !strstr(said, bad[i].text))
			fail_msg("%s %s: %s", words[0], words[1] ? words[1] : "", said);
		assert_int_equal(strncmp(said, "lguest-sep: ", 12), 0);
		assert_ptr_equal(strchr(said, '\n'), said + strlen(said) - 1);
	}
}

static void block_takes_every_setting(void **state)
{
	const struct disk_option *d = &c.disk[0];

	(void)state;
	assert_int_equal(WITH("--block=disk.img"), -1);
	assert_string_equal(d->path, "disk.img");
	assert_false(d->read_only || d->snapshot || d->no_lock || d->direct);
	assert_int_equal(d->queues, 1);
	assert_int_equal(
		WITH("--block=a,,b,ro,serial=S-1,lock=off,direct=on,cache=unsafe,queues=4,io=sync,rate=2k,bandwidth=3M"),
		-1);
	assert_string_equal(d->path, "a,b");
	assert_true(d->read_only && d->no_lock && d->direct);
	assert_string_equal(d->serial, "S-1");
	assert_int_equal(d->cache, BLK_CACHE_UNSAFE);
	assert_int_equal(d->io, BLK_IO_SYNC);
	assert_int_equal(d->queues, 4);
	assert_int_equal(d->rate_ops, 2048);
	assert_int_equal(d->rate_bytes, 3 << 20);
	assert_int_equal(WITH("--block", "x,snapshot,io=uring,cache=none"), -1);
	assert_true(d->snapshot && d->direct);
	assert_int_equal(d->io, BLK_IO_URING);
}

static void tunnet_takes_address_and_bridge(void **state)
{
	static const uint8_t mac[] = { 2, 0x1a, 0, 0, 0, 0xFf };
	const struct net_option *n = &c.net[0];

	(void)state;
	assert_int_equal(WITH("--tunnet=192.168.19.1"), -1);
	assert_int_equal(n->kind, NET_TUNNET_IP);
	assert_int_equal(n->ip.s_addr, htonl(0xc0a81301));
	assert_int_equal(n->prefix, 24);
	assert_false(n->have_mac);
	assert_int_equal(WITH("--tunnet=10.1.0.1/16:02:1a:00:00:00:fF"), -1);
	assert_int_equal(n->prefix, 16);
	assert_true(n->have_mac);
	assert_memory_equal(n->mac, mac, ETH_ALEN);
	assert_int_equal(WITH("--tunnet", "bridge:br-lan:02:1a:00:00:00:ff"), -1);
	assert_int_equal(n->kind, NET_BRIDGE);
	assert_string_equal(n->ifname, "br-lan");
	assert_memory_equal(n->mac, mac, ETH_ALEN);
	/* Two on one bridge are two. */
	assert_int_equal(WITH("--tunnet=bridge:br0", "--tunnet=bridge:br0"), -1);
	/* Both ends of a point-to-point network are usable. */
	assert_int_equal(WITH("--tunnet=10.0.0.0/31"), -1);
}

static void net_takes_every_setting(void **state)
{
	const struct net_option *n = &c.net[0];

	(void)state;
	assert_int_equal(
		WITH("--net=tap=tap7,mac=02:00:00:00:00:01,mtu=9000,offload=off,spoof-check=off,queues=4,rate=10k,bandwidth=1G"),
		-1);
	assert_int_equal(n->kind, NET_TAP);
	assert_string_equal(n->ifname, "tap7");
	assert_true(n->have_mac && n->no_offload && n->no_spoof_check);
	assert_int_equal(n->mtu, 9000);
	assert_int_equal(n->queues, 4);
	assert_int_equal(n->rate_packets, 10240);
	assert_int_equal(n->rate_bytes, 1 << 30);
	assert_int_equal(WITH("--net=bridge=br0,offload=on,spoof-check=on"), -1);
	assert_int_equal(n->kind, NET_BRIDGE);
	assert_false(n->no_offload || n->no_spoof_check);
	assert_int_equal(WITH("--net=fd=17"), -1);
	assert_int_equal(n->kind, NET_FD);
	assert_int_equal(n->fd, 17);
}

static void devices_keep_their_order(void **state)
{
	char *argv[MAX_DEVICES + 5];
	int argc = 0;

	(void)state;
	assert_int_equal(WITH("--block=a", "--tunnet=10.0.0.1", "--block=b", "--net=tap=t"), -1);
	assert_int_equal(c.ndevices, 4);
	assert_int_equal(c.device[1].kind, DEV_NET);
	assert_int_equal(c.device[2].kind, DEV_BLK);
	assert_int_equal(c.device[2].index, 1);
	assert_int_equal(c.device[3].index, 1);
	assert_string_equal(c.disk[1].path, "b");

	argv[argc++] = (char *)(uintptr_t) "lguest-sep";
	while (argc < MAX_DEVICES + 1)
		argv[argc++] = (char *)(uintptr_t) "--block=d";
	argv[argc++] = (char *)(uintptr_t) "64";
	argv[argc++] = (char *)(uintptr_t) "k";
	argv[argc] = NULL;
	assert_int_equal(options_parse(argc, argv, &c), -1);
	assert_int_equal(c.ndisks, MAX_DEVICES);
	argv[argc - 2] = (char *)(uintptr_t) "--rng";
	argv[1] = (char *)(uintptr_t) "--tunnet=10.0.0.1";
	argv[argc - 2] = (char *)(uintptr_t) "--block=one-too-many";
	assert_int_equal(options_parse(argc, argv, &c), EXIT_USAGE);
}

static void switches_and_numbers(void **state)
{
	(void)state;
	assert_int_equal(WITH("-v", "--rng", "--strict", "--stats", "--no-reboot"), -1);
	assert_true(c.verbose && c.rng && c.strict && c.stats && c.no_reboot);
	assert_int_equal(WITH("--smp", "4", "--timeout=60", "--max-reboots=3", "--max-restarts=0"), -1);
	assert_int_equal(c.smp, 4);
	assert_int_equal(c.timeout_s, 60);
	assert_int_equal(c.max_reboots, 3);
	assert_true(c.max_reboots_set);
	assert_int_equal(WITH("--poll-us=50", "--on-fault=kill", "--engine=kvm", "--initrd", "i"), -1);
	assert_int_equal(c.poll_us, 50);
	assert_true(c.kill_on_fault);
	assert_int_equal(c.engine, ENGINE_KVM);
	assert_string_equal(c.initrd, "i");
	assert_int_equal(WITH("--on-fault=reset"), -1);
	assert_false(c.kill_on_fault || c.verbose || c.max_reboots_set);
	assert_int_equal(c.engine, ENGINE_AUTO);
	assert_int_equal(c.smp, 1);
	assert_int_equal(WITH("--vhost-user-blk=/s", "--vhost-user-net=/t"), -1);
	assert_true(c.disk[0].vhost_user);
	assert_int_equal(c.net[0].kind, NET_VHOST_USER);
}

static void users_by_name_and_number(void **state)
{
	(void)state;
	if (geteuid() != 0)
		skip();
	assert_int_equal(WITH("--drop-to", "nobody"), -1);
	assert_true(c.drop && c.change_user);
	assert_int_equal(c.uid, 65534);
	assert_int_equal(WITH("--drop-to=4000000000:4000000001"), -1);
	assert_int_equal(c.uid, 4000000000);
	assert_int_equal(c.gid, 4000000001);
	/* Root that says nothing becomes nobody all the same. */
	assert_int_equal(WITH("-v"), -1);
	assert_true(c.change_user && !c.drop);
	assert_int_equal(c.uid, 65534);
}

static void words_after_the_kernel_are_its_own(void **state)
{
	(void)state;
	assert_int_equal(PARSE("64", "vmlinuz", "root=/dev/vda", "console=ttyS0", "--", "--rng"), -1);
	assert_false(c.rng);
	assert_string_equal(c.cmdline, "panic=-1 root=/dev/vda console=ttyS0 -- --rng");
	assert_int_equal(PARSE("64", "vmlinuz", "--what", "-v"), -1);
	assert_int_equal(PARSE("64", "vmlinuz", "panic=5"), -1);
	assert_string_equal(c.cmdline, "console=hvc0 panic=5");
	/* What its init gets is no word of the kernel's. */
	assert_int_equal(PARSE("64", "vmlinuz", "panic=5 -- console=x"), -1);
	assert_string_equal(c.cmdline, "console=hvc0 panic=5 -- console=x");
	assert_int_equal(PARSE("64", "vmlinuz", "quiet panic=7 console=hvc0"), -1);
	assert_string_equal(c.cmdline, "quiet panic=7 console=hvc0");
	assert_int_equal(PARSE("--", "64", "vmlinuz"), -1);
	assert_int_equal(c.mem_bytes, 64 << 20);
	assert_string_equal(c.kernel, "vmlinuz");
}

static void a_command_line_that_is_too_long_is_refused(void **state)
{
	static char word[CMDLINE_MAX];
	char *argv[] = { (char *)(uintptr_t) "lguest-sep", (char *)(uintptr_t) "64", (char *)(uintptr_t) "k", word,
			 NULL };

	(void)state;
	/* "console=hvc0 panic=-1 " and the NUL must fit too. */
	memset(word, 'x', CMDLINE_MAX - 23);
	assert_int_equal(options_parse(4, argv, &c), -1);
	assert_int_equal(strlen(c.cmdline), CMDLINE_MAX - 1);
	word[CMDLINE_MAX - 23] = 'x';
	assert_int_equal(options_parse(4, argv, &c), EXIT_USAGE);
}

static void help_and_version_end_with_0(void **state)
{
	(void)state;
	assert_int_equal(PARSE("--help"), 0);
	assert_int_equal(PARSE("-h"), 0);
	assert_int_equal(PARSE("--version"), 0);
}

static void what_is_said_is_printable(void **state)
{
	(void)state;
	assert_int_equal(WITH("--block=a\033]0;x\nb,zzz"), EXIT_USAGE);
	assert_null(strchr(said, '\033'));
	assert_ptr_equal(strchr(said, '\n'), said + strlen(said) - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(mistakes_are_one_line_and_status_2),
		cmocka_unit_test(block_takes_every_setting),
		cmocka_unit_test(tunnet_takes_address_and_bridge),
		cmocka_unit_test(net_takes_every_setting),
		cmocka_unit_test(devices_keep_their_order),
		cmocka_unit_test(switches_and_numbers),
		cmocka_unit_test(users_by_name_and_number),
		cmocka_unit_test(words_after_the_kernel_are_its_own),
		cmocka_unit_test(a_command_line_that_is_too_long_is_refused),
		cmocka_unit_test(help_and_version_end_with_0),
		cmocka_unit_test(what_is_said_is_printable),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
