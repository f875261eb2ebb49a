/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A role that has been taken over, for the hostile cases: static, started as the
 * real ones are. Under a case it makes the calls that it is told; under the real
 * supervisor, in the place of a real role, it gets ready as that one does, and
 * then makes one call that its filter forbids.
 */
#include "hostile_role.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
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

	if (a->filter && a->filter < ARRAY_SIZE(policies) &&
	    sandbox_filter(policies[a->filter], NULL) < 0)
		got = -errno;
	if (!got && a->nr >= 0)
		got = call(a);
	answer(got);
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
	struct ctl_msg ready = { .type = CTL_READY };

	if (rc->role >= ARRAY_SIZE(role) || sandbox_filter(policies[role[rc->role].filter], NULL) < 0)
		_exit(97);
	ctl_send(HFD_CTL, &ready);
	/* The others shall be running; no call to wait with is allowed. */
	for (uint64_t until = now_ms() + 150; now_ms() < until;)
		;
	syscall(role[rc->role].nr, role[rc->role].arg[0], role[rc->role].arg[1],
		role[rc->role].arg[2]);
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
