/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Invalid connections: streams that lose their message boundaries, incomplete messages,
 * answers that the front-end does not read, floods. Against back-ends under a supervisor,
 * and against stand-alone ones on a socket's path or an inherited descriptor.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/hostile/hostile.h"

static enum kind kind;

static struct dev *get(void)
{
	return dev_get(&(struct dev_options){ .kind = kind, .disk = -1, .open = true });
}

static struct dev once;

/* A device for one case alone, with rings. */
static struct dev *fresh(void)
{
	dev_end_all();
	dev_spawn(&once, &(struct dev_options){ .kind = kind, .disk = -1, .open = true });
	dev_greet(&once);
	dev_start(&once);
	return &once;
}

static void ended_with(struct dev *d, int status)
{
	int got;

	need(front_closed(&d->f, PATIENCE));
	got = dev_end(d);
	counted("%s", got == status ? "ended" : "status");
	if (got != status)
		counted("status %d", got);
}

static void bad_header(const void *arg)
{
	struct dev *d = fresh();

	need(front_raw(&d->f, arg, 12, &d->f.memfd, 1));
	ended_with(d, 1);
}

static void garbage(const void *arg)
{
	struct dev *d = fresh();
	uint32_t bytes[1024], seed = 1;

	(void)arg;
	for (unsigned i = 0; i < 256; i++) {
		for (unsigned k = 0; k < ARRAY_SIZE(bytes); k++)
			bytes[k] = seed = seed * 1664525 + 1013904223;
		if (send(d->f.sock, bytes, sizeof(bytes), MSG_NOSIGNAL) < 0)
			break;
	}
	ended_with(d, 1);
}

/* Half a header or half a payload, and then nothing: the rings must not wait for the rest. */
static void halves(const void *arg)
{
	const uint32_t h[] = { VHU_SET_MEM_TABLE, VHU_VERSION, 40, 1, 0 };
	unsigned len = *(const unsigned *)arg;
	struct dev *d = fresh();

	need(front_raw(&d->f, h, len, &d->f.memfd, 1));
	for (unsigned i = 0; i < 20; i++)
		need(dev_serves(d, d->victim));
	report.sibling = dev_serves(d, d->sibling) ? YES : NO;
	need(dev_end(d) == 0);
	counted("served");
}

/* Endless requests whose answers are not read: the back-end must not wait for us. */
static void unread_answers(const void *arg)
{
	const uint32_t h[] = { VHU_GET_FEATURES, VHU_VERSION, 0 };
	struct dev *d = fresh();
	unsigned n = 0;

	(void)arg;
	need(fcntl(d->f.sock, F_SETFL, O_NONBLOCK) == 0);
	for (unsigned i = 0; i < PATIENCE; i++) {
		while (front_raw(&d->f, h, sizeof(h), NULL, 0))
			n++;
		if (errno == EPIPE || errno == ECONNRESET)
			break;
		usleep(1000);
	}
	need(n > 10 && (errno == EPIPE || errno == ECONNRESET));
	need(dev_end(d) == 1);
	counted("ended");
}

/* ---- configuration and inflight area ---- */

/* Request an inflight area again and again, and write to each. Returns how many there are. */
static unsigned lent_areas(struct dev *d)
{
	const struct vhu_inflight i = { .num_queues = 1, .queue_size = 64 };
	struct stat st, first = { 0 };
	unsigned n = 0;

	for (unsigned round = 0; round < 200; round++) {
		uint64_t word = 0;
		struct vhu_msg m;

		need(front_send(&d->f, VHU_GET_INFLIGHT_FD, 0, &i, sizeof(i), NULL, 0));
		need(front_recv(&d->f, &m, PATIENCE) && m.nfds == 1 && m.inflight.mmap_size == 4096);
		need(fstat(m.fds[0], &st) == 0 && st.st_size >= 4096);
		/* Each area must be zeroed. */
		need(pread(m.fds[0], &word, sizeof(word), 0) == sizeof(word) && !word);
		word = ~0ull;
		need(pwrite(m.fds[0], &word, sizeof(word), 0) == sizeof(word));
		n += !n || st.st_ino != first.st_ino;
		first = st;
		close(m.fds[0]);
	}
	return n;
}

