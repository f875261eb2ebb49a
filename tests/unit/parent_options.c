/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Every option with valid and invalid values: the result in struct config; and for a mistake
 * one line that names option, value and what to do, and status 2.
 */
#include <arpa/inet.h>
#include <pwd.h>

#include "parent/terminal/console.h"
#include "tests/unit/parent_options_rig.h"

static const struct bad bad[] = {
	{ { "--nonsense", "64", "k" }, "--nonsense: there is no such option" },
	{ { "--escape", "64", "k" }, "--escape=64: give off, or a control key such as ^C or C" },
	{ { "--escape=", "64", "k" }, "give off, or a control key" },
	{ { "--escape=^1", "64", "k" }, "give off, or a control key" },
	{ { "--escape=^AB", "64", "k" }, "give off, or a control key" },
	{ { "--escape=Off", "64", "k" }, "give off, or a control key" },
	{ { "--escape=^A", "--escape=^B", "64", "k" }, "--escape" },
	{ { "-x", "64", "k" }, "-x: there is no such option" },
	{ { "-vv", "64", "k" }, "-vv: there is no such option" },
	{ { "--verbose=yes", "64", "k" }, "--verbose=yes: this option takes no value" },
	{ { "--block" }, "--block: a value is missing" },
	{ { "64" }, "KERNEL is missing" },
	{ { "--rng" }, "MEM-MB and KERNEL are missing" },
	{ { "0", "k" }, "MEM-MB 0:" },
	{ { "1T", "k" }, "MEM-MB 1T:" },
	{ { "1.5G", "k" }, "MEM-MB 1.5G:" },
	{ { "--timeout=0", "64", "k" }, "--timeout=0:" },
	{ { "--timeout=0.0", "64", "k" }, "--timeout=0.0:" },
	{ { "--timeout=1.", "64", "k" }, "--timeout=1.:" },
	{ { "--timeout=0.0001", "64", "k" }, "--timeout=0.0001:" },
	{ { "--timeout=.", "64", "k" }, "--timeout=.:" },
	{ { "many", "k" }, "MEM-MB many:" },
	{ { "64k", "k" }, "MEM-MB 64k:" },
	{ { "+64", "k" }, "MEM-MB +64:" },
	{ { "18446744073709551680", "k" }, "MEM-MB 18446744073709551680:" },
	{ { "64", "" }, "KERNEL: the name of a file is missing" },
	/* Otherwise a guest would start without the option, and nobody would notice. */
	{ { "64", "--rng", "k" }, "--rng: options come before MEM-MB" },
	{ { "64", "k", "quiet", "--strict" }, "--strict: options come before MEM-MB" },
	{ { "64", "k", "--block=d,ro" }, "--block=d,ro: options come before MEM-MB" },
	{ { "--block=", "64", "k" }, "--block=: the name of a file is missing" },
	{ { "--block=d,format=qcow2", "64", "k" }, "format=qcow2: raw is the only format; convert others (qemu-img" },
	{ { "--block=d,what", "64", "k" }, "--block=d,what: what: there is no such setting" },
	{ { "--block=d,", "64", "k" }, "(nothing): there is no such setting" },
	{ { "--block=d,serial=", "64", "k" }, "1 to 20 characters" },
	{ { "--block=d,serial=123456789012345678901", "64", "k" }, "1 to 20 characters" },
	{ { "--block=d,serial=a b", "64", "k" }, "visible ASCII" },
	{ { "--block=d,lock=maybe", "64", "k" }, "lock=maybe: choose on or off" },
	{ { "--block=d,direct=1", "64", "k" }, "direct=1: choose on or off" },
	{ { "--block=d,cache=x", "64", "k" }, "choose one of writeback|none|unsafe" },
	{ { "--block=d,queues=0", "64", "k" }, "queues=0: give a number from 1 to 16" },
	{ { "--block=d,queues=17", "64", "k" }, "queues=17: give a number from 1 to 16" },
	{ { "--block=d,queues", "64", "k" }, "queues: a value is missing: queues=N" },
	{ { "--block=d,ro=on", "64", "k" }, "ro=on: this setting takes no value" },
	{ { "--block=d,ro,ro", "64", "k" }, "ro: given twice; give it once" },
	{ { "--block=d,cache=none,io=sync,cache=none", "64", "k" }, "cache=none: given twice; give it once" },
	{ { "--net=tap=t,mtu=1500,mtu=1500", "64", "k" }, "mtu=1500: given twice; give it once" },
	{ { "--smp=2", "--smp=2", "64", "k" }, "--smp=2: given twice; give it once" },
	{ { "--rng", "--rng", "64", "k" }, "--rng: given twice; give it once" },
	{ { "--blok=d", "64", "k" }, "did you mean --block?" },
	{ { "--inirtd=d", "64", "k" }, "did you mean --initrd?" },
	{ { "--mem=512", "64", "k" }, "--mem=512: memory is a word of its own" },
	{ { "-m", "512", "k" }, "--mem: memory is a word of its own" },
	{ { "--disk=d", "64", "k" }, "--block=FILE" },
	{ { "--drive=d", "64", "k" }, "--block=FILE" },
	{ { "--memory=512", "k" }, "--memory=512: memory is a word of its own" },
	{ { "-kernel", "k" }, "--kernel: the kernel is a word of its own" },
	{ { "-append", "root=/dev/vda" }, "--append: the kernel's arguments are words after" },
	{ { "-smp", "2", "64", "k" }, "-smp: there is no such option (did you mean --smp?)" },
	{ { "-k", "64", "k" }, "-k: there is no such option (see --help)" },
	{ { "--qqq", "64", "k" }, "see --help" },
	{ { "--block=d,io=fast", "64", "k" }, "choose one of auto|uring|sync" },
	{ { "--block=d,rate=0", "64", "k" }, "requests a second" },
	{ { "--block=d,bandwidth=1T", "64", "k" }, "bytes a second" },
	{ { "--block=d,ro,snapshot", "64", "k" }, "take one of the two" },
	{ { "--tunnet=10.0.0.999", "64", "k" }, "10.0.0.999: is no IPv4 address" },
	{ { "--tunnet=", "64", "k" }, "--tunnet=: the value is empty; write IP[/LEN]" },
	{ { "--tunnet=10.0.0.1/33", "64", "k" }, "1 to 31 bits" },
	{ { "--tunnet=10.0.0.1/0", "64", "k" }, "1 to 31 bits" },
	{ { "--name=", "64", "k" }, "1 to 60 letters" },
	{ { "--name=a b", "64", "k" }, "1 to 60 letters" },
	{ { "--name=a/b", "64", "k" }, "1 to 60 letters" },
	{ { "--tunnet=10.0.0.0", "64", "k" }, "network's own address" },
	{ { "--tunnet=10.0.0.255", "64", "k" }, "broadcast address" },
	{ { "--tunnet=10.1.255.255/16", "64", "k" }, "broadcast address" },
	{ { "--tunnet=0.0.0.1", "64", "k" }, "network 0.0.0.0/8" },
	{ { "--tunnet=224.0.0.1", "64", "k" }, "multicast" },
	{ { "--tunnet=10.0.0.1:02:00:00:00:00:zz", "64", "k" }, "is not a MAC address" },
	{ { "--tunnet=10.0.0.1:02:00:00:00:00", "64", "k" }, "is not a MAC address" },
	{ { "--tunnet=10.0.0.1:02:00:00:00:00:01:02", "64", "k" }, "is not a MAC address" },
	{ { "--tunnet=10.0.0.1:01:00:00:00:00:01", "64", "k" }, "is a multicast address" },
	{ { "--tunnet=10.0.0.1:00:00:00:00:00:00", "64", "k" }, "is all zero" },
	{ { "--tunnet=bridge:", "64", "k" }, "the bridge's name: is empty" },
	{ { "--tunnet=bridge:0123456789abcdef", "64", "k" }, "15 characters" },
	{ { "--tunnet=bridge:a/b", "64", "k" }, "an interface's name cannot have" },
	{ { "--tunnet=bridge:..", "64", "k" }, "cannot be an interface's name" },
	{ { "--tunnet=bridge:br0:1", "64", "k" }, "is not a MAC address" },
	{ { "--net=br0", "64", "k" }, "br0: begin with tap=NAME" },
	{ { "--root=/", "64", "k" }, "--root: only with lguest-sep run" },
	{ { "--in=/a", "64", "k" }, "--in: only with lguest-sep run" },
	{ { "--out=/a", "64", "k" }, "--out: only with lguest-sep run" },
	{ { "run", "--out=", "64", "k", "--", "c" }, "--out=: the name of a directory is missing" },
	{ { "run", "--out=/a,tag=x", "64", "k", "--", "c" }, "--out=/a,tag=x: tag=x: there is no such setting" },
	{ { "run", "--root=", "64", "k", "--", "c" }, "the name of a directory is missing" },
	{ { "run", "--root=/proc/self/exe,rw,ro", "64", "k", "--", "c" }, "take one of the three" },
	{ { "run", "--root=/proc/self/exe,part=0", "64", "k", "--", "c" }, "part" },
	{ { "run", "--root=/proc/self/exe,x", "64", "k", "--", "c" }, "there is no such setting" },
	{ { "run", "--root=/proc/self/exe", "--initrd=i", "64", "k", "--", "c" },
	  "--root and --initrd: give one of them" },
	{ { "run", "--root=/", "--root=/", "64", "k", "--", "c" }, "--root" },
	{ { "run", "--root=/", "--initrd=i", "64", "k", "--", "c" }, "--root and --initrd: give one of them" },
	{ { "run", "--root=/", "--copy=i", "64", "k", "--", "c" }, "--root and --copy: give one of them" },
	{ { "--net=mac=02:00:00:00:00:01", "64", "k" }, "begin with tap=NAME" },
	{ { "--net=tap=tap%d", "64", "k" }, "an interface's name cannot have" },
	{ { "--net=fd=2", "64", "k" }, "3 or more" },
	{ { "--net=fd=x", "64", "k" }, "3 or more" },
	{ { "--net=fd=5,queues=2", "64", "k" }, "one descriptor is one queue pair" },
	{ { "--net=tap=t,mtu=67", "64", "k" }, "68 to 65521" },
	{ { "--net=tap=t,mtu=65522", "64", "k" }, "68 to 65521" },
	{ { "--net=tap=t,offload=no", "64", "k" }, "choose on or off" },
	{ { "--net=tap=t,spoof-check=", "64", "k" }, "choose on or off" },
	{ { "--net=tap=t,queues=9", "64", "k" }, "1 to 8" },
	{ { "--net=tap=t,rate=-1", "64", "k" }, "packets a second" },
	{ { "--net=tap=t,bandwidth=x", "64", "k" }, "bytes a second" },
	{ { "--net=tap=t,speed=1", "64", "k" }, "speed=1: there is no such setting" },
	{ { "--tunnet=10.0.0.1", "--tunnet=10.0.0.1/16", "64", "k" }, "has that address already" },
	{ { "--tunnet=[fd00::1]", "--tunnet=[fd00:0::1]/96", "64", "k" }, "has that address already" },
	{ { "--tunnet=[fd00::1", "64", "k" }, "write [IPV6-ADDRESS]" },
	{ { "--tunnet=[fd00::1]64", "64", "k" }, "write [IPV6-ADDRESS]" },
	{ { "--tunnet=[10.0.0.1]", "64", "k" }, "is no IPv6 address" },
	{ { "--tunnet=[fd00::1]/128", "64", "k" }, "1 to 127 bits" },
	{ { "--tunnet=[fd00::]/64", "64", "k" }, "network's own address" },
	{ { "--tunnet=[fe80::1]", "64", "k" }, "link-local" },
	{ { "--tunnet=[ff02::1]", "64", "k" }, "an interface cannot have such" },
	{ { "--tunnet=[fd00::1]:01:00:00:00:00:01", "64", "k" }, "is a multicast address" },
	{ { "--tunnet=10.0.0.1:02:00:00:00:00:01,mac=02:00:00:00:00:02", "64", "k" }, "was given before" },
	{ { "--tunnet=10.0.0.1,reach=http", "64", "k" }, "choose tcp:PORT" },
	{ { "--tunnet=10.0.0.1,reach=tcp:0", "64", "k" }, "choose tcp:PORT" },
	{ { "--tunnet=10.0.0.1,reach=udp:65536", "64", "k" }, "choose tcp:PORT" },
	{ { "--tunnet=10.0.0.1,reach=", "64", "k" }, "choose tcp:PORT" },
	{ { "--tunnet=10.0.0.1,nat=on", "64", "k" }, "takes no value" },
	{ { "--tunnet=10.0.0.1,ifname=a/b", "64", "k" }, "an interface's name cannot have" },
	{ { "--tunnet=10.0.0.1,ifname=t", "--tunnet=10.0.1.1,ifname=t", "64", "k" }, "has that name already" },
	{ { "--tunnet=bridge:br0,nat", "64", "k" }, "nat: only with an address" },
	{ { "--net=tap=t,nat", "64", "k" }, "only for taps that lguest-sep makes" },
	{ { "--net=fd=5,reach=all", "64", "k" }, "only for taps that lguest-sep makes" },
	{ { "--tunnet=10.0.0.1,ip=10.0.0.300", "64", "k" }, "ip=10.0.0.300: not an IPv4 or IPv6 address" },
	{ { "--tunnet=10.0.0.1,ip=ff02::1", "64", "k" }, "not an address that an interface can have" },
	{ { "--tunnet=10.0.0.1,ip=224.0.0.1", "64", "k" }, "multicast" },
	{ { "--tunnet=10.0.0.1,ip=10.0.0.1", "64", "k" }, "ip: that is the address of the host's end" },
	{ { "--tunnet=[fd00::1],ip=fd00::1", "64", "k" }, "ip: that is the address of the host's end" },
	{ { "--tunnet=10.0.0.1,ip=10.0.0.2,spoof-check=off", "64", "k" }, "ip: not with spoof-check=off" },
	{ { "--net=tap=t,ip=10.0.0.2,ip=10.0.0.3,ip=10.0.0.4,ip=10.0.0.5,ip=10.0.0.6", "64", "k" },
	  "a NIC can have 4 IPv4 addresses at most" },
	{ { "--net=tap=t,ifname=u", "64", "k" }, "only for taps that lguest-sep makes" },
	{ { "--tunnet=10.0.0.1:02:00:00:00:00:01", "--net=tap=t,mac=02:00:00:00:00:01", "64", "k" },
	  "has that hardware address already" },
	{ { "--net=tap=t", "--net=tap=t,queues=2", "64", "k" }, "has that tap already" },
	{ { "--net=fd=5", "--net=fd=5", "64", "k" }, "has that tap already" },
	{ { "--initrd=", "64", "k" }, "--initrd=: the name of a file is missing" },
	{ { "--drop-to=nosuchuser", "64", "k" }, "there is no user nosuchuser" },
	{ { "--drop-to=nobody:nosuchgroup", "64", "k" }, "there is no group nosuchgroup" },
	{ { "--drop-to=:nogroup", "64", "k" }, "expected USER or USER:GROUP" },
	{ { "--drop-to=root", "64", "k" }, "root would keep" },
	{ { "--drop-to=nobody:root", "64", "k" }, "root would keep" },
	{ { "--drop-to=4000000000", "64", "k" }, "give its group as well" },
	{ { "--engine=vmware", "64", "k" }, "--engine=vmware: choose one of auto|lguest|kvm|qemu" },
	{ { "--smp=0", "64", "k" }, "--smp=0: give a number from 1 to 32" },
	{ { "--smp=33", "64", "k" }, "--smp=33: give a number from 1 to 32" },
	{ { "--timeout=0", "64", "k" }, "--timeout=0: give a number" },
	{ { "--timeout=x", "64", "k" }, "--timeout=x: give a number" },
	{ { "--on-fault=ignore", "64", "k" }, "choose one of reset|kill" },
	{ { "--max-reboots=-1", "64", "k" }, "--max-reboots=-1: give a number" },
	{ { "--no-reboot", "--max-reboots=2", "64", "k" }, "--no-reboot and --max-reboots: give one of them" },
	{ { "--max-restarts=x", "64", "k" }, "--max-restarts=x: give a number" },
	{ { "--poll-us=1000001", "64", "k" }, "--poll-us=1000001: give a number" },
	{ { "--vhost-user-blk=", "64", "k" }, "the name of a file is missing" },
	{ { "--vhost-user-net=", "64", "k" }, "the name of a socket is missing" },
};

