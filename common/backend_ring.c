/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The rings of a back-end: starting and stopping them, and their eventfds. Runs in
 * netd and blkd. Once sealed, its only system call is write(2) to an eventfd (and
 * sendmsg(2), to report a fault).
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "common/backend_private.h"
#include "common/ctl.h"
#include "common/fdstat.h"
#include "common/log.h"

static const int first_fd[] = { [RING_KICK] = HFD_KICK0, [RING_CALL] = HFD_CALL0, [RING_ERR] = HFD_ERR0 };

static bool *have_fd(struct backend *be, unsigned q, enum ring_fd kind)
{
	struct backend_ring *r = &be->ring[q];

	return kind == RING_KICK ? &r->have_kick : kind == RING_CALL ? &r->have_call : &r->have_err;
}

/*
 * The kernel's value of O_LARGEFILE (libc may define it as 0). The kernel sets it on
 * every file that a 64-bit program opens by path.
 */
#define FROM_A_PATH 0100000

/*
 * True if @fd is an anonymous inode (eventfd, epoll, …), not a file of a file system. The
 * flags are checked first, because fstat() on a file of a FUSE file system that the sender
 * controls may never return. statx(2) with AT_STATX_DONT_SYNC would not wait, but it also
 * takes a path, and a seccomp filter cannot check paths.
 */
static bool is_anonymous(int fd)
{
	int flags = fcntl(fd, F_GETFL);
	struct stat st;

	if (flags < 0 || (flags & FROM_A_PATH))
		return false;
	return fd_stat(fd, &st) == 0 && (st.st_mode & S_IFMT) == 0;
}

/*
 * True if @fd is an eventfd: the only kind of anonymous inode that accepts a write of
 * eight zero bytes. Adding 0 leaves its counter unchanged; at worst a reader wakes up
 * for nothing. O_NONBLOCK, so that a full counter cannot block us.
 */
bool is_eventfd(int fd)
{
	const uint64_t zero = 0;

	return is_anonymous(fd) && fcntl(fd, F_SETFL, O_NONBLOCK) == 0 &&
	       write(fd, &zero, sizeof(zero)) == (ssize_t)sizeof(zero);
}

void ring_drop_fd(struct backend *be, unsigned q, enum ring_fd kind)
{
	bool *have = have_fd(be, q, kind);

	if (!*have)
		return;
	*have = false;
	/* close() alone would leave it in the epoll set, because the front-end has it open too. */
	if (kind == RING_KICK)
		epoll_ctl(HFD_EPOLL, EPOLL_CTL_DEL, HFD_KICK0 + (int)q, NULL);
	close(first_fd[kind] + (int)q);
}

bool ring_set_fd(struct backend *be, unsigned q, enum ring_fd kind, struct vhu_msg *m)
{
	int to = first_fd[kind] + (int)q;
	int fd = m->fds[0];
	/*
	 * Edge-triggered: one wake-up for each kick, without a read(), and no endless loop
	 * if the front-end never lets the counter become 0.
	 */
	struct epoll_event ev = { .events = EPOLLIN | EPOLLET, .data.fd = to };

	if (!is_eventfd(fd))
		return false;
	ring_drop_fd(be, q, kind);
	if (fd == to)
		m->nfds = 0;
	else if (dup3(fd, to, O_CLOEXEC) < 0)
		return false;
	if (kind == RING_KICK && epoll_ctl(HFD_EPOLL, EPOLL_CTL_ADD, to, &ev) < 0) {
		close(to);
		return false;
	}
	*have_fd(be, q, kind) = true;
	return true;
}

/* Without VHOST_USER_F_PROTOCOL_FEATURES, rings are enabled without SET_VRING_ENABLE. */
static bool ring_enabled(const struct backend *be, unsigned q)
{
	return be->ring[q].enable || !backend_has(be, VHU_F_PROTOCOL_FEATURES);
}

static void seal(struct backend *be)
{
	be->sealed = true;
	if (be->c.seal)
		be->c.seal(be);
}

/*
 * Find the requests that a previous process took and did not finish: vq_pop() returns
 * them before new ones. False if the inflight area does not fit the ring.
 */
static bool start_inflight(struct backend *be, struct vq *vq)
{
	struct inflight_queue *iq = &be->inflight_queue[vq->index];
	int unfinished;

	if (!be->inflight.map) {
		if (be->c.generation)
			vq->last_avail = vq->avail_seen = vq->next_used;
		return true;
	}
	unfinished = inflight_start(iq, &be->inflight, vq->index, vq->size, vq->next_used, READ_ONCE(vq->avail->idx));
	if (unfinished < 0)
		return false;
	vq->inflight = iq;
	vq->last_avail = (uint16_t)(vq->next_used + unfinished);
	vq->avail_seen = vq->last_avail;
	return true;
}

