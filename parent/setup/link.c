/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Queries and configures network interfaces over netlink (libnl-route). Runs in the
 * parent, inside the privileged window.
 */
#include <linux/if_addr.h>
#include <net/if.h>
#include <netlink/cache.h>
#include <netlink/errno.h>
#include <netlink/netlink.h>
#include <netlink/route/addr.h>
#include <netlink/route/link.h>
#include <string.h>

#include "parent/options/util.h"
#include "parent/setup/link.h"

static struct nl_sock *sock;

static int link_begin(void)
{
	int err;

	if (sock)
		return 0;
	sock = nl_socket_alloc();
	if (!sock)
		return complain(-1, "netlink: out of memory");
	err = nl_connect(sock, NETLINK_ROUTE);
	if (err < 0) {
		link_done();
		return complain(-1, "netlink: %s", nl_geterror(err));
	}
	return 0;
}

void link_done(void)
{
	nl_socket_free(sock);
	sock = NULL;
}

int link_query(const char *ifname, struct link_info *info)
{
	struct rtnl_link *link = NULL;
	const char *type;
	int err;

	*info = (struct link_info){ 0 };
	if (link_begin() < 0)
		return -1;
	err = rtnl_link_get_kernel(sock, 0, ifname, &link);
	if (err == -NLE_OBJ_NOTFOUND || err == -NLE_NODEV)
		return 0;
	if (err < 0)
		return complain(-1, "interface %s: %s", ifname, nl_geterror(err));
	info->exists = true;
	info->mtu = rtnl_link_get_mtu(link);
	info->up = rtnl_link_get_flags(link) & IFF_UP;
	type = rtnl_link_get_type(link);
	if (type)
		strncpy(info->type, type, sizeof(info->type) - 1);
	info->is_bridge = type && !strcmp(type, "bridge");
	rtnl_link_put(link);
	return 0;
}

/* Make all changes of an interface with one message. Returns 0, or a negative error of libnl. */
static int change(const char *ifname, unsigned master, unsigned mtu)
{
	struct rtnl_link *old = NULL, *new = rtnl_link_alloc();
	int err = -NLE_NOMEM;

	if (!new)
		return err;
	err = rtnl_link_get_kernel(sock, 0, ifname, &old);
	if (err >= 0) {
		if (mtu)
			rtnl_link_set_mtu(new, mtu);
		if (master)
			rtnl_link_set_master(new, (int)master);
		rtnl_link_set_flags(new, IFF_UP);
		err = rtnl_link_change(sock, old, new, 0);
		rtnl_link_put(old);
	}
	rtnl_link_put(new);
	return err;
}

int link_setup(const char *ifname, const char *bridge, unsigned mtu)
{
	unsigned master = bridge ? if_nametoindex(bridge) : 0;
	int err;

	if (bridge && !master)
		return complain(-1, "the bridge %s has disappeared", bridge);
	if (link_begin() < 0)
		return -1;
	err = change(ifname, master, mtu);
	if (err == -NLE_PERM)
		return complain(
			-1,
			"interface %s: no permission to set it up (CAP_NET_ADMIN is missing); start as root, or set up a tap in advance and use --net=tap=%s",
			ifname, ifname);
	if (err < 0)
		return complain(-1, "interface %s: cannot set it up%s%s: %s", ifname, bridge ? " on bridge " : "",
				bridge ? bridge : "", nl_geterror(err));
	return 0;
}

static size_t address_bytes(const struct link_address *a)
{
	return a->family == AF_INET ? sizeof(a->v4) : sizeof(a->v6);
}

int link_add_address(const char *ifname, const struct link_address *a)
{
	struct rtnl_addr *addr = rtnl_addr_alloc();
	struct nl_addr *local = nl_addr_build(a->family, &a->v6, address_bytes(a));
	int err = -NLE_NOMEM;

	if (addr && local && link_begin() == 0) {
		nl_addr_set_prefixlen(local, (int)a->prefix);
		rtnl_addr_set_ifindex(addr, (int)if_nametoindex(ifname));
		/* Skip duplicate address detection, which delays the address: no other machine is on this new link. */
		if (a->family == AF_INET6)
			rtnl_addr_set_flags(addr, IFA_F_NODAD);
		err = rtnl_addr_set_local(addr, local);
		if (err >= 0)
			err = rtnl_addr_add(sock, addr, 0);
	}
	if (local)
		nl_addr_put(local);
	if (addr)
		rtnl_addr_put(addr);
	if (err < 0)
		return complain(-1, "interface %s: cannot give it the address: %s", ifname, nl_geterror(err));
	return 0;
}

/*
 * True if @have and @a have the same family and the same leading bits: all bits (@exact), or those of the shorter of
 * the two prefixes.
 */
static bool is_address(struct rtnl_addr *have, const struct link_address *a, bool exact)
{
	struct nl_addr *local = rtnl_addr_get_local(have);
	size_t len = address_bytes(a);
	unsigned bits = (unsigned)len * 8;
	const uint8_t *x, *y = (const uint8_t *)&a->v6;

	if (!local || nl_addr_get_family(local) != a->family || nl_addr_get_len(local) != len)
		return false;
	x = nl_addr_get_binary_addr(local);
	if (!exact)
		bits = MIN(a->prefix, (unsigned)rtnl_addr_get_prefixlen(have));
	for (unsigned i = 0; i < bits; i++)
		if ((x[i / 8] ^ y[i / 8]) & 0x80 >> i % 8)
			return false;
	return true;
}

bool link_find_address(const struct link_address *a, bool exact, char ifname[IFNAMSIZ])
{
	struct nl_cache *cache = NULL;
	bool found = false;

	if (link_begin() < 0 || rtnl_addr_alloc_cache(sock, &cache) < 0)
		return false;
	for (struct nl_object *o = nl_cache_get_first(cache); o && !found; o = nl_cache_get_next(o)) {
		struct rtnl_addr *have = (struct rtnl_addr *)o;

		if (!is_address(have, a, exact))
			continue;
		found = true;
		if (!if_indextoname((unsigned)rtnl_addr_get_ifindex(have), ifname))
			memcpy(ifname, "?", 2);
	}
	nl_cache_free(cache);
	return found;
}