static void mistakes_are_one_line_and_status_2(void **state)
{
	(void)state;
	expect_refused(bad, ARRAY_SIZE(bad));
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
	/* Two NICs may be on the same bridge. */
	assert_int_equal(WITH("--tunnet=bridge:br0", "--tunnet=bridge:br0"), -1);
	assert_int_equal(WITH("--tunnet=[fd00::1]/48:02:1a:00:00:00:ff,mtu=1400"), -1);
	assert_true(n->v6 && n->have_mac);
	assert_int_equal(n->kind, NET_TUNNET_IP);
	assert_int_equal(n->prefix, 48);
	assert_int_equal(n->mtu, 1400);
	assert_memory_equal(n->ip6.s6_addr, "\xfd\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1", 16);
	assert_int_equal(WITH("--tunnet=[fd00::1]"), -1);
	assert_int_equal(n->prefix, 64);
	/* Both ends of a point-to-point network are usable. */
	assert_int_equal(WITH("--tunnet=10.0.0.0/31"), -1);
}

static void what_a_nic_reaches(void **state)
{
	const struct net_option *n = &c.net[0];

	(void)state;
	assert_int_equal(WITH("--tunnet=10.0.0.1"), -1);
	assert_false(n->nat || n->reach_all || n->reach_forward || n->nreach);
	assert_int_equal(WITH("--tunnet=10.0.0.1,reach=tcp:80,reach=udp:53,nat,ifname=guest0"), -1);
	assert_true(n->nat && !n->reach_all && !n->reach_forward);
	assert_int_equal(n->nreach, 2);
	assert_int_equal(n->reach[0].protocol, IPPROTO_TCP);
	assert_int_equal(n->reach[0].port, 80);
	assert_int_equal(n->reach[1].protocol, IPPROTO_UDP);
	assert_int_equal(n->reach[1].port, 53);
	assert_string_equal(n->name, "guest0");
	assert_int_equal(WITH("--net=bridge=br0,reach=all,reach=forward"), -1);
	assert_true(n->reach_all && n->reach_forward && !n->nat);
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
	assert_int_equal(c.timeout_ms, 60000);
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
	const struct passwd *guests = getpwnam("_lguest-sep"); /* if the package is installed here */
	uid_t default_uid = guests ? guests->pw_uid : 65534;

	(void)state;
	if (geteuid() != 0)
		skip();
	assert_int_equal(WITH("--drop-to", "nobody"), -1);
	assert_true(c.drop && c.change_user);
	assert_int_equal(c.uid, 65534);
	assert_int_equal(WITH("--drop-to=4000000000:4000000001"), -1);
	assert_int_equal(c.uid, 4000000000);
	assert_int_equal(c.gid, 4000000001);
	/* Without --drop-to, root switches to the user of guests or nobody. */
	assert_int_equal(WITH("-v"), -1);
	assert_true(c.change_user && !c.drop);
	assert_int_equal(c.uid, default_uid);
}