static void config_bounds(const void *arg)
{
	static const struct {
		uint32_t offset, size;
		bool ok;
	} reads[] = {
		{ 0, 60, true },	  { 0, 256, true },	    { 0, 257, false },
		{ 1, 256, false },	  { 255, 1, true },	    { 256, 1, false },
		{ UINT32_MAX, 1, false }, { 1, UINT32_MAX, false }, { 0x80000000u, 0x80000000u, false },
	};
	/* netd answers configuration requests only of our own front-end. */
	struct dev *d = dev_get(&(struct dev_options){ .kind = kind, .disk = -1, .open = kind == BLKD });
	struct vhu_config c = { 0 };
	struct vhu_msg m;

	(void)arg;
	for (unsigned i = 0; i < ARRAY_SIZE(reads); i++) {
		c.offset = reads[i].offset;
		c.size = reads[i].size;
		need(front_send(&d->f, VHU_GET_CONFIG, 0, &c, 12 + MIN(c.size, 256u), NULL, 0));
		need(front_recv(&d->f, &m, PATIENCE));
		need(m.size == (reads[i].ok ? 12 + c.size : 0));
		/* Bytes behind virtio_blk_config are zero. */
		for (uint32_t b = 0; b + 12 < m.size; b++)
			need(c.offset + b < 96 || m.config.data[b] == 0);
	}
	for (uint32_t off = 0; off < 300; off++)
		for (uint32_t size = 0; size < 9; size++) {
			c = (struct vhu_config){ .offset = off, .size = size };
			memset(c.data, 0xff, sizeof(c.data));
			need(front_ack(&d->f, VHU_SET_CONFIG, &c, 12 + MAX(size, 1u), NULL, 0) == 1);
		}
	c = (struct vhu_config){ .offset = UINT32_MAX, .size = UINT32_MAX };
	need(front_ack(&d->f, VHU_SET_CONFIG, &c, 13, NULL, 0) == 1);
	counted("refused");
	dev_judge(d, false);
}

static void inflight_sizes(const void *arg)
{
	static const struct vhu_inflight bad[] = {
		{ 0, 0, 1, 8, 0 },
		{ 63, 0, 1, 8, 0 },
		{ 32768, 0, 17, 8, 0 },
		{ 32768, 0, 0, 8, 0 },
		{ 32768, 0, 1, 0, 0 },
		{ 32768, 0, 1, 2048, 0 },
		{ 32768, 4096, 1, 8, 0 },
		{ 32768, 8, 1, 8, 0 },
		{ UINT64_MAX, 0, 1, 8, 0 },
		{ 4096, 0, 16, 1024, 0 },
		{ 36864, 0, 1, 8, 0 },
		{ 4096, UINT64_MAX - 4095, 1, 8, 0 },
		{ 4096, 1ull << 63, 1, 8, 0 },
		{ 32768, 0, 65535, 65535, 0 },
	};
	struct dev *d = get();
	int fd = front_memfd(32768, true), un = front_memfd(32768, false);
	const struct vhu_inflight good = { 32768, 0, 1, RING, 0 };
	struct vhu_msg m;

	(void)arg;
	for (unsigned q = 0; q < d->nq; q++)
		need(front_queue_stop(d->q[q]) >= 0);
	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
		need(front_ack(&d->f, VHU_SET_INFLIGHT_FD, &bad[i], 24, &fd, 1) == 1);
		/* Request an area of an invalid shape. */
		if (i == 2 || i == 3 || i == 4 || i == 5 || i == 13) {
			need(front_send(&d->f, VHU_GET_INFLIGHT_FD, 0, &bad[i], 24, NULL, 0));
			need(front_recv(&d->f, &m, PATIENCE) && m.size == 0 && m.nfds == 0);
		}
	}
	need(front_ack(&d->f, VHU_SET_INFLIGHT_FD, &good, 24, &un, 1) == 1);
	/* netd has no inflight area. */
	need(kind == NETD || lent_areas(d) == 1);
	close(fd);
	close(un);
	for (unsigned q = 0; q < d->nq; q++)
		dev_fresh(d, q, RING);
	counted("refused");
	dev_judge(d, false);
}

/* ---- floods and stalls ---- */

static struct dev *flooded;

static void flood_messages(void *arg)
{
	const struct vhu_vring_state s = { .index = 99, .num = 1 };
	const int fds[2] = { flooded->f.memfd, flooded->f.memfd };

	(void)arg;
	front_send(&flooded->f, VHU_SET_VRING_NUM, 0, &s, sizeof(s), fds, 2);
}

