/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * When a back-end logs the pages that it writes, and in which log. Runs in netd, blkd and fsd. The front-end asks for
 * it in two ways: the feature VHOST_F_LOG_ALL is for the buffers of chains, and the flag VHOST_VRING_F_LOG of
 * SET_VRING_ADDR for the used ring of one queue, which is logged at the guest address in that message.
 */
#include <linux/vhost_types.h>
#include <linux/virtio_ring.h>

#include "common/backend_private.h"

void log_apply(struct backend *be, unsigned q)
{
	const struct vhu_vring_addr *a = &be->ring[q].addr;
	const struct dirty_log *log = be->log.bits ? &be->log : NULL;

	be->vq[q].log = backend_has(be, VHOST_F_LOG_ALL) ? log : NULL;
	be->vq[q].used_log = a->flags & BIT64(VHOST_VRING_F_LOG) ? log : NULL;
	be->vq[q].used_gpa = a->log;
}

/* The two bytes of avail_event included. */
static uint64_t used_bytes(const struct backend_ring *r)
{
	return sizeof(struct vring_used) + r->num * sizeof(struct vring_used_elem) + sizeof(uint16_t);
}

const char *log_judge(const struct backend *be, const struct guest_mem *mem)
{
	if (!be->log.bits)
		return NULL;
	for (unsigned i = 0; backend_has(be, VHOST_F_LOG_ALL) && i < mem->nregions; i++)
		if (!dirty_covers(&be->log, mem->r[i].gpa, mem->r[i].size))
			return "the log of written pages is shorter than guest memory";
	for (unsigned q = 0; q < be->c.max_queues; q++) {
		const struct backend_ring *r = &be->ring[q];

		if (r->addr.flags & BIT64(VHOST_VRING_F_LOG) && !dirty_covers(&be->log, r->addr.log, used_bytes(r)))
			return "the log of written pages has no bits for a used ring";
	}
	return NULL;
}

enum verdict log_follow(struct backend *be)
{
	for (unsigned q = 0; q < be->c.max_queues; q++)
		if (be->ring[q].started)
			log_apply(be, q);
	be->bad_log = log_judge(be, &be->mem);
	return be->bad_log ? END : OK;
}

enum verdict msg_set_log_base(struct backend *be, struct vhu_msg *m)
{
	const struct vhu_log *l = &m->log;
	enum shm_error e;

	if (!(be->protocol_features & BIT64(VHU_PF_LOG_SHMFD)))
		return BAD;
	e = dirty_map(&be->log, be->c.memory.allow_unsealed, m->fds[0], l->mmap_offset, l->mmap_size);
	if (e != SHM_OK) {
		be->bad_log = shm_strerror(e);
		return END;
	}
	if (log_follow(be) != OK)
		return END;
	vhu_close_fds(m);
	return reply_u64(m, 0);
}

void log_end(struct backend *be)
{
	for (unsigned q = 0; q < be->c.max_queues; q++)
		be->vq[q].log = be->vq[q].used_log = NULL;
	dirty_unmap(&be->log);
}
