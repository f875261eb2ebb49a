/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A role that has been taken over, for the hostile cases: static, started as the
 * real ones are. Under a case it makes the calls that it is told; under the real
 * supervisor, in the place of a real role, it gets ready as that one does, and
 * then makes one call that its filter forbids; or, told by a word of the kernel's
 * command line or by the disk's serial number, does what its filter allows, and
 * the supervisor has to stand.
 */
#include "hostile_role.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/ctl.h"
#include "policy/policies.h"

static const struct policy *const policies[] = {
	[F_BLKD] = &policy_blkd,
	[F_NETD] = &policy_netd,
	[F_BLKD_FOREIGN] = &policy_blkd_foreign,
	[F_NETD_FOREIGN] = &policy_netd_foreign,
	[F_KVM] = &policy_vcpu_kvm,
	[F_LGUEST] = &policy_vcpu_lguest,
	[F_QEMU] = &policy_vcpu_qemu,
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

/* No call to wait with is allowed. */
static void pause_ms(uint64_t ms)
{
	for (uint64_t until = now_ms() + ms; now_ms() < until;)
		;
}

/* Said until there is room for it: what was said before may fill the channel. */
static NORETURN void power_off(void)
{
	for (uint64_t until = now_ms() + 5000; now_ms() < until;)
		if (ctl_send_text(VFD_CTL, CTL_GUEST_END, GUEST_POWEROFF, "") == 0)
			break;
	_exit(0);
}

/* One message of the vhost-user kind that carries descriptors nobody asked for. */
static bool pass(int sock, const int *fds, unsigned n)
{
	union {
		char room[CMSG_SPACE(4 * sizeof(int))];
		struct cmsghdr align;
	} control = {
		.align = { .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(n * sizeof(int)) }
	};
	const uint32_t question[3] = { 1, 1, 0 }; /* GET_FEATURES: its answers will fill the way back */
	struct iovec iov = { (void *)(uintptr_t)question, sizeof(question) };
	struct msghdr mh = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = CMSG_SPACE(n * sizeof(int))
	};

	memcpy(CMSG_DATA(&control.align), fds, n * sizeof(int));
	return sendmsg(sock, &mh, MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)sizeof(question);
}

/*
 * The vCPU process puts its own ends of the console and of the control channel
 * into queues that nobody reads, and goes: their readers must not wait for an end
 * that never comes.
 */
static NORETURN void stash(const struct role_config *rc)
{
	static const int fds[] = { VFD_CON_OUT, VFD_CTL, VFD_SERIAL };
	const struct sockaddr_un to = { .sun_family = AF_UNIX, .sun_path = "/blk0.sock" };
	unsigned n = rc->vcpu.engine == ENGINE_QEMU ? 3 : 2, passed = 0;

	ready();
	pause_ms(400); /* all the others are ready too */
	if (rc->vcpu.engine == ENGINE_QEMU) {
		for (unsigned i = 0; i < 4; i++) {
			int sock = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);

			if (connect(sock, (const struct sockaddr *)&to, sizeof(to)) == 0)
				passed += pass(sock, fds, n);
		}
	} else {
		/* Until blkd, whose answers nobody takes, has gone; then what is sent stays. */
		for (uint64_t until = now_ms() + 300; now_ms() < until;)
			passed += pass(VFD_FRONT0, fds, n);
	}
	if (!passed)
		_exit(94);
	power_off();
}

/* Every kind of message that is one, as fast as the channel takes them. */
static void flood(uint64_t ms, bool guest_ends)
{
	static const struct {
		enum ctl_type type;
		uint32_t value;
	} kind[] = {
		{ CTL_LOG, LOG_ERROR },	   { CTL_FAULT, FAULT_HEAD_RANGE },
		{ CTL_FAULT, UINT32_MAX }, { CTL_RUNNING, 0 },
		{ CTL_READY, UINT32_MAX }, { CTL_STATS, 0 },
		{ CTL_GET_STATS, 0 },	   { CTL_STOP, 0 },
		{ CTL_POWER_BUTTON, 0 },   { CTL_GUEST_END, GUEST_PANIC },
	};
	struct ctl_msg m = { .queue = 7 };

	memset(m.text, '\033', sizeof(m.text) - 1);
	for (uint64_t until = now_ms() + ms, i = 0; now_ms() < until; i++) {
		m.type = kind[i % (ARRAY_SIZE(kind) - !guest_ends)].type;
		m.value = kind[i % (ARRAY_SIZE(kind) - !guest_ends)].value;
		ctl_send(HFD_CTL, &m);
	}
}

/* Ready, and then never a look at anything. */
static NORETURN void deaf(int epoll)
{
	struct epoll_event ev;

	ready();
	for (;;)
		epoll_pwait(epoll, &ev, 1, -1, NULL);
}

/* The word that it was told, if any, is obeyed here; filters are on. */
static void misbehave(const struct role_config *rc, const char *word, int epoll)
{
	if (strcmp(word, "stash") == 0)
		stash(rc);
	if (strcmp(word, "mute") == 0)
		for (;;)
			epoll_pwait(epoll, &(struct epoll_event){ 0 }, 1, -1, NULL);
	if (strcmp(word, "deaf") == 0)
		deaf(epoll);
	if (strcmp(word, "garbage") == 0) {
		ready();
		pause_ms(400); /* all the others are ready too */
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
	const char *text = rc->role == ROLE_VCPU ? rc->vcpu.cmdline : rc->role == ROLE_BLKD ? rc->blk.serial : "";
	const char *from = strstr(text, "taken=");
	static char word[16];

	if (!from)
		return NULL;
	from += strlen("taken=");
	memcpy(word, from, MIN(strcspn(from, " "), sizeof(word) - 1));
	return word;
}

/* In the place of a real role: ready, confined as it is, and then one call too many. */
static NORETURN void betray(const struct role_config *rc)
{
	static const struct {
		unsigned filter;
		long nr, arg[3];
	} role[] = {
		[ROLE_BLKD] = { F_BLKD, __NR_execve, { 0x11, 0x22, 0x33 } },
		[ROLE_NETD] = { F_NETD, __NR_socket, { 2, 1, 6 } },
		[ROLE_VCPU] = { F_KVM, __NR_ptrace, { 16, 1, 0 } },
	};
	const char *word = word_of(rc);
	int epoll = rc->role == ROLE_VCPU ? VFD_EPOLL : HFD_EPOLL, fd;
	unsigned filter;

	if (rc->role >= ARRAY_SIZE(role))
		_exit(97);
	filter = role[rc->role].filter;
	/* QEMU's filter lets it connect as QEMU does. */
	if (word && rc->role == ROLE_VCPU && rc->vcpu.engine == ENGINE_QEMU)
		filter = F_QEMU;
	fd = epoll_create1(EPOLL_CLOEXEC);
	if (fd < 0 || (fd != epoll && dup3(fd, epoll, O_CLOEXEC) < 0) || sandbox_filter(policies[filter], NULL) < 0)
		_exit(97);
	if (word)
		misbehave(rc, word, epoll);
	ready();
	pause_ms(150); /* the others shall be running */
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
