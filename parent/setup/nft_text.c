/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Converts rules to text, so that the kernel's rules can be compared with those that were
 * sent: a dump has handles and attributes that a batch does not have. Runs in lguest-sep audit.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <libnftnl/chain.h>
#include <libnftnl/common.h>
#include <libnftnl/rule.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "parent/setup/nft_dump.h"
#include "parent/setup/nft_text.h"

/* More than any rule of ours has as text. */
#define RULE_TEXT_MAX 8192

static void add_line(struct nft_text *t, const char *chain, const char *text)
{
	struct nft_text_line *line = realloc(t->line, (t->n + 1) * sizeof(*line));

	if (!line) {
		t->failed = true;
		return;
	}
	t->line = line;
	line += t->n;
	snprintf(line->chain, sizeof(line->chain), "%s", chain);
	line->text = strdup(text);
	if (line->text)
		t->n++;
	else
		t->failed = true;
}

static void add_chain(const struct nlmsghdr *nlh, struct nft_text *t)
{
	struct nftnl_chain *c = nftnl_chain_alloc();
	char text[256] = "a chain that cannot be read";
	const char *name = NULL, *type = NULL, *device = NULL;

	if (c && nftnl_chain_nlmsg_parse(nlh, c) == 0) {
		name = nftnl_chain_get_str(c, NFTNL_CHAIN_NAME);
		type = nftnl_chain_get_str(c, NFTNL_CHAIN_TYPE);
		device = nftnl_chain_get_str(c, NFTNL_CHAIN_DEV);
		if (nftnl_chain_is_set(c, NFTNL_CHAIN_HOOKNUM))
			snprintf(text, sizeof(text), "%.40s hook %u priority %d policy %u device %.40s",
				 type ? type : "", nftnl_chain_get_u32(c, NFTNL_CHAIN_HOOKNUM),
				 nftnl_chain_get_s32(c, NFTNL_CHAIN_PRIO), nftnl_chain_get_u32(c, NFTNL_CHAIN_POLICY),
				 device ? device : "");
		else
			snprintf(text, sizeof(text), "no hook");
	}
	add_line(t, name ? name : "", text);
	if (c)
		nftnl_chain_free(c);
}

/* We never send a rule that this libnftnl cannot parse: keep a line that is equal to no other. */
static void add_rule(const struct nlmsghdr *nlh, struct nft_text *t)
{
	static char text[RULE_TEXT_MAX];
	struct nftnl_rule *r = nftnl_rule_alloc();
	const char *chain = NULL;

	snprintf(text, sizeof(text), "a rule that cannot be read");
	if (r && nftnl_rule_nlmsg_parse(nlh, r) == 0) {
		chain = nftnl_rule_get_str(r, NFTNL_RULE_CHAIN);
		/* The handle and position of a rule do not change its effect. */
		nftnl_rule_unset(r, NFTNL_RULE_HANDLE);
		nftnl_rule_unset(r, NFTNL_RULE_POSITION);
		if (nftnl_rule_snprintf(text, sizeof(text), r, NFTNL_OUTPUT_DEFAULT, 0) >= (int)sizeof(text))
			snprintf(text, sizeof(text), "a rule that is too long");
	}
	add_line(t, chain ? chain : "", text);
	if (r)
		nftnl_rule_free(r);
}

/* By chain; insertion keeps the order of the lines of one chain. */
static void sort(struct nft_text *t)
{
	for (unsigned i = 1; i < t->n; i++) {
		struct nft_text_line l = t->line[i];
		unsigned k = i;

		for (; k && strcmp(t->line[k - 1].chain, l.chain) > 0; k--)
			t->line[k] = t->line[k - 1];
		t->line[k] = l;
	}
}

static int finish(struct nft_text *t)
{
	sort(t);
	if (t->failed)
		errno = ENOMEM;
	return t->failed ? -1 : 0;
}

