/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Parses --tunnet=... and --net=..., one NIC of the guest. Runs in the parent before it
 * opens anything; parent/setup/net.c checks if the bridge or tap exists.
 */
#include <arpa/inet.h>
#include <limits.h>
#include <string.h>

#include "common/bucket.h"
#include "parent/options/dhcp.h"
#include "parent/options/net.h"
#include "parent/options/user.h"
#include "parent/options/util.h"

#define FIELD_MAX  256
#define BRIDGE_PFX "bridge:"

static struct net_option *new_net(struct config *c)
{
	struct net_option *n;

	if (c->ndevices == MAX_DEVICES)
		return NULL;
	c->device[c->ndevices].kind = DEV_NET;
	c->device[c->ndevices++].index = c->nnets;
	n = &c->net[c->nnets++];
	n->queues = 1;
	n->fd = -1;
	return n;
}

/* Returns the reason for a refused value: its part @field, and why. */
static const char *bad(struct opt_parser *p, const char *field, const char *why)
{
	return opt_why(p, "%s: %s", *field ? field : "(nothing)", why);
}

/* Returns NULL, or why the host's end cannot have the address @ip in a network of @prefix bits. */
static const char *check_address6(const struct in6_addr *ip, unsigned prefix)
{
	struct in6_addr rest = *ip;

	if (IN6_IS_ADDR_MULTICAST(ip) || IN6_IS_ADDR_LOOPBACK(ip) || IN6_IS_ADDR_V4MAPPED(ip) ||
	    IN6_IS_ADDR_UNSPECIFIED(ip))
		return "an interface cannot have such an address (multicast, loopback, unspecified or IPv4-mapped)";
	if (IN6_IS_ADDR_LINKLOCAL(ip))
		return "each interface has a link-local address of its own; take one of another network, such as fd00::1";
	for (unsigned i = 0; i < prefix; i++)
		rest.s6_addr[i / 8] = (uint8_t)(rest.s6_addr[i / 8] & ~(0x80 >> i % 8));
	if (prefix < 127 && IN6_IS_ADDR_UNSPECIFIED(&rest))
		return "that is the network's own address; take another one of that network, such as ::1";
	return NULL;
}

/* The same for an IPv4 address. */
static const char *check_address(struct in_addr ip, unsigned prefix)
{
	uint32_t a = ntohl(ip.s_addr);
	uint32_t host = prefix < 32 ? UINT32_MAX >> prefix : 0;

	if (!(a >> 24))
		return "an interface cannot have an address of the network 0.0.0.0/8";
	if (a >> 28 >= 14)
		return "an interface cannot have a multicast or reserved address";
	if (prefix < 31 && !(a & host))
		return "that is the network's own address; take another one of that network, such as .1";
	if (prefix < 31 && (a & host) == host)
		return "that is the network's broadcast address; take another one of that network, such as .1";
	return NULL;
}

/* Parse the MAC address after @colon (NULL: there is none). Returns NULL, or why it is refused. */
static const char *tunnet_mac(struct opt_parser *p, struct net_option *n, const char *colon)
{
	const char *why = colon ? parse_mac(colon + 1, n->mac) : NULL;

	if (why)
		return bad(p, colon + 1, why);
	n->have_mac = colon != NULL;
	return NULL;
}

/* Parse [IPV6][/LEN][:MAC]; the first pair of brackets is part of the value. */
static const char *tunnet_ip6(struct opt_parser *p, struct net_option *n, char *field)
{
	char *close = strchr(field, ']'), *slash, *colon = close ? strchr(close, ':') : NULL;
	uint64_t prefix = 64;
	const char *why;

	if (colon)
		*colon = '\0';
	slash = close ? strchr(close, '/') : NULL;
	if (!close || (close[1] && slash != close + 1))
		return bad(p, field, "write [IPV6-ADDRESS][/LEN][:MAC]");
	*close = '\0';
	if (slash && !parse_number(slash + 1, 1, 127, &prefix))
		return bad(p, slash + 1, "a network's length is 1 to 127 bits");
	if (inet_pton(AF_INET6, field + 1, &n->ip6) != 1)
		return bad(p, field + 1, "is no IPv6 address");
	n->kind = NET_TUNNET_IP;
	n->v6 = true;
	n->prefix = (unsigned)prefix;
	why = check_address6(&n->ip6, n->prefix);
	if (why)
		return bad(p, field + 1, why);
	return tunnet_mac(p, n, colon);
}

