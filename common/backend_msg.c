/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Messages of a vhost-user front-end: each is validated as a whole before any part of
 * it takes effect. Runs in netd and blkd. It trusts no size, index, address or
 * descriptor, and closes every descriptor that it does not keep.
 */
#include <string.h>

#include <linux/vhost_types.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>

#include "common/backend_private.h"
#include "common/log.h"

/* Features that the loop offers for every device. */
#define RING_FEATURES                                                                                      \
	(BIT64(VIRTIO_F_VERSION_1) | BIT64(VIRTIO_RING_F_INDIRECT_DESC) | BIT64(VIRTIO_RING_F_EVENT_IDX) | \
	 BIT64(VHU_F_PROTOCOL_FEATURES))
#define LOOP_PROTOCOL_FEATURES                                                                                         \
	(BIT64(VHU_PF_MQ) | BIT64(VHU_PF_REPLY_ACK) | BIT64(VHU_PF_RESET_DEVICE) | BIT64(VHU_PF_CONFIGURE_MEM_SLOTS) | \
	 BIT64(VHU_PF_STATUS))

bool backend_bad(struct backend *be, const char *what, const char *why)
{
	struct log_limit *limit = &be->bad_lines;

	be->stats.bad_messages++;
	if (log_allowed(limit)) {
		log_line(LOG_WARN, "%s: bad message %s: %s%s", be->c.device_name, what, why,
			 limit->suppressed ? "; more such lines were left out" : "");
		limit->suppressed = 0;
	}
	return false;
}

static uint64_t offered(const struct backend *be)
{
	return (be->c.features & be->c.ops->features) | RING_FEATURES | (be->c.log_pages ? BIT64(VHOST_F_LOG_ALL) : 0);
}

static uint64_t offered_protocol(const struct backend *be)
{
	return (LOOP_PROTOCOL_FEATURES | be->c.ops->protocol_features |
		(be->c.ops->get_config ? BIT64(VHU_PF_CONFIG) : 0) | (be->c.log_pages ? BIT64(VHU_PF_LOG_SHMFD) : 0)) &
	       ~be->c.protocol_features_off;
}

/* ---- features, status ---- */

static enum verdict get_features(struct backend *be, struct vhu_msg *m)
{
	return reply_u64(m, offered(be));
}

static enum verdict set_features(struct backend *be, struct vhu_msg *m)
{
	if (m->u64 & ~offered(be))
		return BAD;
	backend_tell_front(be, FRONT_RUNS);
	/* Rings took their sizes and features when they started: while one runs, only logging may change. */
	if (any_ring_started(be)) {
		if ((m->u64 ^ be->acked_features) & ~BIT64(VHOST_F_LOG_ALL))
			return BAD;
		be->acked_features = m->u64;
		return log_follow(be);
	}
	be->acked_features = m->u64;
	be->features_set = true;
	if (be->c.ops->set_features)
		be->c.ops->set_features(be, m->u64 & ~BIT64(VHOST_F_LOG_ALL));
	for (unsigned q = 0; q < be->c.max_queues; q++)
		if (!ring_try_start(be, q))
			return BAD;
	return log_follow(be);
}

static enum verdict get_protocol_features(struct backend *be, struct vhu_msg *m)
{
	return reply_u64(m, offered_protocol(be));
}

static enum verdict set_protocol_features(struct backend *be, struct vhu_msg *m)
{
	if (m->u64 & ~offered_protocol(be))
		return BAD;
	be->protocol_features = m->u64;
	return OK;
}

static enum verdict set_owner(struct backend *be, struct vhu_msg *m)
{
	(void)m;
	be->owner_set = true;
	return OK;
}

static enum verdict reset_owner(struct backend *be, struct vhu_msg *m)
{
	(void)m;
	for (unsigned q = 0; q < be->c.max_queues; q++)
		ring_retire(be, q);
	return OK;
}

static enum verdict reset_device(struct backend *be, struct vhu_msg *m)
{
	reset_owner(be, m);
	for (unsigned q = 0; q < be->c.max_queues; q++)
		be->ring[q].enable = be->vq[q].enabled = false;
	be->status = 0;
	if (be->c.ops->reset)
		be->c.ops->reset(be);
	return OK;
}

