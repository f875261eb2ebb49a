/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The upper limit: one thread that writes frames to the tap, or reads them from it,
 * in a loop. Part of bench/netload.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/netload.h"

static void send_all(const struct net_load *l, int tap, struct bench_result *r)
{
	static uint8_t bytes[NET_BUFFERS][NET_HDR + NET_MAX];
	uint32_t len = 0;
	uint64_t began, until;

	for (unsigned i = 0; i < l->buffers; i++)
		len = net_frame(bytes[i], (uint32_t)l->size, false);
	began = bench_ns();
	until = began + l->ms * 1000000;
	while (l->count ? r->ops < l->count : (r->ops & 63) || bench_ns() < until) {
		if (write(tap, bytes[r->ops % l->buffers], len) != (ssize_t)len)
			bench_die("write to the tap");
		r->ops++;
	}
	r->ns = bench_ns() - began;
}

/* Start a process for the host's side, which keeps a window of frames ahead of the reader. */
static pid_t start_sender(const struct net_load *l, int tap, volatile uint64_t *taken)
{
	const int64_t window = l->size > NET_LARGE ? NET_WINDOW_LARGE : NET_WINDOW;
	uint64_t sent = 0, moved = 0;
	pid_t pid = fork();
	struct net_sender *s;

	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	close(tap);
	bench_pin(l->sender_cpu);
	s = net_sender(l->tap, (uint32_t)l->size);
	for (;;) {
		uint64_t t = *taken;

		if ((int64_t)(sent - t) < window) {
			sent += net_send(s, (unsigned)(window - (int64_t)(sent - t)));
			moved = 0;
		} else if (!moved) {
			moved = bench_ns();
		} else if (bench_ns() - moved > 200000000) {
			sent = t; /* some were lost */
		}
	}
}

static void receive_all(const struct net_load *l, int tap, struct bench_result *r)
{
	static uint8_t buffer[NET_BUFFERS][NET_HDR + NET_MAX + 1];
	volatile uint64_t *taken = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct pollfd p = { .fd = tap, .events = POLLIN };
	uint64_t began, until;
	pid_t sender = start_sender(l, tap, taken);

	began = bench_ns();
	until = began + l->ms * 1000000;
	while (l->count ? r->ops < l->count : (r->ops & 63) || bench_ns() < until) {
		uint8_t *bytes = buffer[r->ops % l->buffers];
		ssize_t got = read(tap, bytes, sizeof(buffer[0]));

		if (got < 0 && errno == EAGAIN) {
			if (!l->count && bench_ns() >= until)
				break;
			if (!l->poll)
				poll(&p, 1, 100);
			continue;
		}
		if (got != (ssize_t)(NET_HDR + l->size) || !net_is_frame(bytes + NET_HDR, (uint32_t)got - NET_HDR))
			r->bad++;
		r->ops++;
		*taken = r->ops;
	}
	r->ns = bench_ns() - began;
	kill(sender, SIGKILL);
	waitpid(sender, NULL, 0); /* Its CPU time must not count as a child's. */
}

/* Each frame passes the tap's kernel code and the packet socket's, in this one thread. */
static void send_each(const struct net_load *l, int tap, struct bench_result *r)
{
	static uint8_t bytes[NET_HDR + NET_MAX];
	uint32_t len = net_frame(bytes, (uint32_t)l->size, false);
	uint64_t until = bench_ns() + l->ms * 1000000, began;
	int sock = net_receiver(l->tap);

	while (l->count ? r->ops < l->count : bench_ns() < until) {
		began = bench_ns();
		if (write(tap, bytes, len) != (ssize_t)len)
			bench_die("write to the tap");
		r->bad += !net_received(sock, (uint32_t)l->size);
		net_took(r, began);
	}
	close(sock);
}

static void receive_each(const struct net_load *l, int tap, struct bench_result *r)
{
	static uint8_t bytes[NET_HDR + NET_MAX + 1];
	struct net_sender *s = net_sender(l->tap, (uint32_t)l->size);
	uint64_t until = bench_ns() + l->ms * 1000000, began;
	struct pollfd p = { .fd = tap, .events = POLLIN };
	ssize_t got;

	while (l->count ? r->ops < l->count : bench_ns() < until) {
		began = bench_ns();
		if (net_send(s, 1) != 1 || poll(&p, 1, 10000) <= 0)
			bench_die("frame through the tap");
		got = read(tap, bytes, sizeof(bytes));
		r->bad += got != (ssize_t)(NET_HDR + l->size) || !net_is_frame(bytes + NET_HDR, (uint32_t)l->size);
		net_took(r, began);
	}
}

void net_bare(const struct net_load *l, struct bench_result *r)
{
	int tap = net_open_tap(l->tap);

	r->cpu_ns = 0 - bench_cpu_ns(getpid());
	if (l->latency)
		(l->receive ? receive_each : send_each)(l, tap, r);
	else
		(l->receive ? receive_all : send_all)(l, tap, r);
	r->cpu_ns += bench_cpu_ns(getpid());
	r->bytes = r->ops * l->size;
	close(tap);
}