static void message_flood(const void *arg)
{
	struct dev *d = fresh();

	(void)arg;
	flooded = d;
	dev_stats(d);
	d->before = d->stats;
	thread_start(flood_messages, NULL);
	for (unsigned i = 0; i < 20000 && dev_stats(d)->bad_messages < 1000; i++)
		need(dev_serves(d, d->sibling));
	threads_stop();
	need(dev_stats(d)->bad_messages >= 1000);
	counted("served");
	dev_judge(d, false);
	need(dev_end(d) == 0);
}

/* A call eventfd whose counter is full, so that a write to it blocks. */
static void call_that_blocks(const void *arg)
{
	const uint64_t full = UINT64_MAX - 1;
	struct dev *d = get();
	int call = eventfd(0, EFD_CLOEXEC);
	uint32_t id, len;

	(void)arg;
	need(front_ack_fd(&d->f, VHU_SET_VRING_CALL, d->victim, call) == 0);
	need(write(call, &full, sizeof(full)) == sizeof(full));
	for (unsigned i = 0; i < 20; i++) {
		const struct front_buf b[] = { { DATA, 16, false }, { DATA + 0x800, 1, true } };

		memset(at(d, DATA), 0xff, 16);
		front_offer(d->q[d->victim], front_chain(d->q[d->victim], b, kind == BLKD ? 2 : 1));
		front_kick(d->q[d->victim]);
		need(dev_serves(d, d->sibling));
		for (unsigned n = 0; n < PATIENCE && !front_used(d->q[d->victim], &id, &len); n++)
			usleep(1000);
		need(d->q[d->victim]->used_seen == i + 1);
	}
	close(call);
	counted("served");
	dev_judge(d, false);
}

/* A kick that stays readable for ever must not cause endless wake-ups. */
static void kick_that_never_drains(const void *arg)
{
	const uint64_t many = UINT64_MAX / 2;
	struct dev *d = get();
	int kick = eventfd(0, EFD_SEMAPHORE | EFD_CLOEXEC);

	(void)arg;
	need(write(kick, &many, sizeof(many)) == sizeof(many));
	need(front_ack_fd(&d->f, VHU_SET_VRING_KICK, d->victim, kick) == 0);
	need(falls_asleep(d->f.pid));
	close(kick);
	counted("served");
	dev_judge(d, false);
}

/* ---- stand-alone ---- */

static pid_t program(const char *how, int passed_fd)
{
	const char *name = kind == BLKD ? "lguest-sep-blkd" : "lguest-sep-netd";
	char path[600], disk[128], tap_option[32];
	pid_t pid;
	int fd;

	if (kind == NETD && !host_net())
		skipped("no tap in a network namespace on this host");
	snprintf(path, sizeof(path), "%s/%s", bin_dir, name);
	snprintf(disk, sizeof(disk), "--blk-file=%s/alone", work_dir);
	snprintf(tap_option, sizeof(tap_option), "--tap-fd=%d", tap[0]);
	fd = open(strchr(disk, '=') + 1, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0 || ftruncate(fd, SECTORS * 512) < 0)
		return -1;
	for (uint32_t i = 70; i < 72; i++)
		for (unsigned k = 0; k < 128; k++)
			if (pwrite(fd, &i, 4, i * 512l + k * 4) != 4)
				return -1;
	close(fd);
	pid = fork();
	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (passed_fd >= 0)
		fcntl(passed_fd, F_SETFD, 0);
	if (kind == NETD)
		fcntl(tap[0], F_SETFD, 0);
	if (!freopen("/dev/null", "w", stderr))
		_exit(95);
	if (kind == BLKD)
		execl(path, name, how, disk, "--queues=2", NULL);
	else
		execl(path, name, how, tap_option, "--mac=52:54:00:01:02:03", NULL);
	_exit(92);
}

/* Act as a correct front-end on @sock. Returns true if it is served. */
static bool good_connection(int sock)
{
	struct dev *d = &once;
	bool served;

	memset(d, 0, sizeof(*d));
	d->o = (struct dev_options){ .kind = kind, .disk = -1, .open = true };
	d->nq = 2;
	d->victim = kind == BLKD ? 0 : 1;
	d->ctl = d->disk = -1;
	d->f.sock = sock;
	need(front_memory(&d->f, MEM_LEN, A_GPA, true));
	dev_greet(d);
	dev_start(d);
	served = dev_serves(d, d->victim);
	front_close(&d->f);
	return served;
}

