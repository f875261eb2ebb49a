/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Queries nftables tables, chains and rules; changes nothing. */
#ifndef PARENT_SETUP_NFT_DUMP_H
#define PARENT_SETUP_NFT_DUMP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct nlmsghdr;

struct nft_table_info {
	bool exists;
	bool dormant;	/* None of its chains is called. */
	bool owned;	/* It exists as long as the netlink socket @owner. */
	uint32_t owner; /* Port number of that socket. */
};

/*
 * All functions here return -1 with errno set on failure (EPERM without CAP_NET_ADMIN in this network namespace). This
 * one returns 0 on success, also if there is no such table.
 */
int nft_query_table(int family, const char *table, struct nft_table_info *info);
/*
 * Find a chain at hook @hook (NF_INET_*) whose policy is to drop. Writes its "FAMILY TABLE"
 * to @name (@size bytes), or an empty string if there is none. Returns 0, or -1.
 */
int nft_query_drop_policy(uint32_t hook, char *name, size_t size);

/* Send @nlh and call @cb for each message of the answer, as mnl_cb_run() does. */
int nft_ask(const struct nlmsghdr *nlh, int (*cb)(const struct nlmsghdr *nlh, void *data), void *data);

#endif
