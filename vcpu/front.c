/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * vhost-user, the front-end's side: see front.h. Runs in the vCPU process. It
 * must never wait without an end, and never believe an answer's sizes or indices.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_config.h>
#include <linux/virtio_net.h>
#include <linux/virtio_ring.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "vcpu/front.h"

#define BIT64(n) (1ull << (n))

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
#define PROTOCOL_WANTED (BIT64(VHU_PF_MQ) | BIT64(VHU_PF_REPLY_ACK) | BIT64(VHU_PF_CONFIG))

/* A helper that is started again while it is being told everything: how often that may happen. */
#define RESTARTS_AT_ONCE 5

/* Virtio 1.2, 5.2.4: the configuration up to and with write_zeroes. */
#define BLK_CONFIG_LEN 60u

int front_prepare(void)
{
	int fd = epoll_create1(EPOLL_CLOEXEC);

	if (fd < 0 || fd == VFD_REPLY)
		return fd < 0 ? -1 : 0;
	if (dup3(fd, VFD_REPLY, O_CLOEXEC) < 0)
		return -1;
	close(fd);
	return 0;
}

static bool dead(struct front *f, const char *what, const char *why)
{
	if (!f->dead)
		log_line(LOG_WARN, "%s: %s: %s; the device is gone until the guest is started again", f->name, what,
			 why);
	f->dead = true;
	fmt_line(f->error, sizeof(f->error), "%s: %s: %s", f->name, what, why);
	vhu_rx_reset(&f->rx);
	return false;
}

/* Wait until @f has something to read; false after @deadline (now_ms()). */
static bool wait_readable(struct front *f, uint64_t deadline)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.fd = f->sock };
	bool ready = false;

	if (epoll_ctl(VFD_REPLY, EPOLL_CTL_ADD, f->sock, &ev) < 0)
		return false;
	for (;;) {
		uint64_t now = now_ms();
		int n;

		if (now >= deadline)
			break;
		n = epoll_pwait(VFD_REPLY, &ev, 1, (int)(deadline - now), NULL);
		if (n > 0)
			ready = true;
		if (n > 0 || (n < 0 && errno != EINTR))
			break;
	}
	epoll_ctl(VFD_REPLY, EPOLL_CTL_DEL, f->sock, &ev);
	return ready;
}

/* A successor of the helper says that it is there; nothing that was said before counts. */
static bool is_resume(struct front *f)
{
	const struct vhu_msg *m = &f->rx.msg;

	if (f->foreign || m->request != VHU_RESUME || m->flags != (VHU_VERSION | VHU_REPLY) ||
	    m->size != sizeof(m->u64))
		return false;
	f->generation = m->u64;
	return true;
}

static bool receive(struct front *f, uint32_t request, uint32_t min, uint32_t max)
{
	uint64_t deadline = now_ms() + (f->timeout_ms ? f->timeout_ms : FRONT_TIMEOUT_MS);
	const char *name = vhu_request_name(request);
	const struct vhu_msg *m = &f->rx.msg;

	vhu_rx_reset(&f->rx);
	for (;;) {
		switch (vhu_recv(f->sock, &f->rx, false)) {
		case VHU_OK:
			if (is_resume(f)) {
				f->restarted = true;
				return false;
			}
			if (m->request != request || !(m->flags & VHU_REPLY) || m->size < min || m->size > max)
				return dead(f, name, "an answer to something else");
			return true;
		case VHU_AGAIN:
			if (!wait_readable(f, deadline))
				return dead(f, name, "no answer in time");
			break;
		case VHU_CLOSED:
			return dead(f, name, "the back-end is gone");
		default:
			return dead(f, name, "not an answer");
		}
	}
}

/* Send f's message @m; a socket that stays full is as dead as one that does not answer. */
static bool transmit(struct front *f, struct vhu_msg *m)
{
	if (f->dead)
		return false;
	m->flags = VHU_VERSION | (m->flags & VHU_NEED_REPLY);
	if (vhu_send(f->sock, m) != VHU_OK)
		return dead(f, vhu_request_name(m->request), "the back-end is gone or does not read");
	return true;
}

/* A request that answers with its own payload, in f->rx.msg. */
static bool ask(struct front *f, struct vhu_msg *m, uint32_t reply_size)
{
	m->flags = 0;
	return transmit(f, m) && receive(f, m->request, reply_size, reply_size);
}

/* A request without an answer of its own; acknowledged where that was agreed on. False: refused or dead. */
static bool tell(struct front *f, struct vhu_msg *m)
{
	bool ack = (f->protocol >> VHU_PF_REPLY_ACK) & 1;

	m->flags = ack ? VHU_NEED_REPLY : 0;
	if (!transmit(f, m))
		return false;
	if (!ack)
		return true;
	return receive(f, m->request, sizeof(uint64_t), sizeof(uint64_t)) && f->rx.msg.u64 == 0;
}

