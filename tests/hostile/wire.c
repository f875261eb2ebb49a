/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A tap with two queues for netd, in a network namespace of this process, and a packet socket
 * on it: the host's side.
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "netd/tap.h"
#include "tests/hostile/hostile.h"

int wire = -1, tap[2] = { -1, -1 };
uint32_t tap_can;
const uint8_t guest_mac[6] = { 0x52, 0x54, 0, 1, 2, 3 };

static void write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd >= 0 && write(fd, text, strlen(text)) < 0)
		close(fd);
	else if (fd >= 0)
		close(fd);
}

static bool up(const char *name)
{
	struct sockaddr_ll to = { .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL) };
	struct ifreq r = { .ifr_flags = IFF_UP | IFF_NOARP };

	wire = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons(ETH_P_ALL));
	memcpy(r.ifr_name, name, IFNAMSIZ);
	if (wire < 0 || ioctl(wire, SIOCSIFFLAGS, &r) != 0 || ioctl(wire, SIOCGIFINDEX, &r) != 0)
		return false;
	to.sll_ifindex = r.ifr_ifindex;
	return bind(wire, (struct sockaddr *)&to, sizeof(to)) == 0;
}

bool host_net(void)
{
	static int state; /* 1: there, -1: not on this host */
	char name[IFNAMSIZ] = "hostile0";
	bool hdr;

	if (state)
		return state > 0;
	state = -1;
	if (unshare(CLONE_NEWNET) != 0)
		return false;
	/* Keep the host's network stack from sending frames. */
	write_file("/proc/sys/net/ipv6/conf/default/disable_ipv6", "1");
	write_file("/proc/sys/net/ipv6/conf/all/disable_ipv6", "1");
	if (tap_open(name, 2) != 0)
		return false;
	for (int i = 0; i < 2; i++) {
		tap[i] = fcntl(HFD_TAP0 + i, F_DUPFD_CLOEXEC, 300);
		close(HFD_TAP0 + i);
		if (tap[i] < 0 || tap_prepare(tap[i], &hdr) != 0 || !hdr)
			return false;
	}
	tap_can = tap_probe(tap[0]);
	if (!up(name))
		return false;
	state = 1;
	return true;
}
