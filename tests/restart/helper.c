/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Starts, kills and restarts a helper as the supervisor does: with descriptors at their
 * numbers, its configuration, and the connection that outlives it. For tests only.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/restart/restart.h"

#define OUT_OF_TABLE 200

void fail(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fputs("restart: ", stderr);
	vfprintf(stderr, fmt, ap);
	fputc('\n', stderr);
	va_end(ap);
	_exit(1);
}

uint64_t rnd(uint64_t below)
{
	static uint64_t x = 0x9e3779b97f4a7c15ull;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	return x % below;
}

void nap_us(uint64_t us)
{
	struct timespec t = { (time_t)(us / 1000000), (long)(us % 1000000) * 1000 };

	nanosleep(&t, NULL);
}

void helper_prepare(struct helper *h, const char *exe, enum role role, const char *name, struct front *f,
		    uint64_t memory)
{
	struct stat st;
	int sv[2];

	memset(h, 0, sizeof(*h));
	memset(f, 0, sizeof(*f));
	if (!front_memory(f, memory, 0, true) || fstat(f->memfd, &st) < 0 ||
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv) < 0)
		fail("memory or connection: %s", strerror(errno));
	f->sock = sv[0];
	h->far = sv[1];
	h->f = f;
	h->exe = exe;
	h->rc.type = CTL_CONFIG;
	h->rc.role = role;
	h->rc.log_level = LOG_INFO;
	h->rc.own_front = true;
	h->rc.mem_dev = st.st_dev;
	h->rc.mem_ino = st.st_ino;
	memcpy(h->rc.name, name, strlen(name));
}

void helper_add_fd(struct helper *h, int fd, int number)
{
	h->fd[h->nfds] = fd;
	h->number[h->nfds++] = number;
}

static NORETURN void become(const struct helper *h, int ctl)
{
	char name[] = "helper", supervised[] = "--supervised", *argv[] = { name, supervised, NULL };
	int from[MAX_FDS + 2], to[MAX_FDS + 2];
	unsigned n = h->nfds;

	memcpy(from, h->fd, n * sizeof(int));
	memcpy(to, h->number, n * sizeof(int));
	from[n] = ctl;
	to[n++] = HFD_CTL;
	from[n] = h->far;
	to[n++] = HFD_FRONT;
	for (unsigned i = 0; i < n; i++)
		from[i] = fcntl(from[i], F_DUPFD_CLOEXEC, OUT_OF_TABLE);
	for (unsigned i = 0; i < n; i++)
		if (from[i] < 0 || dup2(from[i], to[i]) < 0)
			_exit(126);
	execv(h->exe, argv);
	_exit(127);
}

void helper_start(struct helper *h)
{
	int sv[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sv) < 0)
		fail("socket: %s", strerror(errno));
	if (write(sv[0], &h->rc, sizeof(h->rc)) != sizeof(h->rc))
		fail("configuration: %s", strerror(errno));
	h->pid = fork();
	if (h->pid < 0)
		fail("fork: %s", strerror(errno));
	if (h->pid == 0)
		become(h, sv[1]);
	close(sv[1]);
	h->ctl = sv[0];
}

/* Receive one message. Returns false if there is none, or at the end of the channel, which sets *@ended. */
static bool hear(struct helper *h, bool *ended)
{
	struct ctl_msg m;
	int got = ctl_recv(h->ctl, &m);

	*ended = got < 0;
	if (got <= 0)
		return false;
	if (m.type == CTL_LOG && m.value <= LOG_WARN)
		fprintf(stderr, "%s: %s\n", h->rc.name, m.text);
	h->faults += m.type == CTL_FAULT;
	return true;
}

void helper_listen(struct helper *h)
{
	bool ended;

	while (hear(h, &ended))
		;
	if (ended)
		fail("%s (generation %u) ended by itself", h->rc.name, h->rc.generation);
}

void helper_kill(struct helper *h)
{
	struct pollfd p = { .fd = h->ctl, .events = POLLIN };
	bool ended = false;
	int status;

	kill(h->pid, SIGKILL);
	if (waitpid(h->pid, &status, 0) != h->pid)
		fail("waitpid: %s", strerror(errno));
	if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL)
		fail("%s (generation %u) had ended before it was killed, with status 0x%x", h->rc.name,
		     h->rc.generation, status);
	while (!ended) {
		if (poll(&p, 1, 60000) != 1)
			fail("%s: its ring does not end", h->rc.name);
		while (hear(h, &ended))
			;
	}
	close(h->ctl);
	if (h->faults)
		fail("%s: %u faults of a driver that made none", h->rc.name, h->faults);
	h->rc.generation++;
}

static void resume(struct helper *h)
{
	uint64_t generation = h->rc.generation;
	struct vhu_msg m;

	if (!generation)
		return;
	do
		if (!front_recv(h->f, &m, 60000))
			fail("%s (generation %u) does not resume", h->rc.name, h->rc.generation);
	while (m.request != VHU_RESUME || m.u64 != generation);
	if (!front_send(h->f, VHU_RESUME, 0, &generation, sizeof(generation), NULL, 0))
		fail("resume: %s", strerror(errno));
}

void helper_attach(struct helper *h, uint64_t features, uint64_t protocol)
{
	resume(h);
	if (!front_negotiate(h->f, features, protocol) || !front_send_memory(h->f))
		fail("%s (generation %u) cannot be attached", h->rc.name, h->rc.generation);
}

/* Send the first messages of a front-end, which will not be answered. */
static void half_attach(struct helper *h)
{
	uint64_t generation = h->rc.generation;
	const uint32_t half[2] = { VHU_GET_FEATURES, VHU_VERSION };

	front_send(h->f, VHU_RESUME, 0, &generation, sizeof(generation), NULL, 0);
	front_send(h->f, VHU_GET_FEATURES, 0, NULL, 0, NULL, 0);
	front_send(h->f, VHU_SET_OWNER, 0, NULL, 0, NULL, 0);
	/* The reader may be killed in the middle of this message. */
	if (rnd(2))
		front_raw(h->f, half, 4 + rnd(5), &h->f->memfd, 1);
}

void helper_start_anew(struct helper *h)
{
	helper_start(h);
	while (rnd(5) == 0) {
		half_attach(h);
		nap_us(rnd(6000));
		helper_kill(h);
		helper_start(h);
	}
}
