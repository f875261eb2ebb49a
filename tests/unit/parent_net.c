/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Taps and bridges in a network namespace of this test: how they are created and set up, that
 * they disappear at the end, and the messages if they cannot be created. Needs root.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/if_tun.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "parent/setup/link.h"
#include "parent/setup/mac.h"
#include "parent/setup/net.h"
#include "parent/setup/setup.h"
#include "tests/unit/said.h"

static struct net_host host;

static int open_nic(const struct net_option *o)
{
	int result;

	said_begin();
	result = net_open(o, &host, false);
	link_done();
	said_end();
	return result;
}

static void refused(const struct net_option *o, const char *text)
{
	assert_int_equal(open_nic(o), -1);
	said_one_line(text);
	net_close(&host);
}

static struct net_option nic(enum net_kind kind)
{
	struct net_option o = { .kind = kind, .queues = 1, .fd = -1, .prefix = 24 };

	return o;
}

/* The MTU, flags and address that the kernel says @ifname has. */
static int ask(const char *ifname, unsigned long what, struct ifreq *ifr)
{
	int fd = socket(AF_INET, SOCK_DGRAM, 0), result;

	memset(ifr, 0, sizeof(*ifr));
	memcpy(ifr->ifr_name, ifname, strnlen(ifname, IFNAMSIZ - 1));
	result = ioctl(fd, what, ifr);
	close(fd);
	return result;
}

static void a_tap_of_our_own_gets_its_address(void **state)
{
	struct net_option o = nic(NET_TUNNET_IP);
	struct ifreq ifr;
	char name[IFNAMSIZ];
	int size = 0;

	(void)state;
	o.ip.s_addr = htonl(0x0a630101);
	o.prefix = 20;
	if (open_nic(&o) != 0)
		fail_msg("%s", said);
	memcpy(name, host.ifname, sizeof(name));
	assert_int_equal(host.ntaps, 1);
	assert_int_equal(ask(name, SIOCGIFADDR, &ifr), 0);
	assert_int_equal(((struct sockaddr_in *)&ifr.ifr_addr)->sin_addr.s_addr, o.ip.s_addr);
	assert_int_equal(ask(name, SIOCGIFNETMASK, &ifr), 0);
	assert_int_equal(((struct sockaddr_in *)&ifr.ifr_addr)->sin_addr.s_addr, htonl(0xfffff000));
	assert_int_equal(ask(name, SIOCGIFFLAGS, &ifr), 0);
	assert_true(ifr.ifr_flags & IFF_UP);
	/* As netd is told that it is. */
	assert_int_equal(ioctl(host.tap[0], TUNGETVNETHDRSZ, &size), 0);
	assert_int_equal(size, 12);
	assert_int_equal(ioctl(host.tap[0], TUNGETIFF, &ifr), 0);
	assert_int_equal(ifr.ifr_flags & (IFF_TAP | IFF_NO_PI | IFF_VNET_HDR), IFF_TAP | IFF_NO_PI | IFF_VNET_HDR);
	assert_true(fcntl(host.tap[0], F_GETFL) & O_NONBLOCK);
	assert_true(fcntl(host.tap[0], F_GETFD) & FD_CLOEXEC);
	assert_true(host.config.offload && host.config.vnet_hdr && host.config.spoof_check);
	assert_true(host.config.tap_offloads & TUN_F_TSO4);
	assert_int_equal(host.config.mtu, 1500);
	/* An address of its own: locally administered, no group's. */
	assert_int_equal(host.config.mac[0] & 3, 2);
	net_close(&host);
	assert_int_equal(ask(name, SIOCGIFFLAGS, &ifr), -1);
}

static void an_address_in_use_is_refused(void **state)
{
	struct net_option o = nic(NET_TUNNET_IP);
	struct net_host first;
	char text[80];

	(void)state;
	o.ip.s_addr = htonl(0x0a630201);
	assert_int_equal(open_nic(&o), 0);
	first = host;
	snprintf(text, sizeof(text), "--tunnet=10.99.2.1: interface %s has this address", first.ifname);
	refused(&o, text);
	net_close(&first);
	assert_int_equal(open_nic(&o), 0);
	net_close(&host);
	o.ip.s_addr = htonl(0x7f000001);
	refused(&o, "127.0.0.1");
}