/* Parse IP[/LEN][:MAC]. */
static const char *tunnet_ip(struct opt_parser *p, struct net_option *n, char *field)
{
	char *colon = strchr(field, ':');
	char *slash;
	uint64_t prefix = 24;
	const char *why;

	if (*field == '[')
		return tunnet_ip6(p, n, field);
	if (colon)
		*colon = '\0';
	slash = strchr(field, '/');
	if (slash) {
		*slash = '\0';
		if (!parse_number(slash + 1, 1, 31, &prefix))
			return bad(p, slash + 1, "a network's length is 1 to 31 bits");
	}
	if (inet_pton(AF_INET, field, &n->ip) != 1)
		return bad(p, field,
			   "is no IPv4 address (write IP[/LEN][:MAC], [IPV6][/LEN][:MAC] or bridge:NAME[:MAC])");
	n->kind = NET_TUNNET_IP;
	n->prefix = (unsigned)prefix;
	why = check_address(n->ip, n->prefix);
	if (why)
		return bad(p, field, why);
	return tunnet_mac(p, n, colon);
}

/* Parse the first field of --tunnet=, what the NIC is connected to; changes @field. Returns NULL, or the reason. */
static const char *tunnet_kind(struct opt_parser *p, struct net_option *n, char *field)
{
	const char *why;
	char *colon;

	n->tunnet = true;
	if (strncmp(field, BRIDGE_PFX, strlen(BRIDGE_PFX)) != 0)
		return tunnet_ip(p, n, field);
	n->kind = NET_BRIDGE;
	colon = strchr(field + strlen(BRIDGE_PFX), ':');
	if (colon)
		*colon = '\0';
	why = parse_ifname(field + strlen(BRIDGE_PFX), n->ifname);
	if (why)
		return bad(p, "the bridge's name", why);
	return tunnet_mac(p, n, colon);
}

/* reach=tcp:PORT|udp:PORT|all|forward */
static const char *parse_reach(struct opt_parser *p, void *to, const char *value)
{
	struct net_option *n = to;
	bool tcp = !strncmp(value, "tcp:", 4);
	uint64_t port;

	(void)p;
	if (!strcmp(value, "all")) {
		n->reach_all = true;
		return NULL;
	}
	if (!strcmp(value, "forward")) {
		n->reach_forward = true;
		return NULL;
	}
	if (!strcmp(value, "host")) {
		n->reach_host = true;
		return NULL;
	}
	if ((!tcp && strncmp(value, "udp:", 4) != 0) || !parse_number(value + 4, 1, UINT16_MAX, &port))
		return "choose tcp:PORT, udp:PORT, all or forward (with --net=user: host)";
	if (n->nreach == MAX_REACH)
		return "a NIC can have at most 32 ports opened; reach=all opens all ports";
	n->reach[n->nreach].protocol = tcp ? IPPROTO_TCP : IPPROTO_UDP;
	n->reach[n->nreach++].port = (uint16_t)port;
	return NULL;
}

/* ip=ADDRESS, an address of the guest's */
static const char *parse_own(struct opt_parser *p, void *to, const char *value)
{
	struct net_option *n = to;
	struct own_addresses *own = &n->own;
	struct in6_addr v6;
	struct in_addr v4;

	(void)p;
	if (inet_pton(AF_INET, value, &v4) == 1) {
		const char *why = check_address(v4, 32);

		if (why)
			return why;
		if (own->n4 == MAX_OWN_ADDRESSES)
			return "a NIC can have 4 IPv4 addresses at most";
		memcpy(own->ip4[own->n4++], &v4, sizeof(v4));
		return NULL;
	}
	if (inet_pton(AF_INET6, value, &v6) != 1)
		return "not an IPv4 or IPv6 address";
	if (IN6_IS_ADDR_MULTICAST(&v6) || IN6_IS_ADDR_LOOPBACK(&v6) || IN6_IS_ADDR_UNSPECIFIED(&v6))
		return "not an address that an interface can have";
	if (own->n6 == MAX_OWN_ADDRESSES)
		return "a NIC can have 4 IPv6 addresses at most";
	memcpy(own->ip6[own->n6++], &v6, sizeof(v6));
	return NULL;
}

static const char *parse_tap_name(struct opt_parser *p, void *to, const char *value)
{
	struct net_option *n = to;
	const char *why = parse_ifname(value, n->name);

	return why ? opt_why(p, "the name %s", why) : NULL;
}

/* Parse pcap=FILE. */
static const char *parse_pcap(struct opt_parser *p, void *to, const char *value)
{
	struct net_option *n = to;
	char *path = config_text(p->to, strlen(value) + 1);

	if (!*value)
		return "the name of a file is missing";
	if (!path)
		return "the command line is too long";
	memcpy(path, value, strlen(value) + 1);
	n->pcap = path;
	return NULL;
}

#define NIC(member) OPT_TO(struct net_option, member)

