/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A driver that has one request under way and waits for it is answered by the
 * vCPU thread itself, before it goes on in the guest: nobody else has to be woken
 * to interrupt it, and the guest does not go to sleep first. Runs on the vCPU
 * thread. The indices that are looked at are the guest's, and say nothing but
 * whether waiting pays.
 *
 * The call of such a queue is watched by VFD_WAIT in place of VFD_EPOLL. Between
 * two kicks nothing may be under way then, nor may anything come to be without a
 * kick; where that is not so the call is given back to the helper thread, which
 * hears of whatever came meanwhile.
 */
#include <errno.h>
#include <linux/virtio_ring.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "vcpu/lguest.h"

/* How long the guest stands still for an answer, in ms: a disk that is slower is not waited for. */
#define WAIT_MS 1
/* After the n-th miss in a row so many kicks are not waited for: REST << n. */
#define REST	   256u
#define MISSES_MAX 8
/* Looks at the ring for the helper's last words, of some nanoseconds each. */
#define LOOKS 2000
/* Answers to other queues' kicks are there as well, at most one of each, and come first. */
#define TRIES 4

int lguest_wait_prepare(struct vm *vm)
{
	return vm_place(vm, epoll_create1(EPOLL_CLOEXEC), VFD_WAIT);
}

/* The call is never read: whoever watches it anew hears at once of what came before. */
static bool move_call(const struct device *d, int from, int to)
{
	struct epoll_event ev = { .events = EPOLLIN | EPOLLET, .data.fd = device_call_fd(d, 0) };

	return epoll_ctl(from, EPOLL_CTL_DEL, ev.data.fd, &ev) == 0 &&
	       epoll_ctl(to, EPOLL_CTL_ADD, ev.data.fd, &ev) == 0;
}

/* Where the driver has its ring now. NULL indices: nowhere that can be looked at. */
static void find_ring(const struct lguest *lg, struct lguest_wait *w, const struct vpci_queue *q)
{
	uint64_t used_len = sizeof(struct vring_used) + q->size * sizeof(struct vring_used_elem) + sizeof(uint16_t);

	if (w->avail_at == q->avail && w->used_at == q->used && w->size == q->size)
		return;
	w->avail_at = q->avail;
	w->used_at = q->used;
	w->size = q->size;
	w->avail = shm_ptr(&lg->vm->mem, q->avail, sizeof(*w->avail));
	w->used = shm_ptr(&lg->vm->mem, q->used, used_len);
	if (!w->used || !is_aligned(q->avail, VRING_AVAIL_ALIGN_SIZE) || !is_aligned(q->used, VRING_USED_ALIGN_SIZE))
		w->avail = NULL;
}

static uint16_t under_way(const struct lguest_wait *w)
{
	return (uint16_t)(READ_ONCE(w->avail->idx) - READ_ONCE(w->used->idx));
}

/* Will the next request be kicked for? The helper asks for that last, when it has nothing more to do. */
static bool kicks_are_on(const struct lguest_wait *w, bool event_idx)
{
	/* 2.7.8: avail_event stands behind the used ring's last entry */
	const void *end = &w->used->ring[w->size];
	const uint16_t *avail_event = end;

	if (event_idx)
		return READ_ONCE(*avail_event) == READ_ONCE(w->avail->idx);
	return !(READ_ONCE(w->used->flags) & VRING_USED_F_NO_NOTIFY);
}

/* The request is answered, and the next one will be kicked for. False: not in time. */
static bool answered(const struct lguest_wait *w, bool event_idx)
{
	static struct epoll_event ev[MAX_DEVICES];

	for (unsigned tries = 0; under_way(w); tries++) {
		long n = tries < TRIES ? syscall(SYS_epoll_pwait, VFD_WAIT, ev, MAX_DEVICES, WAIT_MS, NULL, 0) : 0;

		if (!n || (n < 0 && errno != EINTR))
			return false;
	}
	for (unsigned i = 0; i < LOOKS; i++) {
		smp_rmb();
		if (kicks_are_on(w, event_idx))
			return true;
		__builtin_ia32_pause();
	}
	return false;
}

/* As dev_notify(), but for libc's looking at each call whether this thread is to be cancelled. */
static void kick(const struct device *d)
{
	const uint64_t one = 1;

	if (syscall(SYS_write, device_kick_fd(d, 0), &one, sizeof(one)) < 0)
		return; /* full: the kick is there already */
}

/* Nobody waits for this one. True: from now on it is. */
static bool begin(struct lguest_wait *w, const struct device *d, bool alone)
{
	w->alone = alone ? w->alone + 1 : 0;
	if (w->rest)
		w->rest--;
	else if (w->alone >= LGUEST_WAIT_ALONE)
		w->waited = move_call(d, VFD_EPOLL, VFD_WAIT);
	w->waits = 0;
	return w->waited;
}

static void end(struct lguest_wait *w, const struct device *d)
{
	w->waited = !move_call(d, VFD_WAIT, VFD_EPOLL);
	w->alone = 0;
}

void lguest_kick(struct lguest *lg, unsigned i)
{
	struct device *d = &lg->devices.dev[i];
	struct lguest_wait *w = &lg->wait[i];
	bool alone;

	lg->vm->stats.kicks++;
	find_ring(lg, w, &d->v.queue[0]);
	alone = w->avail && under_way(w) == 1;
	kick(d);
	if (!w->waited && !begin(w, d, alone))
		return;
	if (!alone) {
		end(w, d);
		return;
	}
	if (!answered(w, vpci_has(&d->v, VIRTIO_RING_F_EVENT_IDX))) {
		end(w, d);
		w->rest = REST << w->misses;
		w->misses += w->misses < MISSES_MAX;
		return;
	}
	w->misses = 0;
	pthread_mutex_lock(&lg->lock);
	lg->vm->stats.calls++;
	vpci_interrupt(&d->v, 0);
	pthread_mutex_unlock(&lg->lock);
	/* A driver that is waited for never has more than one under way: see whether it would. */
	if (++w->waits == LGUEST_WAITS_MAX)
		end(w, d);
}
