/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Creates or opens a NIC's tap, enables its offloads, and gives it an address or attaches
 * it to a bridge. Runs in the parent, inside the privileged window. A tap that was
 * created here disappears when its last descriptor is closed.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if_arp.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "parent/options/util.h"
#include "parent/setup/dhcp.h"
#include "parent/setup/files.h"
#include "parent/setup/link.h"
#include "parent/setup/mac.h"
#include "parent/setup/net.h"
#include "parent/setup/setup.h"
#include "parent/setup/user.h"

#ifndef TUN_F_USO4
#define TUN_F_USO4 0x20
#define TUN_F_USO6 0x40
#endif

#define VNET_HDR_SIZE 12 /* virtio 1.2, 5.1.6: with num_buffers */
#define DEFAULT_MTU   1500

/* Writes the option that asked for this NIC to @buf, for messages. Returns @buf. */
static const char *asked(const struct net_option *o, char buf[64])
{
	char ip[INET6_ADDRSTRLEN] = "";

	switch (o->kind) {
	case NET_TUNNET_IP:
		inet_ntop(o->v6 ? AF_INET6 : AF_INET, o->v6 ? (const void *)&o->ip6 : &o->ip, ip, sizeof(ip));
		snprintf(buf, 64, o->v6 ? "--tunnet=[%s]" : "--tunnet=%s", ip);
		break;
	case NET_BRIDGE:
		snprintf(buf, 64, o->tunnet ? "--tunnet=bridge:%s" : "--net=bridge=%s", o->ifname);
		break;
	case NET_TAP:
		snprintf(buf, 64, "--net=tap=%s", o->ifname);
		break;
	case NET_USER:
		snprintf(buf, 64, "--net=user");
		break;
	default:
		snprintf(buf, 64, "--net=fd=%d", o->fd);
	}
	return buf;
}

/* Logs why /dev/net/tun could not be opened, from errno. Returns -1. */
static int tun_open_failed(const char *who)
{
	if (errno == ENOENT || errno == ENODEV || errno == ENXIO)
		return complain(
			-1,
			"%s: this host has no /dev/net/tun; load its module (modprobe tun), or give the container this device",
			who);
	if (errno == EACCES || errno == EPERM)
		return complain(
			-1,
			"%s: cannot open /dev/net/tun: %m; start as root, or let everybody open it (chmod 666 /dev/net/tun: a tap still needs its owner or CAP_NET_ADMIN)",
			who);
	return complain(-1, "%s: cannot open /dev/net/tun: %m", who);
}

/* Logs why the kernel gave no tap on an open /dev/net/tun, from errno. Returns -1. */
static int tun_attach_failed(const struct net_option *o, const char *who)
{
	if ((errno == EACCES || errno == EPERM) && o->kind == NET_TAP)
		return complain(
			-1,
			"%s: no permission for this tap; start as root, or create it with yourself as its owner (ip tuntap add dev %s mode tap user NAME)",
			who, o->ifname);
	if (errno == EACCES || errno == EPERM)
		return complain(
			-1,
			"%s: no permission to create a tap (CAP_NET_ADMIN is missing); start as root, or ask root to create one (ip tuntap add dev NAME mode tap user YOU) and use --net=tap=NAME",
			who);
	if (errno == EBUSY && o->kind == NET_TAP)
		return complain(-1, "%s: another program is using this tap", who);
	if (errno == EBUSY && *o->name)
		return complain(-1, "%s: ifname=%s: there is an interface of that name already; take another", who,
				o->name);
	if (errno == EBUSY)
		return complain(-1, "%s: another program has just created an interface %s; start again", who, o->tap);
	if (errno == EINVAL && o->kind == NET_TAP)
		return complain(
			-1, "%s: it is not a tap, or was created %s several queues (ip tuntap add dev %s mode tap%s)",
			who, o->queues > 1 ? "without" : "for", o->ifname, o->queues > 1 ? " multi_queue" : "");
	return complain(-1, "%s: cannot create a tap: %m", who);
}

/* Open one queue pair of the tap n->ifname. If that name is empty, create a tap and set the name. */
static int open_queue(const struct net_option *o, struct net_host *n, const char *who)
{
	bool made = o->kind != NET_TAP && !n->ntaps;
	struct ifreq ifr = { .ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR };
	int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);
	int size = VNET_HDR_SIZE;

	if (fd < 0)
		return tun_open_failed(who);
	if (o->queues > 1)
		ifr.ifr_flags |= IFF_MULTI_QUEUE;
	/* Do not take over an existing tap of that name, even if no program uses it: it belongs to somebody else. */
	if (made)
		ifr.ifr_flags = (short)(ifr.ifr_flags | IFF_TUN_EXCL);
	memcpy(ifr.ifr_name, n->ifname, IFNAMSIZ);
	if (ioctl(fd, TUNSETIFF, &ifr) < 0 || ioctl(fd, TUNSETVNETHDRSZ, &size) < 0) {
		tun_attach_failed(o, who);
		close(fd);
		return -1;
	}
	memcpy(n->ifname, ifr.ifr_name, IFNAMSIZ);
	n->ifname[IFNAMSIZ - 1] = '\0';
	n->tap[n->ntaps++] = fd;
	return 0;
}

