/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The front-end side of vhost-user: see front.h. Runs in the vCPU process. Every wait has a
 * time limit, and sizes and indices in replies are checked.
 */
#include <linux/vhost_types.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_config.h>
#include <linux/virtio_net.h>
#include <linux/virtio_ring.h>
#include <string.h>

#include "common/fmt.h"
#include "vcpu/devices/front_private.h"

#define RING_FEATURES (BIT64(VIRTIO_F_VERSION_1) | BIT64(VIRTIO_RING_F_INDIRECT_DESC) | BIT64(VIRTIO_RING_F_EVENT_IDX))
#define BLK_FEATURES                                                                               \
	(BIT64(VIRTIO_BLK_F_SIZE_MAX) | BIT64(VIRTIO_BLK_F_SEG_MAX) | BIT64(VIRTIO_BLK_F_RO) |     \
	 BIT64(VIRTIO_BLK_F_BLK_SIZE) | BIT64(VIRTIO_BLK_F_FLUSH) | BIT64(VIRTIO_BLK_F_TOPOLOGY) | \
	 BIT64(VIRTIO_BLK_F_CONFIG_WCE) | BIT64(VIRTIO_BLK_F_MQ) | BIT64(VIRTIO_BLK_F_DISCARD) |   \
	 BIT64(VIRTIO_BLK_F_WRITE_ZEROES))
#define NET_FEATURES                                                                                      \
	(BIT64(VIRTIO_NET_F_CSUM) | BIT64(VIRTIO_NET_F_GUEST_CSUM) | BIT64(VIRTIO_NET_F_GUEST_TSO4) |     \
	 BIT64(VIRTIO_NET_F_GUEST_TSO6) | BIT64(VIRTIO_NET_F_GUEST_ECN) | BIT64(VIRTIO_NET_F_HOST_TSO4) | \
	 BIT64(VIRTIO_NET_F_HOST_TSO6) | BIT64(VIRTIO_NET_F_HOST_ECN) | BIT64(VIRTIO_NET_F_MRG_RXBUF))
/* A share has no feature of its own. */
#define DEVICE_FEATURES(kind) ((kind) == DEV_BLK ? BLK_FEATURES : (kind) == DEV_NET ? NET_FEATURES : 0)
#define PROTOCOL_WANTED	      (BIT64(VHU_PF_MQ) | BIT64(VHU_PF_REPLY_ACK) | BIT64(VHU_PF_CONFIG))

/* Bytes of the configuration space of a disk, up to and including the write_zeroes fields (5.2.4). */
#define BLK_CONFIG_LEN 60u

static bool set_u64(struct front *f, uint32_t request, uint64_t v)
{
	struct vhu_msg m = { .request = request, .size = sizeof(uint64_t), .u64 = v };

	return front_tell(f, &m);
}

bool front_set_state(struct front *f, uint32_t request, unsigned q, uint32_t num)
{
	struct vhu_msg m = { .request = request, .size = sizeof(m.state), .state = { .index = q, .num = num } };

	return front_tell(f, &m);
}

static bool send_fd(struct front *f, uint32_t request, unsigned q, int fd)
{
	struct vhu_msg m = { .request = request, .size = sizeof(uint64_t), .u64 = q, .fds = { fd }, .nfds = 1 };

	return front_tell_early(f, &m);
}

/*
 * Send the eventfds of queue @q, then wait for the acknowledgements, and first for that of @pending (0: none), which
 * was sent before them. So the back-end wakes up once for all. Not those of all queues at once: the kernel limits how
 * many descriptors of a user are on their way.
 */
static bool hand_over(struct front *f, unsigned q, uint32_t pending)
{
	return send_fd(f, VHU_SET_VRING_CALL, q, f->call[q]) && send_fd(f, VHU_SET_VRING_ERR, q, f->err) &&
	       send_fd(f, VHU_SET_VRING_KICK, q, f->kick[q]) && (!pending || front_told(f, pending)) &&
	       front_told(f, VHU_SET_VRING_CALL) && front_told(f, VHU_SET_VRING_ERR) &&
	       front_told(f, VHU_SET_VRING_KICK);
}

/* Give the back-end guest memory, and the eventfds of its first @nqueues queues. */
static bool equip(struct front *f, const struct guest_mem *mem, unsigned nqueues)
{
	struct vhu_msg m = { .request = VHU_SET_MEM_TABLE };
	uint64_t offset = 0;

	for (unsigned i = 0; i < mem->nregions; i++) {
		m.mem.regions[i] = (struct vhu_mem_region){
			.gpa = mem->r[i].gpa, .size = mem->r[i].size, .uva = mem->r[i].gpa, .offset = offset
		};
		m.fds[i] = VFD_MEM;
		offset += mem->r[i].size;
	}
	m.mem.nregions = mem->nregions;
	m.nfds = mem->nregions;
	m.size = (uint32_t)(8 + mem->nregions * sizeof(struct vhu_mem_region));
	if (!front_tell_early(f, &m))
		return false;
	for (unsigned q = 0; q < nqueues; q++)
		if (!hand_over(f, q, q ? 0 : VHU_SET_MEM_TABLE))
			return false;
	return nqueues || front_told(f, VHU_SET_MEM_TABLE);
}