static bool get_u64(struct front *f, uint32_t request, uint64_t *v)
{
	struct vhu_msg m = { .request = request };

	if (!ask(f, &m, sizeof(uint64_t)))
		return false;
	*v = f->rx.msg.u64;
	return true;
}

static bool set_u64(struct front *f, uint32_t request, uint64_t v)
{
	struct vhu_msg m = { .request = request, .size = sizeof(uint64_t), .u64 = v };

	return tell(f, &m);
}

static bool set_state(struct front *f, uint32_t request, unsigned q, uint32_t num)
{
	struct vhu_msg m = { .request = request, .size = sizeof(m.state), .state = { .index = q, .num = num } };

	return tell(f, &m);
}

static bool set_fd(struct front *f, uint32_t request, unsigned q, int fd)
{
	struct vhu_msg m = { .request = request, .size = sizeof(uint64_t), .u64 = q, .fds = { fd }, .nfds = 1 };

	return tell(f, &m);
}

static bool hand_over(struct front *f, unsigned q)
{
	return set_fd(f, VHU_SET_VRING_CALL, q, f->call[q]) && set_fd(f, VHU_SET_VRING_ERR, q, f->err) &&
	       set_fd(f, VHU_SET_VRING_KICK, q, f->kick[q]);
}

static bool send_memory(struct front *f, const struct guest_mem *mem)
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
	return tell(f, &m);
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
	if (!ask(f, &m, m.size))
		return false;
	if (f->rx.msg.config.offset != 0 || f->rx.msg.config.size != len)
		return dead(f, "GET_CONFIG", "an answer to something else");
	memcpy(f->config, f->rx.msg.config.data, len);
	f->config_len = len;
	return true;
}

static bool negotiate(struct front *f)
{
	uint64_t offered, protocol, queues;
	struct vhu_msg owner = { .request = VHU_SET_OWNER };
	unsigned wanted = f->nqueues;

	if (!get_u64(f, VHU_GET_FEATURES, &offered))
		return false;
	if (!((offered >> VIRTIO_F_VERSION_1) & 1))
		return dead(f, "GET_FEATURES", "the back-end does not speak virtio 1.x");
	if (!((offered >> VHU_F_PROTOCOL_FEATURES) & 1))
		return dead(f, "GET_FEATURES", "the back-end has no protocol features");
	f->features = offered & (RING_FEATURES | (f->kind == DEV_BLK ? BLK_FEATURES : NET_FEATURES));
	if (!get_u64(f, VHU_GET_PROTOCOL_FEATURES, &protocol) ||
	    !set_u64(f, VHU_SET_PROTOCOL_FEATURES, protocol & PROTOCOL_WANTED))
		return false;
	f->protocol = protocol & PROTOCOL_WANTED;
	f->nqueues = f->kind == DEV_NET ? 2 : 1;
	if ((f->protocol >> VHU_PF_MQ) & 1) {
		if (!get_u64(f, VHU_GET_QUEUE_NUM, &queues))
			return false;
		/* a NIC's back-end may count pairs or queues; never more than was asked for */
		if (queues > f->nqueues)
			f->nqueues = (unsigned)MIN(queues, wanted);
		if (f->kind == DEV_NET)
			f->nqueues &= ~1u; /* half a pair is none */
	}
	return tell(f, &owner);
}

/* A back-end that outlived the guest's reboot may still run its rings, on memory that is gone. */
static bool stop_foreign(struct front *f)
{
	for (unsigned q = 0; f->foreign && q < f->nqueues; q++) {
		struct vhu_msg m = { .request = VHU_GET_VRING_BASE, .size = sizeof(m.state), .state = { .index = q } };

		if (!ask(f, &m, sizeof(m.state)))
			return false;
	}
	return true;
}

int front_attach(struct front *f, const struct guest_mem *mem)
{
	int flags = fcntl(f->sock, F_GETFL);

	f->protocol = 0;
	f->mem = mem;
	if (flags < 0 || fcntl(f->sock, F_SETFL, flags | O_NONBLOCK) < 0) {
		fmt_line(f->error, sizeof(f->error), "%s: no connection: %m", f->name);
		return -1;
	}
	if (f->foreign)
		vhu_drain(f->sock); /* what was said to the guest before its reboot */
	if (!negotiate(f) || !get_config(f) || !stop_foreign(f) || !send_memory(f, mem))
		goto fail;
	for (unsigned q = 0; q < f->nqueues; q++)
		if (!f->foreign && !hand_over(f, q))
			goto fail;
	if (f->kind == DEV_BLK && !f->config_len) {
		dead(f, "GET_CONFIG", "the back-end has no configuration to give");
		return -1;
	}
	return 0;
fail:
	if (!f->dead)
		fmt_line(f->error, sizeof(f->error), "%s: the back-end refuses %s", f->name,
			 vhu_request_name(f->rx.msg.request));
	return -1;
}