static void call_driver(struct backend *be, unsigned q)
{
	const uint64_t one = 1;

	if (be->ring[q].have_call && write(HFD_CALL0 + (int)q, &one, sizeof(one)) < 0 && errno != EAGAIN)
		log_line(LOG_DEBUG, "%s: call: %m", be->c.device_name);
}

bool ring_try_start(struct backend *be, unsigned q)
{
	struct backend_ring *r = &be->ring[q];
	struct vq *vq = &be->vq[q];
	struct vq_setup s = {
		.size = r->num,
		.last_avail = r->base,
		.desc = r->addr.desc,
		.avail = r->addr.avail,
		.used = r->addr.used,
		.addresses_are_uva = true,
		.event_idx = backend_has(be, VIRTIO_RING_F_EVENT_IDX),
		.indirect = backend_has(be, VIRTIO_RING_F_INDIRECT_DESC),
	};

	vq->enabled = ring_enabled(be, q);
	if (r->started || r->faulted || be->held || !vq->enabled || !r->num || !r->have_addr || !r->have_kick ||
	    !be->features_set)
		return true;
	if (vq_start(vq, &be->mem, &s) != VQ_START_OK || !start_inflight(be, vq)) {
		vq_stop(vq);
		return false;
	}
	log_apply(be, q);
	if (be->c.own_front && !be->sealed)
		seal(be);
	r->started = true;
	if (be->c.ops->queue_start)
		be->c.ops->queue_start(be, vq);
	/* Chains may already be available, with their kick lost; the previous process may have died before its call. */
	r->want_work = true;
	if ((be->inflight.map || be->c.generation) && !be->going)
		call_driver(be, q);
	return true;
}

void ring_stop(struct backend *be, unsigned q)
{
	struct backend_ring *r = &be->ring[q];
	struct vq *vq = &be->vq[q];

	if (!r->started)
		return;
	if (be->c.ops->queue_stop)
		be->c.ops->queue_stop(be, vq);
	backend_flush(be, vq);
	r->started = r->want_work = false;
	r->base = vq->last_avail;
	if (vq->inflight)
		inflight_end(vq->inflight);
	vq_stop(vq);
}

void ring_retire(struct backend *be, unsigned q)
{
	struct backend_ring *r = &be->ring[q];

	ring_stop(be, q);
	/* The ring will not continue: discard what a previous process left unfinished. */
	inflight_forget(&be->inflight, q);
	r->faulted = false;
	/*
	 * Require a new kick eventfd before the ring starts, so that it never starts while
	 * the front-end is half-way through setting it up. Once sealed no eventfd can
	 * arrive, so require SET_VRING_ENABLE instead.
	 */
	if (be->sealed)
		r->enable = be->vq[q].enabled = false;
	else
		ring_drop_fd(be, q, RING_KICK);
}

bool any_ring_started(const struct backend *be)
{
	for (unsigned q = 0; q < be->c.max_queues; q++)
		if (be->ring[q].started)
			return true;
	return false;
}

void ring_on_fault(struct vq *vq, enum guest_fault f, uint64_t detail)
{
	/* @vq is the element vq->index of the array in struct backend. */
	struct backend *be = (struct backend *)((uint8_t *)(vq - vq->index) - offsetof(struct backend, vq));
	struct ctl_msg m = { .type = CTL_FAULT, .value = f, .queue = vq->index, .detail = detail };
	const uint64_t one = 1;

	be->stats.faults++;
	be->ring[vq->index].faulted = true;
	be->ring[vq->index].want_work = false;
	if (be->ring[vq->index].have_err && write(HFD_ERR0 + (int)vq->index, &one, sizeof(one)) < 0 && errno != EAGAIN)
		log_line(LOG_DEBUG, "%s: error eventfd: %m", be->c.device_name);
	if (be->have_ctl)
		ctl_send(HFD_CTL, &m);
}

void backend_tell_front(struct backend *be, enum ctl_front front)
{
	struct ctl_msg m = { .type = CTL_FRONT, .value = front };

	if (!be->by_path || !be->have_ctl || be->front == front)
		return;
	if (ctl_send(HFD_CTL, &m) == 0)
		be->front = front;
}

void backend_flush(struct backend *be, struct vq *vq)
{
	const uint64_t one = 1;

	vq_publish(vq);
	/* Nothing is new since the last call. */
	if (vq->published == vq->signalled)
		return;
	if (!vq_wants_call(vq) || !be->ring[vq->index].have_call)
		return;
	/* EAGAIN: the eventfd's counter is full, so an earlier call is still pending. */
	if (write(HFD_CALL0 + (int)vq->index, &one, sizeof(one)) < 0 && errno != EAGAIN)
		log_line(LOG_DEBUG, "%s: call: %m", be->c.device_name);
}
