/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * io_uring without liburing: set-up, restrictions, submission, completion
 * (io_uring_setup(2), io_uring_register(2), io_uring_enter(2)). Runs in blkd and netd. It allocates
 * no memory; after ring_open() its only system call is io_uring_enter().
 */
#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/closefds.h"
#include "common/ring.h"

#ifndef IORING_SETUP_SINGLE_ISSUER
#define IORING_SETUP_SINGLE_ISSUER (1U << 12)
#endif
#ifndef IORING_SETUP_DEFER_TASKRUN
#define IORING_SETUP_DEFER_TASKRUN (1U << 13)
#endif
#ifndef IORING_SETUP_TASKRUN_FLAG
#define IORING_SETUP_TASKRUN_FLAG (1U << 9)
#define IORING_SQ_TASKRUN	  (1U << 2)
#endif

static int sys_register(int fd, unsigned op, const void *arg, unsigned n)
{
	return syscall(__NR_io_uring_register, fd, op, arg, n) < 0 ? -errno : 0;
}

static int setup(struct io_uring_params *p, unsigned entries, bool *deferred)
{
	/* The flags of Linux 6.1, 5.19 and 5.10; older kernels refuse newer flags. */
	static const unsigned flags[] = {
		IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_TASKRUN_FLAG,
		IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG,
		0,
	};

	for (unsigned i = 0; i < ARRAY_SIZE(flags); i++) {
		int fd;

		memset(p, 0, sizeof(*p));
		p->flags = IORING_SETUP_R_DISABLED | flags[i];
		fd = (int)syscall(__NR_io_uring_setup, entries, p);
		if (fd >= 0) {
			*deferred = flags[i] & IORING_SETUP_DEFER_TASKRUN;
			return fd;
		}
		if (errno != EINVAL)
			break;
	}
	return -errno;
}

/* Restrict the io_uring to the operations of @s on registered files. */
static int restrict_ring(int fd, const struct ring_setup *s)
{
	struct io_uring_restriction res[RING_OPS_MAX + 2];
	unsigned n = 0;

	if (s->nops > RING_OPS_MAX)
		return -EINVAL;
	memset(res, 0, sizeof(res));
	for (; n < s->nops; n++) {
		res[n].opcode = IORING_RESTRICTION_SQE_OP;
		res[n].sqe_op = s->ops[n];
	}
	res[n].opcode = IORING_RESTRICTION_SQE_FLAGS_REQUIRED;
	res[n++].sqe_flags = IOSQE_FIXED_FILE;
	res[n].opcode = IORING_RESTRICTION_SQE_FLAGS_ALLOWED;
	res[n++].sqe_flags = IOSQE_FIXED_FILE;
	return sys_register(fd, IORING_REGISTER_RESTRICTIONS, res, n);
}

static int map_rings(struct ring *r, const struct io_uring_params *p)
{
	size_t sq = p->sq_off.array + p->sq_entries * sizeof(unsigned);
	size_t cq = p->cq_off.cqes + p->cq_entries * sizeof(struct io_uring_cqe);
	size_t len = MAX(sq, cq), sqes = p->sq_entries * sizeof(struct io_uring_sqe);
	int prot = PROT_READ | PROT_WRITE, how = MAP_SHARED | MAP_POPULATE;
	unsigned *array;
	uint8_t *m;
	void *e;

	/* Kernels with restrictions (Linux 5.10) have both features; they came with 5.4 and 5.5. */
	if (!(p->features & IORING_FEAT_SINGLE_MMAP) || !(p->features & IORING_FEAT_NODROP))
		return -EOPNOTSUPP;
	m = mmap(NULL, len, prot, how, r->fd, IORING_OFF_SQ_RING);
	if (m == MAP_FAILED)
		return -errno;
	e = mmap(NULL, sqes, prot, how, r->fd, IORING_OFF_SQES);
	if (e == MAP_FAILED) {
		int err = errno;

		munmap(m, len);
		return -err;
	}
	r->map = m;
	r->map_len = len;
	r->sqes = e;
	r->sqes_len = sqes;
	r->sq_head = (unsigned *)(void *)(m + p->sq_off.head);
	r->sq_tail = (unsigned *)(void *)(m + p->sq_off.tail);
	r->sq_flags = (unsigned *)(void *)(m + p->sq_off.flags);
	r->cq_head = (unsigned *)(void *)(m + p->cq_off.head);
	r->cq_tail = (unsigned *)(void *)(m + p->cq_off.tail);
	r->cq_flags = (unsigned *)(void *)(m + p->cq_off.flags);
	r->cqes = (struct io_uring_cqe *)(void *)(m + p->cq_off.cqes);
	r->sq_mask = p->sq_entries - 1;
	r->cq_mask = p->cq_entries - 1;
	array = (unsigned *)(void *)(m + p->sq_off.array);
	for (unsigned i = 0; i < p->sq_entries; i++)
		array[i] = i;
	return 0;
}

static void unmap_rings(struct ring *r)
{
	if (r->map)
		munmap(r->map, r->map_len);
	if (r->sqes)
		munmap(r->sqes, r->sqes_len);
}