static bool send_features(struct front *f)
{
	return set_u64(f, VHU_SET_FEATURES, (f->driver_features & f->features) | BIT64(VHU_F_PROTOCOL_FEATURES));
}

static bool send_ring(struct front *f, unsigned q)
{
	const struct front_ring *r = &f->ring[q];
	struct vhu_msg addr = { .request = VHU_SET_VRING_ADDR,
				.size = sizeof(addr.addr),
				.addr = { .index = q, .desc = r->desc, .avail = r->avail, .used = r->used } };

	return set_state(f, VHU_SET_VRING_NUM, q, r->size) && set_state(f, VHU_SET_VRING_BASE, q, 0) &&
	       tell(f, &addr) && (!f->foreign || hand_over(f, q));
}

/* Everything that the predecessor knew, in the order of the first time. */
static bool replay(struct front *f)
{
	struct vhu_msg here = { .request = VHU_RESUME, .size = sizeof(here.u64), .u64 = f->generation };
	uint64_t features = f->features;
	unsigned nqueues = f->nqueues;
	bool same;

	f->protocol = 0;
	if (!transmit(f, &here) || !negotiate(f))
		return false;
	same = (f->features & features) == features && f->nqueues >= nqueues;
	f->features = features;
	f->nqueues = nqueues;
	if (!same)
		return dead(f, "RESUME", "the back-end is not what it was");
	if (!send_memory(f, f->mem))
		return false;
	for (unsigned q = 0; q < nqueues; q++)
		if (!hand_over(f, q))
			return false;
	if (f->have_features && !send_features(f))
		return false;
	for (unsigned q = 0; q < nqueues; q++)
		if (f->running[q] && (!send_ring(f, q) || (f->enabled[q] && !set_state(f, VHU_SET_VRING_ENABLE, q, 1))))
			return false;
	return true;
}

/* @done: what was asked for was done. If the helper was started again meanwhile, all of it is done anew. */
static bool settle(struct front *f, bool done)
{
	for (unsigned tries = 0; f->restarted && !f->dead; tries++) {
		if (tries == RESTARTS_AT_ONCE)
			return dead(f, "RESUME", "the back-end does not stay");
		f->restarted = false;
		done = replay(f);
		if (!done && !f->restarted)
			dead(f, "RESUME", "the back-end refuses to go on");
	}
	return done;
}

bool front_event(struct front *f)
{
	if (f->dead)
		return false;
	/* what is there is the answer to the last question, which has been taken */
	vhu_rx_reset(&f->rx);
	switch (vhu_recv(f->sock, &f->rx, false)) {
	case VHU_AGAIN:
		return true;
	case VHU_OK:
		if (is_resume(f)) {
			f->restarted = true;
			vhu_rx_reset(&f->rx);
			return settle(f, false);
		}
		return dead(f, vhu_request_name(f->rx.msg.request), "not asked for");
	default:
		return dead(f, "connection", "the back-end is gone");
	}
}

bool front_features(struct front *f, uint64_t features)
{
	f->driver_features = features;
	f->have_features = true;
	return settle(f, send_features(f));
}

bool front_enable(struct front *f, unsigned q, bool on)
{
	f->enabled[q] = on;
	return settle(f, set_state(f, VHU_SET_VRING_ENABLE, q, on));
}

bool front_start(struct front *f, unsigned q, const struct front_ring *r)
{
	if (q >= f->nqueues || f->running[q])
		return false;
	f->ring[q] = *r;
	/* even if it fails: then it is stopped again at the next reset */
	f->running[q] = true;
	f->enabled[q] = false;
	return settle(f, send_ring(f, q));
}

void front_stop(struct front *f, unsigned q)
{
	struct vhu_msg m = { .request = VHU_GET_VRING_BASE, .size = sizeof(m.state), .state = { .index = q } };
	bool done;

	if (q >= f->nqueues || !f->running[q])
		return;
	f->running[q] = f->enabled[q] = false;
	done = ask(f, &m, sizeof(m.state));
	if (done && (f->rx.msg.state.index != q || f->rx.msg.state.num > UINT16_MAX))
		dead(f, "GET_VRING_BASE", "an answer to something else");
	settle(f, done);
}

void front_stop_all(struct front *f)
{
	for (unsigned q = 0; q < f->nqueues; q++)
		front_stop(f, q);
}

bool front_set_config(struct front *f, unsigned off, const void *buf, unsigned len)
{
	struct vhu_msg m = { .request = VHU_SET_CONFIG };

	if (!range_ok(off, len, f->config_len))
		return false;
	m.size = (uint32_t)offsetof(struct vhu_config, data) + len;
	m.config.offset = off;
	m.config.size = len;
	memcpy(m.config.data, buf, len);
	if (!settle(f, tell(f, &m)))
		return false;
	memcpy(f->config + off, buf, len);
	return true;
}
