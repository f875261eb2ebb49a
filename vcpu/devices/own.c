/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The devices that the vCPU process serves itself, console and rng, as devices on the PCI
 * bus. Runs under the device lock.
 */
#include <errno.h>
#include <linux/virtio_config.h>
#include <linux/virtio_console.h>
#include <linux/virtio_ids.h>
#include <linux/virtio_ring.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "vcpu/devices/backed.h"
#include "vcpu/devices/own.h"
#include "vcpu/devices/written.h"

#define OWN_FEATURES (BIT64(VIRTIO_F_VERSION_1) | BIT64(VIRTIO_RING_F_INDIRECT_DESC) | BIT64(VIRTIO_RING_F_EVENT_IDX))

static struct device *device_of(struct vpci *v)
{
	return (struct device *)v;
}

/* ---- console ---- */

void devices_watch_output(struct devices *ds)
{
	struct epoll_event ev = { .events = EPOLLOUT, .data.fd = VFD_CON_OUT };

	if (ds->conio.blocked == ds->out_watched)
		return;
	if (epoll_ctl(VFD_EPOLL, ds->conio.blocked ? EPOLL_CTL_ADD : EPOLL_CTL_DEL, VFD_CON_OUT, &ev) == 0)
		ds->out_watched = ds->conio.blocked;
}

static void console_call(void *owner, unsigned q)
{
	struct devices *ds = owner;

	vpci_interrupt(&ds->dev[0].v, q);
}

static bool console_start_queue(struct vpci *v, unsigned q)
{
	struct devices *ds = device_of(v)->all;
	struct vq_setup s;

	vq_from_vpci(v, q, &s);
	if (q < CONSOLE_QUEUES)
		return console_start(&ds->console, q, &ds->vm->mem, &s);
	/* Transports that start all queues start these as well: without the feature nothing uses them. */
	if (!vpci_has(v, VIRTIO_CONSOLE_F_MULTIPORT))
		return true;
	if (vq_start(ports_queue(&ds->ports, q), &ds->vm->mem, &s) != VQ_START_OK)
		return false;
	written_mark_ring(ports_queue(&ds->ports, q));
	return true;
}

static bool own_start(struct vpci *v)
{
	for (unsigned q = 0; q < v->dev->nqueues; q++)
		if (v->queue[q].enabled && !v->dev->start_queue(v, q))
			return false;
	return true;
}

static void console_reset(struct vpci *v)
{
	console_stop(&device_of(v)->all->console);
	ports_stop(&device_of(v)->all->ports);
}

void own_send_output(struct devices *ds)
{
	bool first = !ds->console.transmitted;

	ds->console_again = console_transmit(&ds->console);
	devices_watch_output(ds);
	if (first && ds->console.transmitted && ds->in_len)
		devices_push_input(ds);
}

static void console_notify(struct vpci *v, unsigned q)
{
	struct devices *ds = device_of(v)->all;

	if (q == CONSOLE_TX)
		own_send_output(ds);
	else if (q == CONSOLE_RX)
		devices_push_input(ds);
	else
		ports_kick(&ds->ports, q);
}

static void console_get_config(struct vpci *v, unsigned off, void *buf, unsigned len)
{
	uint32_t size = device_of(v)->all->window_size;
	struct virtio_console_config c = { .cols = htole16(WINDOW_COLS(size)),
					   .rows = htole16(WINDOW_ROWS(size)),
					   .max_nr_ports = htole32(1 + device_of(v)->all->ports.n) };

	memcpy(buf, (const uint8_t *)&c + off, len);
}

void devices_resize(struct devices *ds, uint32_t size)
{
	struct device *d = &ds->dev[0];

	if (!((d->desc.features >> VIRTIO_CONSOLE_F_SIZE) & 1) || size == ds->window_size)
		return;
	ds->window_size = size;
	/* With ports a driver takes it from a control message, and does not look at the configuration. */
	if (vpci_has(&d->v, VIRTIO_CONSOLE_F_MULTIPORT))
		ports_resize(&ds->ports, size);
	else if (vpci_has(&d->v, VIRTIO_CONSOLE_F_SIZE))
		vpci_config_changed(&d->v);
}

/* 5.3.4: a driver may use the emergency write at any time, even before it has set up the device. */
static void console_set_config(struct vpci *v, unsigned off, const void *buf, unsigned len)
{
	struct devices *ds = device_of(v)->all;

	if (off != offsetof(struct virtio_console_config, emerg_wr) || !len)
		return;
	if (conio_room(&ds->conio))
		conio_put_virtio(&ds->conio, buf, 1);
	conio_flush(&ds->conio); /* At once, without waiting for a whole line: "login: " has no newline */
	devices_watch_output(ds);
}

