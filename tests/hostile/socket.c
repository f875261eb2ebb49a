/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A compromised front-end at the socket of a back-end that is not sealed (it still accepts
 * memory and descriptors): every message with every wrong size and number of descriptors,
 * invalid memory. Each must be refused and counted, nothing may leak, the rings keep running.
 */
#include <fcntl.h>
#include <linux/virtio_config.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "tests/hostile/hostile.h"

#define PAGE 4096ull

static enum kind kind;

static struct dev *get(void)
{
	return dev_get(&(struct dev_options){ .kind = kind, .disk = -1, .open = true });
}

/* Check that no descriptor was added and that both queues work, the victim after a reset. */
static void unharmed(struct dev *d, unsigned fds)
{
	need(dev_serves(d, d->victim));
	report.sibling = dev_serves(d, d->sibling) ? YES : NO;
	need(open_fds(d->f.pid) == fds);
	need(dev_stats(d)->faults == d->before.faults);
	dev_fresh(d, d->victim, RING);
	report.alive = dev_serves(d, d->victim) ? YES : NO;
	counted("refused");
}

/* True if the size is valid for the request; other cases test those. */
static bool fits(uint32_t request, uint32_t size, unsigned nfds)
{
	struct vhu_msg shape = { .request = request, .flags = VHU_VERSION, .size = size, .nfds = nfds };

	return vhu_shape_ok(&shape) || request == VHU_GET_CONFIG || request == VHU_SET_CONFIG;
}

static void every_wrong_size(const void *arg)
{
	static const uint8_t bytes[512];
	struct dev *d = get();
	unsigned fds = open_fds(d->f.pid), n = 0;
	struct vhu_msg m;

	(void)arg;
	for (uint32_t request = 0; request <= VHU_REQUEST_MAX; request++)
		for (uint32_t size = 0; size <= 512; size += size < 64 ? 1 : 32) {
			if (fits(request, size, 0))
				continue;
			need(front_send(&d->f, request, VHU_NEED_REPLY, bytes, size, NULL, 0));
			need(front_recv(&d->f, &m, PATIENCE) && m.request == request);
			need(m.size == 0 || (m.size == 8 && m.u64 == 1));
			n++;
		}
	need(dev_stats(d)->bad_messages - d->before.bad_messages == n && n > 1500);
	unharmed(d, fds);
}

static void unknown_requests(const void *arg)
{
	static const uint32_t requests[] = {
		0,    VHU_SET_LOG_BASE, VHU_SET_LOG_FD, 19, 20, 21, 22, 23, 26, 27, 28, 33, 35, 41, 63, 64,
		1000, 0x80000000u,	UINT32_MAX
	};
	struct dev *d = get();
	unsigned fds = open_fds(d->f.pid);
	uint64_t v = 0;

	(void)arg;
	for (unsigned i = 0; i < ARRAY_SIZE(requests); i++)
		need(front_ack(&d->f, requests[i], &v, 8, &d->f.memfd, 1) == 1);
	need(dev_stats(d)->bad_messages - d->before.bad_messages == ARRAY_SIZE(requests));
	unharmed(d, fds);
}

/* Set every unused flag, with and without a reply: only the request number determines the message. */
static void flags_that_lie(const void *arg)
{
	struct dev *d = get();
	unsigned fds = open_fds(d->f.pid);
	struct vhu_msg m;

	(void)arg;
	for (unsigned bit = 2; bit < 32; bit++) {
		need(front_send(&d->f, VHU_GET_QUEUE_NUM, 1u << bit, NULL, 0, NULL, 0));
		need(front_recv(&d->f, &m, PATIENCE) && m.request == VHU_GET_QUEUE_NUM);
		/* The answer to a request with the reply flag set still has that flag. */
		need(m.flags & VHU_REPLY);
		need(bit == 2 ? m.size == 0 : m.size == 8 && m.u64 == d->nq);
	}
	unharmed(d, fds);
}

