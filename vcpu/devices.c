/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The guest's devices together: made and attached before the guest runs, served
 * by the main thread afterwards. Runs in the vCPU process. See devices.h.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/virtio_config.h>
#include <linux/virtio_console.h>
#include <linux/virtio_ids.h>
#include <linux/virtio_ring.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "vcpu/devices.h"

#define BIT64(n)     (1ull << (n))
#define OWN_FEATURES (BIT64(VIRTIO_F_VERSION_1) | BIT64(VIRTIO_RING_F_INDIRECT_DESC) | BIT64(VIRTIO_RING_F_EVENT_IDX))

/* "blk31" */
#define NAME_MAX_LEN 8

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
	return console_start(&ds->console, q, &ds->vm->mem, &s);
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
}

static void send_transmit(struct devices *ds)
{
	ds->console_again = console_transmit(&ds->console);
	devices_watch_output(ds);
}

static void console_notify(struct vpci *v, unsigned q)
{
	struct devices *ds = device_of(v)->all;

	if (q == CONSOLE_TX)
		send_transmit(ds);
	else
		devices_push_input(ds);
}

static void console_get_config(struct vpci *v, unsigned off, void *buf, unsigned len)
{
	(void)v;
	(void)off;
	memset(buf, 0, len);
}

/* 5.3.4: the emergency write is legal at any time, even before the driver is there. */
static void console_set_config(struct vpci *v, unsigned off, const void *buf, unsigned len)
{
	struct devices *ds = device_of(v)->all;

	if (off != offsetof(struct virtio_console_config, emerg_wr) || !len)
		return;
	conio_put(&ds->conio, buf, 1);
	if (*(const char *)buf == '\n' || conio_used(&ds->conio) >= 64)
		conio_flush(&ds->conio);
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

static void read_input(struct devices *ds)
{
	ssize_t n = read(VFD_CON_IN, ds->in + ds->in_len, sizeof(ds->in) - ds->in_len);

	if (n > 0)
		ds->in_len += (size_t)n;
	else if (n == 0 || (errno != EAGAIN && errno != EINTR))
		ds->in_ended = true; /* a console without input is no reason to end */
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

static void rng_notify(struct vpci *v, unsigned q)
{
	struct devices *ds = device_of(v)->all;

	(void)q;
	ds->rng_again = rng_work(&ds->rng);
}

static const struct vpci_device rng_device = {
	.name = "rng",
	.type = VIRTIO_ID_RNG,
	.class = 0xff0000,
	.nqueues = 1,
	.queue_max = DEVICES_QUEUE_MAX,
	.features = OWN_FEATURES,
	.get_config = console_get_config, /* never called: no configuration */
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

/* ---- set-up ---- */

static int watch(struct devices *ds, int fd, uint32_t events)
{
	struct epoll_event ev = { .events = events, .data.fd = fd };

	if (epoll_ctl(VFD_EPOLL, EPOLL_CTL_ADD, fd, &ev) < 0)
		return vm_fail(ds->vm, GUEST_ENGINE_FAILED, "descriptor %d: %m", fd);
	return 0;
}

/* An eventfd at @number; watched if @events. */
static int event(struct devices *ds, int number, uint32_t events)
{
	if (vm_place(ds->vm, eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), number) < 0)
		return -1;
	return events ? watch(ds, number, events) : 0;
}

/* Console pipes never block us. */
static int open_console(struct devices *ds)
{
	const int fds[] = { VFD_CON_IN, VFD_CON_OUT };

	for (unsigned i = 0; i < ARRAY_SIZE(fds); i++) {
		int flags = fcntl(fds[i], F_GETFL);

		if (flags < 0 || fcntl(fds[i], F_SETFL, flags | O_NONBLOCK) < 0)
			return vm_fail(ds->vm, GUEST_ENGINE_FAILED, "console: %m");
	}
	ds->in_watched = true;
	return watch(ds, VFD_CON_IN, EPOLLIN);
}

static int open_descriptors(struct devices *ds)
{
	if (vm_place(ds->vm, epoll_create1(EPOLL_CLOEXEC), VFD_EPOLL) < 0 || open_console(ds) < 0 ||
	    watch(ds, VFD_CTL, EPOLLIN) < 0 || event(ds, VFD_WAKE, EPOLLIN) < 0)
		return -1;
	for (int i = 0; i < DEVICES_OWN_KICKS; i++)
		if (event(ds, VFD_OWNKICK0 + i, EPOLLIN) < 0)
			return -1;
	if (front_prepare() < 0)
		return vm_fail(ds->vm, GUEST_ENGINE_FAILED, "epoll: %m");
	return 0;
}

static struct device *add_device(struct devices *ds, enum device_role role)
{
	struct device *d = &ds->dev[ds->n++];

	d->all = ds;
	d->role = role;
	return d;
}

/* A compact host's guest has one CPU: one disk queue or one pair is all that it can use. */
static unsigned useful_queues(const struct devices *ds, const struct vcpu_device *c, const char *name)
{
	unsigned most = c->kind == DEV_BLK ? 1 : 2;

	if (!ds->host->compact || c->queues <= most)
		return c->queues;
	log_line(LOG_INFO, "%s: one of its %u queue%s is used: an lguest guest has one CPU", name, c->queues / most,
		 most > 1 ? " pairs" : "s");
	return most;
}

static int attach_helper(struct devices *ds, unsigned i)
{
	const struct vcpu_device *c = &ds->vm->c->dev[i];
	struct device *d = add_device(ds, ROLE_HELPER);
	struct front *f = &d->front;
	static char names[MAX_DEVICES][NAME_MAX_LEN];

	fmt_line(names[i], sizeof(names[i]), "%s%u", c->kind == DEV_BLK ? "blk" : "net", c->index);
	d->helper = i;
	f->name = names[i];
	f->sock = VFD_FRONT0 + (int)i;
	f->kind = c->kind == DEV_BLK ? DEV_BLK : DEV_NET;
	f->foreign = c->foreign;
	f->nqueues = useful_queues(ds, c, f->name);
	f->err = VFD_QERR0 + (int)i;
	if (event(ds, f->err, EPOLLIN) < 0)
		return -1;
	for (unsigned q = 0; q < f->nqueues; q++) {
		f->kick[q] = device_kick_fd(d, q);
		f->call[q] = device_call_fd(d, q);
		if (event(ds, f->kick[q], 0) < 0 || event(ds, f->call[q], 0) < 0)
			return -1;
	}
	if (front_attach(f, &ds->vm->mem) < 0)
		return vm_fail(ds->vm, GUEST_ENGINE_FAILED, "%s", f->error);
	if (f->kind == DEV_BLK)
		dev_blk_init(d, c);
	else
		dev_net_init(d, c);
	d->desc.name = f->name;
	return watch(ds, f->sock, EPOLLIN);
}

static void make_own(struct devices *ds)
{
	struct device *d = add_device(ds, ROLE_CONSOLE);

	d->desc = console_device;
	console_init(&ds->console, &ds->conio, console_call, ds);
	for (unsigned q = 0; q < CONSOLE_QUEUES; q++)
		own_queue(d, &ds->console.q[q], q);
	if (!ds->vm->c->rng)
		return;
	d = add_device(ds, ROLE_RNG);
	d->desc = rng_device;
	rng_init(&ds->rng, rng_call, d);
	own_queue(d, &ds->rng.q, 0);
}

/*
 * One device to a slot as long as they last, else eight: Linux names disks and
 * NICs in the order of slot and function.
 */
static void put_on_bus(struct devices *ds, const struct devices_place *p)
{
	const struct pci_ids bridge = { .class = 0x060000 };
	uint32_t next = p->bar_base;
	bool packed = ds->n > 31;

	pci_dev_init(&ds->bridge, &bridge);
	pci_attach(&ds->bus, 0, &ds->bridge);
	for (unsigned i = 0; i < ds->n; i++) {
		struct device *d = &ds->dev[i];
		unsigned slot = packed ? 1 + i / 8 : 1 + i, fn = packed ? i % 8 : 0;
		unsigned line = ds->host->compact ? p->first_irq + i : p->intx_base + slot % 8;

		d->v.host_owner = ds->host_owner;
		d->v.index = i;
		vpci_init(&d->v, &d->desc, ds->host, line, ds->host->compact ? 0 : 1, &next);
		if (packed)
			d->v.pci.cfg[0x0e] = 0x80; /* more than one function */
		pci_attach(&ds->bus, PCI_DEVFN(slot, fn), &d->v.pci);
	}
}

int devices_create(struct devices *ds, struct vm *vm, const struct vpci_host *host, void *host_owner,
		   const struct devices_place *p)
{
	ds->vm = vm;
	ds->host = host;
	ds->host_owner = host_owner;
	if (open_descriptors(ds) < 0)
		return -1;
	make_own(ds);
	for (unsigned i = 0; i < vm->c->ndevices; i++)
		if (attach_helper(ds, i) < 0)
			return -1;
	put_on_bus(ds, p);
	return 0;
}

/* ---- while the guest runs ---- */

void devices_watch_call(struct device *d, unsigned q, bool on)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.fd = device_call_fd(d, q) };

	if (d->watching[q] == on)
		return;
	if (epoll_ctl(VFD_EPOLL, on ? EPOLL_CTL_ADD : EPOLL_CTL_DEL, ev.data.fd, &ev) == 0)
		d->watching[q] = on;
}

