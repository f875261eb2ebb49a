/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Starts netd and blkd as the supervisor does, drives their queues correctly, and receives
 * their messages and counters. For test programs only.
 */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/hostile/hostile.h"

#define OUT_OF_TABLE 400

static struct dev running[2];

void *at(struct dev *d, uint64_t gpa)
{
	if (gpa >= D_GPA)
		return d->f.mem + (gpa - D_GPA) + A_LEN + B_LEN + C_LEN;
	if (gpa >= C_GPA)
		return d->f.mem + (gpa - C_GPA) + A_LEN + B_LEN;
	return d->f.mem + (gpa - A_GPA);
}

/* ---- starting ---- */

/* Create a disk in which each sector contains its own number. */
static int new_disk(bool direct)
{
	static uint32_t sector[128];
	char path[100];
	int fd;

	snprintf(path, sizeof(path), "%s/disk", work_dir);
	unlink(path);
	fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	need(fd >= 0);
	for (uint32_t i = 0; i < SECTORS; i++) {
		for (unsigned k = 0; k < ARRAY_SIZE(sector); k++)
			sector[k] = i;
		need(write(fd, sector, sizeof(sector)) == (ssize_t)sizeof(sector));
	}
	need(fdatasync(fd) == 0);
	if (direct && fcntl(fd, F_SETFL, O_DIRECT) != 0)
		skipped("no direct I/O in this folder");
	return fd;
}

/* Descriptors of a helper: its number, and where it comes from. */
struct placing {
	int from, to;
};

static NORETURN void become(const struct dev *d, struct placing *p, unsigned n)
{
	const struct rlimit files = { HFD_LIMIT, HFD_LIMIT };
	const struct rlimit size = { d->o.file_limit, d->o.file_limit };
	const char *name = d->o.kind == BLKD ? "lguest-sep-blkd" : "lguest-sep-netd";
	char path[600];

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (unsigned i = 0; i < n; i++)
		p[i].from = fcntl(p[i].from, F_DUPFD_CLOEXEC, OUT_OF_TABLE);
	for (int fd = 0; fd < HFD_LIMIT; fd++)
		close(fd);
	for (unsigned i = 0; i < n; i++)
		if (dup2(p[i].from, p[i].to) < 0)
			_exit(90);
	snprintf(path, sizeof(path), "%s/%s", bin_dir, name);
	if (setrlimit(RLIMIT_NOFILE, &files) < 0 || (d->o.file_limit && setrlimit(RLIMIT_FSIZE, &size) < 0))
		_exit(91);
	execl(path, name, "--supervised", NULL);
	_exit(92);
}

static void start_process(struct dev *d, int front, int ctl)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC), diag;
	struct placing p[] = {
		{ null, HFD_NULL_IN },
		{ null, HFD_NULL_OUT },
		{ null, HFD_DIAG },
		{ ctl, HFD_CTL },
		{ front, d->o.nbd ? HFD_LISTEN : HFD_FRONT },
		{ d->disk, HFD_DISK },
		{ tap[1], HFD_TAP0 + 1 },
	};
	char path[100];

	snprintf(path, sizeof(path), "%s/diag", work_dir);
	diag = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	p[2].from = diag;
	if (d->o.kind == NETD)
		p[5] = (struct placing){ tap[0], HFD_TAP0 };
	need(null >= 0 && diag >= 0);
	d->f.pid = fork();
	need(d->f.pid >= 0);
	if (!d->f.pid)
		become(d, p, d->o.kind == NETD ? 7 : 6);
	close(null);
	close(diag);
}

static void configure(struct dev *d)
{
	static struct role_config rc;
	struct stat st;

	need(fstat(d->f.memfd, &st) == 0);
	memset(&rc, 0, sizeof(rc));
	rc.type = CTL_CONFIG;
	rc.log_level = LOG_INFO;
	rc.own_front = !d->o.open;
	rc.listening = d->o.nbd;
	rc.mem_dev = st.st_dev;
	rc.mem_ino = d->o.any_memory ? 0 : st.st_ino;
	if (d->o.kind == BLKD) {
		rc.role = ROLE_BLKD;
		memcpy(rc.name, "blk0", 5);
		rc.blk = (struct blk_config){ .capacity = SECTORS * 512ull,
					      .queues = 2,
					      .serial = "a serial of 20 bytes",
					      .read_only = d->o.read_only,
					      .discard = true,
					      .direct = d->o.direct,
					      .nbd = d->o.nbd,
					      .io = d->o.sync || d->o.nbd ? BLK_IO_SYNC : BLK_IO_AUTO };
	} else {
		rc.role = ROLE_NETD;
		memcpy(rc.name, "net0", 5);
		rc.net = (struct net_config){ .mtu = 1500,
					      .queue_pairs = 2,
					      .offload = true,
					      .spoof_check = true,
					      .vnet_hdr = true,
					      .tap_offloads = tap_can };
		memcpy(rc.net.mac, guest_mac, sizeof(rc.net.mac));
	}
	need(send(d->ctl, &rc, sizeof(rc), MSG_NOSIGNAL) == (ssize_t)sizeof(rc));
}