/* Send every request at its own size with a wrong number of descriptors. */
static void descriptor_counts(const void *arg)
{
	static const unsigned counts[] = { 0, 1, 2, 8, 9, 32, 253 };
	static const uint32_t sizes[] = { 0, 8, 12, 16, 20, 24, 40 };
	static const uint8_t bytes[64];
	struct dev *d = get();
	unsigned fds = open_fds(d->f.pid);
	int many[253];
	struct vhu_msg m;

	(void)arg;
	for (unsigned i = 0; i < ARRAY_SIZE(many); i++)
		many[i] = d->f.memfd;
	for (uint32_t request = 0; request <= VHU_REQUEST_MAX; request++)
		for (unsigned s = 0; s < ARRAY_SIZE(sizes); s++)
			for (unsigned c = 0; c < ARRAY_SIZE(counts); c++) {
				if (fits(request, sizes[s], MIN(counts[c], 8u)) ||
				    (fits(request, sizes[s], 0) && !counts[c]))
					continue;
				need(front_send(&d->f, request, VHU_NEED_REPLY, bytes, sizes[s], many, counts[c]));
				need(front_recv(&d->f, &m, PATIENCE));
				need(m.size == 0 || (m.size == 8 && m.u64 == 1));
			}
	unharmed(d, fds);
}

/* Send a hundred thousand invalid messages with descriptors: none may stay open (CVE-2022-0669). */
static void no_leak(const void *arg)
{
	static const uint32_t requests[] = { VHU_SET_VRING_NUM, VHU_SET_MEM_TABLE, VHU_ADD_MEM_REG, VHU_SET_VRING_KICK,
					     VHU_SET_OWNER,	VHU_GET_FEATURES,  VHU_REM_MEM_REG, 63 };
	unsigned rounds = *(const unsigned *)arg;
	struct dev *d = get();
	struct vhu_mem_reg r = { .region = { A_GPA, A_LEN, (uintptr_t)d->f.mem, 0 } };
	unsigned fds = open_fds(d->f.pid);
	uint64_t bytes = mapped(d->f.pid);
	int many[9];
	struct vhu_msg m;

	for (unsigned i = 0; i < ARRAY_SIZE(many); i++)
		many[i] = d->f.memfd;
	for (unsigned i = 0; i < rounds; i++) {
		uint32_t request = requests[i % ARRAY_SIZE(requests)];
		unsigned n = i / ARRAY_SIZE(requests) % 9 + 1;

		/* An existing region may be removed with or without a descriptor. */
		n += n == 1 && request == VHU_REM_MEM_REG;
		need(front_send(&d->f, request, VHU_NEED_REPLY, &r, sizeof(r), many, n));
		need(front_recv(&d->f, &m, PATIENCE));
		need(m.size == 0 || (m.size == 8 && m.u64 == 1));
	}
	need(dev_stats(d)->bad_messages - d->before.bad_messages >= rounds);
	need(sanitized || mapped(d->f.pid) == bytes);
	unharmed(d, fds);
}

/* ---- memory ---- */

struct table {
	const char *name;
	uint32_t n;
	struct vhu_mem_region r[3];
};
static const struct table tables[] = {
	{ "memory table of 0 regions", 0, { { 0 } } },
	{ "memory past the end of its file", 1, { { 0, PAGE, 0, MEM_LEN } } },
	{ "memory longer than its file", 1, { { 0, MEM_LEN + PAGE, 0, 0 } } },
	{ "file offset wraps", 1, { { 0, 2 * PAGE, 0, UINT64_MAX - PAGE + 1 } } },
	{ "file offset is negative", 1, { { 0, PAGE, 0, 1ull << 63 } } },
	{ "guest address wraps", 1, { { UINT64_MAX - PAGE + 1, 2 * PAGE, 0, 0 } } },
	{ "front-end's address wraps", 1, { { 0, 2 * PAGE, UINT64_MAX - PAGE + 1, 0 } } },
	{ "size 0", 1, { { 0, 0, 0, 0 } } },
	{ "size 2^64 - 1 page", 1, { { 0, UINT64_MAX - PAGE + 1, 0, 0 } } },
	{ "size 100", 1, { { 0, 100, 0, 0 } } },
	{ "offset 100", 1, { { 0, PAGE, 0, 100 } } },
	{ "guest addresses overlap", 2, { { 0, 2 * PAGE, 0, 0 }, { PAGE, PAGE, 0x900000, 0 } } },
	{ "front-end's addresses overlap", 2, { { 0, PAGE, 0, 0 }, { 0x900000, PAGE, 0, 0 } } },
	{ "the third of three overlaps", 3, { { 0, PAGE, 0, 0 }, { PAGE, PAGE, PAGE, 0 }, { 0, PAGE, 0x900000, 0 } } },
};

