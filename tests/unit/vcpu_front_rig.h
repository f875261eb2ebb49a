/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * For the tests of the vCPU process's vhost-user front-end: a helper that answers wrongly at
 * the request that the test chooses.
 */
#ifndef TESTS_VCPU_FRONT_RIG_H
#define TESTS_VCPU_FRONT_RIG_H

#include <dirent.h>
#include <fcntl.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_config.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/log.h"
#include "vcpu/devices/front.h"

enum lie {
	HONEST,
	NO_ANSWER,
	HANG_UP,
	SIZE_ZERO,
	SIZE_MORE,
	SIZE_LESS,
	SIZE_HUGE,
	OTHER_REQUEST,
	NO_REPLY_FLAG,
	OTHER_VERSION,
	HALF_A_HEADER,
	HALF_A_PAYLOAD,
	WITH_DESCRIPTORS,
	NOISE,
	LIES,
};

/* The helper: answers correctly except at request @lie_at (its @lie_skip-th one). */
static struct helper {
	int sock;
	enum lie lie;
	uint32_t lie_at;
	unsigned skip;
	uint64_t features, queues, nack;
	uint32_t config_size, config_off, base_index, base_num;
	bool override_config, override_base, no_ack;
	uint64_t resumes_as; /* at the lie: a successor takes over, and says so with this number; 0: no */
	bool awaiting_resume, again;
	bool mute;	     /* after half of a reply, which the next one would complete */
	uint32_t holds_back; /* no reply to the requests sent together with this one, until it has come; 0: none */
	/* what it saw */
	uint64_t got_features;
	unsigned kicks, tables, starts, stops, enables;
	unsigned configs; /* SET_CONFIG that it got, and the first byte of the last one */
	uint8_t config;
	int mem_fds;
	/* for checkpoints: what it says, and what it saw */
	bool logs;
	uint32_t held_queues;
	unsigned holds, goes, logs_set;
	struct vhu_rings go; /* the last VHU_GO */
	struct vhu_vring_addr addr;
	bool held; /* as its process is now: between VHU_HOLD and VHU_GO */
	unsigned enabled_while_held;
	/* for SAVE and LOAD: replies in order, and the last request */
	struct vhu_saved part[4], asked;
	unsigned parts;
} h;

static struct guest_mem mem;
static struct front f;
static int kick[4], call[4], err;
static pthread_t thread;

static inline bool reply_of(struct vhu_msg *m)
{
	switch (m->request) {
	case VHU_GET_FEATURES:
		m->u64 = h.features;
		break;
	case VHU_GET_PROTOCOL_FEATURES:
		m->u64 = BIT64(VHU_PF_MQ) | BIT64(VHU_PF_CONFIG) | BIT64(VHU_PF_INFLIGHT_SHMFD) |
			 (h.logs ? BIT64(VHU_PF_LOG_SHMFD) : 0) | (h.no_ack ? 0 : BIT64(VHU_PF_REPLY_ACK));
		break;
	case VHU_GET_QUEUE_NUM:
		m->u64 = h.queues;
		break;
	case VHU_GET_CONFIG:
		if (h.override_config) {
			m->config.size = h.config_size;
			m->config.offset = h.config_off;
		}
		memset(m->config.data, 0x11, m->size - offsetof(struct vhu_config, data));
		return true;
	case VHU_HOLD:
		h.holds++;
		m->rings = (struct vhu_rings){ .nqueues = h.held_queues, .base = { 7, 65535 } };
		m->size = sizeof(m->rings);
		return true;
	case VHU_SAVE:
	case VHU_LOAD:
		h.asked = m->saved;
		m->saved = h.part[h.parts++ % 4];
		m->size = sizeof(m->saved);
		return true;
	case VHU_GET_VRING_BASE:
		h.stops++;
		if (h.override_base)
			m->state = (struct vhu_vring_state){ h.base_index, h.base_num };
		return true;
	case VHU_SET_LOG_BASE:
		m->u64 = m->request == h.nack;
		break;
	default:
		if (!(m->flags & VHU_NEED_REPLY))
			return false;
		m->u64 = m->request == h.nack;
		break;
	}
	m->size = sizeof(m->u64);
	return true;
}

