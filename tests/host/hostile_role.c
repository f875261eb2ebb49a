/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A compromised role for the hostile cases, linked statically and started like a real role.
 * Under confinement.c it makes the calls that it is sent. Under the real supervisor, in
 * place of a real role, it becomes ready as that role does and then makes one call that its
 * filter forbids. Or, if a word of the kernel's command line or the disk's serial number asks for it, it
 * attacks the supervisor in ways that its filter allows.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/ctl.h"
#include "policy/policies.h"
#include "tests/host/hostile_role.h"
#include "tests/unit/parent_rules_rig.h"

static const struct policy *const policies[] = {
	[F_BLKD] = &policy_blkd,
	[F_NETD] = &policy_netd,
	[F_BLKD_FOREIGN] = &policy_blkd_foreign,
	[F_NETD_FOREIGN] = &policy_netd_foreign,
	[F_CONTROLD] = &policy_controld,
	[F_FSD] = &policy_fsd,
	[F_FSD_FOREIGN] = &policy_fsd_foreign,
	[F_FSD_RW] = &policy_fsd_rw,
	[F_FSD_RW_FOREIGN] = &policy_fsd_rw_foreign,
	[F_BLKD_SAVED] = &policy_blkd_saved,
	[F_BLKD_SAVED_FOREIGN] = &policy_blkd_saved_foreign,
	[F_FSD_SAVED] = &policy_fsd_saved,
	[F_FSD_SAVED_FOREIGN] = &policy_fsd_saved_foreign,
	[F_KVM] = &policy_vcpu_kvm,
	[F_LGUEST] = &policy_vcpu_lguest,
	[F_QEMU] = &policy_vcpu_qemu,
	[F_KVM_LOAD] = &policy_vcpu_kvm_load,
	[F_LGUEST_LOAD] = &policy_vcpu_lguest_load,
	[F_QEMU_LOAD] = &policy_vcpu_qemu_load,
};

static void answer(long value)
{
	struct iovec iov = { &value, sizeof(value) };
	struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1 };

	(void)sendmsg(HFD_CTL, &mh, MSG_NOSIGNAL);
}

static long call(const struct attempt *a)
{
	unsigned long v[6];
	long got;

	memcpy(v, a->arg, sizeof(v));
	if (a->text_arg >= 0 && a->text_arg < 6)
		v[a->text_arg] = (unsigned long)(uintptr_t)a->text;
	if (a->nr == __NR_openat2)
		v[2] = (unsigned long)(uintptr_t)a->how;
	got = syscall(a->nr, v[0], v[1], v[2], v[3], v[4], v[5]);
	return got < 0 ? -errno : got;
}

static void obey(const struct attempt *a)
{
	long got = 0;

	if (a->filter && a->filter < ARRAY_SIZE(policies) && sandbox_filter(policies[a->filter], NULL) < 0)
		got = -errno;
	if (!got && a->nr >= 0)
		got = call(a);
	answer(got);
}

/* ---- what every filter allows ---- */

static void ready(void)
{
	const struct ctl_msg m = { .type = CTL_READY };

	ctl_send(HFD_CTL, &m);
}

/* Wait in a loop, because the filter allows no call that waits. */
static void pause_ms(uint64_t ms)
{
	for (uint64_t until = now_ms() + ms; now_ms() < until;)
		;
}

/* Send a power-off until the channel has room for it; earlier messages may fill it. */
static NORETURN void power_off(void)
{
	for (uint64_t until = now_ms() + 5000; now_ms() < until;)
		if (ctl_send_text(VFD_CTL, CTL_GUEST_END, GUEST_POWEROFF, "") == 0)
			break;
	_exit(0);
}

/* Send a vhost-user message with unexpected descriptors. */
static bool pass(int sock, const int *fds, unsigned n)
{
	union {
		char room[CMSG_SPACE(4 * sizeof(int))];
		struct cmsghdr align;
	} control = {
		.align = { .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(n * sizeof(int)) }
	};
	const uint32_t question[3] = { 1, 1,
				       0 }; /* GET_FEATURES: its answers fill the socket in the other direction. */
	struct iovec iov = { (void *)(uintptr_t)question, sizeof(question) };
	struct msghdr mh = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = CMSG_SPACE(n * sizeof(int))
	};

	memcpy(CMSG_DATA(&control.align), fds, n * sizeof(int));
	return sendmsg(sock, &mh, MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)sizeof(question);
}

