/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The devices of a saved guest: see saved.h. Runs in the vCPU process. */
#include "vcpu/devices/backed.h"
#include "vcpu/devices/saved.h"
#include "vcpu/devices/vpci_saved.h"
#include "vcpu/devices/written.h"
#include "vcpu/vm.h"

struct saved_queue {
	uint16_t last_avail, avail_seen, published, signalled;
	uint8_t running, broken, signalled_valid, kicks_off, zero[4];
};
_Static_assert(sizeof(struct saved_queue) == 16, "no holes: the file has the same layout everywhere");

struct saved_console {
	uint32_t done; /* Bytes of the chain in progress that were moved */
	uint32_t input_wait_ms;
	uint8_t busy, transmitted, zero[6];
};
_Static_assert(sizeof(struct saved_console) == 16, "the same");

/* ---- queues ---- */

static bool saved_vq(struct records *r, struct device *d, unsigned index, unsigned q, struct vq *vq)
{
	struct vpci *v = &d->v;
	struct saved_queue s = {
		.last_avail = vq->last_avail,
		.avail_seen = vq->avail_seen,
		.published = vq->published,
		.signalled = vq->signalled,
		.running = vq->running,
		.broken = vq->broken,
		.signalled_valid = vq->signalled_valid,
		.kicks_off = vq->kicks_off,
	};
	struct vq_setup set;

	if (!record(r, RECORD_QUEUE, index, &s, sizeof(s)))
		return false;
	if (!r->reading)
		return true;
	if (!record_bool(r, s.running, "a running queue") || !record_bool(r, s.broken, "a broken queue") ||
	    !record_bool(r, s.signalled_valid, "a known index") || !record_bool(r, s.kicks_off, "a quiet queue"))
		return false;
	vq->broken = s.broken;
	if (!s.running)
		return true;
	if (!v->running || !v->queue[q].enabled || s.broken)
		return record_fail(r, "%s: queue %u runs, but its device does not", v->dev->name, q);
	vq_from_vpci(v, q, &set);
	set.last_avail = s.last_avail;
	if (vq_start(vq, &d->all->vm->mem, &set) != VQ_START_OK)
		return record_fail(r, "%s: queue %u is not in guest memory", v->dev->name, q);
	/* 2.7.13.3: a driver makes at most as many chains available as the queue has entries. */
	if ((uint16_t)(s.avail_seen - s.last_avail) > vq->size)
		return record_fail(r, "%s: index %u of queue %u, and %u is available", v->dev->name, s.last_avail, q,
				   s.avail_seen);
	vq->avail_seen = s.avail_seen;
	vq->next_used = vq->published = s.published;
	vq->signalled = s.signalled;
	vq->signalled_valid = s.signalled_valid;
	vq->kicks_off = s.kicks_off;
	written_mark_ring(vq);
	return true;
}

/* ---- the devices ---- */

/*
 * The chain in progress has buffers in memory, which no file can name: take it from its queue again, where it is judged
 * as any other. If it is invalid now, its queue stops with a fault.
 */
static bool take_again(struct records *r, struct console *c, uint32_t done)
{
	struct vq *vq = &c->q[CONSOLE_TX];

	if (!vq->running || (uint16_t)(vq->avail_seen - vq->last_avail) >= vq->size)
		return record_fail(r, "console: output is in progress, but its queue does not run");
	vq->last_avail--;
	if (vq_pop(vq, c->iov, ARRAY_SIZE(c->iov), &c->chain) != VQ_POP_CHAIN)
		return true;
	c->busy = true;
	c->done = MIN(done, c->chain.out_len);
	return true;
}

static bool saved_console(struct records *r, struct devices *ds)
{
	struct console *c = &ds->console;
	uint64_t now = now_ms();
	struct saved_console s = {
		.done = (uint32_t)c->done,
		.input_wait_ms = c->input_from > now ? (uint32_t)(c->input_from - now) : 0,
		.busy = c->busy,
		.transmitted = c->transmitted,
	};

	for (unsigned q = 0; q < CONSOLE_QUEUES; q++)
		if (!saved_vq(r, &ds->dev[0], q, q, &c->q[q]))
			return false;
	if (!record(r, RECORD_CONSOLE, 0, &s, sizeof(s)))
		return false;
	if (!r->reading)
		return true;
	if (!record_bool(r, s.busy, "output in progress") || !record_bool(r, s.transmitted, "a console in use"))
		return false;
	c->transmitted = s.transmitted;
	c->input_from = now + MIN(s.input_wait_ms, CONSOLE_INPUT_DELAY_MS);
	return !s.busy || take_again(r, c, s.done);
}

bool saved_devices(struct records *r, struct devices *ds)
{
	if (!saved_pci(r, 0, &ds->bridge))
		return false;
	for (unsigned i = 0; i < ds->n; i++)
		if (!saved_vpci(r, &ds->dev[i].v, &ds->dev[i].desc.features))
			return false;
	if (!saved_console(r, ds))
		return false;
	return ds->n < 2 || saved_vq(r, &ds->dev[1], CONSOLE_QUEUES, 0, &ds->rng.q);
}