/* Take the descriptor of --net=fd=N, which must be a tap without packet information. */
static int take_descriptor(const struct net_option *o, struct net_host *n, const char *who)
{
	struct ifreq ifr = { 0 };
	int size = VNET_HDR_SIZE, flags = fcntl(o->fd, F_GETFL);

	if (flags < 0)
		return complain(-1, "%s: no such descriptor is open", who);
	if (ioctl(o->fd, TUNGETIFF, &ifr) < 0)
		return complain(-1, "%s: this descriptor is not a tap", who);
	if (!(ifr.ifr_flags & IFF_TAP) || !(ifr.ifr_flags & IFF_NO_PI))
		return complain(-1, "%s: %s was not opened with IFF_TAP and IFF_NO_PI", who, ifr.ifr_name);
	n->config.vnet_hdr = ifr.ifr_flags & IFF_VNET_HDR;
	if (n->config.vnet_hdr && ioctl(o->fd, TUNSETVNETHDRSZ, &size) < 0)
		return complain(-1, "%s: %s: cannot set the size of its header: %m", who, ifr.ifr_name);
	if (fcntl(o->fd, F_SETFL, flags | O_NONBLOCK) < 0 || fcntl(o->fd, F_SETFD, FD_CLOEXEC) < 0)
		return complain(-1, "%s: cannot set the flags of this descriptor: %m", who);
	memcpy(n->ifname, ifr.ifr_name, IFNAMSIZ);
	n->ifname[IFNAMSIZ - 1] = '\0';
	n->tap[n->ntaps++] = o->fd;
	return 0;
}

/* Enable as many offloads as the tap supports. The guest is offered no others. */
static void ask_offloads(struct net_host *n)
{
	static const unsigned want[] = {
		TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN | TUN_F_USO4 | TUN_F_USO6,
		TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN,
		TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6,
		TUN_F_CSUM,
		0,
	};
	unsigned first = n->config.offload && n->config.vnet_hdr ? 0 : ARRAY_SIZE(want) - 1;

	for (unsigned i = first; i < ARRAY_SIZE(want); i++) {
		bool all = true;

		for (unsigned q = 0; q < n->ntaps; q++)
			all = all && ioctl(n->tap[q], TUNSETOFFLOAD, (unsigned long)want[i]) == 0;
		if (!all)
			continue;
		n->config.tap_offloads = want[i];
		return;
	}
}

/*
 * Choose the name of a tap to create, and the NIC's address. If an interface has the name that follows from --name, it
 * probably belongs to another guest with the same --name and thus the same addresses: use another name and address.
 */
static int choose_names(const struct net_option *o, struct net_host *n, const char *who)
{
	bool made_here = o->kind == NET_TUNNET_IP || o->kind == NET_BRIDGE;
	const char *name = *o->name ? o->name : o->tap;

	if (!made_here)
		return mac_choose(o, n->config.mac);
	if (*o->name || !*o->tap || if_nametoindex(o->tap) == 0) {
		memcpy(n->ifname, name, IFNAMSIZ);
		return mac_choose(o, n->config.mac);
	}
	complain(0,
		 "%s: there is an interface %s already, probably of another guest with this --name; "
		 "this NIC gets another name%s",
		 who, o->tap, o->mac_from_name ? " and a random address" : "");
	return o->mac_from_name ? mac_random(n->config.mac) : mac_choose(o, n->config.mac);
}

static struct link_address address_of(const struct net_option *o)
{
	struct link_address a = { .family = o->v6 ? AF_INET6 : AF_INET, .prefix = o->prefix };

	if (o->v6)
		a.v6 = o->ip6;
	else
		a.v4 = o->ip;
	return a;
}

/* Check what must exist, or must not exist, before the tap is opened. Returns 0, or -1 after logging the reason. */
static int look_before(const struct net_option *o, struct net_host *n, const char *who, struct link_info *info)
{
	struct link_address a = address_of(o);
	char other[IFNAMSIZ];

	if (o->kind == NET_TUNNET_IP && link_find_address(&a, true, other))
		return complain(-1, "%s: interface %s has this address already; take another one", who, other);
	if (o->kind == NET_TUNNET_IP && !o->v6 && ntohl(o->ip.s_addr) >> 24 == IN_LOOPBACKNET)
		return complain(-1, "%s: a tap cannot have a loopback address; take another one", who);
	if (o->kind == NET_TUNNET_IP && link_find_address(&a, false, other))
		complain(
			0,
			"%s: warning: interface %s has an address in this network too, and the host will reach only one of the two networks; better take another one",
			who, other);
	if (o->kind != NET_BRIDGE && o->kind != NET_TAP)
		return 0;
	if (link_query(o->ifname, info) < 0)
		return -1;
	if (o->kind == NET_TAP) {
		if (!info->exists)
			return complain(
				-1,
				"%s: there is no such interface; create it with ip tuntap add dev %s mode tap user YOU",
				who, o->ifname);
		memcpy(n->ifname, o->ifname, IFNAMSIZ);
		return 0;
	}
	if (!info->exists)
		return complain(-1, "%s: there is no such bridge; create it with ip link add %s type bridge", who,
				o->ifname);
	if (!info->is_bridge)
		return complain(-1, "%s: %s is not a bridge%s%s", who, o->ifname, *info->type ? " but of type " : "",
				info->type);
	return 0;
}

