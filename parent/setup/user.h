/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * --net=user: prepares passt, and the list of the host's addresses and resolvers for netd. Runs
 * in the parent, before and inside the privileged window.
 */
#ifndef PARENT_SETUP_USER_H
#define PARENT_SETUP_USER_H

#include "parent/setup/setup.h"

/* True if the command line has a NIC of this kind. */
bool user_wanted(const struct config *c);

/* Open passt's program for execution. Returns a descriptor, or -1 after logging the reason (not installed, too old). */
int user_open_program(void);

/* True if the host has a default route, which passt takes the guest's network from. */
bool user_has_route(void);

/* The resolvers in a file like /etc/resolv.conf. */
struct resolvers {
	char text[1024]; /* For /etc/resolv.conf in passt's room. */
	/* The first resolver of the protocol is on the host's loopback: the guest asks for it by another address. */
	bool stand_in, stand_in6;
	unsigned n;
	struct in6_addr addr[USER_RESOLVERS - 2]; /* The others; IPv4 addresses are mapped ones. */
};
/* Read those of the file @path; none if it cannot be read. */
void read_resolvers(const char *path, struct resolvers *r);
/* Read those of the host's /etc/resolv.conf. */
void user_resolvers(struct resolvers *r);

/*
 * Check that the host has a default route and that the ports of @o are free; fill in n->config.user and the
 * arguments n->passt_args. @change_user: passt will not be root. Returns 0, or -1 after logging the reason.
 */
int user_open(const struct net_option *o, struct net_host *n, bool change_user);

#endif
