/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The settings that only --net=user has. Runs in the parent before it has opened anything;
 * parent/setup/user.c checks later if the ports are free on the host.
 */
#include <arpa/inet.h>
#include <string.h>

#include "parent/options/user.h"
#include "parent/options/util.h"

#define FORM "write tcp:[ADDR:]PORT:GUESTPORT, or udp:, with ports from 1 to 65535"

/*
 * Read the ADDR at the start of *@at and move *@at behind it; without ADDR, use 127.0.0.1. Returns NULL, or the reason.
 */
static const char *forward_address(struct forward *f, char **at)
{
	static const uint8_t loopback[16] = { [10] = 0xff, [11] = 0xff, 127, 0, 0, 1 };
	char *first = *at, *end = *first == '[' ? strchr(first, ']') : strchr(first, ':');

	memcpy(f->addr.s6_addr, loopback, sizeof(loopback));
	if (*first == '[') {
		if (!end || end[1] != ':')
			return "write an IPv6 address as [ADDR]:";
		*end = '\0';
		*at = end + 2;
		if (inet_pton(AF_INET6, first + 1, &f->addr) != 1 || IN6_IS_ADDR_V4MAPPED(&f->addr))
			return "this is no IPv6 address";
		return NULL;
	}
	/* PORT:GUESTPORT has one colon. */
	if (!end || !strchr(end + 1, ':'))
		return NULL;
	*end = '\0';
	*at = end + 1;
	return inet_pton(AF_INET, first, &f->addr.s6_addr[12]) == 1 ? NULL : "this is no IPv4 address";
}

const char *parse_forward(struct opt_parser *p, void *to, const char *value)
{
	struct net_option *n = to;
	struct forward *f = &n->forward[n->nforwards];
	bool tcp = !strncmp(value, "tcp:", 4);
	uint64_t port, guest;
	char text[sizeof(f->text)], *at = text + 4, *colon;
	const char *why;

	(void)p;
	if (n->nforwards == MAX_FORWARDS)
		return "a NIC can have at most 64 ports forwarded";
	if ((!tcp && strncmp(value, "udp:", 4) != 0) || strlen(value) >= sizeof(text))
		return FORM;
	memset(f, 0, sizeof(*f));
	memcpy(text, value, strlen(value) + 1);
	memcpy(f->text, value, strlen(value) + 1);
	why = forward_address(f, &at);
	if (why)
		return why;
	colon = strchr(at, ':');
	if (!colon)
		return FORM;
	*colon = '\0';
	if (!parse_number(at, 1, UINT16_MAX, &port) || !parse_number(colon + 1, 1, UINT16_MAX, &guest))
		return FORM;
	f->udp = !tcp;
	f->port = (uint16_t)port;
	f->guest_port = (uint16_t)guest;
	/* passt keeps one table of ports for all addresses. */
	for (unsigned i = 0; i < n->nforwards; i++)
		if (n->forward[i].udp == f->udp && n->forward[i].port == f->port)
			return "this port is forwarded already";
	n->nforwards++;
	return NULL;
}

const char *check_user(struct opt_parser *p, const struct net_option *n)
{
	if (n->kind != NET_USER)
		return n->isolated     ? opt_why(p, "restrict: only with --net=user")
		       : n->nforwards  ? opt_why(p, "forward: only with --net=user")
		       : n->reach_host ? opt_why(p, "reach=host: only with --net=user")
				       : NULL;
	if (n->nat)
		return opt_why(p, "nat: --net=user needs none; it works with the host's own sockets");
	if (n->reach_all || n->reach_forward || n->nreach)
		return opt_why(p, "reach: with --net=user there is only reach=host");
	if (n->name[0])
		return opt_why(p, "ifname: --net=user has no tap");
	if (n->queues > 1)
		return opt_why(p, "queues: --net=user has one queue pair");
	if (n->mtu > USER_MTU)
		return opt_why(p, "mtu: it is at most %d with --net=user", USER_MTU);
	if (n->isolated && n->reach_host)
		return opt_why(p, "restrict: it does not go together with reach=host");
	return NULL;
}

bool same_forward(const struct net_option *a, const struct net_option *b)
{
	for (unsigned i = 0; i < a->nforwards; i++)
		for (unsigned k = 0; k < b->nforwards; k++)
			if (a->forward[i].udp == b->forward[k].udp && a->forward[i].port == b->forward[k].port)
				return true;
	return false;
}
