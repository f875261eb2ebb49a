/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Queries and configures network interfaces over netlink. */
#ifndef PARENT_SETUP_LINK_H
#define PARENT_SETUP_LINK_H

#include <net/if.h>
#include <netinet/in.h>
#include <stdbool.h>

struct link_info {
	bool exists, is_bridge, up;
	unsigned mtu;
	char type[16];
};

/* Query the interface @ifname. Returns 0 (also if it does not exist), or -1 after logging the reason. */
int link_query(const char *ifname, struct link_info *info);

/*
 * Bring @ifname up, set its MTU (@mtu bytes; 0: leave it) and attach it to @bridge (NULL: to none). Returns 0, or -1
 * after logging the reason.
 */
int link_setup(const char *ifname, const char *bridge, unsigned mtu);
/* An address of AF_INET or AF_INET6, in a network with @prefix leading bits. */
struct link_address {
	int family;
	unsigned prefix;
	union {
		struct in_addr v4;
		struct in6_addr v6;
	};
};
/* Add the address @a to @ifname. Returns 0, or -1 after logging the reason. */
int link_add_address(const char *ifname, const struct link_address *a);

/*
 * Find an interface that has the address @a (@exact), or one whose network overlaps with that of
 * @a. Returns true with its name in @ifname, or false.
 */
bool link_find_address(const struct link_address *a, bool exact, char ifname[IFNAMSIZ]);
/* Close the netlink socket, if one was opened. */
void link_done(void);

#endif