static const struct vpci_device console_device = {
	.name = "console",
	.type = VIRTIO_ID_CONSOLE,
	.class = 0x070000,
	.nqueues = CONSOLE_QUEUES,
	.queue_max = DEVICES_QUEUE_MAX,
	.config_len = sizeof(struct virtio_console_config),
	.features = OWN_FEATURES | BIT64(VIRTIO_CONSOLE_F_EMERG_WRITE),
	.get_config = console_get_config,
	.set_config = console_set_config,
	.start = own_start,
	.start_queue = console_start_queue,
	.stop = console_reset,
	.notify = console_notify,
};

void devices_push_input(struct devices *ds)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.fd = VFD_CON_IN };
	bool want;
	size_t n;

	if (ds->in_len) {
		n = ds->sink ? ds->sink(ds->host_owner, ds->in, ds->in_len)
			     : console_input(&ds->console, ds->in, ds->in_len);
		ds->in_len -= n;
		memmove(ds->in, ds->in + n, ds->in_len);
	}
	want = !ds->in_ended && ds->in_len < sizeof(ds->in);
	if (want != ds->in_watched && epoll_ctl(VFD_EPOLL, want ? EPOLL_CTL_ADD : EPOLL_CTL_DEL, VFD_CON_IN, &ev) == 0)
		ds->in_watched = want;
}

void own_read_input(struct devices *ds)
{
	ssize_t n = read(VFD_CON_IN, ds->in + ds->in_len, sizeof(ds->in) - ds->in_len);

	if (n > 0)
		ds->in_len += (size_t)n;
	else if (n == 0 || (errno != EAGAIN && errno != EINTR))
		ds->in_ended = true; /* The guest goes on without input */
	devices_push_input(ds);
}

/* ---- rng ---- */

static void rng_call(void *owner, unsigned q)
{
	vpci_interrupt(owner, q);
}

static bool rng_start_queue(struct vpci *v, unsigned q)
{
	struct devices *ds = device_of(v)->all;
	struct vq_setup s;

	vq_from_vpci(v, q, &s);
	return rng_start(&ds->rng, &ds->vm->mem, &s);
}

static void rng_reset(struct vpci *v)
{
	rng_stop(&device_of(v)->all->rng);
}

void own_feed_rng(struct devices *ds)
{
	ds->rng_again = rng_work(&ds->rng);
}

static void rng_notify(struct vpci *v, unsigned q)
{
	struct devices *ds = device_of(v)->all;

	(void)q;
	own_feed_rng(ds);
}

static const struct vpci_device rng_device = {
	.name = "rng",
	.type = VIRTIO_ID_RNG,
	.class = 0xff0000,
	.nqueues = 1,
	.queue_max = DEVICES_QUEUE_MAX,
	.features = OWN_FEATURES,
	.get_config = console_get_config, /* Never called, because config_len is 0 */
	.start = own_start,
	.start_queue = rng_start_queue,
	.stop = rng_reset,
	.notify = rng_notify,
};

void devices_own_fault(struct vq *vq, enum guest_fault f, uint64_t detail)
{
	struct device *d = vq->owner;
	struct ctl_msg m = { .type = CTL_FAULT, .value = f, .queue = vq->index, .detail = detail };

	d->all->vm->stats.faults++;
	vpci_needs_reset(&d->v);
	ctl_send(VFD_CTL, &m);
}

static void own_queue(struct device *d, struct vq *vq, unsigned index)
{
	vq->name = d->desc.name;
	vq->index = index;
	vq->owner = d;
	vq->on_fault = devices_own_fault;
}

void own_console_init(struct device *d)
{
	struct devices *ds = d->all;
	const struct vcpu_config *c = ds->vm->c;

	d->desc = console_device;
	/* 5.3.3: a console that is not on a terminal has no size. */
	if (ds->vm->c->input_is_terminal)
		d->desc.features |= BIT64(VIRTIO_CONSOLE_F_SIZE);
	ds->window_size = ds->vm->c->window_size;
	console_init(&ds->console, &ds->conio, console_call, ds);
	for (unsigned q = 0; q < CONSOLE_QUEUES; q++)
		own_queue(d, &ds->console.q[q], q);
	if (!c->nports)
		return;
	d->desc.features |= BIT64(VIRTIO_CONSOLE_F_MULTIPORT);
	d->desc.nqueues = ports_queues(c->nports);
	ports_init(&ds->ports, c->nports, c->port, console_call, ds);
	ds->ports.size = ds->window_size;
	for (unsigned q = CONSOLE_QUEUES; q < d->desc.nqueues; q++)
		own_queue(d, ports_queue(&ds->ports, q), q);
}

void own_rng_init(struct device *d)
{
	d->desc = rng_device;
	rng_init(&d->all->rng, rng_call, d);
	own_queue(d, &d->all->rng.q, 0);
}