/* A listening socket in @pair[1] and a connection to it in @pair[0]. */
static void listener(int *pair)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };

	snprintf(a.sun_path, sizeof(a.sun_path), "%s/nbd", work_dir);
	unlink(a.sun_path);
	pair[0] = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	pair[1] = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	need(pair[0] >= 0 && pair[1] >= 0);
	need(bind(pair[1], (struct sockaddr *)&a, sizeof(a)) == 0 && listen(pair[1], 1) == 0);
	need(connect(pair[0], (struct sockaddr *)&a, sizeof(a)) == 0);
}

void dev_spawn(struct dev *d, const struct dev_options *o)
{
	int front[2], ctl[2];

	if (o->kind == NETD && !host_net())
		skipped("no tap in a network namespace on this host");
	memset(d, 0, sizeof(*d));
	d->o = *o;
	d->nq = o->kind == BLKD ? 2 : 4;
	d->victim = o->kind == BLKD ? 0 : 1;
	d->sibling = o->kind == BLKD ? 1 : 3;
	d->disk = o->disk >= 0 ? dup(o->disk) : -1;
	if (o->kind == BLKD && o->disk < 0)
		d->disk = new_disk(o->direct);
	need(front_memory(&d->f, MEM_LEN, A_GPA, true));
	if (o->nbd)
		listener(front);
	else
		need(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, front) == 0);
	need(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ctl) == 0);
	start_process(d, front[1], ctl[1]);
	close(front[1]);
	close(ctl[1]);
	d->f.sock = front[0];
	d->ctl = ctl[0];
	d->up = true;
	configure(d);
	for (unsigned i = 0; i < PATIENCE && !d->got_ready; i++, usleep(1000))
		dev_hear(d);
	need(d->got_ready);
}

bool dev_memory(struct dev *d)
{
	uint64_t uva = (uintptr_t)d->f.mem;
	struct vhu_mem_table t = {
		.nregions = 4,
		.regions = { { A_GPA, A_LEN, uva, 0 },
			     { B_GPA, B_LEN, uva + A_LEN, A_LEN },
			     { C_GPA, C_LEN, uva + A_LEN + B_LEN, A_LEN + B_LEN },
			     { D_GPA, D_LEN, uva + A_LEN + B_LEN + C_LEN, A_LEN + B_LEN + C_LEN } },
	};
	int fds[4] = { d->f.memfd, d->f.memfd, d->f.memfd, d->f.memfd };

	return front_ack(&d->f, VHU_SET_MEM_TABLE, &t, 8 + 4 * sizeof(t.regions[0]), fds, 4) == 0;
}

static uint64_t window(unsigned q)
{
	return A_GPA + q * 0x10000ull;
}

void dev_greet(struct dev *d)
{
	uint16_t size = d->o.size ? d->o.size : RING;

	need(front_negotiate(&d->f, ALL, ALL));
	need(dev_memory(d));
	/* Pass all descriptors before the first ring starts, because that seals the back-end. */
	for (unsigned q = 0; q < d->nq; q++) {
		d->q[q] = front_queue(&d->f, q, size, window(q));
		need(front_queue_setup(d->q[q], 0) && front_queue_fds(d->q[q]));
	}
}

void dev_start(struct dev *d)
{
	for (unsigned q = 0; q < d->nq; q++)
		need(front_queue_enable(d->q[q], true));
}

void dev_fresh(struct dev *d, unsigned q, uint16_t size)
{
	uint64_t v;

	need(front_queue_stop(d->q[q]) >= 0);
	d->q[q] = front_queue(&d->f, q, size, window(q));
	need(front_queue_setup(d->q[q], 0));
	if (d->o.open)
		need(front_queue_fds(d->q[q]));
	need(front_queue_enable(d->q[q], true));
	while (read(d->q[q]->err, &v, sizeof(v)) > 0)
		;
}

static bool same(const struct dev_options *a, const struct dev_options *b)
{
	return a->open == b->open && a->read_only == b->read_only && a->disk == b->disk &&
	       a->file_limit == b->file_limit && a->size == b->size && a->sync == b->sync &&
	       a->any_memory == b->any_memory && a->direct == b->direct;
}

struct dev *dev_get(const struct dev_options *o)
{
	struct dev *d = &running[o->kind];