/* The log of pages that the helper writes has a bit for each page from address 0 on. */
static bool send_log(struct front *f)
{
	struct vhu_msg m = { .request = VHU_SET_LOG_BASE,
			     .size = sizeof(m.log),
			     .log = { .mmap_size = f->log_bytes },
			     .fds = { f->log },
			     .nfds = 1 };

	return !f->log || (front_ask(f, &m, sizeof(uint64_t)) && f->rx.msg.u64 == 0);
}

static bool get_config(struct front *f)
{
	struct vhu_msg m = { .request = VHU_GET_CONFIG };
	unsigned len = f->kind == DEV_BLK ? BLK_CONFIG_LEN : 0;

	f->config_len = 0;
	if (!len || !((f->protocol >> VHU_PF_CONFIG) & 1))
		return true;
	m.size = (uint32_t)offsetof(struct vhu_config, data) + len;
	m.config.size = len;
	if (!front_ask(f, &m, m.size))
		return false;
	if (f->rx.msg.config.offset != 0 || f->rx.msg.config.size != len)
		return front_dead(f, "GET_CONFIG", "the reply does not match the request");
	memcpy(f->config, f->rx.msg.config.data, len);
	f->config_len = len;
	return true;
}

/* Get what the back-end offers. Our own helpers have protocol features, so that both requests can be sent at once. */
static bool get_offers(struct front *f, uint64_t *offered, uint64_t *protocol)
{
	struct vhu_msg m = { .request = VHU_GET_FEATURES }, p = { .request = VHU_GET_PROTOCOL_FEATURES };

	if (!front_ask_early(f, &m) || (!f->foreign && !front_ask_early(f, &p)) ||
	    !front_answered(f, m.request, sizeof(uint64_t)))
		return false;
	*offered = f->rx.msg.u64;
	if (!((*offered >> VIRTIO_F_VERSION_1) & 1))
		return front_dead(f, "GET_FEATURES", "the back-end does not support virtio 1.x");
	if (!((*offered >> VHU_F_PROTOCOL_FEATURES) & 1))
		return front_dead(f, "GET_FEATURES", "the back-end does not support protocol features");
	if ((f->foreign && !front_ask_early(f, &p)) || !front_answered(f, p.request, sizeof(uint64_t)))
		return false;
	*protocol = f->rx.msg.u64;
	return true;
}

static bool negotiate(struct front *f)
{
	const uint64_t use = PROTOCOL_WANTED | (f->log ? BIT64(VHU_PF_LOG_SHMFD) : 0);
	uint64_t offered = 0, protocol = 0, queues;
	struct vhu_msg owner = { .request = VHU_SET_OWNER }, number = { .request = VHU_GET_QUEUE_NUM };
	unsigned wanted = f->nqueues;

	if (!get_offers(f, &offered, &protocol) || !set_u64(f, VHU_SET_PROTOCOL_FEATURES, protocol & use))
		return false;
	f->features = offered & (RING_FEATURES | DEVICE_FEATURES(f->kind));
	f->protocol = protocol & use;
	if (f->log && !((offered >> VHOST_F_LOG_ALL) & (protocol >> VHU_PF_LOG_SHMFD) & 1))
		return front_dead(f, "GET_FEATURES", "the back-end does not log the pages that it writes");
	/* A NIC has a pair of queues, a share one for urgent requests and one for the others. */
	f->nqueues = f->kind == DEV_BLK ? 1 : 2;
	if (!((f->protocol >> VHU_PF_MQ) & 1))
		return front_tell(f, &owner);
	if (!front_ask_early(f, &number) || !front_tell_early(f, &owner) ||
	    !front_answered(f, number.request, sizeof(uint64_t)))
		return false;
	queues = f->rx.msg.u64;
	/* Back-ends of NICs report pairs or queues; use at most as many as the user asked for. */
	if (queues > f->nqueues)
		f->nqueues = (unsigned)MIN(queues, wanted);
	if (f->kind == DEV_NET)
		f->nqueues &= ~1u; /* Only whole pairs */
	return front_told(f, owner.request);
}

/*
 * Stop the rings of a foreign back-end that served another start of the guest: it may still run with the old memory.
 * Never before the first start: Debian 12's virtiofsd fails an assertion if a ring that it has not started is stopped.
 */
