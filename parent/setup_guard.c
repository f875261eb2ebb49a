// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A second check of the guest's address, held by the kernel: a classifier on
 * the tap that drops each frame from the guest whose source is not its own
 * (tc-bpf(8), "direct-action", with a classic program, so that no bpf(2) is
 * needed). Runs in the parent, inside the privileged window. netd checks the
 * same; a taken netd no longer does.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/pkt_cls.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netlink/attr.h>
#include <netlink/errno.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>
#include <stdio.h>
#include <string.h>

#include "options.h"
#include "setup.h"

#define PRIORITY 1

/* A request about @ifname to which more attributes can be added. */
static struct nl_msg *request(const char *ifname, int type, uint32_t parent, uint32_t info, const char *kind)
{
	struct tcmsg tc = {
		.tcm_family = AF_UNSPEC,
		.tcm_ifindex = (int)if_nametoindex(ifname),
		.tcm_parent = parent,
		.tcm_info = info,
	};
	struct nl_msg *m = nlmsg_alloc_simple(type, NLM_F_CREATE | NLM_F_EXCL);

	if (type == RTM_NEWQDISC)
		tc.tcm_handle = TC_H_MAKE(TC_H_CLSACT, 0);
	if (!m)
		return NULL;
	if (nlmsg_append(m, &tc, sizeof(tc), NLMSG_ALIGNTO) < 0 || nla_put_string(m, TCA_KIND, kind) < 0) {
		nlmsg_free(m);
		return NULL;
	}
	return m;
}

/* What comes out of a tap's queue is, for the host, what arrives at the interface. */
static int add_queue(struct nl_sock *s, const char *ifname)
{
	struct nl_msg *m = request(ifname, RTM_NEWQDISC, TC_H_CLSACT, 0, "clsact");

	return m ? nl_send_sync(s, m) : -NLE_NOMEM;
}

static int add_filter(struct nl_sock *s, const char *ifname, const uint8_t mac[ETH_ALEN])
{
	const uint32_t low = (uint32_t)mac[2] << 24 | (uint32_t)mac[3] << 16 | (uint32_t)mac[4] << 8 | mac[5];
	const uint16_t high = (uint16_t)(mac[0] << 8 | mac[1]);
	const struct sock_filter program[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, ETH_ALEN + 2),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, low, 0, 3),
		BPF_STMT(BPF_LD | BPF_H | BPF_ABS, ETH_ALEN),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, high, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, TC_ACT_OK),
		BPF_STMT(BPF_RET | BPF_K, TC_ACT_SHOT),
	};
	struct nl_msg *m = request(ifname, RTM_NEWTFILTER, TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_INGRESS),
				   TC_H_MAKE(PRIORITY << 16, htons(ETH_P_ALL)), "bpf");
	struct nlattr *options;

	if (!m)
		return -NLE_NOMEM;
	options = nla_nest_start(m, TCA_OPTIONS);
	if (!options || nla_put_u16(m, TCA_BPF_OPS_LEN, sizeof(program) / sizeof(program[0])) < 0 ||
	    nla_put(m, TCA_BPF_OPS, sizeof(program), program) < 0 ||
	    nla_put_u32(m, TCA_BPF_FLAGS, TCA_BPF_FLAG_ACT_DIRECT) < 0) {
		nlmsg_free(m);
		return -NLE_NOMEM;
	}
	nla_nest_end(m, options);
	return nl_send_sync(s, m);
}

int link_guard_mac(const char *ifname, const uint8_t mac[ETH_ALEN], char *why, size_t size)
{
	struct nl_sock *s = nl_socket_alloc();
	const char *step = "netlink";
	int err = s ? nl_connect(s, NETLINK_ROUTE) : -NLE_NOMEM;

	if (err >= 0) {
		step = "clsact";
		err = add_queue(s, ifname);
	}
	if (err >= 0) {
		step = "bpf classifier";
		err = add_filter(s, ifname, mac);
	}
	nl_socket_free(s);
	if (err < 0)
		snprintf(why, size, "%s: %s", step, nl_geterror(err));
	return err < 0 ? -1 : 0;
}

int net_guard(const struct config *c, unsigned i, const struct net_host *n)
{
	const struct net_option *o = &c->net[i];
	char why[128];

	/* A tap that was there before stays after us: it is its owner's to put filters on. */
	if ((o->kind != NET_TUNNET_IP && o->kind != NET_BRIDGE) || !n->config.spoof_check)
		return 0;
	if (link_guard_mac(n->ifname, n->config.mac, why, sizeof(why)) == 0)
		return 0;
	return complain(c->strict ? -1 : 0,
			"net%u: this host lacks: a filter on the tap (%s); netd alone checks the guest's address%s", i,
			why, c->strict ? " (--strict: not started)" : "");
}