int nft_text_of_batch(const struct nft_batch *b, int family, struct nft_text *t)
{
	const struct nlmsghdr *nlh = (const struct nlmsghdr *)(const void *)b->buf;
	int len = (int)b->used;

	*t = (struct nft_text){ .failed = b->failed };
	for (; mnl_nlmsg_ok(nlh, len); nlh = mnl_nlmsg_next(nlh, &len)) {
		const struct nfgenmsg *g = mnl_nlmsg_get_payload(nlh);

		if (g->nfgen_family != family)
			continue;
		if (nlh->nlmsg_type == (NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_NEWCHAIN))
			add_chain(nlh, t);
		else if (nlh->nlmsg_type == (NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_NEWRULE))
			add_rule(nlh, t);
	}
	return finish(t);
}

/* The kernel dumps the chains of all tables, but only the rules of the requested one. */
struct dump {
	const char *table;
	struct nft_text *text;
};

static int on_chain(const struct nlmsghdr *nlh, void *data)
{
	const struct dump *d = data;
	struct nftnl_chain *c = nftnl_chain_alloc();

	if (c && nftnl_chain_nlmsg_parse(nlh, c) == 0 && !strcmp(nftnl_chain_get_str(c, NFTNL_CHAIN_TABLE), d->table))
		add_chain(nlh, d->text);
	if (c)
		nftnl_chain_free(c);
	return MNL_CB_OK;
}

static int on_rule(const struct nlmsghdr *nlh, void *data)
{
	const struct dump *d = data;

	add_rule(nlh, d->text);
	return MNL_CB_OK;
}

int nft_text_of_table(int family, const char *table, struct nft_text *t)
{
	char buf[512] __attribute__((aligned(NLMSG_ALIGNTO)));
	struct dump d = { table, t };
	struct nlmsghdr *nlh;

	*t = (struct nft_text){ 0 };
	nlh = nftnl_nlmsg_build_hdr(buf, NFT_MSG_GETCHAIN, (uint16_t)family, NLM_F_DUMP, 1);
	if (nft_ask(nlh, on_chain, &d) < 0)
		return -1;
	nlh = nftnl_nlmsg_build_hdr(buf, NFT_MSG_GETRULE, (uint16_t)family, NLM_F_DUMP, 1);
	mnl_attr_put_strz(nlh, NFTA_RULE_TABLE, table);
	if (nft_ask(nlh, on_rule, &d) < 0)
		return -1;
	return finish(t);
}

void nft_text_free(struct nft_text *t)
{
	for (unsigned i = 0; i < t->n; i++)
		free(t->line[i].text);
	free(t->line);
	*t = (struct nft_text){ 0 };
}

/* Which line of its chain @i is: 0 is the chain itself. */
static unsigned place(const struct nft_text *t, unsigned i)
{
	unsigned n = 0;

	while (i - n > 0 && !strcmp(t->line[i - n - 1].chain, t->line[i].chain))
		n++;
	return n;
}

bool nft_text_same(const struct nft_text *promised, const struct nft_text *is, char *text, size_t size)
{
	unsigned i = 0;
	const struct nft_text_line *p, *l;
	int order;

	while (i < promised->n && i < is->n && !strcmp(promised->line[i].chain, is->line[i].chain) &&
	       !strcmp(promised->line[i].text, is->line[i].text))
		i++;
	if (i == promised->n && i == is->n)
		return true;
	p = i < promised->n ? &promised->line[i] : NULL;
	l = i < is->n ? &is->line[i] : NULL;
	order = !p ? 1 : !l ? -1 : strcmp(p->chain, l->chain);
	if (order < 0 && place(promised, i))
		snprintf(text, size, "chain %.20s: rule %u is missing", p->chain, place(promised, i));
	else if (order < 0)
		snprintf(text, size, "chain %.20s is missing", p->chain);
	else if (order > 0 && place(is, i))
		snprintf(text, size, "chain %.20s: rule %u is not ours", l->chain, place(is, i));
	else if (order > 0)
		snprintf(text, size, "chain %.20s is not ours", l->chain);
	else if (place(is, i))
		snprintf(text, size, "chain %.20s: rule %u is another one", l->chain, place(is, i));
	else
		snprintf(text, size, "chain %.20s has another hook", l->chain);
	return false;
}