const struct opt_row net_settings[] = {
	{ .name = "mac", .kind = OPT_MAC, .arg = "MAC", NIC(mac), OPT_SEEN(struct net_option, have_mac) },
	{ .name = "mtu",
	  .kind = OPT_NUMBER,
	  .arg = "N",
	  .min = 68,
	  .max = 65521,
	  NIC(mtu),
	  .reason = "an MTU is 68 to 65521 bytes" },
	{ .name = "offload", .kind = OPT_ON_OFF, .arg = "on|off", NIC(no_offload), .inverted = true },
	{ .name = "spoof-check", .kind = OPT_ON_OFF, .arg = "on|off", NIC(no_spoof_check), .inverted = true },
	{ .name = "queues",
	  .kind = OPT_NUMBER,
	  .arg = "N",
	  .min = 1,
	  .max = MAX_QUEUES / 2,
	  NIC(queues),
	  .reason = "the number of queue pairs is 1 to 8" },
	{ .name = "rate",
	  .kind = OPT_SIZE,
	  .arg = "PACKETS/s",
	  .min = 1,
	  .max = RATE_MAX,
	  NIC(rate_packets),
	  .reason = "give packets a second, such as 10k" },
	{ .name = "bandwidth",
	  .kind = OPT_SIZE,
	  .arg = "BYTES/s",
	  .min = 1,
	  .max = RATE_MAX,
	  NIC(rate_bytes),
	  .reason = "give bytes a second, such as 20M (k, M, G)" },
	{ .name = "reach",
	  .kind = OPT_CUSTOM,
	  .repeats = true,
	  .arg = "tcp:PORT|udp:PORT|all|forward|host",
	  .parse = parse_reach },
	{ .name = "nat", .kind = OPT_FLAG, NIC(nat) },
	{ .name = "dhcp", .kind = OPT_FLAG, NIC(dhcp) },
	{ .name = "ip", .kind = OPT_CUSTOM, .repeats = true, .arg = "ADDRESS", .parse = parse_own },
	{ .name = "forward",
	  .kind = OPT_CUSTOM,
	  .repeats = true,
	  .arg = "tcp|udp:[ADDR:]PORT:GUESTPORT",
	  .parse = parse_forward },
	{ .name = "restrict", .kind = OPT_FLAG, NIC(isolated) },
	{ .name = "ifname", .kind = OPT_CUSTOM, .arg = "NAME", .parse = parse_tap_name },
	{ .name = "pcap", .kind = OPT_CUSTOM, .arg = "FILE", .parse = parse_pcap },
	{ .name = "max",
	  .kind = OPT_SIZE,
	  .arg = "SIZE",
	  .min = 4096,
	  .max = INT64_MAX,
	  NIC(pcap_max),
	  .reason = "give the capture file's size in bytes, 4k or more, such as 64M" },
	{ .name = NULL },
};

/* True if the host's end of the tap is among the guest's own addresses. */
static bool is_own(const struct net_option *n)
{
	for (unsigned i = 0; i < n->own.n4; i++)
		if (!n->v6 && !memcmp(n->own.ip4[i], &n->ip, sizeof(n->ip)))
			return true;
	for (unsigned i = 0; i < n->own.n6; i++)
		if (n->v6 && !memcmp(n->own.ip6[i], &n->ip6, sizeof(n->ip6)))
			return true;
	return false;
}

/* Check that the settings of @n fit what it is connected to. Returns NULL, or the reason. */
static const char *check_settings(struct opt_parser *p, const struct net_option *n)
{
	bool reach = n->nat || n->reach_all || n->reach_forward || n->nreach;

	if (n->pcap_max && !n->pcap)
		return bad(p, "max", "it limits a capture file; add pcap=FILE");
	if (check_user(p, n) || check_dhcp(p, n))
		return p->why;
	if (n->kind == NET_FD && n->queues > 1)
		return bad(p, "queues", "one descriptor is one queue pair");
	if ((n->kind == NET_FD || n->kind == NET_TAP) && (reach || n->name[0]))
		return bad(
			p, reach ? "reach and nat" : "ifname",
			"only for taps that lguest-sep makes (--tunnet=, --net=bridge=); this tap's owner sets that up");
	if ((n->own.n4 || n->own.n6) && n->no_spoof_check)
		return bad(p, "ip", "not with spoof-check=off, which lets the guest use any address");
	if (n->kind == NET_TUNNET_IP && is_own(n))
		return bad(p, "ip", "that is the address of the host's end; give the guest's");
	if (n->kind == NET_BRIDGE && n->nat)
		return bad(p, "nat",
			   "only with an address (--tunnet=IP); on a bridge, the network's own router does that");
	return NULL;
}