	if (d->up && !same(&d->o, o))
		need(dev_end(d) == 0);
	if (!d->up) {
		dev_spawn(d, o);
		dev_greet(d);
		dev_start(d);
	} else {
		for (unsigned q = 0; q < d->nq; q++)
			dev_fresh(d, q, o->size ? o->size : RING);
	}
	dev_stats(d);
	d->before = d->stats;
	d->faults = 0;
	d->fault = FAULT_NONE;
	return d;
}

int dev_end(struct dev *d)
{
	int status;

	if (!d->up)
		return 0;
	d->up = false;
	close(d->f.sock);
	d->f.sock = open("/dev/null", O_RDWR | O_CLOEXEC);
	/* The helper sends its counters when it ends; receive them, so that it does not block. */
	for (unsigned i = 0; i < PATIENCE && kill(d->f.pid, 0) == 0; i++) {
		siginfo_t info = { .si_pid = 0 };

		dev_hear(d);
		if (waitid(P_PID, (id_t)d->f.pid, &info, WEXITED | WNOWAIT | WNOHANG) == 0 && info.si_pid)
			break;
		usleep(1000);
		if (i + 1 == PATIENCE)
			kill(d->f.pid, SIGKILL);
	}
	status = front_close(&d->f);
	close(d->ctl);
	close(d->disk);
	return status;
}

void dev_end_all(void)
{
	for (unsigned k = 0; k < ARRAY_SIZE(running); k++)
		dev_end(&running[k]);
}

/* ---- messages from the device ---- */

void dev_hear(struct dev *d)
{
	struct ctl_msg m;

	while (ctl_recv(d->ctl, &m) == 1) {
		if (m.type == CTL_FAULT) {
			d->faults++;
			d->fault = (enum guest_fault)m.value;
			d->fault_queue = m.queue;
		} else if (m.type == CTL_STATS) {
			d->stats = m.stats;
			d->got_stats = true;
		} else if (m.type == CTL_READY) {
			d->got_ready = true;
		} else if (m.type == CTL_LOG) {
			memcpy(d->said, m.text, sizeof(d->said));
		}
	}
}

const struct stats *dev_stats(struct dev *d)
{
	const struct ctl_msg m = { .type = CTL_GET_STATS };

	dev_hear(d);
	d->got_stats = false;
	need(ctl_send(d->ctl, &m) == 0);
	for (unsigned i = 0; i < PATIENCE && !d->got_stats; i++) {
		struct pollfd p = { .fd = d->ctl, .events = POLLIN };

		(void)poll(&p, 1, 1);
		dev_hear(d);
		if (p.revents & POLLHUP)
			break;
	}
	need(d->got_stats);
	return &d->stats;
}

void dev_judge(struct dev *d, bool fault)
{
	struct front_queue *q = d->q[d->victim];

	if (fault) {
		need(front_wait_err(q, PATIENCE));
		for (unsigned i = 0; i < PATIENCE && !d->faults; i++, usleep(1000))
			dev_hear(d);
		need(d->faults == 1);
		need(d->fault_queue == d->victim);
		counted("%s", guest_fault_symbol(d->fault));
	}
	report.sibling = dev_serves(d, d->sibling) ? YES : NO;
	for (unsigned i = 0; fault && i < 20; i++)
		front_kick(q);
	if (!dev_serves(d, d->sibling))
		report.sibling = NO;
	need(dev_stats(d)->faults - d->before.faults == fault);
	dev_fresh(d, d->victim, q->size);
	report.alive = dev_serves(d, d->victim) ? YES : NO;
	need(dev_stats(d)->faults - d->before.faults == fault);
}

/* ---- seen from outside ---- */

unsigned open_fds(pid_t pid)
{
	char path[64], link[16];
	unsigned n = 0;

	for (int fd = 0; fd < HFD_LIMIT; fd++) {
		snprintf(path, sizeof(path), "/proc/%d/fd/%d", (int)pid, fd);
		n += readlink(path, link, sizeof(link)) >= 0;
	}
	return n;
}

static void read_text(const char *file, pid_t pid, char *to, size_t size)
{
	char path[64];
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, file);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	need(fd >= 0);
	n = read(fd, to, size - 1);
	close(fd);
	need(n > 0);
	to[n] = '\0';
}

uint64_t mapped(pid_t pid)
{
	char text[256];

	read_text("statm", pid, text, sizeof(text));
	return strtoull(text, NULL, 10) * 4096;
}

bool falls_asleep(pid_t pid)
{
	char text[1024];

	for (unsigned n = 0, asleep = 0; n < FALLS_ASLEEP_MS; n++) {
		const char *p;

		read_text("stat", pid, text, sizeof(text));
		p = strrchr(text, ')');
		need(p != NULL);
		asleep = p && p[1] == ' ' && p[2] == 'S' ? asleep + 1 : 0;
		if (asleep == 100)
			return true;
		usleep(1000);
	}
	return false;
}
