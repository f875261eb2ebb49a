/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Makes disks faster for a driver that sends one request and waits for it. Runs on the vCPU
 * thread. After the kick, the vCPU thread waits for the helper's answer and sends the
 * interrupt itself, before it enters the guest again. So neither the second thread needs to
 * wake up, nor does the guest go idle. Ring indices in guest memory are read only to decide
 * whether to wait.
 *
 * While the vCPU thread waits for a queue, its call eventfd is in VFD_WAIT instead of
 * VFD_EPOLL. That requires that no request is in flight between two kicks, and that each
 * request has a kick. As soon as this is not the case, the eventfd moves back to VFD_EPOLL
 * and the second thread, which also sees answers that came meanwhile.
 */
#include <errno.h>
#include <linux/virtio_ring.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "vcpu/lguest/lguest.h"
#include "vcpu/lguest/wait.h"
#include "vcpu/vm.h"

/* How long the vCPU thread waits for an answer, in milliseconds. The guest does not run meanwhile. */
#define WAIT_MS 1
/* After the n-th late answer in a row, do not wait for the next REST << n kicks. */
#define REST	   256u
#define MISSES_MAX 8
/* How often the ring is checked for kicks being enabled again, some nanoseconds each. */
#define LOOKS 2000
/* Most calls of epoll for one answer: VFD_WAIT may report old answers of other queues first. */
#define TRIES 4

int lguest_wait_prepare(struct vm *vm)
{
	return vm_place(vm, epoll_create1(EPOLL_CLOEXEC), VFD_WAIT);
}

/* Move a call eventfd to another epoll set. It is never read, so the new set reports earlier calls at once. */
static bool move_call(const struct device *d, int from, int to)
{
	struct epoll_event ev = { .events = EPOLLIN | EPOLLET, .data.fd = device_call_fd(d, 0) };

	return epoll_ctl(from, EPOLL_CTL_DEL, ev.data.fd, &ev) == 0 &&
	       epoll_ctl(to, EPOLL_CTL_ADD, ev.data.fd, &ev) == 0;
}

/* Translate the addresses of the driver's rings. w->avail is NULL if they are invalid. */
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

/* True if the driver will kick for its next request. The helper enables kicks last, when it is idle. */
static bool kicks_are_on(const struct lguest_wait *w, bool event_idx)
{
	/* avail_event follows the last entry of the used ring (2.7.8). */
	const void *end = &w->used->ring[w->size];
	const uint16_t *avail_event = end;

	if (event_idx)
		return READ_ONCE(*avail_event) == READ_ONCE(w->avail->idx);
	return !(READ_ONCE(w->used->flags) & VRING_USED_F_NO_NOTIFY);
}

/* Wait until the request is finished and kicks are enabled again. False if that takes too long. */
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

/* As dev_notify(), but with syscall(): libc's write() checks for thread cancellation at each call. */
static void kick(const struct device *d)
{
	const uint64_t one = 1;

	if (syscall(SYS_write, device_kick_fd(d, 0), &one, sizeof(one)) < 0)
		return; /* The counter is full, so a kick is pending already */
}

/* Decide whether to begin waiting for this queue. True if the vCPU thread waits from now on. */
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
	/* While we wait, the driver cannot send a second request. Stop, to find out whether it would. */
	if (++w->waits == LGUEST_WAITS_MAX)
		end(w, d);
}
