// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A NIC's tap: made or attached, offloads asked for, addressed or put onto its
 * bridge. Runs in the parent, inside the privileged window. A tap made here is
 * gone when the last descriptor of it is closed.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <unistd.h>

#include "options.h"
#include "setup.h"

#ifndef TUN_F_USO4
#define TUN_F_USO4 0x20
#define TUN_F_USO6 0x40
#endif

#define VNET_HDR_SIZE 12 /* virtio 1.2, 5.1.6: with num_buffers */
#define DEFAULT_MTU   1500

/* How the user asked for this NIC, for lines. */
static const char *asked(const struct net_option *o, char buf[64])
{
	char ip[INET_ADDRSTRLEN] = "";

	switch (o->kind) {
	case NET_TUNNET_IP:
		inet_ntop(AF_INET, &o->ip, ip, sizeof(ip));
		snprintf(buf, 64, "--tunnet=%s", ip);
		break;
	case NET_BRIDGE:
		snprintf(buf, 64, o->tunnet ? "--tunnet=bridge:%s" : "--net=bridge=%s", o->ifname);
		break;
	case NET_TAP:
		snprintf(buf, 64, "--net=tap=%s", o->ifname);
		break;
	default:
		snprintf(buf, 64, "--net=fd=%d", o->fd);
	}
	return buf;
}

static int tun_failed(const struct net_option *o, const char *who)
{
	if (errno == ENOENT || errno == ENODEV || errno == ENXIO)
		return complain(
			-1,
			"%s: this host has no /dev/net/tun; load its module (modprobe tun) or let the container have the device",
			who);
	if ((errno == EACCES || errno == EPERM) && o->kind == NET_TAP)
		return complain(
			-1,
			"%s: no permission for this tap; start as root, or let its owner be you (ip tuntap add dev %s mode tap user NAME)",
			who, o->ifname);
	if (errno == EACCES || errno == EPERM)
		return complain(
			-1,
			"%s: no permission to make a tap (CAP_NET_ADMIN is missing); start as root, or have one made (ip tuntap add dev NAME mode tap user YOU) and use --net=tap=NAME",
			who);
	if (errno == EBUSY)
		return complain(-1, "%s: another program has this tap", who);
	if (errno == EINVAL && o->kind == NET_TAP)
		return complain(-1, "%s: it is no tap, or was made %s several queues (ip tuntap add dev %s mode tap%s)",
				who, o->queues > 1 ? "without" : "for", o->ifname, o->queues > 1 ? " multi_queue" : "");
	return complain(-1, "%s: cannot make a tap: %m", who);
}

/* One queue pair of the tap named in @n (or a new one, whose name is filled in). */
static int open_queue(const struct net_option *o, struct net_host *n, const char *who)
{
	struct ifreq ifr = { .ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR };
	int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);
	int size = VNET_HDR_SIZE;

	if (fd < 0)
		return tun_failed(o, who);
	if (o->queues > 1)
		ifr.ifr_flags |= IFF_MULTI_QUEUE;
	memcpy(ifr.ifr_name, n->ifname, IFNAMSIZ);
	if (ioctl(fd, TUNSETIFF, &ifr) < 0 || ioctl(fd, TUNSETVNETHDRSZ, &size) < 0) {
		tun_failed(o, who);
		close(fd);
		return -1;
	}
	memcpy(n->ifname, ifr.ifr_name, IFNAMSIZ);
	n->ifname[IFNAMSIZ - 1] = '\0';
	n->tap[n->ntaps++] = fd;
	return 0;
}

/* A descriptor that the user gives must be a tap that speaks our format. */
static int take_descriptor(const struct net_option *o, struct net_host *n, const char *who)
{
	struct ifreq ifr = { 0 };
	int size = VNET_HDR_SIZE, flags = fcntl(o->fd, F_GETFL);

	if (flags < 0)
		return complain(-1, "%s: no such descriptor is open", who);
	if (ioctl(o->fd, TUNGETIFF, &ifr) < 0)
		return complain(-1, "%s: this descriptor is no tap", who);
	if (!(ifr.ifr_flags & IFF_TAP) || !(ifr.ifr_flags & IFF_NO_PI))
		return complain(-1, "%s: %s was not opened with IFF_TAP and IFF_NO_PI", who, ifr.ifr_name);
	n->config.vnet_hdr = ifr.ifr_flags & IFF_VNET_HDR;
	if (n->config.vnet_hdr && ioctl(o->fd, TUNSETVNETHDRSZ, &size) < 0)
		return complain(-1, "%s: %s: cannot set the size of its header: %m", who, ifr.ifr_name);
	if (fcntl(o->fd, F_SETFL, flags | O_NONBLOCK) < 0 || fcntl(o->fd, F_SETFD, FD_CLOEXEC) < 0)
		return complain(-1, "%s: %m", who);
	memcpy(n->ifname, ifr.ifr_name, IFNAMSIZ);
	n->ifname[IFNAMSIZ - 1] = '\0';
	n->tap[n->ntaps++] = o->fd;
	return 0;
}

/* The most that this tap confirms; nothing is offered to the guest that it does not. */
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
 * /dev/urandom is for hosts before 3.17, which have no getrandom(), and for those that have only
 * just started, where it would wait.
 */