/* Parse the value of --tunnet= into @n. Returns NULL, or the reason. */
static const char *tunnet(struct opt_parser *p, struct net_option *n, const char *value)
{
	const char *rest = value, *why;
	char field[FIELD_MAX];

	if (!*value)
		return "the value is empty; write IP[/LEN][:MAC] or bridge:NAME[:MAC]";
	if (opt_field(&rest, field, sizeof(field)) < 0)
		return "the value is too long";
	why = tunnet_kind(p, n, field);
	if (!why && rest) {
		bool mac = n->have_mac;

		n->have_mac = false;
		why = opt_settings(p, net_settings, n, rest);
		if (!why && mac && n->have_mac)
			why = bad(p, "mac", "the hardware address was given before; give it once");
		n->have_mac |= mac;
	}
	return why ? why : check_settings(p, n);
}

/* Parse the first field of --net=, what the NIC is connected to. Returns NULL, or the reason. */
static const char *set_kind(struct net_option *n, const char *key, const char *v)
{
	uint64_t num;

	if (!strcmp(key, "tap") || !strcmp(key, "bridge")) {
		n->kind = *key == 't' ? NET_TAP : NET_BRIDGE;
		return parse_ifname(v, n->ifname);
	}
	if (!strcmp(key, "fd")) {
		if (!parse_number(v, 3, INT_MAX, &num))
			return "give the number of an open descriptor, 3 or more";
		n->kind = NET_FD;
		n->fd = (int)num;
		return NULL;
	}
	if (!strcmp(key, "user")) {
		n->kind = NET_USER;
		return *v ? "write --net=user, and settings after a comma" : NULL;
	}
	return "begin with tap=NAME, bridge=NAME, fd=N or user";
}

/* Parse the value of --net= into @n. Returns NULL, or the reason. */
static const char *net(struct opt_parser *p, struct net_option *n, const char *value)
{
	const char *rest = value, *why;
	char field[FIELD_MAX], *eq;

	if (opt_field(&rest, field, sizeof(field)) < 0)
		return "the value is too long";
	eq = strchr(field, '=');
	if (eq)
		*eq = '\0';
	why = set_kind(n, field, eq ? eq + 1 : "");
	if (eq)
		*eq = '=';
	if (why)
		return bad(p, field, why);
	why = rest ? opt_settings(p, net_settings, n, rest) : NULL;
	return why ? why : check_settings(p, n);
}

/* Returns NULL, or what @n must not have in common with an earlier NIC of the guest. */
static const char *twice(const struct config *c, const struct net_option *n)
{
	for (const struct net_option *o = c->net; o < n; o++) {
		if (n->have_mac && o->have_mac && !memcmp(n->mac, o->mac, ETH_ALEN))
			return "another NIC of this guest has that hardware address already";
		if (n->name[0] && !strcmp(n->name, o->name))
			return "the tap of another NIC of this guest has that name already";
		if (n->pcap && o->pcap && !strcmp(n->pcap, o->pcap))
			return "another NIC of this guest records to that file already";
		if (same_forward(n, o))
			return "another NIC of this guest has that port forwarded already";
		if (n->kind != o->kind)
			continue;
		if (n->kind == NET_TUNNET_IP && n->v6 == o->v6 && n->ip.s_addr == o->ip.s_addr &&
		    !memcmp(&n->ip6, &o->ip6, sizeof(n->ip6)))
			return "another NIC of this guest has that address already";
		if ((n->kind == NET_TAP && !strcmp(n->ifname, o->ifname)) || (n->kind == NET_FD && n->fd == o->fd))
			return "another NIC of this guest has that tap already";
	}
	return NULL;
}

static const char *too_many(struct opt_parser *p)
{
	return opt_why(p, "a guest has %d disks and NICs at most", MAX_DEVICES);
}

static const char *add_nic(struct opt_parser *p, const char *value,
			   const char *(*parse)(struct opt_parser *p, struct net_option *n, const char *value))
{
	struct config *c = p->to;
	struct net_option *n = new_net(c);
	const char *why;

	if (!n)
		return too_many(p);
	why = parse(p, n, value);
	if (why)
		return why;
	why = twice(c, n);
	return why ? opt_why(p, "%s; take another", why) : NULL;
}

const char *parse_tunnet(struct opt_parser *p, void *to, const char *value)
{
	(void)to;
	return add_nic(p, value, tunnet);
}

const char *parse_net(struct opt_parser *p, void *to, const char *value)
{
	(void)to;
	return add_nic(p, value, net);
}

const char *parse_vhost_user_net(struct opt_parser *p, void *to, const char *value)
{
	struct net_option *n = new_net(to);

	if (!n)
		return too_many(p);
	if (!*value)
		return "the name of a socket is missing";
	n->kind = NET_VHOST_USER;
	n->path = value;
	return NULL;
}
