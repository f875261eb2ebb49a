/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Checks the network limits of a running guest: reads the nftables table of its taps and the
 * filter on each over netlink, and compares them with the guest's options. Runs in
 * lguest-sep audit, briefly in the supervisor's network namespace.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_ether.h>
#include <linux/netfilter.h>
#include <linux/netlink.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/fdtab.h"
#include "parent/audit/check.h"
#include "parent/audit/network.h"
#include "parent/setup/guard_dump.h"
#include "parent/setup/nft_dump.h"
#include "parent/setup/nft_text.h"

#define RULES  "tap rules"
#define OWNER  "owner of the tap rules"
#define FILTER "filter on a tap"

static const char promised_rules[] = "those of its options";

/* ---- the table ---- */

static const char *family_text(int family)
{
	return family == NFPROTO_INET ? "inet" : family == NFPROTO_NETDEV ? "netdev" : "bridge";
}

/* Check the table that must exist in @family. Returns true if it is correct, otherwise adds a row that reports why. */
static bool judge_table(struct audit_guest *g, const struct nft_batch *b, int family, struct nft_table_info *info)
{
	struct nft_text want = { 0 }, is = { 0 };
	char text[128] = "";
	bool good = false;

	if (nft_text_of_batch(b, family, &want) < 0)
		audit_guest_check(g, NOT_SHOWN, RULES, promised_rules, "out of memory");
	else if (!want.n)
		good = true;
	else if (nft_query_table(family, b->table, info) < 0 || nft_text_of_table(family, b->table, &is) < 0)
		audit_guest_check(g, NOT_SHOWN, RULES, promised_rules,
				  errno == EPERM || errno == EACCES ? "only root may see them"
								    : "the kernel does not show them");
	else if (!info->exists)
		audit_guest_check(g, WEAKER, RULES, promised_rules, "no table %s %s", family_text(family), b->table);
	else if (info->dormant)
		audit_guest_check(g, WEAKER, RULES, promised_rules, "table %s %s is dormant", family_text(family),
				  b->table);
	else if (!nft_text_same(&want, &is, text, sizeof(text)))
		audit_guest_check(g, WEAKER, RULES, promised_rules, "table %s %s: %s", family_text(family), b->table,
				  text);
	else
		good = true;
	nft_text_free(&want);
	nft_text_free(&is);
	return good;
}

/* Returns the inode of the netfilter netlink socket with port number @owner in this network namespace, or 0. */
static uint64_t socket_of(uint32_t owner)
{
	FILE *f = fopen("/proc/self/net/netlink", "re");
	uint64_t inode = 0;
	char line[256];

	if (!f)
		return 0;
	while (!inode && fgets(line, sizeof(line), f)) {
		uint64_t field[10] = { 0 };
		char *save = NULL;
		unsigned n = 0;

		/* Address, protocol and port of the socket; six more, and the inode. */
		for (char *p = strtok_r(line, " \n", &save); p && n < ARRAY_SIZE(field);
		     p = strtok_r(NULL, " \n", &save))
			field[n++] = strtoull(p, NULL, 10);
		if (n == ARRAY_SIZE(field) && field[1] == NETLINK_NETFILTER && field[2] == owner)
			inode = field[9];
	}
	fclose(f);
	return inode;
}

static const struct audit_fd *fd_of(const struct facts *f, unsigned number)
{
	for (unsigned i = 0; i < f->nfds; i++)
		if (f->fd[i].number == number)
			return &f->fd[i];
	return NULL;
}

static uint64_t socket_inode(const struct audit_fd *d)
{
	static const char start[] = "socket:[";

	if (!d || strncmp(d->target, start, strlen(start)) != 0)
		return 0;
	return strtoull(d->target + strlen(start), NULL, 10);
}

static bool holds(const struct facts *f, uint64_t inode)
{
	for (unsigned i = 0; i < f->nfds; i++)
		if (inode && socket_inode(&f->fd[i]) == inode)
			return true;
	return false;
}

