/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Builds and sends batches of nftables changes over netlink. Runs in the parent, inside
 * the privileged window, and in lguest-sep doctor.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <libnftnl/chain.h>
#include <libnftnl/common.h>
#include <libnftnl/expr.h>
#include <libnftnl/rule.h>
#include <libnftnl/table.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netlink.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/util.h"
#include "parent/setup/nft.h"

/* Most bytes of one message; libnftnl does not check the size of the buffer. */
#define MESSAGE_MAX 4096
/* A limit for the wait, which is not expected: the kernel answers before sendto(2) returns. */
#define ANSWER_MS 5000

#ifndef NFT_TABLE_F_OWNER /* Linux 5.12 */
#define NFT_TABLE_F_OWNER 0x2
#endif

/* Append the header of a message and return it, or NULL if the buffer is full. @what: its name for error messages. */
static struct nlmsghdr *message(struct nft_batch *b, uint16_t type, int family, uint16_t flags, const char *what)
{
	if (b->messages + 2 >= NFT_MESSAGES_MAX || b->used + 2 * MESSAGE_MAX > NFT_BYTES_MAX)
		b->failed = true;
	if (b->failed)
		return NULL;
	b->what[++b->messages] = what;
	return nftnl_nlmsg_build_hdr(b->buf + b->used, type, (uint16_t)family, flags, b->messages);
}

static void message_end(struct nft_batch *b, struct nlmsghdr *nlh)
{
	b->last = nlh;
	b->used += MNL_ALIGN(nlh->nlmsg_len);
}

int nft_begin(struct nft_batch *b, const char *table)
{
	/* Not @what, which would be 32 KiB to clear: each of its elements is written before it is read. */
	b->used = 0;
	b->last = NULL;
	b->messages = 0;
	b->table = table;
	b->rule = NULL;
	b->failed = false;
	b->buf = calloc(1, NFT_BYTES_MAX);
	if (!b->buf)
		return -1;
	b->what[0] = "the batch";
	message_end(b, nftnl_batch_begin(b->buf, 0));
	return 0;
}

void nft_free(struct nft_batch *b)
{
	if (b->rule)
		nftnl_rule_free(b->rule);
	free(b->buf);
	b->rule = NULL;
	b->buf = NULL;
}

void nft_table(struct nft_batch *b, int family)
{
	struct nlmsghdr *nlh = message(b, NFT_MSG_NEWTABLE, family, NLM_F_CREATE | NLM_F_EXCL,
				       "a table that belongs to a process (Linux 5.12)");
	struct nftnl_table *t = nlh ? nftnl_table_alloc() : NULL;

	if (!t) {
		b->failed = true;
		return;
	}
	nftnl_table_set_str(t, NFTNL_TABLE_NAME, b->table);
	nftnl_table_set_u32(t, NFTNL_TABLE_FLAGS, NFT_TABLE_F_OWNER);
	nftnl_table_nlmsg_build_payload(nlh, t);
	message_end(b, nlh);
	nftnl_table_free(t);
}

void nft_chain(struct nft_batch *b, int family, const char *name, const struct nft_hook *hook)
{
	struct nlmsghdr *nlh = message(b, NFT_MSG_NEWCHAIN, family, NLM_F_CREATE | NLM_F_EXCL, "a chain");
	struct nftnl_chain *c = nlh ? nftnl_chain_alloc() : NULL;

	if (!c) {
		b->failed = true;
		return;
	}
	nftnl_chain_set_str(c, NFTNL_CHAIN_TABLE, b->table);
	nftnl_chain_set_str(c, NFTNL_CHAIN_NAME, name);
	if (hook) {
		nftnl_chain_set_str(c, NFTNL_CHAIN_TYPE, hook->type);
		nftnl_chain_set_u32(c, NFTNL_CHAIN_HOOKNUM, hook->number);
		nftnl_chain_set_s32(c, NFTNL_CHAIN_PRIO, hook->priority);
		nftnl_chain_set_u32(c, NFTNL_CHAIN_POLICY, NF_ACCEPT);
		if (hook->device)
			nftnl_chain_set_str(c, NFTNL_CHAIN_DEV, hook->device);
	}
	nftnl_chain_nlmsg_build_payload(nlh, c);
	message_end(b, nlh);
	nftnl_chain_free(c);
}

void nft_rule(struct nft_batch *b, int family, const char *chain)
{
	b->rule = nftnl_rule_alloc();
	if (!b->rule) {
		b->failed = true;
		return;
	}
	nftnl_rule_set_u32(b->rule, NFTNL_RULE_FAMILY, (uint32_t)family);
	nftnl_rule_set_str(b->rule, NFTNL_RULE_TABLE, b->table);
	nftnl_rule_set_str(b->rule, NFTNL_RULE_CHAIN, chain);
}

