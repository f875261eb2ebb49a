/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The upper limit: the same requests on the file itself, without a back-end, by preadv()
 * one after the other or by io_uring with --depth in flight (buffers and file registered).
 * With --api=io_uring-guest the buffers are shared memory in small pages that is not
 * registered, as the memory of a guest is for a back-end. Part of bench/blkload.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/io_uring.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "bench/blkload.h"

static struct blk_next next;
static uint8_t *buffers;
static uint64_t offs[LOAD_MAX_SLOTS], began_at[LOAD_MAX_SLOTS];

struct ring {
	int fd;
	unsigned *sq_tail, *cq_head, *cq_tail, sq_mask, cq_mask;
	struct io_uring_sqe *sqes;
	struct io_uring_cqe *cqes;
};

static bool guest_memory(const struct blk_load *l)
{
	return l->api && strcmp(l->api, "io_uring-guest") == 0;
}

static void done(const struct blk_load *l, struct bench_result *r, unsigned slot, int64_t got)
{
	uint8_t *at = buffers + slot * l->bs;

	r->bad += got != (int64_t)l->bs || (!l->write && !blk_marked(at, offs[slot]));
	r->ops++;
	bench_latency_add((struct bench_latency *)(uintptr_t)r->latency, bench_ns() - began_at[slot]);
}

static void by_calls(const struct blk_load *l, int fd, struct bench_result *r, uint64_t until)
{
	struct iovec iov = { buffers, l->bs };

	while (l->count ? r->ops < l->count : bench_ns() < until) {
		ssize_t got;

		offs[0] = blk_next(l, &next);
		began_at[0] = bench_ns();
		if (l->write)
			blk_mark(l, buffers, offs[0]);
		got = l->write ? pwritev(fd, &iov, 1, (off_t)offs[0]) : preadv(fd, &iov, 1, (off_t)offs[0]);
		done(l, r, 0, got);
	}
}

static void *map_ring(int fd, size_t len, off_t what)
{
	void *p = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, what);

	if (p == MAP_FAILED)
		bench_die("io_uring");
	return p;
}

static void open_ring(struct ring *g, const struct blk_load *l, int file)
{
	struct io_uring_params p = { .flags = IORING_SETUP_SINGLE_ISSUER | 1u << 13 };
	struct iovec iov = { buffers, l->depth * l->bs };
	unsigned *array;
	uint8_t *m;

	g->fd = (int)syscall(SYS_io_uring_setup, 512, &p); /* 1 << 13: DEFER_TASKRUN */
	if (g->fd < 0 && errno == EINVAL) {
		p = (struct io_uring_params){ 0 };
		g->fd = (int)syscall(SYS_io_uring_setup, 512, &p);
	}
	if (g->fd < 0)
		bench_die("io_uring_setup");
	m = map_ring(g->fd, p.cq_off.cqes + p.cq_entries * sizeof(*g->cqes), IORING_OFF_SQ_RING);
	g->sqes = map_ring(g->fd, p.sq_entries * sizeof(*g->sqes), IORING_OFF_SQES);
	g->sq_tail = (unsigned *)(void *)(m + p.sq_off.tail);
	g->cq_head = (unsigned *)(void *)(m + p.cq_off.head);
	g->cq_tail = (unsigned *)(void *)(m + p.cq_off.tail);
	g->cqes = (struct io_uring_cqe *)(void *)(m + p.cq_off.cqes);
	g->sq_mask = p.sq_entries - 1;
	g->cq_mask = p.cq_entries - 1;
	array = (unsigned *)(void *)(m + p.sq_off.array);
	for (unsigned i = 0; i < p.sq_entries; i++)
		array[i] = i;
	if (syscall(SYS_io_uring_register, g->fd, IORING_REGISTER_FILES, &file, 1) != 0 ||
	    (!guest_memory(l) && syscall(SYS_io_uring_register, g->fd, IORING_REGISTER_BUFFERS, &iov, 1) != 0))
		bench_die("io_uring_register");
}

static void push(const struct blk_load *l, struct ring *g, unsigned slot)
{
	unsigned tail = *g->sq_tail;
	struct io_uring_sqe *e = &g->sqes[tail & g->sq_mask];

	offs[slot] = blk_next(l, &next);
	began_at[slot] = bench_ns();
	if (l->write)
		blk_mark(l, buffers + slot * l->bs, offs[slot]);
	memset(e, 0, sizeof(*e));
	if (guest_memory(l))
		e->opcode = l->write ? IORING_OP_WRITE : IORING_OP_READ;
	else
		e->opcode = l->write ? IORING_OP_WRITE_FIXED : IORING_OP_READ_FIXED;
	e->flags = IOSQE_FIXED_FILE;
	e->addr = (uintptr_t)(buffers + slot * l->bs);
	e->len = (uint32_t)l->bs;
	e->off = offs[slot];
	e->user_data = slot;
	__atomic_store_n(g->sq_tail, tail + 1, __ATOMIC_RELEASE);
}

static void by_ring(const struct blk_load *l, int fd, struct bench_result *r, uint64_t until)
{
	uint64_t begun = 0, limit = l->count ? l->count : UINT64_MAX;
	unsigned todo = 0;
	struct ring g;

	open_ring(&g, l, fd);
	for (; todo < l->depth && begun < limit; begun++)
		push(l, &g, todo++);
	while (r->ops < begun) {
		bool more = l->count || bench_ns() < until;
		unsigned head;

		if (syscall(SYS_io_uring_enter, g.fd, todo, 1, IORING_ENTER_GETEVENTS, NULL, 0) < 0)
			bench_die("io_uring_enter");
		todo = 0;
		head = *g.cq_head;
		for (; head != __atomic_load_n(g.cq_tail, __ATOMIC_ACQUIRE); head++) {
			const struct io_uring_cqe *c = &g.cqes[head & g.cq_mask];
			unsigned slot = (unsigned)c->user_data;

			done(l, r, slot, c->res);
			if (more && begun < limit) {
				push(l, &g, slot);
				begun++;
				todo++;
			}
		}
		__atomic_store_n(g.cq_head, head, __ATOMIC_RELEASE);
	}
}

void blk_bare(const struct blk_load *l, struct bench_result *r)
{
	int fd = open(l->file, O_RDWR | O_CLOEXEC | (l->direct ? O_DIRECT : 0));
	uint64_t before, began;

	if (fd < 0)
		bench_die(l->file);
	buffers = mmap(NULL, l->depth * l->bs, PROT_READ | PROT_WRITE,
		       (guest_memory(l) ? MAP_SHARED : MAP_PRIVATE) | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	if (buffers == MAP_FAILED)
		bench_die("buffers");
	next = (struct blk_next){ .state = l->seed * 0x9e3779b97f4a7c15ull | 1 };
	before = bench_cpu_ns(getpid());
	began = bench_ns();
	if (l->api && strncmp(l->api, "io_uring", 8) == 0)
		by_ring(l, fd, r, began + l->ms * 1000000);
	else
		by_calls(l, fd, r, began + l->ms * 1000000);
	r->ns = bench_ns() - began;
	r->bytes = r->ops * l->bs;
	r->cpu_ns = bench_cpu_ns(getpid()) - before;
	close(fd);
}
