/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The process of a disk that is served by NBD: it confines itself, waits for QEMU's
 * connection and serves it until QEMU or the supervisor ends it. Runs in blkd.
 */
#include <errno.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "blkd/nbd.h"
#include "common/closefds.h"
#include "common/ctl.h"
#include "common/log.h"
#include "common/role.h"
#include "common/sandbox.h"
#include "policy/policies.h"

static struct stats counters;

static void send_stats(void)
{
	struct ctl_msg m = { .type = CTL_STATS, .stats = counters };

	ctl_send(HFD_CTL, &m);
}

/* Serve the supervisor's messages. Returns false if this process has to end. */
static bool serve_supervisor(void)
{
	struct ctl_msg m;
	int got;

	while ((got = ctl_recv(HFD_CTL, &m)) > 0) {
		if (m.type == CTL_STOP)
			return false;
		if (m.type == CTL_GET_STATS)
			send_stats();
	}
	return got == 0;
}

static int watch(int fd, uint32_t events)
{
	struct epoll_event ev = { .events = events, .data.fd = fd };

	return epoll_ctl(HFD_EPOLL, EPOLL_CTL_ADD, fd, &ev);
}

/* See struct nbd. The connection is watched edge-triggered in both directions; spurious returns do no harm. */
static bool wait_event(void *arg, bool now)
{
	struct epoll_event ev[4];

	(void)arg;
	if (!now && epoll_pwait(HFD_EPOLL, ev, ARRAY_SIZE(ev), -1, NULL) < 0 && errno != EINTR)
		return false;
	counters.wakeups += !now;
	return serve_supervisor();
}

/* Wait for QEMU's connection. Returns false if this process has to end. */
static bool accept_one(void)
{
	int fd = -1;

	while (fd < 0) {
		fd = accept4(HFD_LISTEN, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
		if (fd < 0 && errno != EAGAIN && errno != EINTR && errno != ECONNABORTED) {
			log_line(LOG_ERROR, "NBD: no client connected: %m");
			return false;
		}
		if (fd < 0 && !wait_event(NULL, false))
			return false;
	}
	epoll_ctl(HFD_EPOLL, EPOLL_CTL_DEL, HFD_LISTEN, NULL);
	return place_fd(fd, HFD_FRONT) == 0 && watch(HFD_FRONT, EPOLLIN | EPOLLOUT | EPOLLET) == 0;
}

int nbd_main(struct blkd *d, uint32_t missing)
{
	static const struct sandbox_options options;
	struct nbd n = { .d = d, .fd = HFD_FRONT, .wait = wait_event, .stats = &counters };
	enum nbd_end end = NBD_STOP;

	if (place_fd(epoll_create1(EPOLL_CLOEXEC), HFD_EPOLL) < 0 || watch(HFD_CTL, EPOLLIN) < 0 ||
	    watch(HFD_LISTEN, EPOLLIN) < 0)
		die("cannot set up epoll: %m");
	missing |= sandbox_enter(&options);
	blkd_mseal(d);
	if (sandbox_filter(&policy_blkd_nbd, &missing))
		die("cannot install the seccomp filter: %m");
	role_ready(missing, true);
	if (accept_one())
		end = nbd_serve(&n);
	send_stats();
	if (blkd_sync(d))
		log_line(LOG_ERROR, "the flush at exit failed, recent writes may be lost: %m");
	return end == NBD_BROKE;
}
