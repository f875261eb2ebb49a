/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The entropy device: see rng.h. Runs in the vCPU process. Each request gets at most 256
 * bytes, which getrandom(2) always delivers in one piece. A device may return less than the
 * driver asked for (5.4.6).
 */
#include <errno.h>
#include <sys/random.h>
#include <unistd.h>

#include "common/fdtab.h"
#include "common/iov.h"
#include "vcpu/devices/rng.h"
#include "vcpu/devices/written.h"

#define AT_ONCE 256u

void rng_init(struct rng *r, void (*call)(void *, unsigned), void *owner)
{
	r->call = call;
	r->owner = owner;
}

bool rng_start(struct rng *r, const struct guest_mem *mem, const struct vq_setup *s)
{
	if (vq_start(&r->q, mem, s) != VQ_START_OK)
		return false;
	written_mark_ring(&r->q);
	return true;
}

void rng_stop(struct rng *r)
{
	vq_stop(&r->q);
}

bool rng_work(struct rng *r)
{
	static struct iovec iov[VQ_MAX_SIZE];
	struct vq *vq = &r->q;
	size_t given = 0;
	unsigned chains = 0;

	while (vq->running && given < RNG_BUDGET && chains < vq->size) {
		struct vq_chain c;
		uint8_t some[AT_ONCE];
		ssize_t n;

		if (vq_pop(vq, iov, ARRAY_SIZE(iov), &c) != VQ_POP_CHAIN) {
			if (vq->running && vq_enable_kicks(vq))
				continue;
			break;
		}
		chains++;
		if (!c.nin) {
			guest_fault(vq, FAULT_NO_WRITABLE, c.head);
			break;
		}
		n = getrandom(some, MIN(c.in_len, sizeof(some)), GRND_NONBLOCK);
		if (n < 0 && errno == ENOSYS)
			n = read(VFD_RANDOM, some, MIN(c.in_len, sizeof(some)));
		n = n < 0 ? 0 : n;
		iov_from_buf(iov + c.nout, c.nin, 0, some, (size_t)n);
		written_mark_iov(iov + c.nout, c.nin, (size_t)n);
		vq_push(vq, c.head, (uint32_t)n);
		given += AT_ONCE;
	}
	if (vq_publish(vq) && vq_wants_call(vq))
		r->call(r->owner, 0);
	return vq->running && (given >= RNG_BUDGET || chains >= vq->size);
}