static int escape_of(const char *value)
{
	assert_int_equal(WITH("--escape", value), -1);
	return c.escape_key;
}

static void the_escape_key(void **state)
{
	(void)state;
	assert_int_equal(PARSE("64", "vmlinuz"), -1);
	assert_int_equal(c.escape_key, 3);
	assert_int_equal(escape_of("off"), ESCAPE_OFF);
	assert_int_equal(escape_of("^A"), 1);
	assert_int_equal(escape_of("^a"), 1);
	assert_int_equal(escape_of("ctrl-z"), 26);
	assert_int_equal(escape_of("Q"), 17);
	assert_int_equal(escape_of("^]"), 29);
	assert_int_equal(escape_of("]"), 29);
	assert_int_equal(escape_of("^^"), 30);
	assert_int_equal(escape_of("^"), 30);
	assert_int_equal(escape_of("^_"), 31);
	assert_int_equal(PARSE("run", "--escape=off", "64", "vmlinuz", "--", "true"), -1);
	assert_int_equal(PARSE("run", "--escape=^c", "64", "vmlinuz", "--", "true"), -1);
}

static void words_after_the_kernel_are_its_own(void **state)
{
	(void)state;
	assert_int_equal(PARSE("64", "vmlinuz", "root=/dev/vda", "console=ttyS0", "--", "--rng"), -1);
	assert_false(c.rng);
	assert_string_equal(c.cmdline, "panic=-1 root=/dev/vda console=ttyS0 -- --rng");
	assert_int_equal(PARSE("64", "vmlinuz", "--what", "-v"), -1);
	assert_int_equal(PARSE("64", "vmlinuz", "panic=5"), -1);
	assert_string_equal(c.cmdline, "console=ttyS0 console=hvc0 panic=5");
	/* What its init gets is no word of the kernel's. */
	assert_int_equal(PARSE("64", "vmlinuz", "panic=5 -- console=x"), -1);
	assert_string_equal(c.cmdline, "console=ttyS0 console=hvc0 panic=5 -- console=x");
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
	/* "console=ttyS0 console=hvc0 panic=-1 " and the NUL must fit too. */
	memset(word, 'x', CMDLINE_MAX - 37);
	assert_int_equal(options_parse(4, argv, &c), -1);
	assert_int_equal(strlen(c.cmdline), CMDLINE_MAX - 1);
	word[CMDLINE_MAX - 37] = 'x';
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
		cmocka_unit_test(what_a_nic_reaches),
		cmocka_unit_test(devices_keep_their_order),
		cmocka_unit_test(switches_and_numbers),
		cmocka_unit_test(users_by_name_and_number),
		cmocka_unit_test(the_escape_key),
		cmocka_unit_test(words_after_the_kernel_are_its_own),
		cmocka_unit_test(a_command_line_that_is_too_long_is_refused),
		cmocka_unit_test(help_and_version_end_with_0),
		cmocka_unit_test(what_is_said_is_printable),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