static void memory_table(const void *arg)
{
	const struct table *t = arg;
	struct dev *d = get();
	struct vhu_mem_table m = { .nregions = t->n };
	const int fds[3] = { d->f.memfd, d->f.memfd, d->f.memfd };
	unsigned open = open_fds(d->f.pid);
	uint64_t bytes = mapped(d->f.pid);

	memcpy(m.regions, t->r, sizeof(t->r));
	need(front_ack(&d->f, VHU_SET_MEM_TABLE, &m, 8 + 32 * t->n, fds, t->n) == 1);
	need(mapped(d->f.pid) == bytes);
	unharmed(d, open);
}

static void nine_regions(const void *arg)
{
	uint32_t nine[2 + 8 * 9] = { 9 };
	struct dev *d = get();
	unsigned open = open_fds(d->f.pid);
	int fds[9];

	(void)arg;
	for (unsigned i = 0; i < 9; i++) {
		fds[i] = d->f.memfd;
		nine[2 + 8 * i + 1] = i + 1; /* 4 GiB apart */
		nine[2 + 8 * i + 2] = PAGE;
		nine[2 + 8 * i + 5] = i + 1;
	}
	need(front_ack(&d->f, VHU_SET_MEM_TABLE, nine, 8 + 32 * 9, fds, 9) == 1);
	need(front_ack(&d->f, VHU_SET_MEM_TABLE, nine, 8 + 32 * 8, fds, 8) == 1);
	unharmed(d, open);
}

struct file {
	const char *name;
	int (*make)(struct dev *d);
};

static int a_pipe(struct dev *d)
{
	int p[2];

	(void)d;
	need(pipe2(p, O_CLOEXEC) == 0);
	close(p[1]);
	return p[0];
}