static enum verdict set_status(struct backend *be, struct vhu_msg *m)
{
	if (m->u64 > UINT8_MAX)
		return BAD;
	be->status = (uint8_t)m->u64;
	return be->status ? OK : reset_device(be, m);
}

static enum verdict get_status(struct backend *be, struct vhu_msg *m)
{
	return reply_u64(m, be->status);
}

static enum verdict get_queue_num(struct backend *be, struct vhu_msg *m)
{
	return reply_u64(m, be->c.max_queues);
}

static enum verdict get_max_mem_slots(struct backend *be, struct vhu_msg *m)
{
	(void)be;
	return reply_u64(m, SHM_MAX_REGIONS);
}

/* ---- configuration space ---- */

static enum verdict get_config(struct backend *be, struct vhu_msg *m)
{
	uint32_t off = m->config.offset, size = m->config.size;

	if (!be->c.ops->get_config || !range_ok(off, size, VHU_CONFIG_MAX) ||
	    (m->size != offsetof(struct vhu_config, data) + size && m->size != offsetof(struct vhu_config, data)))
		return BAD;
	/* A newer front-end may ask for more fields than we have: those read as zero. */
	memset(m->config.data, 0, sizeof(m->config.data));
	if (off < be->c.ops->config_len)
		be->c.ops->get_config(be, off, m->config.data, MIN(size, be->c.ops->config_len - off));
	m->size = (uint32_t)offsetof(struct vhu_config, data) + size;
	return REPLY;
}

static enum verdict set_config(struct backend *be, struct vhu_msg *m)
{
	const struct vhu_config *c = &m->config;

	if (!be->c.ops->set_config || !c->size || c->flags > 1 ||
	    !range_ok(c->offset, c->size, MIN(be->c.ops->config_len, VHU_CONFIG_MAX)) ||
	    m->size != offsetof(struct vhu_config, data) + c->size)
		return BAD;
	return be->c.ops->set_config(be, c->offset, c->data, c->size) ? OK : BAD;
}

/* ---- memory ---- */

/* Rings hold pointers into guest memory: stop them before its mapping changes. Returns a mask of them. */
static uint32_t pause_rings(struct backend *be)
{
	uint32_t paused = 0;

	for (unsigned q = 0; q < be->c.max_queues; q++) {
		if (!be->ring[q].started)
			continue;
		ring_stop(be, q);
		paused |= 1u << q;
	}
	return paused;
}

static bool resume_rings(struct backend *be, uint32_t paused)
{
	bool ok = true;

	for (unsigned q = 0; q < be->c.max_queues; q++)
		if (paused & (1u << q))
			ok &= ring_try_start(be, q);
	return ok;
}

static bool add_region(struct backend *be, struct guest_mem *mem, int fd, const struct vhu_mem_region *r)
{
	enum shm_error e = shm_add(mem, &be->c.memory, fd, r->gpa, r->size, r->uva, r->offset);

	if (e == SHM_UNSEALED && !be->c.memory.same_inode)
		return backend_bad(be, "memory region",
				   "not sealed against shrinking (--allow-unsealed-memory takes it)");
	return e == SHM_OK || backend_bad(be, "memory region", shm_strerror(e));
}

static enum verdict set_mem_table(struct backend *be, struct vhu_msg *m)
{
	struct guest_mem new = { 0 };
	const char *why;
	uint32_t paused;

	if (!m->mem.nregions)
		return BAD;
	for (unsigned i = 0; i < m->mem.nregions; i++) {
		if (!add_region(be, &new, m->fds[i], &m->mem.regions[i])) {
			shm_clear(&new);
			return BAD;
		}
	}
	/* The specification has the front-end send a longer log first. */
	why = log_judge(be, &new);
	if (why) {
		shm_clear(&new);
		backend_bad(be, "memory table", why);
		return BAD;
	}
	paused = pause_rings(be);
	shm_clear(&be->mem);
	be->mem = new;
	return resume_rings(be, paused) ? OK : BAD;
}