/*
 * Give the host's end of the tap an address that starts with fe and continues like the guest's. A bridge takes
 * the lowest address of its ports as its own, and must not change it because a guest starts.
 */
static int set_host_mac(struct net_host *n, const char *who)
{
	struct ifreq ifr = { .ifr_hwaddr.sa_family = ARPHRD_ETHER };

	memcpy(ifr.ifr_hwaddr.sa_data, n->config.mac, ETH_ALEN);
	ifr.ifr_hwaddr.sa_data[0] = (char)0xfe;
	if (n->config.mac[0] == 0xfe)
		ifr.ifr_hwaddr.sa_data[1] ^= (char)0xff; /* Differ from the guest's address. */
	memcpy(n->host_mac, ifr.ifr_hwaddr.sa_data, ETH_ALEN);
	if (ioctl(n->tap[0], SIOCSIFHWADDR, &ifr) < 0)
		return complain(-1, "%s: cannot set the hardware address of %s: %m", who, n->ifname);
	return 0;
}

/*
 * The address that netd advertises as the guest's router. The kernel gives a tap one as well, but which one, and if at
 * all, depends on the host's settings (addr_gen_mode), and it is usable only after duplicate address detection.
 */
static int add_link_local(const struct net_host *n)
{
	struct link_address a = { .family = AF_INET6, .prefix = 64 };

	memcpy(&a.v6, n->config.ra.local, sizeof(a.v6));
	return link_add_address(n->ifname, &a);
}

/* Set the tap's address or bridge and its MTU, and bring it up. */
static int set_up(const struct net_option *o, struct net_host *n, const struct link_info *info)
{
	struct link_address a = address_of(o);
	struct link_info tap;
	unsigned mtu = o->mtu;

	switch (o->kind) {
	case NET_TUNNET_IP:
		n->config.mtu = (uint16_t)(mtu ? mtu : DEFAULT_MTU);
		if (link_add_address(n->ifname, &a) < 0 || (n->config.ra.on && add_link_local(n) < 0))
			return -1;
		return link_setup(n->ifname, NULL, mtu);
	case NET_BRIDGE:
		if (!mtu)
			mtu = info->mtu;
		n->config.mtu = (uint16_t)mtu;
		return link_setup(n->ifname, o->ifname, mtu);
	default:
		if (link_query(n->ifname, &tap) < 0)
			return -1;
		if (mtu && mtu != tap.mtu && link_setup(n->ifname, NULL, mtu) < 0)
			return -1;
		/* A tap in another network namespace is not visible here; its owner sets it up. */
		n->config.mtu = (uint16_t)(mtu ? mtu : tap.exists ? tap.mtu : DEFAULT_MTU);
		if (tap.exists && !tap.up && geteuid() == 0)
			return link_setup(n->ifname, NULL, 0);
		return 0;
	}
}

int net_open(const struct net_option *o, struct net_host *n, bool change_user)
{
	struct link_info info = { 0 };
	char who[64];

	*n = (struct net_host){ .listener = -1, .capture = -1 };
	asked(o, who);
	n->config.vnet_hdr = true;
	n->config.offload = !o->no_offload;
	n->config.spoof_check = !o->no_spoof_check;
	n->config.own = o->own;
	n->config.queue_pairs = (uint8_t)o->queues;
	n->config.rate_packets = o->rate_packets;
	n->config.rate_bytes = o->rate_bytes;
	if (o->pcap) {
		n->capture = open_capture_file(o->pcap, who);
		if (n->capture < 0)
			return -1;
		n->config.capture_max = o->pcap_max ? o->pcap_max : DEFAULT_PCAP_MAX;
	}
	if (o->kind == NET_USER)
		return mac_choose(o, n->config.mac) < 0 ? -1 : user_open(o, n, change_user);
	if (choose_names(o, n, who) < 0 || look_before(o, n, who, &info) < 0)
		return -1;
	if (o->kind == NET_FD) {
		if (take_descriptor(o, n, who) < 0)
			return -1;
	} else {
		while (n->ntaps < o->queues)
			if (open_queue(o, n, who) < 0)
				return -1;
	}
	if ((o->kind == NET_TUNNET_IP || o->kind == NET_BRIDGE) && set_host_mac(n, who) < 0)
		return -1;
	if (o->dhcp)
		dhcp_configure(o, n, who);
	ask_offloads(n);
	n->config.offload = n->config.tap_offloads & TUN_F_CSUM;
	return set_up(o, n, &info);
}

void net_close(struct net_host *n)
{
	for (unsigned i = 0; i < n->ntaps; i++)
		close(n->tap[i]);
	n->ntaps = 0;
	if (n->listener >= 0)
		close(n->listener);
	n->listener = -1;
	if (n->capture >= 0)
		close(n->capture);
	n->capture = -1;
}
