/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Fuzz: packets of the control channel, as the supervisor and as a role receive them. In an
 * accepted packet, strings are NUL-terminated and printable, and numbers are in range.
 */
#include <sys/socket.h>
#include <unistd.h>

#include "common/ctl.h"
#include "tests/fuzz/fuzz.h"

static struct role_config rc;

static void printable(const char *s, size_t size)
{
	PROMISE(memchr(s, '\0', size));
	for (; *s; s++)
		PROMISE(*s >= 0x20 && *s <= 0x7e);
}

static void config(int fd, enum role role)
{
	if (ctl_recv_config(fd, role, &rc) != 0)
		return;
	PROMISE(rc.type == CTL_CONFIG && rc.role == (uint32_t)role);
	PROMISE(memchr(rc.name, '\0', sizeof(rc.name)));
	if (role == ROLE_BLKD) {
		PROMISE(rc.blk.queues > 0 && rc.blk.queues <= MAX_QUEUES);
		PROMISE(memchr(rc.blk.serial, '\0', sizeof(rc.blk.serial)));
		PROMISE(!rc.blk.nbd || rc.blk.io == BLK_IO_SYNC);
	} else if (role == ROLE_NETD) {
		PROMISE(rc.net.queue_pairs > 0 && rc.net.queue_pairs <= MAX_QUEUES / 2);
		PROMISE(!rc.net.ra.on || (rc.net.ra.interval_ms > 0 && rc.net.ra.ndns <= DHCP_RESOLVERS));
	} else if (role == ROLE_FSD) {
		PROMISE(rc.fs.inodes >= FSD_MIN_INODES && rc.fs.inodes <= FSD_MAX_INODES);
		PROMISE(rc.fs.open >= FSD_MIN_OPEN && rc.fs.open <= FSD_MAX_OPEN);
		PROMISE(rc.fs.cache <= FS_CACHE_ALWAYS);
	} else if (role == ROLE_VCPU) {
		PROMISE(rc.vcpu.ndevices <= MAX_DEVICES && rc.vcpu.smp <= MAX_VCPUS);
		PROMISE(memchr(rc.vcpu.cmdline, '\0', sizeof(rc.vcpu.cmdline)));
	}
}

static void message(int fd)
{
	struct ctl_msg m;
	int got = ctl_recv(fd, &m);

	PROMISE(got != 0);
	if (got != 1 || m.type == CTL_STATS || m.type == CTL_RESETS || m.type == CTL_ROLE_RESETS)
		return;
	if (m.type == CTL_STATE) {
		printable(m.state.name, sizeof(m.state.name));
		printable(m.state.kernel, sizeof(m.state.kernel));
	} else if (m.type == CTL_ROLE_STATS) {
		printable(m.role_stats.name, sizeof(m.role_stats.name));
	} else if (m.type == CTL_PART) {
		printable(m.part.name, sizeof(m.part.name));
		printable(m.part.what, sizeof(m.part.what));
		printable(m.part.ifname, sizeof(m.part.ifname));
		printable(m.part.where, sizeof(m.part.where));
		PROMISE(m.part.kind < PART_KINDS && m.part.detail < NET_KIND_COUNT);
		PROMISE(m.queue < m.count && m.count <= MAX_PARTS);
	} else if (m.type == CTL_CONSOLE) {
		PROMISE(m.count <= sizeof(m.text));
	} else {
		printable(m.text, sizeof(m.text));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t packet[sizeof(struct role_config) + 8];
	struct input in = { data, data + size };
	uint8_t what = take8(&in);
	/* The right size (the input, padded with zeroes), or the input's own. */
	size_t whole = what & 4 ? sizeof(struct role_config) : sizeof(struct ctl_msg);
	size_t len = what & 8 ? MIN(left(&in), sizeof(packet)) : whole;
	int pair[2];

	take(&in, packet, sizeof(packet));
	if (!len)
		return 0;
	if (what & 4)
		memcpy(packet, &(uint32_t){ CTL_CONFIG }, what & 16 ? 4 : 0);
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair))
		return 0;
	PROMISE(send(pair[0], packet, len, 0) == (ssize_t)len);
	if (what & 4)
		config(pair[1], what & 3);
	else
		message(pair[1]);
	close(pair[0]);
	close(pair[1]);
	return 0;
}
