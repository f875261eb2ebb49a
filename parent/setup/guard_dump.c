/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Reads back the filter that link_guard() installed on a tap. Runs in lguest-sep audit. */
#include <errno.h>
#include <linux/pkt_cls.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <netlink/attr.h>
#include <netlink/errno.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>
#include <string.h>

#include "parent/setup/guard.h"
#include "parent/setup/guard_dump.h"

static void read_options(struct nlattr *options, struct guard_info *info)
{
	struct nlattr *a[TCA_BPF_MAX + 1];
	unsigned bytes;

	if (nla_parse_nested(a, TCA_BPF_MAX, options, NULL) < 0 || !a[TCA_BPF_OPS])
		return;
	bytes = (unsigned)nla_len(a[TCA_BPF_OPS]);
	if (bytes > sizeof(info->program.code))
		return;
	memcpy(info->program.code, nla_data(a[TCA_BPF_OPS]), bytes);
	info->program.n = bytes / (unsigned)sizeof(info->program.code[0]);
	info->direct = a[TCA_BPF_FLAGS] && (nla_get_u32(a[TCA_BPF_FLAGS]) & TCA_BPF_FLAG_ACT_DIRECT);
}

static int on_filter(struct nl_msg *m, void *data)
{
	struct guard_info *info = data;
	const struct tcmsg *tc = nlmsg_data(nlmsg_hdr(m));
	struct nlattr *a[TCA_MAX + 1];

	if (nlmsg_hdr(m)->nlmsg_type != RTM_NEWTFILTER || tc->tcm_info >> 16 > GUARD_PRIORITY ||
	    nlmsg_parse(nlmsg_hdr(m), sizeof(*tc), a, TCA_MAX, NULL) < 0)
		return NL_OK;
	/* The kernel dumps each kind of filter once without options, for its list. */
	if (!a[TCA_OPTIONS])
		return NL_OK;
	info->filters++;
	if (tc->tcm_info >> 16 == GUARD_PRIORITY)
		read_options(a[TCA_OPTIONS], info);
	return NL_OK;
}

int guard_query(unsigned ifindex, struct guard_info *info)
{
	struct tcmsg tc = { .tcm_family = AF_UNSPEC,
			    .tcm_ifindex = (int)ifindex,
			    .tcm_parent = TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_INGRESS) };
	struct nl_sock *s = nl_socket_alloc();
	int err = s ? nl_connect(s, NETLINK_ROUTE) : -NLE_NOMEM;

	memset(info, 0, sizeof(*info));
	if (err >= 0)
		err = nl_socket_modify_cb(s, NL_CB_VALID, NL_CB_CUSTOM, on_filter, info);
	if (err >= 0)
		err = nl_send_simple(s, RTM_GETTFILTER, NLM_F_DUMP, &tc, sizeof(tc));
	if (err >= 0)
		err = nl_recvmsgs_default(s);
	nl_socket_free(s);
	if (err < 0)
		errno = err == -NLE_PERM ? EPERM : EIO;
	return err < 0 ? -1 : 0;
}