static inline void note(const struct vhu_msg *m)
{
	h.got_features = m->request == VHU_SET_FEATURES ? m->u64 : h.got_features;
	h.kicks += m->request == VHU_SET_VRING_KICK;
	h.tables += m->request == VHU_SET_MEM_TABLE;
	h.starts += m->request == VHU_SET_VRING_ADDR;
	h.enables += m->request == VHU_SET_VRING_ENABLE;
	if (m->request == VHU_SET_CONFIG) {
		h.configs++;
		h.config = m->config.data[0];
	}
	if (m->request == VHU_SET_MEM_TABLE)
		h.mem_fds = (int)m->nfds;
	h.logs_set += m->request == VHU_SET_LOG_BASE && m->nfds == 1;
	if (m->request == VHU_SET_VRING_ADDR)
		h.addr = m->addr;
	h.enabled_while_held += m->request == VHU_SET_VRING_ENABLE && h.held;
	h.held = m->request == VHU_HOLD || (h.held && m->request != VHU_GO);
	if (m->request == VHU_GO) {
		h.goes++;
		h.go = m->rings;
	}
}

static inline void send_bytes(const void *p, size_t n)
{
	(void)!send(h.sock, p, n, MSG_NOSIGNAL);
}

static inline void answer(struct vhu_msg *m, enum lie lie)
{
	static const uint8_t noise[600] = { 0xff, 0xee, 1, 2, 3, 4, 5 };

	m->flags = VHU_VERSION | VHU_REPLY;
	m->nfds = 0;
	switch (lie) {
	case SIZE_ZERO:
		m->size = 0;
		break;
	case SIZE_MORE:
		m->size += 8;
		break;
	case SIZE_LESS:
		m->size -= 4;
		break;
	case SIZE_HUGE:
		m->size = 0xffffffff;
		send_bytes(m, VHU_HDR_SIZE);
		return;
	case OTHER_REQUEST:
		m->request ^= 1;
		break;
	case NO_REPLY_FLAG:
		m->flags = VHU_VERSION;
		break;
	case OTHER_VERSION:
		m->flags = 2 | VHU_REPLY;
		break;
	case HALF_A_HEADER:
		h.mute = true;
		send_bytes(m, 5);
		return;
	case HALF_A_PAYLOAD:
		h.mute = true;
		send_bytes(m, VHU_HDR_SIZE);
		send_bytes(m->bytes, m->size / 2);
		return;
	case WITH_DESCRIPTORS:
		m->fds[0] = h.sock;
		m->fds[1] = 0;
		m->nfds = 2;
		break;
	case NOISE:
		send_bytes(noise, sizeof(noise));
		return;
	default:
		break;
	}
	vhu_send(h.sock, m);
}

/* The helper's successor, on the same connection. */
static inline void take_over(void)
{
	struct vhu_msg m = {
		.request = VHU_RESUME, .flags = VHU_VERSION | VHU_REPLY, .size = sizeof(m.u64), .u64 = h.resumes_as
	};

	h.got_features = 0;
	h.held = false;
	h.kicks = h.tables = h.starts = h.enables = h.enabled_while_held = h.configs = 0;
	h.awaiting_resume = true;
	vhu_send(h.sock, &m);
}

/* True if the front-end sends @request before @last, without waiting for a reply to it. */
static inline bool sent_before(uint32_t request, uint32_t last)
{
	switch (last) {
	case VHU_GET_PROTOCOL_FEATURES:
		return request == VHU_GET_FEATURES;
	case VHU_SET_OWNER:
		return request == VHU_GET_QUEUE_NUM;
	case VHU_SET_VRING_KICK:
		return request == VHU_SET_MEM_TABLE || request == VHU_SET_VRING_CALL || request == VHU_SET_VRING_ERR;
	default:
		return false;
	}
}

