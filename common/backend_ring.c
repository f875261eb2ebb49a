/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The rings of a back-end: when they start and stop, and the descriptors that
 * belong to them. Runs in netd and blkd. Once sealed it makes no system call
 * but writes to eventfds.
 */
#include "backend_private.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/virtio_config.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ctl.h"
#include "log.h"

static const int first_fd[] = { [RING_KICK] = HFD_KICK0, [RING_CALL] = HFD_CALL0, [RING_ERR] = HFD_ERR0 };

static bool *have_fd(struct backend *be, unsigned q, enum ring_fd kind)
{
	struct backend_ring *r = &be->ring[q];

	return kind == RING_KICK ? &r->have_kick : kind == RING_CALL ? &r->have_call : &r->have_err;
}

/*
 * Is it of no kind that has a name in a file system? What the kernel knows is
 * enough: a file system of the sender's own is not asked, for it may never answer.
 */
static bool is_anonymous(int fd)
{
	struct statx sx;
	struct stat st;

	if (statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_TYPE, &sx) == 0)
		return (sx.stx_mode & S_IFMT) == 0;
	/* Hosts before 4.11; libc stands in for the call there, but not with this flag. */
	return (errno == ENOSYS || errno == EINVAL) && fstat(fd, &st) == 0 && (st.st_mode & S_IFMT) == 0;
}

/*
 * An eventfd is an anonymous inode that takes eight bytes of zeroes; nothing
 * else that can be sent is both. Adding zero changes nothing but may wake a
 * reader, who finds nothing. Non-blocking, so that a full counter cannot hold us.
 */
static bool is_eventfd(int fd)
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
	/* The front-end has the file too, so closing alone would leave it watched. */
	if (kind == RING_KICK)
		epoll_ctl(HFD_EPOLL, EPOLL_CTL_DEL, HFD_KICK0 + (int)q, NULL);
	close(first_fd[kind] + (int)q);
}

bool ring_set_fd(struct backend *be, unsigned q, enum ring_fd kind, struct vhu_msg *m)
{
	int to = first_fd[kind] + (int)q;
	int fd = m->fds[0];
	/*
	 * Edge-triggered: a wake-up per kick, without a read, and no spin on a
	 * counter that the front-end never lets go to zero.
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

/* Without VHOST_USER_F_PROTOCOL_FEATURES rings are enabled from the start. */
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

/* What a predecessor left unfinished is taken again, before anything new. */
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
	if (r->started || r->faulted || !vq->enabled || !r->num || !r->have_addr || !r->have_kick || !be->features_set)
		return true;
	if (vq_start(vq, &be->mem, &s) != VQ_START_OK || !start_inflight(be, vq)) {
		vq_stop(vq);
		return false;
	}
	if (be->c.own_front && !be->sealed)
		seal(be);
	r->started = true;
	if (be->c.ops->queue_start)
		be->c.ops->queue_start(be, vq);
	/* Chains may be there already, and their kick gone by; or a predecessor's call was not made. */
	r->want_work = true;
	if (be->inflight.map || be->c.generation)
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
	/* A ring that the predecessor served, and that does not go on, leaves nothing. */
	inflight_forget(&be->inflight, q);
	r->faulted = false;
	/*
	 * Set up again by a new kick, so that a half-changed set-up never starts; by
	 * SET_VRING_ENABLE where no descriptor can come any more.
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
	/* vq is an element of its back-end's array. */
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
