/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Installs the kernel's filter on a tap: a tc classifier that drops frames from the guest
 * with a foreign source address, and messages that would change other machines' routes
 * (tc-bpf(8) in "direct-action" mode, with a classic BPF program, so that bpf(2) is not
 * needed). Runs in the parent, inside the privileged window. netd checks the source
 * address as well, but a compromised netd would not.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
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
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "parent/options/util.h"
#include "parent/setup/guard.h"
#include "parent/setup/guard_closed.h"
#include "parent/setup/guard_program.h"
#include "parent/setup/setup.h"

/* Bytes of a request with the longest program. */
#define REQUEST_MAX (sizeof(struct guard_program) + 4096)

/* Returns a tc request for @ifname, to which the caller adds attributes, or NULL. */
static struct nl_msg *request(const char *ifname, int type, uint32_t parent, uint32_t info, const char *kind)
{
	struct tcmsg tc = {
		.tcm_family = AF_UNSPEC,
		.tcm_ifindex = (int)if_nametoindex(ifname),
		.tcm_parent = parent,
		.tcm_info = info,
	};
	struct nl_msg *m = nlmsg_alloc_size(REQUEST_MAX);

	if (type == RTM_NEWQDISC)
		tc.tcm_handle = TC_H_MAKE(TC_H_CLSACT, 0);
	if (!m)
		return NULL;
	if (!nlmsg_put(m, NL_AUTO_PORT, NL_AUTO_SEQ, type, 0, NLM_F_CREATE | NLM_F_EXCL) ||
	    nlmsg_append(m, &tc, sizeof(tc), NLMSG_ALIGNTO) < 0 || nla_put_string(m, TCA_KIND, kind) < 0) {
		nlmsg_free(m);
		return NULL;
	}
	return m;
}

/* Add the clsact qdisc, whose ingress hook sees the guest's frames: for the host they arrive at the tap. */
static int add_queue(struct nl_sock *s, const char *ifname)
{
	struct nl_msg *m = request(ifname, RTM_NEWQDISC, TC_H_CLSACT, 0, "clsact");

	return m ? nl_send_sync(s, m) : -NLE_NOMEM;
}

static int add_program(struct nl_sock *s, const char *ifname, uint32_t priority, const struct guard_program *program)
{
	struct nl_msg *m = request(ifname, RTM_NEWTFILTER, TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_INGRESS),
				   TC_H_MAKE(priority << 16, htons(ETH_P_ALL)), "bpf");
	struct nlattr *options;

	if (!m)
		return -NLE_NOMEM;
	options = nla_nest_start(m, TCA_OPTIONS);
	if (!options || nla_put_u16(m, TCA_BPF_OPS_LEN, (uint16_t)program->n) < 0 ||
	    nla_put(m, TCA_BPF_OPS, (int)(program->n * sizeof(program->code[0])), program->code) < 0 ||
	    nla_put_u32(m, TCA_BPF_FLAGS, TCA_BPF_FLAG_ACT_DIRECT) < 0) {
		nlmsg_free(m);
		return -NLE_NOMEM;
	}
	nla_nest_end(m, options);
	return nl_send_sync(s, m);
}

int link_guard(const char *ifname, const struct net_config *c, char *why, size_t size)
{
	static struct guard_program program;
	struct nl_sock *s = nl_socket_alloc();
	const char *step = "netlink";
	int err = s ? nl_connect(s, NETLINK_ROUTE) : -NLE_NOMEM;

	guard_program(&program, c);
	if (err >= 0) {
		step = "clsact";
		err = add_queue(s, ifname);
	}
	if (err >= 0) {
		step = "bpf classifier";
		err = add_program(s, ifname, GUARD_PRIORITY, &program);
	}
	nl_socket_free(s);
	if (err < 0)
		snprintf(why, size, "%s: %s", step, nl_geterror(err));
	return err < 0 ? -1 : 0;
}