static int a_folder(struct dev *d)
{
	(void)d;
	return open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static int dev_zero(struct dev *d)
{
	(void)d;
	return open("/dev/zero", O_RDWR | O_CLOEXEC);
}

static int a_disk_file(struct dev *d)
{
	(void)d;
	return open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
}

static int the_image(struct dev *d)
{
	return d->disk >= 0 ? dup(d->disk) : a_disk_file(d);
}

static int unsealed(struct dev *d)
{
	(void)d;
	return front_memfd(PAGE, false);
}

static int other_inode(struct dev *d)
{
	(void)d;
	return front_memfd(PAGE, true);
}

static int a_socket(struct dev *d)
{
	return dup(d->f.sock);
}

static int a_timer(struct dev *d)
{
	(void)d;
	return timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
}

static int an_epoll(struct dev *d)
{
	(void)d;
	return epoll_create1(EPOLL_CLOEXEC);
}

static int an_eventfd(struct dev *d)
{
	(void)d;
	return eventfd(0, EFD_CLOEXEC);
}

static int a_full_pipe(struct dev *d)
{
	static const char page[4096];
	int p[2];

	(void)d;
	need(pipe2(p, O_NONBLOCK | O_CLOEXEC) == 0);
	while (write(p[1], page, sizeof(page)) > 0)
		;
	need(fcntl(p[1], F_SETFL, 0) == 0);
	need(fcntl(p[0], F_DUPFD_CLOEXEC, 900) >= 0); /* A reader exists, but never reads. */
	close(p[0]);
	return p[1];
}

static int stalled_file(struct dev *d)
{
	(void)d;
	return stall_open();
}

static const struct file none_memory[] = {
	{ "a pipe", a_pipe },
	{ "a folder", a_folder },
	{ "/dev/zero", dev_zero },
	{ "a file of a disk", a_disk_file },
	{ "its own image", the_image },
	{ "an unsealed memory file", unsealed },
	{ "another guest's memory", other_inode },
	{ "a socket", a_socket },
	{ "a timer", a_timer },
	{ "an eventfd", an_eventfd },
	{ "a file on a stalled file system", stalled_file },
};

static void memory_file(const void *arg)
{
	const struct file *f = arg;
	struct dev *d = dev_get(
		&(struct dev_options){ .kind = kind, .disk = -1, .open = true, .any_memory = f->make != other_inode });
	struct vhu_mem_table t = { .nregions = 1, .regions = { { 0, PAGE, 0x1000, 0 } } };
	unsigned open = open_fds(d->f.pid);
	int fd = f->make(d);

	if (fd < 0 && f->make == stalled_file)
		skipped("no FUSE on this host");
	need(fd >= 0);
	need(front_ack(&d->f, VHU_SET_MEM_TABLE, &t, 8 + 32, &fd, 1) == 1);
	close(fd);
	unharmed(d, open);
}

/* ---- kicks and calls ---- */

static const struct file no_eventfds[] = {
	{ "a pipe", a_pipe },
	{ "a pipe that is full and never drains", a_full_pipe },
	{ "a socket", a_socket },
	{ "a timer", a_timer },
	{ "an epoll", an_epoll },
	{ "guest memory", unsealed },
	{ "/dev/zero", dev_zero },
	{ "a folder", a_folder },
	{ "a file on a stalled file system", stalled_file },
};

static void ring_file(const void *arg)
{
	static const uint32_t requests[] = { VHU_SET_VRING_KICK, VHU_SET_VRING_CALL, VHU_SET_VRING_ERR };
	const struct file *f = arg;
	struct dev *d = get();
	unsigned open = open_fds(d->f.pid);
	int fd = f->make(d);

	if (fd < 0 && f->make == stalled_file)
		skipped("no FUSE on this host");
	need(fd >= 0);
	for (unsigned i = 0; i < ARRAY_SIZE(requests); i++)
		need(front_ack_fd(&d->f, requests[i], d->victim, fd) == 1);
	close(fd);
	unharmed(d, open);
}

static void one_device(enum kind k, const char *name)
{
	static const unsigned leaks = 100000;
	char text[80];

	kind = k;
	group(name);
	play("every message at every size that it has not", "refused", every_wrong_size, NULL);
	play("requests that nobody knows", "refused", unknown_requests, NULL);
	play("flags that lie", "refused", flags_that_lie, NULL);
	play("0, 1, 2, 8, 9, 32, 253 descriptors", "refused", descriptor_counts, NULL);
	play("100,000 bad messages with descriptors", "refused", no_leak, &leaks);
	for (unsigned i = 0; i < ARRAY_SIZE(tables); i++)
		play(tables[i].name, "refused", memory_table, &tables[i]);
	play("memory tables of 9 regions, and of 8 that do not fit", "refused", nine_regions, NULL);
	for (unsigned i = 0; i < ARRAY_SIZE(none_memory); i++) {
		snprintf(text, sizeof(text), "memory is %s", none_memory[i].name);
		play(text, "refused", memory_file, &none_memory[i]);
	}
	for (unsigned i = 0; i < ARRAY_SIZE(no_eventfds); i++) {
		snprintf(text, sizeof(text), "kick, call and error are %s", no_eventfds[i].name);
		play(text, "refused", ring_file, &no_eventfds[i]);
	}
}

void socket_group(void)
{
	one_device(BLKD, "socket, blkd");
	one_device(NETD, "socket, netd");
}