/* Take what an eventfd holds, so that it is not ready any more. False: somebody else was faster. */
static bool drain(int fd)
{
	uint64_t n;

	return read(fd, &n, sizeof(n)) == sizeof(n);
}

static struct device *helper(struct devices *ds, unsigned i)
{
	unsigned first = ds->n - ds->vm->c->ndevices;

	return i < ds->vm->c->ndevices ? &ds->dev[first + i] : NULL;
}

/* A helper that was started again, or one that is gone. */
static void helper_says(struct device *d)
{
	struct epoll_event ev = { .events = 0 };

	if (!d || front_event(&d->front))
		return;
	epoll_ctl(VFD_EPOLL, EPOLL_CTL_DEL, d->front.sock, &ev);
	vpci_needs_reset(&d->v);
}

bool devices_event(struct devices *ds, int fd, uint32_t events)
{
	struct device *d;

	(void)events;
	if (fd >= VFD_OWNKICK0 && fd < VFD_OWNKICK0 + DEVICES_OWN_KICKS) {
		drain(fd);
		ds->vm->stats.kicks++;
		if (fd == VFD_OWNKICK0 + OWN_CONSOLE_TX)
			send_transmit(ds);
		else if (fd == VFD_OWNKICK0 + OWN_CONSOLE_RX)
			devices_push_input(ds);
		else if (fd == VFD_OWNKICK0 + OWN_RNG)
			ds->rng_again = rng_work(&ds->rng);
		return true;
	}
	if (fd >= VFD_QERR0 && fd < VFD_QERR0 + MAX_DEVICES) {
		d = helper(ds, (unsigned)(fd - VFD_QERR0));
		/* nothing there: the driver has reset the device meanwhile (dev_stop()) */
		if (drain(fd) && d)
			vpci_needs_reset(&d->v);
		return true;
	}
	if (fd >= VFD_QCALL0 && fd < VFD_QCALL0 + MAX_DEVICES * MAX_QUEUES) {
		unsigned n = (unsigned)(fd - VFD_QCALL0);

		drain(fd);
		d = helper(ds, n / MAX_QUEUES);
		if (d)
			vpci_interrupt(&d->v, n % MAX_QUEUES);
		return true;
	}
	if (fd >= VFD_FRONT0 && fd < VFD_FRONT0 + MAX_DEVICES) {
		helper_says(helper(ds, (unsigned)(fd - VFD_FRONT0)));
		return true;
	}
	if (fd == VFD_CON_IN) {
		read_input(ds);
		return true;
	}
	if (fd == VFD_CON_OUT) {
		conio_flush(&ds->conio);
		send_transmit(ds);
		return true;
	}
	return false;
}

bool devices_have_work(const struct devices *ds)
{
	bool any = ds->console_again || ds->rng_again;

	for (unsigned i = 0; i < ds->n; i++)
		any |= ds->dev[i].ctl_again;
	return any;
}

bool devices_work(struct devices *ds)
{
	if (ds->console_again)
		send_transmit(ds);
	if (ds->rng_again)
		ds->rng_again = rng_work(&ds->rng);
	for (unsigned i = 0; i < ds->n; i++)
		if (ds->dev[i].ctl_again)
			dev_net_work_ctl(&ds->dev[i]);
	return devices_have_work(ds);
}
