/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Installs the rules of a guest's taps with one batch, and reports what this host lacks
 * for them. Runs in the parent, inside the privileged window.
 */
#include <arpa/inet.h> /* before linux/netfilter.h, which then takes its types */
#include <errno.h>
#include <fcntl.h>
#include <linux/netfilter.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "parent/options/util.h"
#include "parent/setup/guard.h"
#include "parent/setup/nft_dump.h"
#include "parent/setup/rules.h"

static struct nft_batch batch;
static char table[RULES_TABLE_MAX];

/* The host refused part @what of the rules. Returns 0 after a warning, or -1 if a setting or --strict needs them. */
static int without_rules(struct host *h, const char *what, int error)
{
	const struct config *c = h->c;
	unsigned first = c->nnets;
	const char *needs = NULL;
	bool closed = true;

	for (unsigned i = c->nnets; i-- > 0;) {
		first = rules_wanted(&c->net[i]) ? i : first;
		needs = c->net[i].nat ? "nat" : c->net[i].reach_forward ? "reach=forward" : needs;
	}
	nft_free(&batch);
	if (h->rules >= 0)
		close(h->rules);
	h->rules = -1;
	errno = error;
	if (needs)
		return complain(
			-1,
			"net%u: %s: this host's nftables refuses %s: %m; leave out %s, or load the module nf_tables",
			first, needs, what, needs);
	for (unsigned i = 0; i < c->nnets; i++)
		if (rules_wanted(&c->net[i]))
			closed &= link_close(h->net[i].ifname, &c->net[i]) == 0;
	errno = error;
	return complain(c->strict ? -1 : 0, "net%u: this host lacks: nftables rules for a tap (%s: %m); %s%s", first,
			what,
			closed ? "a filter that knows no connections takes their place: no answer over UDP arrives, "
				 "and on a bridge the guest's broadcasts reach the host"
			       : "the guest reaches every service of the host that listens on all addresses",
			c->strict ? " (--strict: not started)" : "");
}

bool rules_forwards(bool v6)
{
	int fd = open(v6 ? "/proc/sys/net/ipv6/conf/all/forwarding" : "/proc/sys/net/ipv4/ip_forward",
		      O_RDONLY | O_CLOEXEC);
	char digit = '1'; /* If it cannot be read, assume that forwarding is on. */

	if (fd >= 0 && read(fd, &digit, 1) < 0)
		digit = '1';
	if (fd >= 0)
		close(fd);
	return digit != '0';
}

/* Report settings and rules of this host that block what net[@i] is allowed to reach. */
static void check_others(const struct config *c, unsigned i)
{
	const struct net_option *o = &c->net[i];
	bool forwarded = o->nat || o->reach_forward;
	char other[80];

	if (forwarded && !rules_forwards(o->v6))
		complain(0, "net%u: %s: this host forwards nothing: %s is 0; set it to 1 (sysctl -w)", i,
			 o->nat ? "nat" : "reach=forward",
			 o->v6 ? "net.ipv6.conf.all.forwarding" : "net.ipv4.ip_forward");
	if (forwarded && nft_query_drop_policy(NF_INET_FORWARD, other, sizeof(other)) == 0 && *other)
		complain(
			0,
			"net%u: %s: the table %s drops forwarded packets unless one of its own rules accepts them, and no other table can change that; add a rule there that accepts packets from %s",
			i, o->nat ? "nat" : "reach=forward", other, o->name[0] ? o->name : "the tap");
	if ((o->nreach || o->reach_all) && nft_query_drop_policy(NF_INET_LOCAL_IN, other, sizeof(other)) == 0 && *other)
		complain(
			0,
			"net%u: reach: the table %s drops incoming packets unless one of its own rules accepts them, and no other table can change that; add a rule there that accepts packets from %s",
			i, other, o->name[0] ? o->name : "the tap");
}

int rules_send(struct host *h)
{
	static struct rules_nic nic[MAX_DEVICES];
	const struct config *c = h->c;
	unsigned n = 0;
	int error;

	for (unsigned i = 0; i < c->nnets; i++) {
		if (!rules_wanted(&c->net[i]))
			continue;
		nic[n] = (struct rules_nic){ .o = &c->net[i],
					     .ifname = h->net[i].ifname,
					     .ifindex = if_nametoindex(h->net[i].ifname) };
		snprintf(nic[n].chain, sizeof(nic[n].chain), "net%u", i);
		if (!nic[n++].ifindex)
			return complain(-1, "net%u: the interface %s has disappeared", i, h->net[i].ifname);
		check_others(c, i);
	}
	if (!n)
		return 0;
	rules_table(table, &nic[0], getpid());
	if (nft_begin(&batch, table) < 0)
		return complain(-1, "nftables: out of memory");
	rules_build(&batch, nic, n);
	h->rules = nft_socket();
	if (h->rules < 0)
		return without_rules(h, "its netlink socket", errno);
	error = nft_send(&batch, h->rules) < 0 ? errno : 0;
	return error ? without_rules(h, "the batch", error) : 0;
}

int rules_confirm(struct host *h)
{
	const char *what;

	if (h->rules < 0)
		return 0;
	if (nft_answer(&batch, h->rules, &what) < 0)
		return without_rules(h, what, errno);
	nft_free(&batch);
	return 0;
}
