/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Messages of a front-end about a ring, and about eventfds. Runs in netd, blkd and fsd. The dispatcher in backend_msg.c
 * has checked the size of each and the number of its descriptors; here its values are checked, before any of them
 * takes effect.
 */
#include <linux/vhost_types.h>

#include "common/backend_private.h"

/* The ring @index, or NULL if it runs: size and addresses must not change under it (CVE-2026-5747). */
static struct backend_ring *stopped_ring(struct backend *be, uint32_t index)
{
	if (index >= be->c.max_queues || be->ring[index].started)
		return NULL;
	return &be->ring[index];
}

enum verdict msg_set_vring_num(struct backend *be, struct vhu_msg *m)
{
	struct backend_ring *r = stopped_ring(be, m->state.index);

	if (!r || !is_power_of_two(m->state.num) || m->state.num > VQ_MAX_SIZE)
		return BAD;
	r->num = (uint16_t)m->state.num;
	return OK;
}

/* Returns @r if @a does not move the ring, otherwise NULL. */
static struct backend_ring *same_place(struct backend_ring *r, const struct vhu_vring_addr *a)
{
	return a->desc == r->addr.desc && a->avail == r->addr.avail && a->used == r->addr.used ? r : NULL;
}

enum verdict msg_set_vring_addr(struct backend *be, struct vhu_msg *m)
{
	struct backend_ring *r = stopped_ring(be, m->addr.index);

	if (m->addr.flags & ~(be->c.log_pages ? BIT64(VHOST_VRING_F_LOG) : 0))
		return BAD;
	/* QEMU switches logging on and off while the ring runs. */
	if (!r && be->c.log_pages && m->addr.index < be->c.max_queues)
		r = same_place(&be->ring[m->addr.index], &m->addr);
	if (!r)
		return BAD;
	r->addr = m->addr;
	r->have_addr = true;
	return log_follow(be);
}

enum verdict msg_set_vring_base(struct backend *be, struct vhu_msg *m)
{
	struct backend_ring *r = stopped_ring(be, m->state.index);

	if (!r || m->state.num > UINT16_MAX)
		return BAD;
	r->base = (uint16_t)m->state.num;
	return OK;
}

enum verdict msg_get_vring_base(struct backend *be, struct vhu_msg *m)
{
	if (m->state.index >= be->c.max_queues)
		return BAD;
	backend_tell_front(be, FRONT_IDLE);
	ring_retire(be, m->state.index);
	m->state.num = be->ring[m->state.index].base;
	return REPLY;
}

enum verdict msg_set_vring_enable(struct backend *be, struct vhu_msg *m)
{
	if (m->state.index >= be->c.max_queues || m->state.num > 1)
		return BAD;
	be->ring[m->state.index].enable = m->state.num;
	if (m->state.num)
		return ring_try_start(be, m->state.index) ? OK : BAD;
	ring_stop(be, m->state.index);
	be->vq[m->state.index].enabled = false;
	return OK;
}

enum verdict msg_set_vring_fd(struct backend *be, struct vhu_msg *m)
{
	unsigned q = m->u64 & VHU_VRING_IDX;
	enum ring_fd kind = m->request == VHU_SET_VRING_KICK   ? RING_KICK
			    : m->request == VHU_SET_VRING_CALL ? RING_CALL
							       : RING_ERR;

	if (q >= be->c.max_queues)
		return BAD;
	if (!(m->u64 & VHU_VRING_NOFD)) {
		if (!ring_set_fd(be, q, kind, m))
			return BAD;
		return kind != RING_KICK || ring_try_start(be, q) ? OK : BAD;
	}
	/* Without a kick eventfd the ring would need polling for ever. */
	if (kind == RING_KICK)
		return BAD;
	ring_drop_fd(be, q, kind);
	return OK;
}

enum verdict msg_hold(struct backend *be, struct vhu_msg *m)
{
	if (!be->c.checkpoint)
		return BAD;
	be->held = true;
	m->rings = (struct vhu_rings){ .nqueues = be->c.max_queues };
	for (unsigned q = 0; q < be->c.max_queues; q++) {
		ring_stop(be, q);
		m->rings.base[q] = be->ring[q].base;
	}
	m->size = sizeof(m->rings);
	return REPLY;
}

enum verdict msg_saved(struct backend *be, struct vhu_msg *m)
{
	if (!be->held || !be->c.ops->saved || m->saved.state != VHU_SAVED_MORE ||
	    !be->c.ops->saved(be, m->request == VHU_LOAD, &m->saved))
		return BAD;
	m->size = sizeof(m->saved);
	return REPLY;
}

enum verdict msg_go(struct backend *be, struct vhu_msg *m)
{
	const struct vhu_rings *r = &m->rings;
	bool back = r->what == VHU_GO_RESET;

	/* Rings that run took their indices when they started. */
	if (!be->held || r->what >= VHU_GO_MAX || r->nqueues != be->c.max_queues)
		return BAD;
	if (r->what != VHU_GO_ON && be->c.ops->checkpoint && !be->c.ops->checkpoint(be, back))
		return BAD;
	be->held = false;
	be->going = true;
	for (unsigned q = 0; q < be->c.max_queues; q++) {
		be->ring[q].base = r->base[q];
		if (back) {
			inflight_forget(&be->inflight, q);
			be->ring[q].faulted = false;
		}
		/* If it cannot start, its next kick reports that. */
		(void)ring_try_start(be, q);
	}
	be->going = false;
	return OK;
}

enum verdict msg_set_log_fd(struct backend *be, struct vhu_msg *m)
{
	/* The front-end reads the log whenever it needs it, so nobody has to be woken: the eventfd is closed. */
	(void)be;
	return is_eventfd(m->fds[0]) ? OK : BAD;
}