static void bridges_are_joined_with_their_mtu(void **state)
{
	struct net_option o = nic(NET_BRIDGE);
	char path[80];
	struct ifreq ifr;

	(void)state;
	memcpy(o.ifname, "nobridge", 9);
	refused(&o, "nobridge: there is no such bridge; create it with ip link add nobridge type bridge");
	memcpy(o.ifname, "lo", 3);
	refused(&o, "lo is not a bridge");
	assert_int_equal(system("ip link add br9 mtu 1400 type bridge && ip link set br9 up"), 0);
	memcpy(o.ifname, "br9", 4);
	if (open_nic(&o) != 0)
		fail_msg("%s", said);
	assert_int_equal(host.config.mtu, 1400);
	assert_int_equal(ask(host.ifname, SIOCGIFMTU, &ifr), 0);
	assert_int_equal(ifr.ifr_mtu, 1400);
	snprintf(path, sizeof(path), "ip -o link show %s | grep -q 'master br9'", host.ifname);
	assert_int_equal(system(path), 0);
	net_close(&host);
	o.mtu = 1300;
	assert_int_equal(open_nic(&o), 0);
	assert_int_equal(host.config.mtu, 1300);
	net_close(&host);
	assert_int_equal(system("ip link del br9"), 0);
}

static void settings_are_passed_on(void **state)
{
	static const uint8_t mac[] = { 2, 0, 0, 0, 0, 9 };
	struct net_option o = nic(NET_TUNNET_IP);

	(void)state;
	o.ip.s_addr = htonl(0x0a630301);
	o.queues = 4;
	o.no_offload = o.no_spoof_check = o.have_mac = true;
	o.rate_packets = 7;
	o.rate_bytes = 8;
	memcpy(o.mac, mac, ETH_ALEN);
	assert_int_equal(open_nic(&o), 0);
	assert_int_equal(host.ntaps, 4);
	assert_int_equal(host.config.queue_pairs, 4);
	assert_false(host.config.offload || host.config.spoof_check);
	assert_int_equal(host.config.tap_offloads, 0);
	assert_int_equal(host.config.rate_packets, 7);
	assert_int_equal(host.config.rate_bytes, 8);
	assert_memory_equal(host.config.mac, mac, ETH_ALEN);
	net_close(&host);
}

static void existing_taps_are_taken_and_left(void **state)
{
	struct net_option o = nic(NET_TAP);
	struct net_host first;
	struct ifreq ifr;

	(void)state;
	memcpy(o.ifname, "tap99", 6);
	refused(&o, "tap99: there is no such interface; create it with ip tuntap add");
	assert_int_equal(system("ip tuntap add dev tap99 mode tap && ip link set tap99 mtu 1234"), 0);
	assert_int_equal(open_nic(&o), 0);
	assert_int_equal(host.config.mtu, 1234);
	first = host;
	refused(&o, "another program is using this tap");
	net_close(&first);
	o.queues = 2;
	refused(&o, "was created without several queues");
	assert_int_equal(ask("tap99", SIOCGIFFLAGS, &ifr), 0);
	assert_int_equal(system("ip tuntap del dev tap99 mode tap"), 0);
}

static void given_descriptors_are_judged(void **state)
{
	struct net_option o = nic(NET_FD);
	struct ifreq ifr = { .ifr_flags = IFF_TUN | IFF_NO_PI };

	(void)state;
	o.fd = 999;
	refused(&o, "--net=fd=999: no such descriptor is open");
	o.fd = open("/dev/null", O_RDWR);
	refused(&o, "this descriptor is not a tap");
	close(o.fd);
	o.fd = open("/dev/net/tun", O_RDWR);
	assert_int_equal(ioctl(o.fd, TUNSETIFF, &ifr), 0);
	refused(&o, "was not opened with IFF_TAP and IFF_NO_PI");
	close(o.fd);
	o.fd = open("/dev/net/tun", O_RDWR);
	ifr = (struct ifreq){ .ifr_flags = IFF_TAP | IFF_NO_PI };
	assert_int_equal(ioctl(o.fd, TUNSETIFF, &ifr), 0);
	assert_int_equal(open_nic(&o), 0);
	assert_int_equal(host.tap[0], o.fd);
	assert_false(host.config.vnet_hdr || host.config.offload);
	net_close(&host);
}