static void judge_owner(struct audit_guest *g, const struct nft_table_info *info, const uint64_t *held_by)
{
	static const char promised[] = "the supervisor and each netd";
	uint64_t inode = info->owned ? socket_of(info->owner) : 0;
	unsigned other = 0;

	for (unsigned i = 0; held_by[i]; i++)
		other += held_by[i] != inode;
	other += !holds(&g->process[0].f, inode);
	if (!info->owned)
		audit_guest_check(g, WEAKER, OWNER, promised, "nobody: they stay when the guest has ended");
	else if (other)
		audit_guest_check(g, WEAKER, OWNER, promised, "%u of the guest's processes do not hold it", other);
	else
		audit_guest_check(g, AS_PROMISED, OWNER, promised, "held by all of them");
}

/* The number that process @pid has in its own PID namespace. */
static pid_t own_pid(pid_t pid)
{
	char path[64], line[256];
	pid_t own = pid;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f))
		if (!strncmp(line, "NSpid:", 6))
			own = (pid_t)strtol(strrchr(line, '\t') + 1, NULL, 10);
	if (f)
		fclose(f);
	return own;
}

void audit_rules(struct audit_guest *g, const struct rules_nic *nic, unsigned n, const uint64_t *held_by)
{
	static const int families[] = { NFPROTO_INET, NFPROTO_NETDEV, NFPROTO_BRIDGE };
	static struct nft_batch b;
	struct nft_table_info info[ARRAY_SIZE(families)] = { 0 };
	char table[RULES_TABLE_MAX];
	bool good = true;

	rules_table(table, nic, own_pid(g->pid));
	if (nft_begin(&b, table) < 0) {
		audit_guest_check(g, NOT_SHOWN, RULES, promised_rules, "out of memory");
		return;
	}
	rules_build(&b, nic, n);
	for (unsigned i = 0; i < ARRAY_SIZE(families); i++)
		good &= judge_table(g, &b, families[i], &info[i]);
	nft_free(&b);
	if (good)
		audit_guest_check(g, AS_PROMISED, RULES, promised_rules, "table %s", table);
	for (unsigned i = 0; i < ARRAY_SIZE(families); i++) {
		if (!info[i].exists)
			continue;
		judge_owner(g, &info[i], held_by);
		/* All tables have the same owner; otherwise another row reports it. */
		if (info[0].owned && info[i].owned && info[i].owner == info[0].owner)
			break;
	}
}

/* ---- the filter on the tap ---- */

static bool same_program(const struct guard_program *a, const struct guard_program *b)
{
	return a->n == b->n && !memcmp(a->code, b->code, a->n * sizeof(a->code[0]));
}

/*
 * True if @is is the filter of @nic. An address that lguest-sep chose is in no option: then the filter
 * has to let through one address alone, whichever that is.
 */
static bool is_promised(const struct rules_nic *nic, const struct guard_program *is)
{
	static struct guard_program want;
	struct net_config c = { .spoof_check = !nic->o->no_spoof_check, .own = nic->o->own };

	if (nic->o->have_mac)
		memcpy(c.mac, nic->o->mac, ETH_ALEN);
	else if (c.spoof_check && !guard_program_mac(is, c.mac))
		return false;
	guard_program(&want, &c);
	return same_program(&want, is);
}

void audit_guard(struct audit_guest *g, const struct rules_nic *nic)
{
	static const char promised[] = "the one that lguest-sep puts there";
	static struct guard_info info;

	if (guard_query(nic->ifindex, &info) < 0)
		audit_guest_check(g, NOT_SHOWN, FILTER, promised, "%s: the kernel does not show it", nic->ifname);
	else if (!info.filters)
		audit_guest_check(g, WEAKER, FILTER, promised, "%s: none", nic->ifname);
	else if (info.filters > 1 || !info.direct || !is_promised(nic, &info.program))
		audit_guest_check(g, WEAKER, FILTER, promised, "%s: another one", nic->ifname);
	else
		audit_guest_check(g, AS_PROMISED, FILTER, promised, "%s", nic->ifname);
}

/* ---- which taps ---- */

/* The interface of the descriptor @number of @pid, a tap's. */
static bool tap_name(pid_t pid, unsigned number, char name[IFNAMSIZ])
{
	char path[64], line[128];
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/fdinfo/%u", (int)pid, number);
	f = fopen(path, "re");
	*name = '\0';
	while (f && !*name && fgets(line, sizeof(line), f))
		if (sscanf(line, "iff: %15s", name) != 1)
			*name = '\0';
	if (f)
		fclose(f);
	return *name;
}