static int open_event(int fd, int event)
{
	if (place_fd(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), event) < 0)
		return -errno;
	return sys_register(fd, IORING_REGISTER_EVENTFD, &event, 1);
}

int ring_open(struct ring *r, const struct ring_setup *s)
{
	struct io_uring_params p;
	int fd, err;

	memset(r, 0, sizeof(*r));
	fd = setup(&p, s->entries, &r->deferred);
	if (fd < 0)
		return fd;
	err = place_fd(fd, s->at) < 0 ? -errno : 0;
	if (err)
		return err;
	r->fd = s->at;
	r->event = s->event;
	r->entries = s->entries;
	err = map_rings(r, &p);
	if (!err && s->event >= 0)
		err = open_event(s->at, s->event);
	if (!err)
		err = sys_register(s->at, IORING_REGISTER_FILES, s->files, s->nfiles);
	if (!err)
		err = restrict_ring(s->at, s);
	if (!err)
		err = sys_register(s->at, IORING_REGISTER_ENABLE_RINGS, NULL, 0);
	r->ok = !err;
	if (err) {
		unmap_rings(r);
		close(s->at);
		if (s->event >= 0)
			close(s->event);
		memset(r, 0, sizeof(*r));
	}
	return err;
}

struct io_uring_sqe *ring_push(struct ring *r, uint8_t opcode, unsigned slot, void *user)
{
	struct io_uring_sqe *sqe;
	unsigned tail;

	if (!r->ok || ring_unsubmitted(r) + r->in_flight >= r->entries)
		return NULL;
	tail = *r->sq_tail + r->queued;
	sqe = &r->sqes[tail & r->sq_mask];
	memset(sqe, 0, sizeof(*sqe));
	sqe->opcode = opcode;
	sqe->flags = IOSQE_FIXED_FILE;
	sqe->fd = (int)slot;
	sqe->user_data = (uintptr_t)user;
	r->queued++;
	return sqe;
}

unsigned ring_unsubmitted(const struct ring *r)
{
	return r->queued + (*r->sq_tail - __atomic_load_n(r->sq_head, __ATOMIC_ACQUIRE));
}

bool ring_batch_due(const struct ring *r, uint64_t bytes, unsigned left)
{
	unsigned n = r->ok ? ring_unsubmitted(r) : 0;

	if (n && bytes >= RING_BATCH_BYTES)
		return true;
	if (!r->in_flight && n >= RING_FIRST && n + left >= RING_BATCH)
		return true;
	return n >= RING_BATCH && n > r->in_flight / 2;
}

int ring_submit(struct ring *r, unsigned wait)
{
	unsigned flags = wait || r->deferred ? IORING_ENTER_GETEVENTS : 0;
	unsigned todo = r->queued;
	int took;

	__atomic_store_n(r->sq_tail, *r->sq_tail + todo, __ATOMIC_RELEASE);
	r->queued = 0;
	/* Suppress the eventfd (Linux 5.8) until ring_listen(): operations reaped before need no wake-up. */
	__atomic_store_n(r->cq_flags, IORING_CQ_EVENTFD_DISABLED, __ATOMIC_RELAXED);
	todo = *r->sq_tail - __atomic_load_n(r->sq_head, __ATOMIC_ACQUIRE);
	r->enters++;
	took = (int)syscall(__NR_io_uring_enter, r->fd, todo, wait, flags, NULL, 0);
	if (took < 0)
		return -errno;
	r->in_flight += (unsigned)took;
	return (unsigned)took == todo ? 0 : -EAGAIN;
}

bool ring_listen(struct ring *r)
{
	if (!r->ok)
		return false;
	__atomic_store_n(r->cq_flags, 0, __ATOMIC_SEQ_CST);
	smp_mb();
	return ring_has_news(r);
}

bool ring_has_news(const struct ring *r)
{
	return r->in_flight && (*r->cq_head != __atomic_load_n(r->cq_tail, __ATOMIC_ACQUIRE) ||
				(__atomic_load_n(r->sq_flags, __ATOMIC_RELAXED) & IORING_SQ_TASKRUN));
}

bool ring_reap(struct ring *r, void **user, int *res)
{
	unsigned head = *r->cq_head;
	const struct io_uring_cqe *cqe;

	if (!r->ok || head == __atomic_load_n(r->cq_tail, __ATOMIC_ACQUIRE))
		return false;
	cqe = &r->cqes[head & r->cq_mask];
	*user = (void *)(uintptr_t)cqe->user_data;
	*res = cqe->res;
	__atomic_store_n(r->cq_head, head + 1, __ATOMIC_RELEASE);
	r->in_flight--;
	return true;
}

void *ring_take_back(struct ring *r)
{
	unsigned tail = *r->sq_tail;

	if (tail == __atomic_load_n(r->sq_head, __ATOMIC_ACQUIRE))
		return NULL;
	__atomic_store_n(r->sq_tail, tail - 1, __ATOMIC_RELEASE);
	return (void *)(uintptr_t)r->sqes[(tail - 1) & r->sq_mask].user_data;
}