static void without_privilege_the_way_out_is_named(void **state)
{
	struct net_option o = nic(NET_TUNNET_IP);
	int status;
	pid_t pid;

	(void)state;
	o.ip.s_addr = htonl(0x0a630401);
	pid = fork();
	if (pid == 0) {
		if (setgid(65534) || setuid(65534))
			_exit(2);
		if (access("/dev/net/tun", R_OK | W_OK) < 0)
			_exit(open_nic(&o) != -1 || !strstr(said, "cannot open /dev/net/tun: Permission denied"));
		_exit(open_nic(&o) != -1 || !strstr(said, "CAP_NET_ADMIN is missing") ||
		      !strstr(said, "--net=tap=NAME"));
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

/* The tap gets the requested name; an existing interface of that name is left alone. */
static void a_named_tap_is_made_and_never_taken_over(void **state)
{
	static const uint8_t mac[] = { 2, 0, 0, 0, 0, 9 };
	struct net_option o = nic(NET_TUNNET_IP);
	struct net_host first;
	struct ifreq ifr;

	(void)state;
	o.ip.s_addr = htonl(0x0a630401);
	o.queues = 2;
	o.mac_from_name = true;
	memcpy(o.mac, mac, ETH_ALEN);
	memcpy(o.tap, "tap-web-0", 10);
	assert_int_equal(open_nic(&o), 0);
	assert_string_equal(said, "");
	assert_string_equal(host.ifname, "tap-web-0");
	assert_memory_equal(host.config.mac, mac, ETH_ALEN);
	first = host;
	/* A second guest of that name: it would have the first one's address too. */
	o.ip.s_addr = htonl(0x0a630501);
	assert_int_equal(open_nic(&o), 0);
	said_one_line("there is an interface tap-web-0 already");
	assert_string_not_equal(host.ifname, "tap-web-0");
	assert_memory_not_equal(host.config.mac, mac, ETH_ALEN);
	net_close(&host);
	net_close(&first);
	/* A user's own persistent tap would survive the guest, with our address on it. */
	assert_int_equal(system("ip tuntap add dev tap-web-0 mode tap multi_queue"), 0);
	o.have_mac = true;
	o.mac_from_name = false;
	assert_int_equal(open_nic(&o), 0);
	assert_string_not_equal(host.ifname, "tap-web-0");
	assert_memory_equal(host.config.mac, mac, ETH_ALEN);
	assert_int_equal(ask("tap-web-0", SIOCGIFADDR, &ifr), -1);
	net_close(&host);
	assert_int_equal(system("ip tuntap del dev tap-web-0 mode tap multi_queue"), 0);
}

/* As on hosts before 3.17, and (EAGAIN) on those that have just started. */
static int without_getrandom(int error)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_getrandom, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (unsigned)error),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog filter = { ARRAY_SIZE(code), code };
	uint8_t mac[2][ETH_ALEN] = { 0 };

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) < 0)
		return 1;
	if (mac_random(mac[0]) < 0 || mac_random(mac[1]) < 0)
		return 2;
	if ((mac[0][0] & 3) != 2 || (mac[1][0] & 3) != 2 || !memcmp(mac[0], mac[1], ETH_ALEN))
		return 3;
	return 0;
}

static void an_address_is_random_on_every_host(void **state)
{
	static const int errors[] = { ENOSYS, EAGAIN };

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(errors); i++) {
		int status;
		pid_t pid = fork();

		assert_true(pid >= 0);
		if (pid == 0)
			_exit(without_getrandom(errors[i]));
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_int_equal(status, 0);
	}
}

static int setup(void **state)
{
	(void)state;
	if (geteuid() != 0 || unshare(CLONE_NEWNET) < 0 || access("/dev/net/tun", F_OK) < 0) {
		print_message("skipped: needs root and /dev/net/tun\n");
		exit(0);
	}
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_tap_of_our_own_gets_its_address),
		cmocka_unit_test(an_address_in_use_is_refused),
		cmocka_unit_test(bridges_are_joined_with_their_mtu),
		cmocka_unit_test(settings_are_passed_on),
		cmocka_unit_test(existing_taps_are_taken_and_left),
		cmocka_unit_test(given_descriptors_are_judged),
		cmocka_unit_test(a_named_tap_is_made_and_never_taken_over),
		cmocka_unit_test(an_address_is_random_on_every_host),
		cmocka_unit_test(without_privilege_the_way_out_is_named),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