static bool mac_of(const char *ifname, uint8_t mac[ETH_ALEN])
{
	struct ifreq r = { 0 };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	bool found;

	snprintf(r.ifr_name, sizeof(r.ifr_name), "%s", ifname);
	found = fd >= 0 && ioctl(fd, SIOCGIFHWADDR, &r) == 0;
	if (found)
		memcpy(mac, r.ifr_hwaddr.sa_data, ETH_ALEN);
	if (fd >= 0)
		close(fd);
	return found;
}

int link_close(const char *ifname, const struct net_option *o)
{
	static struct guard_program program;
	uint8_t macs[2][ETH_ALEN];
	struct nl_sock *s;
	int err;

	if (!mac_of(ifname, macs[0]) || (o->kind == NET_BRIDGE && !mac_of(o->ifname, macs[1])))
		return -1;
	guard_closed(&program, o, macs, ARRAY_SIZE(macs));
	s = nl_socket_alloc();
	err = s ? nl_connect(s, NETLINK_ROUTE) : -NLE_NOMEM;
	if (err >= 0)
		err = add_queue(s, ifname);
	if (err >= 0 || err == -NLE_EXIST) /* link_guard() made it already */
		err = add_program(s, ifname, CLOSED_PRIORITY, &program);
	nl_socket_free(s);
	return err < 0 ? -1 : 0;
}

/*
 * Stop the host from learning routes from the guest's messages, and from answering ARP requests for
 * addresses of its other interfaces. Returns 0, or -1 with the file and the error in @why.
 */
static int ignore_routers(const char *ifname, char *why, size_t size)
{
	static const char *const file[][3] = {
		{ "ipv6", "accept_ra", "0" },
		{ "ipv6", "accept_redirects", "0" },
		{ "ipv4", "accept_redirects", "0" },
		{ "ipv4", "arp_ignore", "1" },
	};
	int result = 0;

	for (unsigned i = 0; i < ARRAY_SIZE(file); i++) {
		char path[80], is = *file[i][2];
		int fd;

		snprintf(path, sizeof(path), "/proc/sys/net/%s/conf/%s/%s", file[i][0], ifname, file[i][1]);
		fd = open(path, O_WRONLY | O_CLOEXEC);
		if (fd < 0 && errno == ENOENT)
			continue; /* This host has no IPv6. */
		if (fd >= 0 && write(fd, file[i][2], 1) == 1) {
			close(fd);
			continue;
		}
		if (result == 0)
			snprintf(why, size, "%s: %m", path);
		if (fd >= 0)
			close(fd);
		/* If the file cannot be written, it may have that value already. */
		fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd < 0 || read(fd, &is, 1) != 1 || is != *file[i][2])
			result = -1;
		if (fd >= 0)
			close(fd);
	}
	return result;
}

int net_guard(const struct config *c, unsigned i, const struct net_host *n)
{
	const struct net_option *o = &c->net[i];
	int result = c->strict ? -1 : 0;
	const char *end = c->strict ? " (--strict: not started)" : "";
	char why[160];

	/* There is no tap. */
	if (o->kind == NET_USER)
		return 0;
	/* An existing tap outlives the guest, so its owner decides about filters on it. */
	if (o->kind != NET_TUNNET_IP && o->kind != NET_BRIDGE)
		return complain(
			0,
			"net%u: lguest-sep did not make this tap, so it installs no filter on it: only netd checks the guest's address, and the guest's router advertisements and redirects reach the host",
			i);
	if (o->kind == NET_TUNNET_IP && ignore_routers(n->ifname, why, sizeof(why)) < 0 &&
	    complain(
		    result,
		    "net%u: this host lacks: switching off router advertisements and redirects on the tap (%s); the filter on the tap drops them%s",
		    i, why, end) < 0)
		return -1;
	if (link_guard(n->ifname, &n->config, why, sizeof(why)) == 0)
		return 0;
	return complain(
		result,
		"net%u: this host lacks: a filter on the tap (%s); only netd checks the guest's address, and router advertisements and redirects of the guest are not dropped%s",
		i, why, end);
}
