/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * work blkd|netd|fsd PROGRAM: starts PROGRAM as the supervisor does, with our own front-end,
 * and makes it do everything that a guest can ask of it, under its tight filter. work
 * handover PROGRAM: the same with a foreign front-end, which passes memory and eventfds
 * while the rings run, for a PROGRAM that serves disks. work blkd-saved PROGRAM: a disk
 * of a guest that is saved. work blkd-nbd PROGRAM: a disk for a client of the NBD protocol. Status 0: everything was done.
 * tests/needed/run removes a line of the filter and expects another status. For tests only.
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

#include "tests/needed/work.h"

struct front f;
struct role_config rc;
int image = -1, delta = -1, map = -1, tap = -1, capture = -1, shared = -1, saved = -1;
static int ctl;

/* ---- starting and ending ---- */

static int above(int fd)
{
	return fcntl(fd, F_DUPFD_CLOEXEC, 200);
}

static void become(const char *program, int front, int channel)
{
	int disk = above(image), changes = above(delta), clusters = map >= 0 ? above(map) : -1,
	    t = tap >= 0 ? above(tap) : -1;
	int file = capture >= 0 ? above(capture) : -1, root = shared >= 0 ? above(shared) : -1;
	int both = saved >= 0 ? above(saved) : -1;

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
	if (rc.role == ROLE_BLKD && rc.blk.saved) {
		dup2(both, HFD_SAVE);
		dup2(both, HFD_FROM);
	}
	if (rc.role == ROLE_FSD) {
		dup2(root, HFD_ROOT);
		if (rc.fs.saved) {
			dup2(both, HFD_SAVE);
			dup2(both, HFD_FROM);
		}
		if (rc.fs.read_write)
			dup2(clusters, HFD_ADDED);
		umask(0);
	}
	if (rc.role == ROLE_NETD)
		dup2(t, HFD_TAP0);
	if (rc.role == ROLE_NETD && rc.net.capture_max)
		dup2(file, HFD_CAPTURE);
	/* The supervisor passes no descriptors 0 and 1. */
	close(0);
	close(1);
	execl(program, program, "--supervised", NULL);
	_exit(127);
}

/* Make two connected sockets, or a listening socket and a connection to it. */
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
	/* The kernel chooses an abstract name. */
	MUST(bind(front[1], (struct sockaddr *)&a, sizeof(a.sun_family)) == 0 && listen(front[1], 1) == 0);
	MUST(getsockname(front[1], (struct sockaddr *)&a, &len) == 0);
	MUST(connect(front[0], (struct sockaddr *)&a, len) == 0);
}

void start_role(const char *program)
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
}

void begin(const char *program, uint64_t features)
{
	start_role(program);
	MUST(front_negotiate(&f, features,
			     BIT64(VHU_PF_REPLY_ACK) | BIT64(VHU_PF_CONFIGURE_MEM_SLOTS) | BIT64(VHU_PF_CONFIG) |
				     BIT64(VHU_PF_INFLIGHT_SHMFD)));
	MUST(front_send_memory(&f));
}

void to_file_and_back(void)
{
	struct vhu_rings rings;
	struct vhu_msg m;

	MUST(front_send(&f, VHU_HOLD, 0, NULL, 0, NULL, 0) && front_recv(&f, &m, WAIT_MS));
	rings = m.rings;
	for (uint32_t request = VHU_SAVE; request <= VHU_LOAD; request++) {
		struct vhu_saved s = { 0 };

		while (s.state == VHU_SAVED_MORE) {
			MUST(front_send(&f, request, 0, &s, sizeof(s), NULL, 0) && front_recv(&f, &m, WAIT_MS));
			s = m.saved;
		}
		MUST(s.state == VHU_SAVED_DONE && s.count > 1);
	}
	rings.what = VHU_GO_ON;
	MUST(front_ack(&f, VHU_GO, &rings, sizeof(rings), NULL, 0) == 0);
}

/* Ask for the counters, receive them, and stop the helper in order. */
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
	if (argc == 3 && !strcmp(argv[1], "blkd-saved"))
		return blkd_saved(argv[2]);
	if (argc == 3 && !strcmp(argv[1], "blkd-nbd"))
		return blkd_nbd(argv[2]);
	if (argc == 3 && !strcmp(argv[1], "netd"))
		return netd(argv[2]);
	if (argc == 3 && !strcmp(argv[1], "handover"))
		return handover(argv[2]);
	if (argc == 3 && (!strcmp(argv[1], "fsd") || !strcmp(argv[1], "fsd-foreign")))
		return fsd(argv[2], !strcmp(argv[1], "fsd"), false);
	/* Before its rings run, only our own front-end asks for files. */
	if (argc == 3 && (!strcmp(argv[1], "fsd-saved") || !strcmp(argv[1], "fsd-saved-foreign")))
		return fsd_saved(argv[2]);
	if (argc == 3 && (!strcmp(argv[1], "fsd-rw") || !strcmp(argv[1], "fsd-rw-foreign")))
		return fsd(argv[2], !strcmp(argv[1], "fsd-rw"), true);
	if (argc == 3 && !strcmp(argv[1], "controld"))
		return controld(argv[2]);
	fputs("usage: work blkd|blkd-saved|blkd-nbd|netd|fsd|fsd-foreign|fsd-saved|fsd-saved-foreign|fsd-rw|fsd-rw-foreign|handover|controld PROGRAM\n",
	      stderr);
	return 2;
}