/*
 * The vCPU process sends its own ends of the console and of the control channel in messages
 * that nobody receives, and exits: the supervisor must not wait for an end of file that
 * never comes.
 */
static NORETURN void stash(const struct role_config *rc)
{
	static const int fds[] = { VFD_CON_OUT, VFD_CTL, VFD_SERIAL };
	const struct sockaddr_un to = { .sun_family = AF_UNIX, .sun_path = "/blk0.sock" };
	unsigned n = rc->vcpu.engine == ENGINE_QEMU ? 3 : 2, passed = 0;

	ready();
	pause_ms(400); /* Until all other roles are ready. */
	if (rc->vcpu.engine == ENGINE_QEMU) {
		for (unsigned i = 0; i < 4; i++) {
			int sock = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);

			if (connect(sock, (const struct sockaddr *)&to, sizeof(to)) == 0)
				passed += pass(sock, fds, n);
		}
	} else {
		/* Wait until blkd, whose answers are not read, has ended; after that, sent messages stay in the queue. */
		for (uint64_t until = now_ms() + 300; now_ms() < until;)
			passed += pass(VFD_FRONT0, fds, n);
	}
	if (!passed)
		_exit(94);
	power_off();
}

/* Send valid messages of every kind as fast as the channel accepts them. */
static void flood(uint64_t ms, bool guest_ends)
{
	static const struct {
		enum ctl_type type;
		uint32_t value;
	} kind[] = {
		{ CTL_LOG, LOG_ERROR },
		{ CTL_FAULT, FAULT_HEAD_RANGE },
		{ CTL_FAULT, UINT32_MAX },
		{ CTL_RUNNING, 0 },
		{ CTL_FRONT, 0 },
		{ CTL_FRONT, UINT32_MAX },
		{ CTL_READY, UINT32_MAX },
		{ CTL_STATS, 0 },
		{ CTL_GET_STATS, 0 },
		{ CTL_STOP, 0 },
		{ CTL_POWER_BUTTON, 0 },
		{ CTL_WINDOW_SIZE, UINT32_MAX },
		{ CTL_NMI, 0 },
		{ CTL_SYSRQ, 'b' },
		{ CTL_GUEST_END, GUEST_PANIC },
	};
	struct ctl_msg m = { .queue = 7 };

	memset(m.text, '\033', sizeof(m.text) - 1);
	for (uint64_t until = now_ms() + ms, i = 0; now_ms() < until; i++) {
		m.type = kind[i % (ARRAY_SIZE(kind) - !guest_ends)].type;
		m.value = kind[i % (ARRAY_SIZE(kind) - !guest_ends)].value;
		ctl_send(HFD_CTL, &m);
	}
}

/* Become ready, and then ignore everything. */
static NORETURN void deaf(int epoll)
{
	struct epoll_event ev;

	ready();
	for (;;)
		epoll_pwait(epoll, &ev, 1, -1, NULL);
}

/* Write to the capture file until that fails, or four times its limit. */
static void fill(uint64_t max)
{
	static char junk[1000];
	const struct iovec iov = { junk, sizeof(junk) };

	for (uint64_t n = 0; n < 4 * max / sizeof(junk); n++)
		if (writev(HFD_CAPTURE, &iov, 1) < 0)
			break;
}

/*
 * Write datagrams and connection requests for the host to the tap, without end. @mac is the guest's address, which
 * the filter on the tap wants.
 */
static NORETURN void pour(const uint8_t mac[ETH_ALEN])
{
	static const char *const to[][2] = { { "10.99.0.2", "10.99.0.1" },
					     { "10.99.0.2", "255.255.255.255" },
					     { "10.99.0.2", "10.88.0.1" },
					     { "fe80::2", "ff02::1" },
					     { "fd99::2", "fd99::1" } };
	static struct packet p[2 * ARRAY_SIZE(to)];

	for (unsigned i = 0; i < ARRAY_SIZE(p); i++) {
		const char *const *a = to[i / 2];

		if (i % 2)
			packet_tcp_syn(&p[i], a[0], a[1], 5000);
		else
			packet_udp(&p[i], a[0], a[1], 4000, 5000, 0);
		/* parent/setup/net.c: the tap's own address is the guest's, but for the first byte. */
		memcpy(p[i].bytes + HDR, mac, ETH_ALEN);
		p[i].bytes[HDR] = 0xfe;
		memcpy(p[i].bytes + HDR + ETH_ALEN, mac, ETH_ALEN);
	}
	ready();
	for (unsigned i = 0;; i = (i + 1) % ARRAY_SIZE(p))
		(void)write(HFD_TAP0, p[i].bytes, p[i].len);
}

