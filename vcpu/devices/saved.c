/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The devices of a saved guest: see saved.h. Runs in the vCPU process. */
#include <linux/virtio_console.h>
#include <string.h>

#include "vcpu/devices/backed.h"
#include "vcpu/devices/helper_saved.h"
#include "vcpu/devices/net.h"
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

struct saved_port {
	uint32_t done; /* As the console's */
	uint8_t busy, guest_open, gone, pending, size_known, zero[7];
	char name[PORT_NAME_MAX];
};
_Static_assert(sizeof(struct saved_port) == 16 + PORT_NAME_MAX && PORT_NAME_MAX % 4 == 0, "the same");

/* Numbers of the queues' records: of the console's two, the rng's, the ports', and the NICs' control queues. */
enum { RNG_QUEUE = CONSOLE_QUEUES, FIRST_PORT, FIRST_CTL = FIRST_PORT + PORTS_MAX_QUEUES };

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
 * as any other. *@busy: it is there. If it is invalid now, its queue stops with a fault.
 */
static bool take_again(struct records *r, struct vq *vq, struct iovec *iov, unsigned n, struct vq_chain *chain,
		       bool *busy)
{
	if (!vq->running || (uint16_t)(vq->avail_seen - vq->last_avail) >= vq->size)
		return record_fail(r, "console: output is in progress, but its queue does not run");
	vq->last_avail--;
	*busy = vq_pop(vq, iov, n, chain) == VQ_POP_CHAIN;
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
	if (s.busy && !take_again(r, &c->q[CONSOLE_TX], c->iov, ARRAY_SIZE(c->iov), &c->chain, &c->busy))
		return false;
	if (c->busy)
		c->done = MIN(s.done, c->chain.out_len);
	return true;
}

/* ---- its named ports ---- */

static bool judge_port(struct records *r, const struct ports *p, unsigned i, const struct saved_port *s)
{
	const char *name = i ? p->name[i - 1] : "";

	if (strncmp(s->name, name, sizeof(s->name)) != 0)
		return record_fail(
			r, "port %u of the guest is not named %s; give the --port options of the saved guest", i, name);
	if (s->pending & ~(i ? PORT_MESSAGES : CONSOLE_MESSAGES))
		return record_fail(r, "port %u has the messages 0x%x for the guest", i, s->pending);
	if (!i && (s->guest_open || s->gone))
		return record_fail(r, "the console has the connection of a named port");
	return record_bool(r, s->busy, "output in progress") && record_bool(r, s->guest_open, "an open port") &&
	       record_bool(r, s->gone, "a closed connection") && record_bool(r, s->size_known, "a known size");
}

/* Port @i; 0 is the console. */
static bool saved_port(struct records *r, struct ports *p, unsigned i)
{
	struct port *port = &p->port[i];
	struct saved_port s = {
		.done = (uint32_t)port->done,
		.busy = port->busy,
		.guest_open = port->guest_open,
		.gone = port->gone,
		.pending = port->pending,
		.size_known = p->size_known,
	};

	if (i)
		memcpy(s.name, p->name[i - 1], strnlen(p->name[i - 1], sizeof(s.name)));
	if (!record(r, RECORD_PORT, i, &s, sizeof(s)))
		return false;
	if (!r->reading)
		return true;
	if (!judge_port(r, p, i, &s))
		return false;
	if (!i)
		p->size_known = s.size_known;
	ports_restore(p, i, s.guest_open, s.pending, s.gone);
	if (i && s.busy && !take_again(r, &port->tx, port->iov, ARRAY_SIZE(port->iov), &port->chain, &port->busy))
		return false;
	if (port->busy)
		port->done = MIN(s.done, port->chain.out_len);
	return true;
}

static bool saved_ports(struct records *r, struct devices *ds)
{
	struct device *d = &ds->dev[0];
	struct ports *p = &ds->ports;

	for (unsigned q = CONSOLE_QUEUES; q < d->desc.nqueues; q++) {
		struct vq *vq = ports_queue(p, q);

		if (!saved_vq(r, d, FIRST_PORT + q, q, vq))
			return false;
		if (vq->running && !vpci_has(&d->v, VIRTIO_CONSOLE_F_MULTIPORT))
			return record_fail(r, "console: queue %u runs, but its driver uses no ports", q);
	}
	for (unsigned i = 0; p->n && i <= p->n; i++)
		if (!saved_port(r, p, i))
			return false;
	return true;
}

/* The queues of the device @i, whose registers are there. */
static bool saved_queues(struct records *r, struct devices *ds, unsigned i)
{
	struct device *d = &ds->dev[i];

	if (d->type == DEVICE_CONSOLE)
		return saved_console(r, ds) && saved_ports(r, ds);
	if (d->type == DEVICE_RNG)
		return saved_vq(r, d, RNG_QUEUE, 0, &ds->rng.q);
	if (!saved_rings(r, d))
		return false;
	for (unsigned q = 0; d->front.kind == DEV_NET && q < d->desc.nqueues; q++)
		if (dev_net_has_ctl(&d->v, q) && !saved_vq(r, d, FIRST_CTL + d->helper, q, &d->ctl))
			return false;
	return true;
}

bool saved_devices(struct records *r, struct devices *ds)
{
	if (!saved_helpers(r, ds) || !saved_pci(r, 0, &ds->bridge))
		return false;
	for (unsigned i = 0; i < ds->n; i++)
		if (!saved_vpci(r, &ds->dev[i].v, &ds->dev[i].desc.features))
			return false;
	for (unsigned i = 0; i < ds->n; i++)
		if (!saved_queues(r, ds, i))
			return false;
	return true;
}
