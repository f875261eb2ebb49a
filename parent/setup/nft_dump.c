/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Queries nftables, with one request and its answer each. Runs in the parent, inside the
 * privileged window (only if nat or reach= are given), and in lguest-sep audit and doctor.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <libnftnl/chain.h>
#include <libnftnl/common.h>
#include <libnftnl/table.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/util.h"
#include "parent/setup/nft.h"
#include "parent/setup/nft_dump.h"
#include "parent/setup/rules.h"

#ifndef NFT_TABLE_F_OWNER /* Linux 5.12 */
#define NFT_TABLE_F_OWNER 0x2
#endif

#define ANSWER_MS 5000

int nft_ask(const struct nlmsghdr *nlh, int (*cb)(const struct nlmsghdr *nlh, void *data), void *data)
{
	char buf[32768] __attribute__((aligned(NLMSG_ALIGNTO)));
	int fd = nft_socket(), result = fd < 0 ? -1 : MNL_CB_OK, saved;
	struct pollfd p = { .fd = fd, .events = POLLIN };

	if (fd >= 0 && send(fd, nlh, nlh->nlmsg_len, 0) < 0)
		result = -1;
	while (result >= MNL_CB_OK) {
		ssize_t n;
		int ready = poll(&p, 1, ANSWER_MS);

		if (ready < 0 && errno == EINTR)
			continue;
		if (ready == 0)
			errno = ETIMEDOUT;
		n = ready > 0 ? recv(fd, buf, sizeof(buf), MSG_DONTWAIT) : -1;
		result = n < 0 ? -1 : mnl_cb_run(buf, (size_t)n, nlh->nlmsg_seq, 0, cb, data);
	}
	saved = errno;
	if (fd >= 0)
		close(fd);
	errno = saved;
	return result < 0 ? -1 : 0;
}

static int on_table(const struct nlmsghdr *nlh, void *data)
{
	struct nft_table_info *info = data;
	struct nftnl_table *t = nftnl_table_alloc();

	if (t && nftnl_table_nlmsg_parse(nlh, t) == 0) {
		info->exists = true;
		info->owned = nftnl_table_get_u32(t, NFTNL_TABLE_FLAGS) & NFT_TABLE_F_OWNER;
		info->dormant = nftnl_table_get_u32(t, NFTNL_TABLE_FLAGS) & NFT_TABLE_F_DORMANT;
		info->owner = nftnl_table_get_u32(t, NFTNL_TABLE_OWNER);
	}
	nftnl_table_free(t);
	return MNL_CB_OK;
}

int nft_query_table(int family, const char *table, struct nft_table_info *info)
{
	char buf[512] __attribute__((aligned(NLMSG_ALIGNTO)));
	struct nlmsghdr *nlh = nftnl_nlmsg_build_hdr(buf, NFT_MSG_GETTABLE, (uint16_t)family, NLM_F_ACK, 1);

	*info = (struct nft_table_info){ 0 };
	mnl_attr_put_strz(nlh, NFTA_TABLE_NAME, table);
	if (nft_ask(nlh, on_table, info) < 0 && errno != ENOENT)
		return -1;
	return 0;
}

struct policy_search {
	uint32_t hook;
	char *name;
	size_t size;
};

static const char *family_name(uint32_t family)
{
	return family == NFPROTO_IPV4 ? "ip" : family == NFPROTO_IPV6 ? "ip6" : "inet";
}

static int on_chain(const struct nlmsghdr *nlh, void *data)
{
	const struct policy_search *s = data;
	struct nftnl_chain *c = nftnl_chain_alloc();
	uint32_t family;

	if (!c || nftnl_chain_nlmsg_parse(nlh, c) < 0) {
		nftnl_chain_free(c);
		return MNL_CB_OK;
	}
	family = nftnl_chain_get_u32(c, NFTNL_CHAIN_FAMILY);
	if (!*s->name && nftnl_chain_is_set(c, NFTNL_CHAIN_HOOKNUM) &&
	    (family == NFPROTO_INET || family == NFPROTO_IPV4 || family == NFPROTO_IPV6) &&
	    nftnl_chain_get_u32(c, NFTNL_CHAIN_HOOKNUM) == s->hook &&
	    nftnl_chain_get_u32(c, NFTNL_CHAIN_POLICY) == NF_DROP)
		snprintf(s->name, s->size, "%s %s", family_name(family), nftnl_chain_get_str(c, NFTNL_CHAIN_TABLE));
	nftnl_chain_free(c);
	return MNL_CB_OK;
}

int nft_query_drop_policy(uint32_t hook, char *name, size_t size)
{
	char buf[512] __attribute__((aligned(NLMSG_ALIGNTO)));
	struct nlmsghdr *nlh = nftnl_nlmsg_build_hdr(buf, NFT_MSG_GETCHAIN, NFPROTO_UNSPEC, NLM_F_DUMP, 1);
	struct policy_search s = { hook, name, size };

	*name = '\0';
	return nft_ask(nlh, on_chain, &s);
}
