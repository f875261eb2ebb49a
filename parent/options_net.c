// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * --tunnet=… and --net=…: one NIC of the guest. Runs in the parent before it
 * has opened anything; whether bridge and tap are there is parent/setup_net.c's
 * to say.
 */
#include <arpa/inet.h>
#include <limits.h>
#include <string.h>

#include "options.h"

#define RATE_MAX   (UINT64_C(1) << 50)
#define FIELD_MAX  256
#define BRIDGE_PFX "bridge:"

static struct net_option *new_net(struct parse *p)
{
	struct config *c = p->c;
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

static int too_many(const struct parse *p, const char *value)
{
	return complain(EXIT_USAGE, "%s=%s: a guest has %d disks and NICs at most", p->opt, value, MAX_DEVICES);
}

static int bad(const struct parse *p, const char *value, const char *field, const char *why)
{
	return complain(EXIT_USAGE, "%s=%s: %s: %s", p->opt, value, *field ? field : "(nothing)", why);
}

/* NULL, or what is wrong with the host's address @ip in a network of @prefix bits. */
static const char *judge_address(struct in_addr ip, unsigned prefix)
{
	uint32_t a = ntohl(ip.s_addr);
	uint32_t host = prefix < 32 ? UINT32_MAX >> prefix : 0;

	if (!(a >> 24))
		return "an address of the network 0 cannot be an interface's";
	if (a >> 28 >= 14)
		return "a multicast or reserved address cannot be an interface's";
	if (prefix < 31 && !(a & host))
		return "that is the network's own address; take another of it, as .1";
	if (prefix < 31 && (a & host) == host)
		return "that is the network's broadcast address; take another of it, as .1";
	return NULL;
}

/* What follows after a colon, if anything does. -1, or the exit status. */
static int tunnet_mac(struct parse *p, struct net_option *n, const char *value, const char *colon)
{
	const char *why = colon ? parse_mac(colon + 1, n->mac) : NULL;

	if (why)
		return bad(p, value, colon + 1, why);
	n->have_mac = colon != NULL;
	return -1;
}

/* IP[/LEN][:MAC] */
static int tunnet_ip(struct parse *p, struct net_option *n, const char *value, char *field)
{
	char *colon = strchr(field, ':');
	char *slash;
	uint64_t prefix = 24;
	const char *why;

	if (colon)
		*colon = '\0';
	slash = strchr(field, '/');
	if (slash) {
		*slash = '\0';
		if (!parse_number(slash + 1, 1, 31, &prefix))
			return bad(p, value, slash + 1, "a network's length is 1 to 31 bits");
	}
	if (inet_pton(AF_INET, field, &n->ip) != 1)
		return bad(p, value, field, "is no IPv4 address (write IP[/LEN][:MAC] or bridge:NAME[:MAC])");
	n->kind = NET_TUNNET_IP;
	n->prefix = (unsigned)prefix;
	why = judge_address(n->ip, n->prefix);
	if (why)
		return bad(p, value, field, why);
	return tunnet_mac(p, n, value, colon);
}

/* The value of --tunnet= into @n. -1, or the exit status. */
static int tunnet(struct parse *p, struct net_option *n, const char *value)
{
	char field[FIELD_MAX];
	const char *why;
	char *colon;

	if (strlen(value) >= sizeof(field))
		return complain(EXIT_USAGE, "%s: the value is too long", p->opt);
	memcpy(field, value, strlen(value) + 1);
	n->tunnet = true;
	if (strncmp(field, BRIDGE_PFX, strlen(BRIDGE_PFX)) != 0)
		return tunnet_ip(p, n, value, field);
	n->kind = NET_BRIDGE;
	colon = strchr(field + strlen(BRIDGE_PFX), ':');
	if (colon)
		*colon = '\0';
	why = parse_ifname(field + strlen(BRIDGE_PFX), n->ifname);
	if (why)
		return bad(p, value, "the bridge's name", why);
	return tunnet_mac(p, n, value, colon);
}

/* What the NIC is connected to: the first field of --net=. NULL, or what is wrong. */
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
	return "begin with tap=NAME, bridge=NAME or fd=N";
}