static bool stop_foreign(struct front *f)
{
	for (unsigned q = 0; f->used_before && q < f->nqueues; q++) {
		struct vhu_msg m = { .request = VHU_GET_VRING_BASE, .size = sizeof(m.state), .state = { .index = q } };

		if (!front_ask(f, &m, sizeof(m.state)))
			return false;
	}
	return true;
}

int front_attach(struct front *f, const struct guest_mem *mem)
{
	f->protocol = 0;
	f->mem = mem;
	f->attached = false;
	if (f->foreign)
		vhu_drain(f->sock); /* Drop messages sent to the previous vCPU process, before a reboot */
	if (!negotiate(f) || !get_config(f) || !stop_foreign(f) || !send_log(f) ||
	    !equip(f, mem, f->foreign ? 0 : f->nqueues))
		goto fail;
	if (f->kind == DEV_BLK && !f->config_len) {
		front_dead(f, "GET_CONFIG", "the back-end has no configuration space");
		return -1;
	}
	f->attached = !f->foreign;
	return 0;
fail:
	if (!f->dead)
		fmt_line(f->error, sizeof(f->error), "%s: the back-end refused %s", f->name,
			 vhu_request_name(f->rx.msg.request));
	return -1;
}

bool front_send_features(struct front *f)
{
	return set_u64(f, VHU_SET_FEATURES,
		       (f->driver_features & f->features) | BIT64(VHU_F_PROTOCOL_FEATURES) |
			       (f->log ? BIT64(VHOST_F_LOG_ALL) : 0));
}

bool front_send_ring(struct front *f, unsigned q)
{
	const struct front_ring *r = &f->ring[q];
	struct vhu_msg addr = { .request = VHU_SET_VRING_ADDR,
				.size = sizeof(addr.addr),
				.addr = { .index = q, .desc = r->desc, .avail = r->avail, .used = r->used } };

	/* Elsewhere there is no guest memory, so the ring will not start. */
	if (f->log && range_ok(r->used, sizeof(struct vring_used) + r->size * sizeof(struct vring_used_elem) + 2,
			       f->log_bytes * 8 * 4096)) {
		addr.addr.flags = BIT64(VHOST_VRING_F_LOG);
		addr.addr.log = r->used;
	}
	f->active[q] = true;
	f->current[q] = front_set_state(f, VHU_SET_VRING_NUM, q, r->size) &&
			front_set_state(f, VHU_SET_VRING_BASE, q, 0) && front_tell(f, &addr) &&
			(!f->foreign || hand_over(f, q, 0));
	return f->current[q];
}

bool front_stop_ring(struct front *f, unsigned q)
{
	struct vhu_msg m = { .request = VHU_GET_VRING_BASE, .size = sizeof(m.state), .state = { .index = q } };

	if (!front_ask(f, &m, sizeof(m.state)))
		return false;
	if (f->rx.msg.state.index != q || f->rx.msg.state.num > UINT16_MAX)
		return front_dead(f, "GET_VRING_BASE", "the reply does not match the request");
	f->active[q] = f->current[q] = false;
	return true;
}

static bool send_config(struct front *f, unsigned off, const void *buf, unsigned len)
{
	struct vhu_msg m = { .request = VHU_SET_CONFIG };

	m.size = (uint32_t)offsetof(struct vhu_config, data) + len;
	m.config.offset = off;
	m.config.size = len;
	memcpy(m.config.data, buf, len);
	return front_tell(f, &m);
}

bool front_send_unsent(struct front *f)
{
	if (f->unsent && !send_config(f, f->unsent_at, f->config + f->unsent_at, f->unsent))
		return false;
	f->unsent = 0;
	return true;
}

/* A late helper has replied: send it everything that the driver has asked for meanwhile. */
static bool catch_up(struct front *f)
{
	bool any = false;

	for (unsigned q = 0; q < f->nqueues; q++) {
		if (f->active[q] && !f->current[q] && !front_stop_ring(f, q))
			return false;
		any |= f->active[q];
	}
	if (!any && f->have_features && !front_send_features(f))
		return false;
	for (unsigned q = 0; q < f->nqueues; q++)
		if (f->running[q] && ((!f->current[q] && !front_send_ring(f, q)) ||
				      !front_set_state(f, VHU_SET_VRING_ENABLE, q, f->enabled[q])))
			return false;
	return front_send_unsent(f);
}

