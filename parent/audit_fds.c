// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The tables of common/fdtab.h as the audit sees them: which kind of descriptor
 * may be open at which number of which process. Runs in lguest-sep audit.
 */
#include "audit.h"
#include "common/fdtab.h"

#define P(part) (1u << PART_##part)

struct slot {
	unsigned first, count;
	unsigned parts; /* P(…) */
	unsigned kinds;
};

static const struct slot table[] = {
	{ HFD_DIAG, 1, P(BLKD) | P(NETD), FD_PIPE },
	{ HFD_CTL, 1, P(BLKD) | P(NETD), FD_SOCKET },
	{ HFD_FRONT, 1, P(BLKD) | P(NETD), FD_SOCKET },
	{ HFD_LISTEN, 1, P(BLKD) | P(NETD), FD_SOCKET },
	{ HFD_DISK, 1, P(BLKD), FD_FILE | FD_BLOCK },
	{ HFD_DELTA, 1, P(BLKD), FD_FILE | FD_MEMFD },
	{ HFD_EPOLL, 1, P(BLKD) | P(NETD), FD_EPOLL },
	{ HFD_RING, 1, P(BLKD), FD_URING },
	{ HFD_RINGEV, 1, P(BLKD), FD_EVENTFD },
	{ HFD_TIMER, 1, P(BLKD) | P(NETD), FD_TIMERFD },
	{ HFD_INFLIGHT, 1, P(BLKD) | P(NETD), FD_MEMFD },
	{ HFD_SNAPMAP, 1, P(BLKD), FD_MEMFD | FD_FILE },
	{ HFD_KICK0, MAX_QUEUES, P(BLKD) | P(NETD), FD_EVENTFD },
	{ HFD_CALL0, MAX_QUEUES, P(BLKD) | P(NETD), FD_EVENTFD },
	{ HFD_ERR0, MAX_QUEUES, P(BLKD) | P(NETD), FD_EVENTFD },
	{ HFD_TAP0, MAX_QUEUES, P(NETD), FD_TAP },

	{ VFD_CON_IN, 1, P(VCPU) | P(QEMU), FD_PIPE },
	{ VFD_CON_OUT, 1, P(VCPU) | P(QEMU), FD_PIPE },
	{ VFD_DIAG, 1, P(VCPU) | P(QEMU), FD_PIPE },
	{ VFD_CTL, 1, P(VCPU) | P(QEMU), FD_SOCKET },
	{ VFD_MEM, 1, P(VCPU) | P(QEMU), FD_MEMFD },
	{ VFD_KERNEL, 1, P(VCPU), FD_FILE },
	{ VFD_INITRD, 1, P(VCPU), FD_FILE },
	{ VFD_ENGINE, 1, P(VCPU), FD_ENGINE },
	{ VFD_EPOLL, 1, P(VCPU), FD_EPOLL },
	{ VFD_VM, 1, P(VCPU), FD_VM },
	{ VFD_WAKE, 1, P(VCPU), FD_EVENTFD },
	{ VFD_WAIT, 1, P(VCPU), FD_EPOLL },
	{ VFD_REPLY, 1, P(VCPU), FD_EPOLL },
	{ VFD_RANDOM, 1, P(VCPU), FD_CHAR },
	{ VFD_FRONT0, MAX_DEVICES, P(VCPU), FD_SOCKET },
	{ VFD_VCPU0, MAX_VCPUS, P(VCPU), FD_CPU },
	{ VFD_OWNKICK0, MAX_QUEUES, P(VCPU), FD_EVENTFD },
	{ VFD_QERR0, MAX_DEVICES, P(VCPU), FD_EVENTFD },
	{ VFD_QKICK0, MAX_DEVICES *MAX_QUEUES, P(VCPU), FD_EVENTFD },
	{ VFD_QCALL0, MAX_DEVICES *MAX_QUEUES, P(VCPU), FD_EVENTFD },
	/* QEMU has kernel and initrd as sealed copies, and takes numbers of its own. */
	{ VFD_KERNEL, 2, P(QEMU), FD_MEMFD },
	{ VFD_ENGINE, VFD_LIMIT - VFD_ENGINE, P(QEMU), FD_SOCKET | FD_EVENTFD | FD_EPOLL | FD_SIGNALFD | FD_MEMFD },

	{ IFD_DIAG, 1, P(SPAWNER), FD_PIPE },
	{ IFD_CMD, 1, P(SPAWNER), FD_SOCKET },
	{ IFD_EXE, 1, P(SPAWNER), FD_FILE },

	/* The user's own three, whatever they are; then what the window opened. */
	{ 0, 3, P(SUPERVISOR), ~0u },
	{ 3, 1u << 20, P(SUPERVISOR),
	  FD_PIPE | FD_SOCKET | FD_SIGNALFD | FD_FILE | FD_BLOCK | FD_TAP | FD_MEMFD | FD_ENGINE | FD_CHAR },
};

static const char *judge(enum part part, const struct audit_fd *d)
{
	bool number_known = false;

	for (unsigned i = 0; i < ARRAY_SIZE(table); i++) {
		const struct slot *s = &table[i];

		if (!(s->parts & (1u << part)) || d->number < s->first || d->number - s->first >= s->count)
			continue;
		number_known = true;
		if (s->kinds & d->kind)
			return NULL;
	}
	return number_known ? "another kind has this number in its table" : "its table has no such number";
}

void audit_judge_fds(enum part part, struct facts *f)
{
	for (unsigned i = 0; i < f->nfds; i++)
		f->fd[i].wrong = judge(part, &f->fd[i]);
}