static const char *set_switch(const char *v, bool *off)
{
	if (strcmp(v, "on") != 0 && strcmp(v, "off") != 0)
		return "say on or off";
	*off = v[1] == 'f';
	return NULL;
}

static const char *set_value(struct net_option *n, const char *key, const char *v)
{
	uint64_t num = 0;
	const char *why;

	if (!strcmp(key, "mac")) {
		why = parse_mac(v, n->mac);
		n->have_mac = !why;
		return why;
	}
	if (!strcmp(key, "mtu")) {
		if (!parse_number(v, 68, 65521, &num))
			return "an MTU is 68 to 65521 bytes";
		n->mtu = (unsigned)num;
		return NULL;
	}
	if (!strcmp(key, "offload"))
		return set_switch(v, &n->no_offload);
	if (!strcmp(key, "spoof-check"))
		return set_switch(v, &n->no_spoof_check);
	if (!strcmp(key, "queues")) {
		if (!parse_number(v, 1, MAX_QUEUES / 2, &num))
			return "the number of queue pairs is 1 to 8";
		n->queues = (unsigned)num;
		return NULL;
	}
	if (!strcmp(key, "rate"))
		return parse_size(v, 1, RATE_MAX, &n->rate_packets) ? NULL : "give packets a second, as 10k";
	if (!strcmp(key, "bandwidth"))
		return parse_size(v, 1, RATE_MAX, &n->rate_bytes) ? NULL : "give bytes a second, as 20M (k, M, G)";
	return "there is no such setting (mac=, mtu=, offload=, spoof-check=, queues=, rate=, bandwidth=)";
}

/* The value of --net= into @n. -1, or the exit status. */
static int net(struct parse *p, struct net_option *n, const char *value)
{
	const char *rest = value;
	char field[FIELD_MAX];
	bool first = true;
	int got;

	while ((got = next_field(&rest, field, sizeof(field))) != 0) {
		const char *why;
		char *eq;

		if (got < 0)
			return complain(EXIT_USAGE, "%s: the value is too long", p->opt);
		eq = strchr(field, '=');
		if (eq)
			*eq = '\0';
		why = first ? set_kind(n, field, eq ? eq + 1 : "") : set_value(n, field, eq ? eq + 1 : "");
		if (eq)
			*eq = '=';
		if (why)
			return bad(p, value, field, why);
		first = false;
	}
	if (n->kind == NET_FD && n->queues > 1)
		return bad(p, value, "queues", "one descriptor is one queue pair");
	return -1;
}

/* Two NICs of a guest cannot be one and the same: what @n has in common with an earlier one, or NULL. */
static const char *twice(const struct config *c, const struct net_option *n)
{
	for (const struct net_option *o = c->net; o < n; o++) {
		if (n->have_mac && o->have_mac && !memcmp(n->mac, o->mac, ETH_ALEN))
			return "another NIC of this guest has that hardware address already";
		if (n->kind != o->kind)
			continue;
		if (n->kind == NET_TUNNET_IP && n->ip.s_addr == o->ip.s_addr)
			return "another NIC of this guest has that address already";
		if ((n->kind == NET_TAP && !strcmp(n->ifname, o->ifname)) || (n->kind == NET_FD && n->fd == o->fd))
			return "another NIC of this guest has that tap already";
	}
	return NULL;
}

static int add_nic(struct parse *p, const char *value,
		   int (*parse)(struct parse *p, struct net_option *n, const char *value))
{
	struct net_option *n = new_net(p);
	const char *why;
	int status;

	if (!n)
		return too_many(p, value);
	status = parse(p, n, value);
	if (status >= 0)
		return status;
	why = twice(p->c, n);
	return why ? complain(EXIT_USAGE, "%s=%s: %s; take another", p->opt, value, why) : -1;
}

int parse_tunnet(struct parse *p, const char *value)
{
	return add_nic(p, value, tunnet);
}

int parse_net(struct parse *p, const char *value)
{
	return add_nic(p, value, net);
}

int parse_vhost_user_net(struct parse *p, const char *value)
{
	struct net_option *n = new_net(p);

	if (!n)
		return too_many(p, value);
	if (!*value)
		return complain(EXIT_USAGE, "%s: the name of a socket is missing", p->opt);
	n->kind = NET_VHOST_USER;
	n->path = value;
	return -1;
}