static enum verdict add_mem_reg(struct backend *be, struct vhu_msg *m)
{
	const struct vhu_mem_region *r = &m->reg.region;
	const char *why;

	if (!add_region(be, &be->mem, m->fds[0], r))
		return BAD;
	why = log_judge(be, &be->mem);
	if (!why)
		return OK;
	/* No ring refers to it yet. */
	shm_remove(&be->mem, r->gpa, r->size, r->uva);
	backend_bad(be, "memory region", why);
	return BAD;
}

static enum verdict rem_mem_reg(struct backend *be, struct vhu_msg *m)
{
	const struct vhu_mem_region *r = &m->reg.region;
	uint32_t paused = pause_rings(be);
	enum shm_error e = shm_remove(&be->mem, r->gpa, r->size, r->uva);

	return resume_rings(be, paused) && e == SHM_OK ? OK : BAD;
}

/* ---- inflight area ---- */

static enum verdict get_inflight_fd(struct backend *be, struct vhu_msg *m)
{
	uint64_t bytes;

	if (!be->lent.base || m->inflight.num_queues > be->c.max_queues ||
	    !inflight_bytes(m->inflight.num_queues, m->inflight.queue_size, &bytes))
		return BAD;
	/* Each request gets the same memory, zeroed. */
	memset(be->lent.base, 0, bytes);
	m->inflight.mmap_size = bytes;
	m->inflight.mmap_offset = 0;
	m->fds[0] = HFD_INFLIGHT;
	m->nfds = 1;
	return REPLY;
}

static enum verdict set_inflight_fd(struct backend *be, struct vhu_msg *m)
{
	const struct vhu_inflight *i = &m->inflight;

	if (any_ring_started(be) ||
	    !inflight_map(&be->inflight, m->fds[0], i->mmap_offset, i->mmap_size, i->num_queues, i->queue_size))
		return BAD;
	return OK;
}

/* ---- all of them ---- */

static const struct request {
	enum verdict (*handle)(struct backend *be, struct vhu_msg *m);
	bool answers;	/* Always has a reply, even without VHU_NEED_REPLY */
	bool open_only; /* Needs descriptors or mappings: refused once sealed */
	uint64_t needs; /* Protocol features that the device must offer */
} requests[VHU_REQUEST_MAX] = {
	[VHU_GET_FEATURES] = { .handle = get_features, .answers = true },
	[VHU_SET_FEATURES] = { .handle = set_features },
	[VHU_SET_OWNER] = { .handle = set_owner },
	[VHU_RESET_OWNER] = { .handle = reset_owner },
	[VHU_SET_MEM_TABLE] = { .handle = set_mem_table, .open_only = true },
	[VHU_SET_LOG_BASE] = { .handle = msg_set_log_base, .open_only = true, .needs = BIT64(VHU_PF_LOG_SHMFD) },
	[VHU_SET_LOG_FD] = { .handle = msg_set_log_fd, .open_only = true, .needs = BIT64(VHU_PF_LOG_SHMFD) },
	[VHU_SET_VRING_NUM] = { .handle = msg_set_vring_num },
	[VHU_SET_VRING_ADDR] = { .handle = msg_set_vring_addr },
	[VHU_SET_VRING_BASE] = { .handle = msg_set_vring_base },
	[VHU_GET_VRING_BASE] = { .handle = msg_get_vring_base, .answers = true },
	[VHU_SET_VRING_KICK] = { .handle = msg_set_vring_fd, .open_only = true },
	[VHU_SET_VRING_CALL] = { .handle = msg_set_vring_fd, .open_only = true },
	[VHU_SET_VRING_ERR] = { .handle = msg_set_vring_fd, .open_only = true },
	[VHU_GET_PROTOCOL_FEATURES] = { .handle = get_protocol_features, .answers = true },
	[VHU_SET_PROTOCOL_FEATURES] = { .handle = set_protocol_features },
	[VHU_GET_QUEUE_NUM] = { .handle = get_queue_num, .answers = true },
	[VHU_SET_VRING_ENABLE] = { .handle = msg_set_vring_enable },
	[VHU_GET_CONFIG] = { .handle = get_config, .answers = true },
	[VHU_SET_CONFIG] = { .handle = set_config },
	[VHU_GET_INFLIGHT_FD] = { .handle = get_inflight_fd,
				  .answers = true,
				  .open_only = true,
				  .needs = BIT64(VHU_PF_INFLIGHT_SHMFD) },
	[VHU_SET_INFLIGHT_FD] = { .handle = set_inflight_fd, .open_only = true, .needs = BIT64(VHU_PF_INFLIGHT_SHMFD) },
	[VHU_RESET_DEVICE] = { .handle = reset_device },
	[VHU_GET_MAX_MEM_SLOTS] = { .handle = get_max_mem_slots, .answers = true },
	[VHU_ADD_MEM_REG] = { .handle = add_mem_reg, .open_only = true },
	[VHU_REM_MEM_REG] = { .handle = rem_mem_reg, .open_only = true },
	[VHU_SET_STATUS] = { .handle = set_status },
	[VHU_GET_STATUS] = { .handle = get_status, .answers = true },
	[VHU_SAVE] = { .handle = msg_saved, .answers = true },
	[VHU_LOAD] = { .handle = msg_saved, .answers = true },
	[VHU_HOLD] = { .handle = msg_hold, .answers = true },
	[VHU_GO] = { .handle = msg_go },
};

