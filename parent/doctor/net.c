/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Tries taps, bridges and the filter on a tap, each in a child process with a network
 * namespace of its own. Runs in lguest-sep doctor.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <netlink/netlink.h>
#include <netlink/route/link.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "parent/doctor/findings.h"
#include "parent/doctor/net.h"
#include "parent/options/util.h"
#include "parent/setup/guard.h"
#include "parent/setup/user.h"

int doctor_own_network(void)
{
	return geteuid() == 0 ? unshare(CLONE_NEWNET) : unshare(CLONE_NEWUSER | CLONE_NEWNET);
}

int doctor_make_tap(char name[IFNAMSIZ])
{
	struct ifreq r;
	int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);

	memset(&r, 0, sizeof(r));
	r.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR;
	if (fd < 0 || ioctl(fd, TUNSETIFF, &r) < 0)
		return -1;
	memcpy(name, r.ifr_name, IFNAMSIZ);
	return fd;
}

enum { TAP_FINE, TAP_NO_DEVICE, TAP_DEVICE_CLOSED, TAP_NO_PERMISSION, TAP_OTHER };

static int try_tap(void)
{
	char name[IFNAMSIZ];

	if (access("/dev/net/tun", R_OK | W_OK) < 0 && errno == EACCES)
		return TAP_DEVICE_CLOSED;
	/* In a container, root may lack CAP_NET_ADMIN for its network. */
	if (geteuid() == 0 && doctor_own_network() < 0)
		return TAP_NO_PERMISSION;
	if (doctor_make_tap(name) >= 0)
		return TAP_FINE;
	if (errno == ENOENT || errno == ENODEV || errno == ENXIO)
		return TAP_NO_DEVICE;
	return errno == EACCES || errno == EPERM ? TAP_NO_PERMISSION : TAP_OTHER;
}

static void tap(void)
{
	switch (in_child(try_tap)) {
	case TAP_FINE:
		add_finding("network", "tap", FOUND, NULL, "can be created: --tunnet works");
		break;
	case TAP_NO_DEVICE:
		add_finding("network", "tap", MISSING, "modprobe tun, or give the container /dev/net/tun",
			    "no /dev/net/tun");
		break;
	case TAP_DEVICE_CLOSED:
		add_finding(
			"network", "tap", MISSING,
			"start as root, or let everybody open it: chmod 666 /dev/net/tun (a tap still needs its owner or CAP_NET_ADMIN)",
			"no permission to open /dev/net/tun");
		break;
	case TAP_NO_PERMISSION:
		add_finding(
			"network", "tap", MISSING,
			"start as root, or have one made: ip tuntap add dev NAME mode tap user YOU; then --net=tap=NAME",
			"no permission to create one");
		break;
	default:
		add_finding("network", "tap", MISSING, NULL, "cannot be created");
	}
}

static int try_bridge(void)
{
	struct nl_sock *s = nl_socket_alloc();
	struct rtnl_link *l = rtnl_link_alloc();

	if (geteuid() != 0)
		return 3;
	if (doctor_own_network() < 0)
		return 2;
	if (!s || !l || nl_connect(s, NETLINK_ROUTE) < 0 || rtnl_link_set_type(l, "bridge") < 0)
		return 1;
	rtnl_link_set_name(l, "doctor0");
	return rtnl_link_add(s, l, NLM_F_CREATE) < 0;
}

static int try_guard(void)
{
	static const struct net_config config = { .mac = { 2, 0, 0, 0, 0, 1 }, .spoof_check = true };
	char name[IFNAMSIZ], why[128];

	if (doctor_own_network() < 0 || doctor_make_tap(name) < 0)
		return 2;
	return link_guard(name, &config, why, sizeof(why)) < 0;
}

static void yes_no(const char *what, int result, const char *yes, const char *no, const char *advice)
{
	if (result == 3)
		add_finding("network", what, MISSING, "ask root to create it, with a tap of yours attached",
			    "only root can create one");
	else if (result == 2)
		add_finding("network", what, LIMITED, NULL, "this user cannot try it");
	else
		add_finding("network", what, result ? MISSING : FOUND, result ? advice : NULL, "%s", result ? no : yes);
}

static int try_passt(void)
{
	complain_quietly(true);
	if (user_open_program() < 0)
		return 1;
	return user_has_route() ? 0 : 2;
}

/* The network of --net=user, for root and everybody else. */
static void passt(void)
{
	switch (in_child(try_passt)) {
	case 0:
		add_finding("network", "passt", FOUND, NULL, "is installed: --net=user works, for every user");
		break;
	case 2:
		add_finding("network", "passt", LIMITED, "ip route add default via GATEWAY",
			    "is installed, but the host has no default route: --net=user does not start");
		break;
	default:
		add_finding("network", "passt", MISSING, "apt-get install passt (Debian 12 or later)",
			    "is not installed, or is too old: no --net=user");
	}
}

void doctor_network(void)
{
	passt();
	tap();
	yes_no("bridge", in_child(try_bridge), "can be created: ip link add NAME type bridge", "not in this kernel",
	       "modprobe bridge, or use --tunnet=IP");
	yes_no("filter on a tap", in_child(try_guard), "the kernel drops frames from any address but the guest's",
	       "not in this kernel; only netd checks the address",
	       "modprobe cls_bpf sch_ingress, or use a kernel with CONFIG_NET_CLS_BPF and CONFIG_NET_SCH_INGRESS");
}