int random_mac(uint8_t mac[ETH_ALEN])
{
	if (getrandom(mac, ETH_ALEN, GRND_NONBLOCK) != ETH_ALEN) {
		int fd = open("/dev/urandom", O_RDONLY | O_CLOEXEC);
		ssize_t n = fd < 0 ? -1 : read(fd, mac, ETH_ALEN);

		if (n != ETH_ALEN)
			complain(0, "no random numbers for a hardware address: /dev/urandom: %m");
		if (fd >= 0)
			close(fd);
		if (n != ETH_ALEN)
			return -1;
	}
	mac[0] = (uint8_t)((mac[0] & 0xfc) | 0x02);
	return 0;
}

static int choose_mac(const struct net_option *o, uint8_t mac[ETH_ALEN])
{
	if (!o->have_mac)
		return random_mac(mac);
	memcpy(mac, o->mac, ETH_ALEN);
	return 0;
}

/* What must be there, or must not, before a tap is made. */
static int look_before(const struct net_option *o, struct net_host *n, const char *who, struct link_info *info)
{
	char other[IFNAMSIZ];

	if (o->kind == NET_TUNNET_IP && link_find_address(o->ip, 32, other))
		return complain(-1, "%s: interface %s has this address already; take another", who, other);
	if (o->kind == NET_TUNNET_IP && ntohl(o->ip.s_addr) >> 24 == IN_LOOPBACKNET)
		return complain(-1, "%s: a loopback address cannot be a tap's; take another", who);
	if (o->kind == NET_TUNNET_IP && link_find_address(o->ip, o->prefix, other))
		complain(
			0,
			"%s: warning: interface %s has an address in this network too, and the host reaches what is behind one of the two only; better take another network",
			who, other);
	if (o->kind != NET_BRIDGE && o->kind != NET_TAP)
		return 0;
	if (link_query(o->ifname, info) < 0)
		return -1;
	if (o->kind == NET_TAP) {
		if (!info->exists)
			return complain(
				-1,
				"%s: there is no such interface; make it with ip tuntap add dev %s mode tap user YOU",
				who, o->ifname);
		memcpy(n->ifname, o->ifname, IFNAMSIZ);
		return 0;
	}
	if (!info->exists)
		return complain(-1, "%s: there is no such bridge; make it with ip link add %s type bridge", who,
				o->ifname);
	if (!info->is_bridge)
		return complain(-1, "%s: %s is no bridge%s%s", who, o->ifname, *info->type ? " but of type " : "",
				info->type);
	return 0;
}

/* The guest must not be able to steer the host's own routing by what it sends. */
static void harden(const char *ifname)
{
	static const char *const file[] = {
		"/proc/sys/net/ipv6/conf/%s/accept_ra",
		"/proc/sys/net/ipv6/conf/%s/accept_redirects",
		"/proc/sys/net/ipv4/conf/%s/accept_redirects",
	};
	char path[80];

	for (unsigned i = 0; i < ARRAY_SIZE(file); i++) {
		const char *slash = strchr(file[i], '%');
		int fd;

		snprintf(path, sizeof(path), "%.*s%s%s", (int)(slash - file[i]), file[i], ifname, slash + 2);
		fd = open(path, O_WRONLY | O_CLOEXEC);
		if (fd < 0)
			continue;
		if (write(fd, "0", 1) != 1)
			complain(0, "%s: cannot switch it off: %m", path);
		close(fd);
	}
}

/* Address or bridge, MTU, up. */
static int set_up(const struct net_option *o, struct net_host *n, const struct link_info *info)
{
	struct link_info tap;
	unsigned mtu = o->mtu;

	switch (o->kind) {
	case NET_TUNNET_IP:
		harden(n->ifname);
		n->config.mtu = (uint16_t)(mtu ? mtu : DEFAULT_MTU);
		if (link_add_address(n->ifname, o->ip, o->prefix) < 0)
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
		/* A tap in another network namespace is not to be seen: its owner sets it up. */
		n->config.mtu = (uint16_t)(mtu ? mtu : tap.exists ? tap.mtu : DEFAULT_MTU);
		if (tap.exists && !tap.up && geteuid() == 0)
			return link_setup(n->ifname, NULL, 0);
		return 0;
	}
}

int net_open(const struct net_option *o, struct net_host *n)
{
	struct link_info info = { 0 };
	char who[64];

	*n = (struct net_host){ .listener = -1 };
	asked(o, who);
	n->config.vnet_hdr = true;
	n->config.offload = !o->no_offload;
	n->config.spoof_check = !o->no_spoof_check;
	n->config.queue_pairs = (uint8_t)o->queues;
	n->config.rate_packets = o->rate_packets;
	n->config.rate_bytes = o->rate_bytes;
	if (choose_mac(o, n->config.mac) < 0 || look_before(o, n, who, &info) < 0)
		return -1;
	if (o->kind == NET_FD) {
		if (take_descriptor(o, n, who) < 0)
			return -1;
	} else {
		while (n->ntaps < o->queues)
			if (open_queue(o, n, who) < 0)
				return -1;
	}
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
}