static enum verdict judge(struct backend *be, struct vhu_msg *m, const struct request *r)
{
	const char *why = NULL;
	enum verdict v = BAD;

	if (!r->handle || r->needs & ~offered_protocol(be))
		why = "request not supported";
	else if (be->rx.fds_truncated || !vhu_shape_ok(m))
		why = "wrong size or number of descriptors";
	else if (be->sealed && r->open_only)
		why = "not allowed after the first ring started";
	if (!why) {
		v = r->handle(be, m);
		if (v != BAD && v != END)
			return v;
		why = v == END ? be->bad_log : "a value is invalid or not allowed in this state";
	}
	/* Whatever is wrong with it: without its new log this front-end would lose pages that we write. */
	if (m->request == VHU_SET_LOG_BASE && be->protocol_features & BIT64(VHU_PF_LOG_SHMFD))
		v = END;
	backend_bad(be, vhu_request_name(m->request), why);
	if (v != END)
		return BAD;
	log_line(LOG_WARN, "%s: closing the connection, because written pages cannot be logged", be->c.device_name);
	return END;
}

/* After a restart: true if the message was meant for the previous process, and is dropped. */
static bool stale(struct backend *be)
{
	const struct vhu_msg *m = &be->rx.msg;

	if (!be->awaiting_resume)
		return false;
	be->awaiting_resume = m->request != VHU_RESUME || !vhu_shape_ok(m) || m->u64 != be->c.generation;
	vhu_rx_reset(&be->rx);
	return true;
}

bool backend_message(struct backend *be)
{
	struct vhu_msg *m = &be->rx.msg;
	const struct request *r = &requests[m->request < VHU_REQUEST_MAX ? m->request : 0];
	bool need_reply = (m->flags & VHU_NEED_REPLY) && (be->protocol_features & BIT64(VHU_PF_REPLY_ACK));
	enum verdict v;
	bool sent = true;

	if (stale(be))
		return true;
	if (be->front == FRONT_SILENT)
		backend_tell_front(be, FRONT_IDLE);
	v = judge(be, m, r);

	/* Close descriptors of the request that were not kept, before the reply is sent. */
	if (v != REPLY)
		vhu_close_fds(m);
	if (v == BAD && r->answers)
		m->size = 0; /* An empty payload is how vhost-user reports failure where a value is expected */
	else if (v != REPLY && need_reply)
		reply_u64(m, v != OK);
	if (v == REPLY || need_reply || r->answers) {
		m->flags = VHU_VERSION | VHU_REPLY;
		sent = vhu_send(HFD_FRONT, m) == VHU_OK;
	}
	/* Descriptors that were sent with a reply stay open in this process. */
	if (v == REPLY)
		m->nfds = 0;
	vhu_rx_reset(&be->rx);
	return sent && v != END;
}
