/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Chooses what netd's DHCP server, or its router advertisement, tells the guest of a tap. The resolvers are those of
 * the host's /etc/resolv.conf that a guest behind this tap can reach: none on the host's loopback, and none on another
 * address of the host, unless reach= opens port 53 there.
 */
#include <arpa/inet.h>
#include <ifaddrs.h>
#include <string.h>

#include "parent/options/dhcp.h"
#include "parent/options/util.h"
#include "parent/setup/dhcp.h"
#include "parent/setup/user.h"

#define PORT_DNS 53
/* Between two unsolicited router advertisements, in milliseconds (MaxRtrAdvInterval of RFC 4861, 6.2.1). */
#define RA_INTERVAL_MS 600000
/* systemd-resolved lists the resolvers that it asks here, and in /etc/resolv.conf only its own loopback address. */
#define RESOLVED "/run/systemd/resolve/resolv.conf"

static bool reaches_host_dns(const struct net_option *o)
{
	bool opened = o->reach_all;

	for (unsigned i = 0; i < o->nreach; i++)
		opened = opened || (o->reach[i].protocol == IPPROTO_UDP && o->reach[i].port == PORT_DNS);
	return opened;
}

static bool has_address(const struct sockaddr *a, int family, const uint8_t *ip)
{
	if (!a || a->sa_family != family)
		return false;
	return family == AF_INET ? !memcmp(&((const struct sockaddr_in *)(const void *)a)->sin_addr, ip, 4)
				 : !memcmp(&((const struct sockaddr_in6 *)(const void *)a)->sin6_addr, ip, 16);
}

/* True if an interface of the host has the address @ip. If that cannot be found out, false. */
static bool is_hosts(int family, const uint8_t *ip)
{
	struct ifaddrs *list, *i;
	bool found = false;

	if (getifaddrs(&list) < 0)
		return false;
	for (i = list; i && !found; i = i->ifa_next)
		found = has_address(i->ifa_addr, family, ip);
	freeifaddrs(list);
	return found;
}

/* Add the resolvers in @path that the guest can reach. */
static void add_resolvers(const struct net_option *o, struct dhcp_config *d, const char *path)
{
	struct resolvers r;

	read_resolvers(path, &r);
	for (unsigned i = 0; i < r.n && d->ndns < DHCP_RESOLVERS; i++) {
		const uint8_t *ip = &r.addr[i].s6_addr[12];

		if (!IN6_IS_ADDR_V4MAPPED(&r.addr[i]) || !memcmp(ip, "\0\0\0\0", 4) ||
		    (!reaches_host_dns(o) && (!memcmp(ip, d->host, 4) || is_hosts(AF_INET, ip))))
			continue;
		memcpy(d->dns[d->ndns++], ip, 4);
	}
}

/* The same for an IPv6 tap. A link-local resolver would need an interface, which the guest cannot know. */
static void add_resolvers6(const struct net_option *o, struct ra_config *ra, const char *path)
{
	struct resolvers r;

	read_resolvers(path, &r);
	for (unsigned i = 0; i < r.n && ra->ndns < DHCP_RESOLVERS; i++) {
		const struct in6_addr *a = &r.addr[i];

		if (IN6_IS_ADDR_V4MAPPED(a) || IN6_IS_ADDR_UNSPECIFIED(a) || IN6_IS_ADDR_LINKLOCAL(a) ||
		    (!reaches_host_dns(o) && (!memcmp(a, ra->host, sizeof(*a)) || is_hosts(AF_INET6, a->s6_addr))))
			continue;
		memcpy(ra->dns[ra->ndns++], a, sizeof(*a));
	}
}

static void no_resolver(const char *who, int version)
{
	complain(0,
		 "%s: dhcp: /etc/resolv.conf names no IPv%d resolver that the guest can reach, so the guest gets none",
		 who, version);
}

static void configure_ra(const struct net_option *o, struct net_host *n, const char *who)
{
	struct ra_config *ra = &n->config.ra;

	ra->on = true;
	ra->interval_ms = RA_INTERVAL_MS;
	memcpy(ra->host, &o->ip6, sizeof(ra->host));
	memcpy(ra->host_mac, n->host_mac, sizeof(ra->host_mac));
	own_link_local(n->host_mac, ra->local);
	ra->router = o->nat || o->reach_forward;
	if (!ra->router)
		return;
	add_resolvers6(o, ra, "/etc/resolv.conf");
	if (!ra->ndns)
		add_resolvers6(o, ra, RESOLVED);
	if (!ra->ndns)
		no_resolver(who, 6);
}

void dhcp_configure(const struct net_option *o, struct net_host *n, const char *who)
{
	struct dhcp_config *d = &n->config.dhcp;
	uint32_t guest;

	if (o->v6) {
		configure_ra(o, n, who);
		return;
	}
	guest = htonl(dhcp_guest(o));
	d->on = true;
	memcpy(d->host_mac, n->host_mac, sizeof(d->host_mac));
	d->prefix = (uint8_t)o->prefix;
	memcpy(d->host, &o->ip, sizeof(d->host));
	memcpy(d->guest, &guest, sizeof(d->guest));
	d->router = o->nat || o->reach_forward;
	if (!d->router)
		return;
	add_resolvers(o, d, "/etc/resolv.conf");
	if (!d->ndns)
		add_resolvers(o, d, RESOLVED);
	if (!d->ndns)
		no_resolver(who, 4);
}
