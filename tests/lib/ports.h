/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A console device with named ports (vcpu/devices/ports.c) and a driver's half of its
 * rings, for unit tests and fuzzing: one queue every 16 KiB of a small guest memory,
 * and the supervisor's ends of the connections.
 */
#ifndef TESTS_LIB_PORTS_H
#define TESTS_LIB_PORTS_H

#include <fcntl.h>
#include <linux/virtio_console.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/fdtab.h"
#include "common/shm.h"
#include "vcpu/devices/ports.h"

#define RIG_PORTS  3u
#define RIG_QUEUES (PORTS_FIRST + 2 * RIG_PORTS)
#define RIG_SIZE   8u	   /* entries of a ring */
#define RIG_STRIDE 0x4000u /* a ring: descriptors, available at + 0x400, used at + 0x800, buffers from + 0x1000 */
#define RIG_MEM	   (1u << 20)

struct ports_rig {
	struct ports p;
	struct guest_mem mem;
	uint8_t *ram;
	int mem_fd, far[RIG_PORTS]; /* the supervisor's ends */
	unsigned calls, faults;
};

static const char rig_names[RIG_PORTS][PORT_NAME_MAX] = { "first", "the.second", "third_of-31-bytes-is-the-longest" };

static inline void rig_call(void *owner, unsigned q)
{
	(void)q;
	((struct ports_rig *)owner)->calls++;
}

static inline void rig_fault(struct vq *vq, enum guest_fault f, uint64_t detail)
{
	(void)f;
	(void)detail;
	((struct ports_rig *)vq->owner)->faults++;
}

static inline struct vring_desc *rig_desc(struct ports_rig *r, unsigned q)
{
	return (struct vring_desc *)(void *)(r->ram + q * RIG_STRIDE);
}

static inline struct vring_avail *rig_avail(struct ports_rig *r, unsigned q)
{
	return (struct vring_avail *)(void *)(r->ram + q * RIG_STRIDE + 0x400);
}

static inline struct vring_used *rig_used(struct ports_rig *r, unsigned q)
{
	return (struct vring_used *)(void *)(r->ram + q * RIG_STRIDE + 0x800);
}

static inline uint64_t rig_buffer(unsigned q, unsigned slot)
{
	return q * RIG_STRIDE + 0x1000 + slot * 0x400;
}

/* Start all queues, as after DRIVER_OK. Returns false if one was rejected. */
static inline bool rig_start(struct ports_rig *r)
{
	for (unsigned q = PORTS_CTL_RX; q < RIG_QUEUES; q++) {
		const struct vq_setup s = { .size = RIG_SIZE,
					    .desc = q * RIG_STRIDE,
					    .avail = q * RIG_STRIDE + 0x400,
					    .used = q * RIG_STRIDE + 0x800,
					    .indirect = true };
		struct vq *vq = ports_queue(&r->p, q);

		memset(r->ram + q * RIG_STRIDE, 0, 0x1000);
		vq->index = q;
		vq->name = "console";
		vq->owner = r;
		vq->on_fault = rig_fault;
		if (vq_start(vq, &r->mem, &s) != VQ_START_OK)
			return false;
	}
	return true;
}

/* False: this host lacks something. */
static inline bool rig_open(struct ports_rig *r)
{
	struct shm_policy policy = { .allow_unsealed = true };
	bool sealed;
	int epoll = epoll_create1(EPOLL_CLOEXEC);

	memset(r, 0, sizeof(*r));
	r->mem_fd = shm_create(RIG_MEM, &sealed);
	if (r->mem_fd < 0 || shm_add(&r->mem, &policy, r->mem_fd, 0, RIG_MEM, 0, 0) != SHM_OK || epoll < 0)
		return false;
	if (epoll != VFD_EPOLL && (dup2(epoll, VFD_EPOLL) < 0 || close(epoll) < 0))
		return false;
	r->ram = shm_ptr(&r->mem, 0, RIG_MEM);
	for (unsigned i = 0; i < RIG_PORTS; i++) {
		int sv[2], number = VFD_PORT0 + 2 * (int)i;

		if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, sv) < 0 ||
		    dup2(sv[1], number) < 0)
			return false;
		close(sv[1]);
		r->far[i] = sv[0];
	}
	ports_init(&r->p, RIG_PORTS, rig_names, rig_call, r);
	return rig_start(r);
}

static inline void rig_close(struct ports_rig *r)
{
	for (unsigned i = 0; i < RIG_PORTS; i++) {
		close(VFD_PORT0 + 2 * (int)i);
		if (r->far[i] >= 0)
			close(r->far[i]);
	}
	close(VFD_EPOLL);
	shm_clear(&r->mem);
	close(r->mem_fd);
}

/* Offer one buffer of @len bytes in slot @slot of queue @q, and notify. */
static inline void rig_offer(struct ports_rig *r, unsigned q, unsigned slot, uint32_t len, bool write)
{
	struct vring_avail *a = rig_avail(r, q);

	rig_desc(r, q)[slot] =
		(struct vring_desc){ .addr = rig_buffer(q, slot), .len = len, .flags = write ? VRING_DESC_F_WRITE : 0 };
	a->ring[a->idx % RIG_SIZE] = (uint16_t)slot;
	a->idx++;
	ports_kick(&r->p, q);
}

/* What the engine's loop does with VFD_EPOLL, once. */
static inline unsigned rig_events(struct ports_rig *r)
{
	struct epoll_event ev[RIG_PORTS];
	int n = epoll_pwait(VFD_EPOLL, ev, RIG_PORTS, 0, NULL);

	for (int i = 0; i < n; i++)
		ports_event(&r->p, (unsigned)(ev[i].data.fd - VFD_PORT0) / 2, ev[i].events);
	return n > 0 ? (unsigned)n : 0;
}

#endif