void nft_rule_end(struct nft_batch *b)
{
	struct nlmsghdr *nlh;

	if (!b->rule)
		return;
	nlh = message(b, NFT_MSG_NEWRULE, (int)nftnl_rule_get_u32(b->rule, NFTNL_RULE_FAMILY),
		      NLM_F_CREATE | NLM_F_APPEND, "a rule");
	if (nlh) {
		nftnl_rule_nlmsg_build_payload(nlh, b->rule);
		message_end(b, nlh);
	}
	nftnl_rule_free(b->rule);
	b->rule = NULL;
}

/* Append an expression to the current rule and return it, or NULL. The rule owns it. */
static struct nftnl_expr *expression(struct nft_batch *b, const char *name)
{
	struct nftnl_expr *e = b->rule ? nftnl_expr_alloc(name) : NULL;

	if (!e)
		b->failed = true;
	else
		nftnl_rule_add_expr(b->rule, e);
	return e;
}

void nft_meta(struct nft_batch *b, uint32_t key)
{
	struct nftnl_expr *e = expression(b, "meta");

	if (!e)
		return;
	nftnl_expr_set_u32(e, NFTNL_EXPR_META_KEY, key);
	nftnl_expr_set_u32(e, NFTNL_EXPR_META_DREG, NFT_REG_1);
}

void nft_payload(struct nft_batch *b, uint32_t base, uint32_t offset, uint32_t len)
{
	struct nftnl_expr *e = expression(b, "payload");

	if (!e)
		return;
	nftnl_expr_set_u32(e, NFTNL_EXPR_PAYLOAD_BASE, base);
	nftnl_expr_set_u32(e, NFTNL_EXPR_PAYLOAD_OFFSET, offset);
	nftnl_expr_set_u32(e, NFTNL_EXPR_PAYLOAD_LEN, len);
	nftnl_expr_set_u32(e, NFTNL_EXPR_PAYLOAD_DREG, NFT_REG_1);
}

void nft_fib(struct nft_batch *b, uint32_t result, uint32_t flags)
{
	struct nftnl_expr *e = expression(b, "fib");

	if (!e)
		return;
	nftnl_expr_set_u32(e, NFTNL_EXPR_FIB_RESULT, result);
	nftnl_expr_set_u32(e, NFTNL_EXPR_FIB_FLAGS, flags);
	nftnl_expr_set_u32(e, NFTNL_EXPR_FIB_DREG, NFT_REG_1);
}

void nft_ct(struct nft_batch *b, uint32_t key)
{
	struct nftnl_expr *e = expression(b, "ct");

	if (!e)
		return;
	nftnl_expr_set_u32(e, NFTNL_EXPR_CT_KEY, key);
	nftnl_expr_set_u32(e, NFTNL_EXPR_CT_DREG, NFT_REG_1);
}

void nft_ct_original(struct nft_batch *b, uint32_t key)
{
	struct nftnl_expr *e = expression(b, "ct");

	if (!e)
		return;
	nftnl_expr_set_u32(e, NFTNL_EXPR_CT_KEY, key);
	nftnl_expr_set_u32(e, NFTNL_EXPR_CT_DREG, NFT_REG_1);
	nftnl_expr_set_u8(e, NFTNL_EXPR_CT_DIR, 0);
}

void nft_mask(struct nft_batch *b, const void *mask, uint32_t len)
{
	static const uint8_t zero[16];
	struct nftnl_expr *e = expression(b, "bitwise");

	if (!e)
		return;
	nftnl_expr_set_u32(e, NFTNL_EXPR_BITWISE_SREG, NFT_REG_1);
	nftnl_expr_set_u32(e, NFTNL_EXPR_BITWISE_DREG, NFT_REG_1);
	nftnl_expr_set_u32(e, NFTNL_EXPR_BITWISE_LEN, len);
	nftnl_expr_set_data(e, NFTNL_EXPR_BITWISE_MASK, mask, len);
	nftnl_expr_set_data(e, NFTNL_EXPR_BITWISE_XOR, zero, len);
}

void nft_compare(struct nft_batch *b, bool equal, const void *data, uint32_t len)
{
	struct nftnl_expr *e = expression(b, "cmp");

	if (!e)
		return;
	nftnl_expr_set_u32(e, NFTNL_EXPR_CMP_SREG, NFT_REG_1);
	nftnl_expr_set_u32(e, NFTNL_EXPR_CMP_OP, equal ? NFT_CMP_EQ : NFT_CMP_NEQ);
	nftnl_expr_set_data(e, NFTNL_EXPR_CMP_DATA, data, len);
}