/* Do what the word @word asks for, if any; the filters are installed. */
static void misbehave(const struct role_config *rc, const char *word, int epoll)
{
	if (strcmp(word, "stash") == 0)
		stash(rc);
	if (strcmp(word, "mute") == 0)
		for (;;)
			epoll_pwait(epoll, &(struct epoll_event){ 0 }, 1, -1, NULL);
	if (strcmp(word, "fill") == 0)
		fill(rc->net.capture_max);
	if (strcmp(word, "pour") == 0)
		pour(rc->net.mac);
	if (strcmp(word, "deaf") == 0)
		deaf(epoll);
	if (strcmp(word, "garbage") == 0) {
		ready();
		pause_ms(400); /* Until all other roles are ready. */
		answer(-1);
		deaf(epoll);
	}
	if (strcmp(word, "flood") == 0) {
		ready();
		flood(rc->role == ROLE_VCPU ? 3000 : 60000, rc->role != ROLE_VCPU);
		power_off();
	}
}

static const char *word_of(const struct role_config *rc)
{
	const char *text = rc->role == ROLE_VCPU   ? rc->vcpu.cmdline
			   : rc->role == ROLE_BLKD ? rc->blk.serial
			   : rc->role != ROLE_NETD ? ""
			   : rc->net.capture_max   ? "taken=fill"
			   : rc->net.rate_packets  ? "taken=pour"
						   : "";
	const char *from = strstr(text, "taken=");
	static char word[16];

	if (!from)
		return NULL;
	from += strlen("taken=");
	memcpy(word, from, MIN(strcspn(from, " "), sizeof(word) - 1));
	return word;
}

/* In place of a real role: confine, become ready, and then make one forbidden call. */
static NORETURN void betray(const struct role_config *rc)
{
	static const struct {
		unsigned filter;
		long nr, arg[3];
	} role[] = {
		[ROLE_BLKD] = { F_BLKD, __NR_execve, { 0x11, 0x22, 0x33 } },
		[ROLE_NETD] = { F_NETD, __NR_socket, { 2, 1, 6 } },
		[ROLE_FSD] = { F_FSD, __NR_openat, { 0x4, 0x5, 0x6 } },
		[ROLE_CONTROLD] = { F_CONTROLD, __NR_openat, { 0x7, 0x8, 0x9 } },
		[ROLE_VCPU] = { F_KVM, __NR_ptrace, { 16, 1, 0 } },
	};
	const char *word = word_of(rc);
	int epoll = rc->role == ROLE_VCPU ? VFD_EPOLL : HFD_EPOLL, fd;
	unsigned filter;

	if (rc->role >= ARRAY_SIZE(role))
		_exit(97);
	filter = role[rc->role].filter;
	/* Connect to the helpers as QEMU does, which its filter allows. */
	if (word && rc->role == ROLE_VCPU && rc->vcpu.engine == ENGINE_QEMU)
		filter = F_QEMU;
	signal(SIGXFSZ, SIG_IGN);
	fd = epoll_create1(EPOLL_CLOEXEC);
	if (fd < 0 || (fd != epoll && dup3(fd, epoll, O_CLOEXEC) < 0) || sandbox_filter(policies[filter], NULL) < 0)
		_exit(97);
	if (word)
		misbehave(rc, word, epoll);
	ready();
	pause_ms(150); /* Until the other roles run. */
	syscall(role[rc->role].nr, role[rc->role].arg[0], role[rc->role].arg[1], role[rc->role].arg[2]);
	_exit(96); /* it was allowed */
}

int main(int argc, char **argv)
{
	static union {
		struct attempt attempt;
		struct role_config config;
	} packet;
	struct iovec iov = { &packet, sizeof(packet) };
	struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (argc != 2 || strcmp(argv[1], "--supervised") != 0)
		return 99;
	for (;;) {
		ssize_t n = recvmsg(HFD_CTL, &mh, 0);

		if (n == sizeof(packet.attempt))
			obey(&packet.attempt);
		else if (n == sizeof(packet.config))
			betray(&packet.config);
		else if (n == 0)
			_exit(0);
		else if (n < 0 && errno != EINTR)
			_exit(98);
	}
}
