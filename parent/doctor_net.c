// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Taps, bridges and the filter on a tap, tried in a network namespace that goes
 * with the child that made it. Runs in lguest-sep doctor.
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

#include "doctor.h"
#include "setup.h"

static int own_network(void)
{
	return geteuid() == 0 ? unshare(CLONE_NEWNET) : unshare(CLONE_NEWUSER | CLONE_NEWNET);
}

/* A tap; its descriptor, or -1 with errno. */
static int make_tap(char name[IFNAMSIZ])
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

enum { TAP_FINE, TAP_NO_DEVICE, TAP_NO_PERMISSION, TAP_OTHER };

static int try_tap(void)
{
	char name[IFNAMSIZ];

	/* Root's network may be the container's own, with less than all rights. */
	if (geteuid() == 0 && own_network() < 0)
		return TAP_NO_PERMISSION;
	if (make_tap(name) >= 0)
		return TAP_FINE;
	if (errno == ENOENT || errno == ENODEV || errno == ENXIO)
		return TAP_NO_DEVICE;
	return errno == EACCES || errno == EPERM ? TAP_NO_PERMISSION : TAP_OTHER;
}

static void tap(void)
{
	switch (in_child(try_tap)) {
	case TAP_FINE:
		found("network", "tap", FOUND, NULL, "can be made: --tunnet works");
		break;
	case TAP_NO_DEVICE:
		found("network", "tap", MISSING, "modprobe tun, or let the container have /dev/net/tun",
		      "no /dev/net/tun");
		break;
	case TAP_NO_PERMISSION:
		found("network", "tap", MISSING,
		      "start as root, or have one made: ip tuntap add dev NAME mode tap user YOU; then --net=tap=NAME",
		      "no permission to make one");
		break;
	default:
		found("network", "tap", MISSING, NULL, "cannot be made");
	}
}

static int try_bridge(void)
{
	struct nl_sock *s = nl_socket_alloc();
	struct rtnl_link *l = rtnl_link_alloc();

	if (own_network() < 0)
		return 2;
	if (!s || !l || nl_connect(s, NETLINK_ROUTE) < 0 || rtnl_link_set_type(l, "bridge") < 0)
		return 1;
	rtnl_link_set_name(l, "doctor0");
	return rtnl_link_add(s, l, NLM_F_CREATE) < 0;
}

static int try_guard(void)
{
	static const uint8_t mac[ETH_ALEN] = { 2, 0, 0, 0, 0, 1 };
	char name[IFNAMSIZ], why[128];

	if (own_network() < 0 || make_tap(name) < 0)
		return 2;
	return link_guard_mac(name, mac, why, sizeof(why)) < 0;
}

static void yes_no(const char *what, int result, const char *yes, const char *no, const char *advice)
{
	if (result == 2)
		found("network", what, LIMITED, NULL, "cannot be tried out by this user");
	else
		found("network", what, result ? MISSING : FOUND, result ? advice : NULL, "%s", result ? no : yes);
}

void doctor_network(void)
{
	tap();
	yes_no("bridge", in_child(try_bridge), "can be made: ip link add NAME type bridge", "this kernel makes none",
	       "modprobe bridge, or use --tunnet=IP");
	yes_no("filter on a tap", in_child(try_guard), "the kernel drops frames from any address but the guest's",
	       "this kernel has none; netd's own check stays",
	       "a kernel with CONFIG_NET_CLS_BPF and CONFIG_NET_SCH_INGRESS (modprobe cls_bpf sch_ingress)");
}
