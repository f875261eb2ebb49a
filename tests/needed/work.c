/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * work blkd|netd PROGRAM: starts PROGRAM as the supervisor does, with our own
 * front-end, and has it do everything that a guest can ask of it, confined to
 * its tight filter. work handover PROGRAM: the same of a foreign front-end, which
 * hands memory and eventfds over while the rings run, to a PROGRAM that serves
 * disks. Status 0: all was done. tests/needed/run takes a line out of the filter
 * and expects another status. Runs as a test alone.
 */
#include <fcntl.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_net.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "work.h"

struct front f;
struct role_config rc;
int image = -1, delta = -1, map = -1, tap = -1;
static int ctl;

/* ---- starting and ending ---- */

static int above(int fd)
{
	return fcntl(fd, F_DUPFD_CLOEXEC, 200);
}

static void become(const char *program, int front, int channel)
{
	int disk = above(image), changes = above(delta), clusters = above(map), t = tap >= 0 ? above(tap) : -1;

	front = above(front);
	channel = above(channel);
	for (int fd = 3; fd < 200; fd++)
		close(fd);
	dup2(front, rc.listening ? HFD_LISTEN : HFD_FRONT);
	dup2(channel, HFD_CTL);
	if (rc.role == ROLE_BLKD)
		dup2(disk, HFD_DISK);
	if (rc.role == ROLE_BLKD && rc.blk.snapshot) {
		dup2(changes, HFD_DELTA);
		dup2(clusters, HFD_SNAPMAP);
	}
	if (rc.role == ROLE_NETD)
		dup2(t, HFD_TAP0);
	/* The supervisor gives nothing there. */
	close(0);
	close(1);
	execl(program, program, "--supervised", NULL);
	_exit(127);
}

/* Two connected sockets, or the connection to come and the socket that listens for it. */
static void make_front(int front[2])
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	socklen_t len = sizeof(a);

	if (!rc.listening) {
		MUST(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, front) == 0);
		return;
	}
	front[0] = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	front[1] = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	/* A name of the kernel's choice. */
	MUST(bind(front[1], (struct sockaddr *)&a, sizeof(a.sun_family)) == 0 && listen(front[1], 1) == 0);
	MUST(getsockname(front[1], (struct sockaddr *)&a, &len) == 0);
	MUST(connect(front[0], (struct sockaddr *)&a, len) == 0);
}

void begin(const char *program, uint64_t features)
{
	int front[2], channel[2];
	struct ctl_msg m;
	struct stat st;

	memset(&f, 0, sizeof(f));
	MUST(front_memory(&f, MEM, 0, true));
	make_front(front);
	MUST(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, channel) == 0);
	f.sock = front[0];
	ctl = channel[0];
	f.pid = fork();
	if (f.pid == 0)
		become(program, front[1], channel[1]);
	close(front[1]);
	close(channel[1]);
	MUST(fstat(f.memfd, &st) == 0);
	rc.type = CTL_CONFIG;
	rc.log_level = LOG_WARN;
	rc.mem_dev = rc.own_front ? st.st_dev : 0;
	rc.mem_ino = rc.own_front ? st.st_ino : 0;
	MUST(write(ctl, &rc, sizeof(rc)) == sizeof(rc));
	do {
		MUST(recv(ctl, &m, sizeof(m), 0) == sizeof(m));
		if (m.type == CTL_LOG)
			fprintf(stderr, "work: it says: %.200s\n", m.text);
	} while (m.type == CTL_LOG);
	MUST(m.type == CTL_READY);
	MUST(front_negotiate(&f, features,
			     BIT(VHU_PF_REPLY_ACK) | BIT(VHU_PF_CONFIGURE_MEM_SLOTS) | BIT(VHU_PF_CONFIG) |
				     BIT(VHU_PF_INFLIGHT_SHMFD)));
	MUST(front_send_memory(&f));
}

/* Counters are asked for and come; the end is an orderly one. */
void end(void)
{
	struct ctl_msg m = { .type = CTL_GET_STATS };
	struct pollfd p = { .fd = ctl, .events = POLLIN };
	bool got = false;

	MUST(send(ctl, &m, sizeof(m), MSG_NOSIGNAL) == sizeof(m));
	while (!got && poll(&p, 1, WAIT_MS) > 0 && recv(ctl, &m, sizeof(m), 0) == sizeof(m))
		got = m.type == CTL_STATS;
	MUST(got);
	close(f.sock);
	f.sock = -1;
	MUST(front_close(&f) == 0);
	close(ctl);
}

struct front_queue *ring(unsigned q)
{
	struct front_queue *r = front_queue(&f, q, 64, 0x10000u * (q + 1));

	MUST(front_queue_setup(r, 0) && front_queue_fds(r));
	return r;
}

void break_ring(struct front_queue *q)
{
	struct ctl_msg m;
	struct pollfd p = { .fd = ctl, .events = POLLIN };

	front_offer(q, 999);
	front_kick(q);
	MUST(front_wait_err(q, WAIT_MS));
	do
		MUST(poll(&p, 1, WAIT_MS) == 1 && recv(ctl, &m, sizeof(m), 0) == sizeof(m));
	while (m.type != CTL_FAULT);
}

int main(int argc, char **argv)
{
	signal(SIGPIPE, SIG_IGN);
	if (argc == 3 && !strcmp(argv[1], "blkd"))
		return blkd(argv[2]);
	if (argc == 3 && !strcmp(argv[1], "netd"))
		return netd(argv[2]);
	if (argc == 3 && !strcmp(argv[1], "handover"))
		return handover(argv[2]);
	fputs("usage: work blkd|netd|handover PROGRAM\n", stderr);
	return 2;
}