static inline void *serve(void *arg)
{
	static struct vhu_rx rx;
	struct vhu_msg back[4];
	unsigned nback = 0;

	(void)arg;
	while (vhu_recv(h.sock, &rx, true) == VHU_OK) {
		struct vhu_msg m = rx.msg;
		bool lie_now = m.request == h.lie_at && h.lie != HONEST && (h.again || h.skip-- == 0);
		bool due;

		if (h.awaiting_resume) {
			/* as backend_msg.c: what is not meant for the successor is dropped */
			h.awaiting_resume = m.request != VHU_RESUME || m.u64 != h.resumes_as;
			vhu_rx_reset(&rx);
			continue;
		}
		note(&m);
		vhu_rx_reset(&rx);
		if (h.mute)
			continue;
		m.nfds = 0;
		due = reply_of(&m);
		if (lie_now && h.lie == HANG_UP)
			break;
		if (lie_now && h.lie == NO_ANSWER) {
			if (h.resumes_as)
				take_over();
			continue;
		}
		if (sent_before(m.request, h.holds_back)) {
			assert_true(nback < ARRAY_SIZE(back));
			back[nback++] = m;
			continue;
		}
		for (unsigned i = 0; i < nback; i++)
			answer(&back[i], HONEST);
		nback = 0;
		if (due)
			answer(&m, lie_now ? h.lie : HONEST);
	}
	vhu_rx_reset(&rx);
	close(h.sock);
	return NULL;
}

static inline unsigned open_fds(void)
{
	DIR *d = opendir("/proc/self/fd");
	unsigned n = 0;

	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

static inline int once(void **state)
{
	struct shm_policy p = { .same_inode = false };
	bool sealed;
	int fd = shm_create(1 << 20, &sealed);

	(void)state;
	log_to_fd(-1, "test", LOG_ERROR);
	if (fd < 0 || dup2(fd, VFD_MEM) != VFD_MEM || front_prepare() < 0)
		return -1;
	/* Where a descriptor was inherited it may be that number already. */
	if (fd != VFD_MEM)
		close(fd);
	for (unsigned i = 0; i < 4; i++) {
		kick[i] = eventfd(0, 0);
		call[i] = eventfd(0, 0);
	}
	err = eventfd(0, 0);
	return shm_add(&mem, &p, VFD_MEM, 0, 1 << 20, 0, 0) == SHM_OK ? 0 : -1;
}

static inline int fresh(void **state)
{
	(void)state;
	h = (struct helper){
		.features = BIT64(VIRTIO_F_VERSION_1) | BIT64(VHU_F_PROTOCOL_FEATURES) | BIT64(VIRTIO_BLK_F_FLUSH) |
			    BIT64(VIRTIO_BLK_F_MQ),
		.queues = 2,
		.held_queues = 2,
		.nack = UINT64_MAX,
	};
	return 0;
}

/* An answer that never comes is soon given up; one that does may be late where the host is busy. */
#define LIAR_MS	  200
#define HONEST_MS 60000

static unsigned liar_ms = LIAR_MS;

static inline int attach_as(enum device_kind kind, unsigned nqueues)
{
	int sv[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv), 0);
	h.sock = sv[1];
	/* As devices_create() leaves it. */
	assert_int_equal(fcntl(sv[0], F_SETFL, O_NONBLOCK), 0);
	f = (struct front){ .name = kind == DEV_BLK  ? "blk0"
				    : kind == DEV_FS ? "fs0"
						     : "net0",
			    .sock = sv[0],
			    .kind = kind,
			    .nqueues = nqueues,
			    .err = err,
			    .log = h.logs ? VFD_MEM : 0,
			    .log_bytes = 4096,
			    .timeout_ms = h.lie && h.lie != WITH_DESCRIPTORS ? liar_ms : HONEST_MS };
	memcpy(f.kick, kick, sizeof(kick));
	memcpy(f.call, call, sizeof(call));
	assert_int_equal(pthread_create(&thread, NULL, serve, NULL), 0);
	return front_attach(&f, &mem);
}

static inline int attach(void)
{
	return attach_as(DEV_BLK, 2);
}

static inline void detach(void)
{
	close(f.sock);
	pthread_join(thread, NULL);
}

#endif