/* The netd of the guest's NIC @i of those that have one, in the order in which they were started. */
static const struct audit_process *netd_of_nic(const struct audit_guest *g, unsigned i)
{
	char name[sizeof(g->process[0].name)];

	snprintf(name, sizeof(name), "net%u", i);
	for (unsigned k = 0; k < g->n; k++)
		if (g->process[k].part == PART_NETD && !strcmp(g->process[k].name, name))
			return &g->process[k];
	return NULL;
}

/*
 * Writes the taps of @c that have rules to @nic, their names to @names, and the owners of the rules to
 * @held_by. Returns their number, or -1 if one cannot be read.
 */
static int list_taps(const struct audit_guest *g, const struct config *c, struct rules_nic *nic,
		     char (*names)[IFNAMSIZ], uint64_t *held_by)
{
	unsigned n = 0, started = 0;

	for (unsigned i = 0; i < c->nnets; i++) {
		const struct audit_process *p;

		if (c->net[i].kind == NET_VHOST_USER)
			continue;
		p = netd_of_nic(g, started++);
		if (!rules_wanted(&c->net[i]))
			continue;
		if (!p || !p->f.have_fds || !tap_name(p->f.pid, HFD_TAP0, names[n]))
			return -1;
		nic[n] = (struct rules_nic){ .o = &c->net[i], .ifname = names[n] };
		snprintf(nic[n].chain, sizeof(nic[n].chain), "net%u", i);
		/* If netd holds no socket: a number that no socket has. */
		held_by[n] = socket_inode(fd_of(&p->f, HFD_RULES));
		if (!held_by[n])
			held_by[n] = UINT64_MAX;
		n++;
	}
	held_by[n] = 0;
	return (int)n;
}

/* ---- whose network ---- */

/* Into the network namespace of @pid. Returns a descriptor of our own, -1 if it is the same, -2 with errno set. */
static int enter_network(pid_t pid)
{
	char path[64], theirs[64] = "", ours[64] = "";
	int fd, back;

	snprintf(path, sizeof(path), "/proc/%d/ns/net", (int)pid);
	if (readlink(path, theirs, sizeof(theirs) - 1) < 0 || readlink("/proc/self/ns/net", ours, sizeof(ours) - 1) < 0)
		return -2;
	if (!strcmp(ours, theirs))
		return -1;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	back = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	if (fd < 0 || back < 0 || setns(fd, CLONE_NEWNET) < 0) {
		if (back >= 0)
			close(back);
		back = -2;
	}
	if (fd >= 0)
		close(fd);
	return back;
}

/* Returns false after adding a row if an interface does not exist. */
static bool find_interfaces(struct audit_guest *g, struct rules_nic *nic, unsigned n)
{
	bool all = true;

	for (unsigned i = 0; i < n; i++) {
		nic[i].ifindex = if_nametoindex(nic[i].ifname);
		if (nic[i].ifindex)
			continue;
		audit_guest_check(g, WEAKER, RULES, promised_rules, "no interface %s here", nic[i].ifname);
		all = false;
	}
	return all;
}

void audit_network(struct audit_guest *g, const struct config *c)
{
	static struct rules_nic nic[MAX_DEVICES];
	static char names[MAX_DEVICES][IFNAMSIZ];
	uint64_t held_by[MAX_DEVICES + 1];
	int n, back;
	bool any = false;

	for (unsigned i = 0; i < c->nnets; i++)
		any |= rules_wanted(&c->net[i]);
	if (!any)
		return;
	n = list_taps(g, c, nic, names, held_by);
	back = n < 0 ? -2 : enter_network(g->pid);
	if (back == -2) {
		audit_guest_check(g, NOT_SHOWN, RULES, promised_rules,
				  g->process[0].f.have_fds ? "a NIC's process is not there at the moment"
							   : "only root may see them");
		return;
	}
	if (find_interfaces(g, nic, (unsigned)n)) {
		audit_rules(g, nic, (unsigned)n, held_by);
		for (int i = 0; i < n; i++)
			audit_guard(g, &nic[i]);
	}
	if (back >= 0) {
		(void)setns(back, CLONE_NEWNET);
		close(back);
	}
}