void nft_compare_u8(struct nft_batch *b, uint8_t value)
{
	nft_compare(b, true, &value, sizeof(value));
}

void nft_compare_u32(struct nft_batch *b, bool equal, uint32_t value)
{
	nft_compare(b, equal, &value, sizeof(value));
}

void nft_verdict(struct nft_batch *b, int verdict, const char *chain)
{
	struct nftnl_expr *e = expression(b, "immediate");

	if (!e)
		return;
	nftnl_expr_set_u32(e, NFTNL_EXPR_IMM_DREG, NFT_REG_VERDICT);
	nftnl_expr_set_u32(e, NFTNL_EXPR_IMM_VERDICT, (uint32_t)verdict);
	if (chain)
		nftnl_expr_set_str(e, NFTNL_EXPR_IMM_CHAIN, chain);
}

void nft_set_mark(struct nft_batch *b, uint32_t mark)
{
	struct nftnl_expr *e = expression(b, "immediate");

	if (!e)
		return;
	nftnl_expr_set_u32(e, NFTNL_EXPR_IMM_DREG, NFT_REG_1);
	nftnl_expr_set_data(e, NFTNL_EXPR_IMM_DATA, &mark, sizeof(mark));
	e = expression(b, "meta");
	if (!e)
		return;
	nftnl_expr_set_u32(e, NFTNL_EXPR_META_KEY, NFT_META_MARK);
	nftnl_expr_set_u32(e, NFTNL_EXPR_META_SREG, NFT_REG_1);
}

void nft_do(struct nft_batch *b, const char *name)
{
	(void)expression(b, name);
}

int nft_socket(void)
{
	struct sockaddr_nl self = { .nl_family = AF_NETLINK };
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER);
	int bytes = 2 * NFT_BYTES_MAX, saved;

	if (fd < 0)
		return -1;
	/* A batch for many NICs exceeds the default send buffer. */
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof(bytes));
	if (bind(fd, (struct sockaddr *)&self, sizeof(self)) == 0)
		return fd;
	saved = errno;
	close(fd);
	errno = saved;
	return -1;
}

int nft_send(struct nft_batch *b, int fd)
{
	struct sockaddr_nl kernel = { .nl_family = AF_NETLINK };
	struct nlmsghdr *nlh;
	ssize_t n;

	if (b->failed) {
		errno = ENOBUFS;
		return -1;
	}
	/* The kernel always reports errors, but success only on request: ask for it in the last message. */
	b->last->nlmsg_flags |= NLM_F_ACK;
	nlh = nftnl_batch_end(b->buf + b->used, b->messages + 1);
	message_end(b, nlh);
	n = sendto(fd, b->buf, b->used, 0, (struct sockaddr *)&kernel, sizeof(kernel));
	return n == (ssize_t)b->used ? 0 : -1;
}

/*
 * Evaluate one datagram of answers. Returns 1 if the last message was acknowledged, 0 if not yet, or -1 with errno set
 * and the refused part in *@what.
 */
static int read_answers(const struct nft_batch *b, const char *buf, int len, const char **what)
{
	const struct nlmsghdr *nlh = (const struct nlmsghdr *)(const void *)buf;
	bool last = false;

	for (; mnl_nlmsg_ok(nlh, len); nlh = mnl_nlmsg_next(nlh, &len)) {
		const struct nlmsgerr *e = mnl_nlmsg_get_payload(nlh);

		if (nlh->nlmsg_type != NLMSG_ERROR || mnl_nlmsg_get_payload_len(nlh) < sizeof(e->error))
			continue;
		if (e->error) {
			*what = nlh->nlmsg_seq <= b->messages ? b->what[nlh->nlmsg_seq] : b->what[0];
			errno = -e->error;
			return -1;
		}
		last |= nlh->nlmsg_seq == b->messages;
	}
	return last;
}

int nft_answer(const struct nft_batch *b, int fd, const char **what)
{
	char buf[8192] __attribute__((aligned(NLMSG_ALIGNTO)));
	struct pollfd p = { .fd = fd, .events = POLLIN };
	int result = 0;

	*what = b->what[0];
	while (result == 0) {
		int ready = poll(&p, 1, ANSWER_MS);
		ssize_t n;

		if (ready < 0 && errno == EINTR)
			continue;
		if (ready == 0)
			errno = ETIMEDOUT;
		if (ready <= 0)
			return -1;
		n = recv(fd, buf, sizeof(buf), MSG_DONTWAIT);
		if (n < 0)
			return -1;
		result = read_answers(b, buf, (int)n, what);
	}
	return result < 0 ? -1 : 0;
}