/* A helper was restarted: send it all state of the connection, in the same order as at the first start. */
static bool replay(struct front *f)
{
	struct vhu_rings none;
	struct vhu_msg here = { .request = VHU_RESUME, .size = sizeof(here.u64), .u64 = f->generation };
	uint64_t features = f->features;
	unsigned nqueues = f->nqueues;
	bool same;

	f->protocol = 0;
	f->any_page = true;
	memset(f->active, 0, sizeof(f->active));
	if (!front_transmit(f, &here) || (f->held && !front_ask_hold(f, false, &none)) || !negotiate(f))
		return false;
	same = (f->features & features) == features && f->nqueues >= nqueues;
	f->features = features;
	f->nqueues = nqueues;
	if (!same)
		return front_dead(f, "RESUME", "the restarted back-end offers other features or queues");
	if (!send_log(f) || !equip(f, f->mem, nqueues))
		return false;
	if (f->have_features && !front_send_features(f))
		return false;
	for (unsigned q = 0; q < nqueues; q++)
		if (f->running[q] &&
		    (!front_send_ring(f, q) || (f->enabled[q] && !front_set_state(f, VHU_SET_VRING_ENABLE, q, 1))))
			return false;
	return front_send_unsent(f);
}

bool front_settle(struct front *f, bool done)
{
	for (unsigned tries = 0; f->restarted && !f->dead; tries++) {
		if (tries == FRONT_RESTARTS_MAX)
			return front_dead(f, "RESUME", "the back-end ended again and again while it was set up");
		f->restarted = f->attached = false;
		done = replay(f);
		f->attached = true;
		if (!done && !f->restarted)
			front_dead(f, "RESUME", "the restarted back-end refused its previous state");
	}
	return done || f->overdue;
}

/* A message arrived while a reply is late: check that it is this reply. False if the connection has ended. */
static bool answered_late(struct front *f)
{
	const struct vhu_msg *m = &f->rx.msg;
	uint32_t request = f->overdue;

	f->overdue = 0;
	if (m->request != request || m->flags != (VHU_VERSION | VHU_REPLY) || m->size != sizeof(m->u64))
		return front_dead(f, vhu_request_name(request), "the reply does not match the request");
	vhu_rx_reset(&f->rx);
	log_line(LOG_INFO, "%s: the back-end replies again", f->name);
	if (!front_settle(f, catch_up(f)) && !f->dead)
		front_dead(f, "late reply", "the back-end refused a request recorded meanwhile");
	return !f->dead;
}

bool front_event(struct front *f)
{
	if (f->leaving) {
		vhu_drain(f->sock);
		return true;
	}
	if (f->dead)
		return false;
	/* f->rx still holds the reply to the last request, which was processed. */
	vhu_rx_reset(&f->rx);
	switch (vhu_recv(f->sock, &f->rx, false)) {
	case VHU_AGAIN:
		return true;
	case VHU_OK:
		if (front_is_resume(f)) {
			f->restarted = true;
			f->overdue = 0;
			vhu_rx_reset(&f->rx);
			return front_settle(f, false);
		}
		if (f->overdue)
			return answered_late(f);
		return front_dead(f, vhu_request_name(f->rx.msg.request), "a message that was not requested");
	default:
		return front_dead(f, "connection", "the back-end closed it");
	}
}

bool front_features(struct front *f, uint64_t features)
{
	f->driver_features = features;
	f->have_features = true;
	return front_settle(f, front_send_features(f));
}

bool front_enable(struct front *f, unsigned q, bool on)
{
	f->enabled[q] = on;
	return front_settle(f, front_set_state(f, VHU_SET_VRING_ENABLE, q, on));
}

bool front_start(struct front *f, unsigned q, const struct front_ring *r)
{
	if (q >= f->nqueues || f->running[q])
		return false;
	f->ring[q] = *r;
	/* Set it even if the start fails: the next reset then stops the queue. */
	f->running[q] = true;
	f->enabled[q] = f->current[q] = false;
	return front_settle(f, front_send_ring(f, q));
}

void front_stop(struct front *f, unsigned q)
{
	if (q >= f->nqueues || !f->running[q])
		return;
	f->running[q] = f->enabled[q] = f->current[q] = false;
	front_settle(f, front_stop_ring(f, q));
}

bool front_stopping(const struct front *f)
{
	bool any = false;

	for (unsigned q = 0; q < f->nqueues; q++)
		any |= f->active[q] && !f->current[q];
	return any && f->overdue && !f->dead;
}

void front_stop_all(struct front *f)
{
	for (unsigned q = 0; q < f->nqueues; q++)
		front_stop(f, q);
}

bool front_set_config(struct front *f, unsigned off, const void *buf, unsigned len)
{
	uint8_t before[VHU_CONFIG_MAX];

	if (!range_ok(off, len, f->config_len))
		return false;
	/* Record it first: a helper that is restarted meanwhile drops the request, and gets it with the other state. */
	memcpy(before, f->config + off, len);
	memcpy(f->config + off, buf, len);
	f->unsent = len;
	f->unsent_at = off;
	if (front_settle(f, front_send_unsent(f)))
		return true;
	memcpy(f->config + off, before, len);
	f->unsent = 0;
	return false;
}