static int connect_to(const char *path)
{
	struct front f = { .sock = -1 };

	for (unsigned i = 0; i < PATIENCE; i++, usleep(1000)) {
		if (front_connect(&f, path))
			return f.sock;
		if (f.sock >= 0)
			close(f.sock);
	}
	return -1;
}

static int end_of(pid_t pid)
{
	int status = 0;

	for (unsigned i = 0; i < PATIENCE; i++, usleep(1000))
		if (waitpid(pid, &status, WNOHANG) == pid)
			return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	return -1000;
}

/* One front-end after another: bad ones in between must not harm the others. */
static void by_path(const void *arg)
{
	static const uint32_t bad[][3] = { { VHU_GET_FEATURES, 0, 0 },
					   { VHU_SET_FEATURES, VHU_VERSION, UINT32_MAX },
					   { 0, 0, 0 } };
	char path[100], how[128];
	pid_t pid;

	(void)arg;
	snprintf(path, sizeof(path), "%s/sock", work_dir);
	snprintf(how, sizeof(how), "--socket-path=%s", path);
	pid = program(how, -1);
	need(pid > 0);
	report.sibling = YES;
	for (unsigned i = 0; i < 2 * ARRAY_SIZE(bad); i++) {
		int sock = connect_to(path);
		struct front f = { .sock = sock };

		need(sock >= 0);
		need(front_raw(&f, bad[i % ARRAY_SIZE(bad)], 12, NULL, 0));
		/* The back-end closes a connection whose stream is invalid, even if the front-end does not. */
		need(front_closed(&f, PATIENCE));
		close(sock);
		if (!good_connection(connect_to(path)))
			report.sibling = NO;
	}
	report.alive = good_connection(connect_to(path)) ? YES : NO;
	kill(pid, SIGTERM);
	need(end_of(pid) == 0);
	need(access(path, F_OK) != 0);
	counted("served");
}

static void by_descriptor(const void *arg)
{
	static const uint32_t bad[3] = { VHU_GET_FEATURES, 2, 0 };
	char how[32];
	int pair[2];
	struct front f;
	pid_t pid;

	(void)arg;
	need(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
	snprintf(how, sizeof(how), "--fd=%d", pair[1]);
	pid = program(how, pair[1]);
	need(pid > 0);
	close(pair[1]);
	f = (struct front){ .sock = pair[0] };
	need(front_raw(&f, bad, sizeof(bad), NULL, 0));
	need(front_closed(&f, PATIENCE));
	close(pair[0]);
	need(end_of(pid) == 1);
	counted("ended");
}

static void one_device(enum kind k, const char *name)
{
	static const struct {
		const char *name;
		uint32_t h[3];
	} bad[] = {
		{ "version 0", { VHU_GET_FEATURES, 0, 0 } },
		{ "version 2", { VHU_GET_FEATURES, 2, 0 } },
		{ "version 3", { VHU_GET_FEATURES, 3, 0 } },
		{ "a message of 513 bytes", { VHU_SET_FEATURES, VHU_VERSION, 513 } },
		{ "a message of 4 GiB", { VHU_SET_MEM_TABLE, VHU_VERSION, UINT32_MAX } },
		{ "an unknown message of 4 GiB", { 99, VHU_VERSION, UINT32_MAX } },
	};
	static const unsigned half[] = { 5, 12, 16 };

	kind = k;
	group(name);
	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++)
		play(bad[i].name, "ended", bad_header, bad[i].h);
	play("a mebibyte of noise", "ended", garbage, NULL);
	play("half a header, then silence", "served", halves, &half[0]);
	play("a header, then silence", "served", halves, &half[1]);
	play("half a message, then silence", "served", halves, &half[2]);
	play("answers that are never read", "ended", unread_answers, NULL);
	play("a flood of bad messages", "served", message_flood, NULL);
	play("configuration read and written past its end", "refused", config_bounds, NULL);
	play("inflight areas of the wrong size", "refused", inflight_sizes, NULL);
	play("a call that is full and blocks", "served", call_that_blocks, NULL);
	play("a kick that never drains", "served", kick_that_never_drains, NULL);
	dev_end_all();
	play("stand-alone by path, bad front-ends in between", "served", by_path, NULL);
	play("stand-alone by descriptor, a bad front-end", "ended", by_descriptor, NULL);
}

void connection_group(void)
{
	one_device(BLKD, "connections, blkd");
	one_device(NETD, "connections, netd");
}
