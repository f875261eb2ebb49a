/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Tries the rules that limit a guest on a tap, nat and IPv6: each on the loopback interface
 * of a network namespace that ends with the child that created it. Runs in lguest-sep
 * doctor.
 */
#include <arpa/inet.h> /* before linux/netfilter.h, which then takes its types */
#include <fcntl.h>
#include <grp.h>
#include <linux/netfilter.h>
#include <net/if.h>
#include <stdio.h>
#include <sys/types.h>
#include <unistd.h>

#include "parent/doctor/findings.h"
#include "parent/doctor/net.h"
#include "parent/doctor/rules.h"
#include "parent/setup/nft_dump.h"
#include "parent/setup/rules.h"

/* Results of a child. */
enum { WORKS, REFUSED, NO_NAMESPACE, NO_TAP };

/* The user ID of an ordinary user, used if root runs doctor. */
#define ORDINARY_USER 65534

/* The rules of a tap with an address, on the loopback interface. */
static int send_rules(bool nat, bool v6)
{
	static struct nft_batch b;
	struct net_option o = { .kind = NET_TUNNET_IP, .nat = nat, .v6 = v6, .prefix = v6 ? 64 : 24 };
	struct rules_nic nic = { .o = &o, .ifname = "lo", .ifindex = if_nametoindex("lo"), .chain = "net0" };
	int fd = nft_socket(), result;
	const char *what;

	inet_pton(AF_INET, "192.0.2.1", &o.ip);
	inet_pton(AF_INET6, "2001:db8::1", &o.ip6);
	if (fd < 0 || nft_begin(&b, "lguest-sep-doctor") < 0)
		return REFUSED;
	rules_build(&b, &nic, 1);
	result = nft_send(&b, fd) < 0 || nft_answer(&b, fd, &what) < 0 ? REFUSED : WORKS;
	nft_free(&b);
	return result;
}

static int try_rules(void)
{
	return doctor_own_network() < 0 ? NO_NAMESPACE : send_rules(false, false);
}

static int try_nat(void)
{
	return doctor_own_network() < 0 ? NO_NAMESPACE : send_rules(true, false);
}

static int try_nat6(void)
{
	return doctor_own_network() < 0 ? NO_NAMESPACE : send_rules(true, true);
}

/* Try what an ordinary user can do: create a user namespace with its own network. */
static int try_ordinary(void)
{
	char name[IFNAMSIZ];

	if (geteuid() == 0 && (setgroups(0, NULL) < 0 || setgid(ORDINARY_USER) < 0 || setuid(ORDINARY_USER) < 0))
		return NO_NAMESPACE;
	if (doctor_own_network() < 0)
		return NO_NAMESPACE;
	if (doctor_make_tap(name) < 0)
		return NO_TAP;
	return send_rules(true, false);
}

static void rules(void)
{
	switch (in_child(try_rules)) {
	case WORKS:
		add_finding("network", "rules for a tap", FOUND, NULL,
			    "a guest on a tap of ours reaches what its options open");
		break;
	case NO_NAMESPACE:
		add_finding("network", "rules for a tap", LIMITED, NULL, "this user cannot try it");
		break;
	default:
		add_finding("network", "rules for a tap", MISSING,
			    "Linux 5.12 or later with nf_tables, nf_conntrack, nft_ct and nft_fib_inet (modprobe)",
			    "none; the filter on the tap does what it can without");
	}
}

static void nat(const char *what, bool v6)
{
	switch (in_child(v6 ? try_nat6 : try_nat)) {
	case WORKS:
		if (rules_forwards(v6))
			add_finding("network", what, FOUND, NULL, "%s works",
				    v6 ? "--tunnet=[IPV6],nat" : "--tunnet=IP,nat");
		else
			add_finding("network", what, LIMITED,
				    v6 ? "as root: sysctl -w net.ipv6.conf.all.forwarding=1"
				       : "as root: sysctl -w net.ipv4.ip_forward=1",
				    "this host forwards nothing so far");
		break;
	case NO_NAMESPACE:
		add_finding("network", what, LIMITED, NULL, "this user cannot try it");
		break;
	default:
		add_finding("network", what, MISSING, "a kernel with nft_masq (modprobe nft_masq)",
			    "this kernel's nftables has no masquerading");
	}
}

static void ipv6(void)
{
	int fd = open("/proc/sys/net/ipv6/conf/default/disable_ipv6", O_RDONLY | O_CLOEXEC);
	char digit = '0';

	if (fd < 0) {
		add_finding("network", "IPv6", MISSING, "start the kernel without ipv6.disable=1",
			    "this kernel has no IPv6: --tunnet=[IPV6] does not work");
		return;
	}
	if (read(fd, &digit, 1) == 1 && digit == '1')
		add_finding("network", "IPv6", MISSING, "as root: sysctl -w net.ipv6.conf.default.disable_ipv6=0",
			    "switched off for new interfaces: --tunnet=[IPV6] does not work");
	else
		add_finding("network", "IPv6", FOUND, NULL, "--tunnet=[IPV6] works");
	close(fd);
}

static void ordinary_users(void)
{
	static const char what[] = "ordinary users";

	switch (in_child(try_ordinary)) {
	case WORKS:
		add_finding(
			"network", what, FOUND, NULL,
			"taps, rules and nat in a network of their own (unshare -Un --map-current-user --keep-caps); in the host's network only a tap that root made");
		break;
	case REFUSED:
		add_finding(
			"network", what, LIMITED, NULL,
			"taps without rules in a network of their own (unshare -Un --map-current-user --keep-caps); in the host's network only a tap that root made");
		break;
	case NO_TAP:
		add_finding("network", what, LIMITED, "as root: chmod 666 /dev/net/tun",
			    "no taps: they have no permission to open /dev/net/tun");
		break;
	default:
		add_finding(
			"network", what, LIMITED, NULL,
			"this host gives them no network namespace; in the host's network they can use a tap that root made");
	}
}

/* Report tables of other programs that drop packets by default: our rules cannot override them. */
static void others(void)
{
	char name[80];

	if (nft_query_drop_policy(NF_INET_LOCAL_IN, name, sizeof(name)) == 0 && *name)
		add_finding("network", "reach=", LIMITED,
			    "add a rule to it that accepts packets from the tap (ifname= sets the tap's name)",
			    "the table %s drops arriving packets that none of its own rules accepts", name);
	if (nft_query_drop_policy(NF_INET_FORWARD, name, sizeof(name)) == 0 && *name)
		add_finding("network", "nat, reach=forward", LIMITED,
			    "add a rule to it that accepts packets from the tap (ifname= sets the tap's name)",
			    "the table %s drops forwarded packets that none of its own rules accepts", name);
}

void doctor_rules(void)
{
	rules();
	nat("nat", false);
	nat("nat, IPv6", true);
	ipv6();
	others();
	ordinary_users();
}
