/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * System calls on taps (linux/if_tun.h), and the timer of rate limits. Only
 * tap_set_offload() and rate_timer_again() run after confinement. Started by the
 * supervisor, netd gets its tap from the parent; stand-alone netd opens it here.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "common/bucket.h"
#include "common/closefds.h"
#include "common/fdtab.h"
#include "netd/frames.h"
#include "netd/tap.h"

int tap_open(char name[IFNAMSIZ], unsigned pairs)
{
	for (unsigned i = 0; i < pairs; i++) {
		struct ifreq r;
		int fd, target = HFD_TAP0 + (int)i;

		memset(&r, 0, sizeof(r));
		memcpy(r.ifr_name, name, IFNAMSIZ - 1);
		r.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR;
		if (pairs > 1)
			r.ifr_flags |= IFF_MULTI_QUEUE;
		fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
		if (fd < 0)
			return -1;
		if (ioctl(fd, TUNSETIFF, &r) != 0 || dup3(fd, target, O_CLOEXEC) < 0) {
			int e = errno;

			close(fd);
			errno = e;
			return -1;
		}
		close(fd);
		memcpy(name, r.ifr_name, IFNAMSIZ);
	}
	return 0;
}

int tap_prepare(int fd, bool *vnet_hdr)
{
	struct ifreq r;
	int flags, len = TAP_HDR_LEN;

	memset(&r, 0, sizeof(r));
	if (ioctl(fd, TUNGETIFF, &r) != 0)
		return -1;
	if (!(r.ifr_flags & IFF_TAP) || !(r.ifr_flags & IFF_NO_PI)) {
		errno = EINVAL;
		return -1;
	}
	*vnet_hdr = r.ifr_flags & IFF_VNET_HDR;
	if (*vnet_hdr && ioctl(fd, TUNSETVNETHDRSZ, &len) != 0)
		return -1;
	flags = fcntl(fd, F_GETFL);
	if (flags < 0)
		return -1;
	return flags & O_NONBLOCK ? 0 : fcntl(fd, F_SETFL, flags | O_NONBLOCK);
}

uint32_t tap_probe(int fd)
{
	static const uint32_t more[] = { TUN_F_TSO4, TUN_F_TSO6, TUN_F_TSO4 | TUN_F_TSO_ECN, TUN_F_USO4 | TUN_F_USO6 };
	uint32_t got = 0;

	/* The kernel refuses unknown flags, so try each one together with the flags that it requires. */
	if (tap_set_offload(fd, TUN_F_CSUM) == 0)
		got = TUN_F_CSUM;
	for (unsigned i = 0; got && i < ARRAY_SIZE(more); i++)
		if (tap_set_offload(fd, TUN_F_CSUM | more[i]) == 0)
			got |= more[i];
	tap_set_offload(fd, 0);
	return got;
}

unsigned tap_mtu(int fd)
{
	struct ifreq r;
	unsigned mtu = 0;
	int s;

	memset(&r, 0, sizeof(r));
	if (ioctl(fd, TUNGETIFF, &r) != 0)
		return 0;
	s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (s < 0)
		return 0;
	if (ioctl(s, SIOCGIFMTU, &r) == 0 && r.ifr_mtu > 0)
		mtu = (unsigned)r.ifr_mtu;
	close(s);
	return mtu;
}

int tap_set_offload(int fd, uint32_t offloads)
{
	return ioctl(fd, TUNSETOFFLOAD, (unsigned long)offloads);
}

int rate_timer_open(void)
{
	const struct itimerspec every = { { 0, BUCKET_TICK_MS * 1000000L }, { 0, BUCKET_TICK_MS * 1000000L } };
	int fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);

	if (place_fd(fd, HFD_TIMER) < 0)
		return -1;
	return timerfd_settime(HFD_TIMER, 0, &every, NULL);
}

void rate_timer_again(void)
{
	uint64_t expirations;

	/* EAGAIN: it has not expired since the last read, so it will expire anyway. */
	if (read(HFD_TIMER, &expirations, sizeof(expirations)) < 0)
		return;
}
