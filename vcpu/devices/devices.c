/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * All devices of the guest: see devices.h. They are created and attached before the guest
 * runs; afterwards the main thread serves their events. Runs in the vCPU process.
 */
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "common/fmt.h"
#include "vcpu/devices/backed.h"
#include "vcpu/devices/devices.h"
#include "vcpu/devices/fs.h"
#include "vcpu/devices/net.h"
#include "vcpu/devices/own.h"
#include "vcpu/vm.h"

/* ---- set-up ---- */

static int watch(struct devices *ds, int fd, uint32_t events)
{
	struct epoll_event ev = { .events = events, .data.fd = fd };

	if (epoll_ctl(VFD_EPOLL, EPOLL_CTL_ADD, fd, &ev) < 0)
		return vm_fail(ds->vm, GUEST_ENGINE_FAILED, "descriptor %d: %m", fd);
	return 0;
}

/* Create an eventfd at descriptor @number, and watch it if @events is not 0. Returns 0 or -1. */
static int event(struct devices *ds, int number, uint32_t events)
{
	if (vm_place(ds->vm, eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), number) < 0)
		return -1;
	return events ? watch(ds, number, events) : 0;
}

static int unblock(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	return flags < 0 ? -1 : fcntl(fd, F_SETFL, flags | O_NONBLOCK);
}

/* Make the console pipes non-blocking, and watch the input. */
static int open_console(struct devices *ds)
{
	const int fds[] = { VFD_CON_IN, VFD_CON_OUT };

	for (unsigned i = 0; i < ARRAY_SIZE(fds); i++)
		if (unblock(fds[i]) < 0)
			return vm_fail(ds->vm, GUEST_ENGINE_FAILED, "console: %m");
	ds->in_watched = true;
	return watch(ds, VFD_CON_IN, EPOLLIN);
}

static int open_descriptors(struct devices *ds)
{
	if (vm_place(ds->vm, epoll_create1(EPOLL_CLOEXEC), VFD_EPOLL) < 0 || open_console(ds) < 0 ||
	    watch(ds, VFD_CTL, EPOLLIN) < 0 || event(ds, VFD_WAKE, EPOLLIN) < 0)
		return -1;
	for (int i = 0; i < DEVICES_OWN_KICKS; i++)
		if ((i == OWN_RNG || (unsigned)i < ports_queues(ds->vm->c->nports)) &&
		    event(ds, VFD_OWNKICK0 + i, EPOLLIN) < 0)
			return -1;
	if (front_prepare() < 0)
		return vm_fail(ds->vm, GUEST_ENGINE_FAILED, "epoll: %m");
	return 0;
}

static struct device *add_device(struct devices *ds, enum device_type type)
{
	struct device *d = &ds->dev[ds->n++];

	d->all = ds;
	d->type = type;
	return d;
}

/* How many queues of a helper the guest gets. An lguest guest has one CPU, so it gets one queue or one pair. */
static unsigned useful_queues(const struct devices *ds, const struct vcpu_device *c, const char *name)
{
	unsigned most = c->kind == DEV_BLK ? 1 : 2;

	if (!ds->host->compact || c->kind == DEV_FS || c->queues <= most)
		return c->queues;
	log_line(LOG_INFO, "%s: using only one of %u queue%s, because an lguest guest has one CPU", name,
		 c->queues / most, most > 1 ? " pairs" : "s");
	return most;
}

/* Add the device of helper @i, and create its eventfds. */
static int add_helper(struct devices *ds, unsigned i)
{
	const struct vcpu_device *c = &ds->vm->c->dev[i];
	struct device *d = add_device(ds, DEVICE_BACKED);
	struct front *f = &d->front;

	static const char *const kind[] = { [DEV_BLK] = "blk", [DEV_NET] = "net", [DEV_FS] = "fs" };

	fmt_line(d->name, sizeof(d->name), "%s%u", kind[c->kind], c->index);
	d->helper = i;
	f->name = d->name;
	f->sock = VFD_FRONT0 + (int)i;
	f->kind = (enum device_kind)c->kind;
	f->foreign = c->foreign;
	f->used_before = c->used_before;
	f->nqueues = useful_queues(ds, c, f->name);
	f->err = VFD_QERR0 + (int)i;
	f->log = ds->log_bytes ? VFD_LOG0 + (int)i : 0;
	f->log_bytes = ds->log_bytes;
	if (event(ds, f->err, EPOLLIN) < 0)
		return -1;
	for (unsigned q = 0; q < f->nqueues; q++) {
		f->kick[q] = device_kick_fd(d, q);
		f->call[q] = device_call_fd(d, q);
		if (event(ds, f->kick[q], 0) < 0 || event(ds, f->call[q], 0) < 0)
			return -1;
	}
	if (unblock(f->sock) < 0)
		return vm_fail(ds->vm, GUEST_ENGINE_FAILED, "%s: the socket to its back-end: %m", f->name);
	return 0;
}

static int attach_helper(struct devices *ds, struct device *d)
{
	const struct vcpu_device *c = &ds->vm->c->dev[d->helper];
	struct front *f = &d->front;

	if (front_attach(f, &ds->vm->mem) < 0)
		return vm_fail(ds->vm, GUEST_ENGINE_FAILED, "%s", f->error);
	if (f->kind == DEV_BLK)
		dev_blk_init(d, c);
	else if (f->kind == DEV_FS)
		dev_fs_init(d, c);
	else
		dev_net_init(d, c);
	d->desc.name = f->name;
	return watch(ds, f->sock, EPOLLIN);
}

/* Add the devices that this process serves: always the console, and the rng with --rng. */
static void make_own(struct devices *ds)
{
	own_console_init(add_device(ds, DEVICE_CONSOLE));
	if (ds->vm->c->rng)
		own_rng_init(add_device(ds, DEVICE_RNG));
}

/* The console's, the NICs' and the other devices' places on the bus, in this order. */
static unsigned rank(const struct device *d)
{
	if (d->type == DEVICE_CONSOLE)
		return 0;
	return d->type == DEVICE_BACKED && d->front.kind == DEV_NET ? 1 : 2;
}

unsigned devices_position(const struct devices *ds, unsigned i)
{
	unsigned n = 0;

	for (unsigned j = 0; j < ds->n; j++)
		n += rank(&ds->dev[j]) < rank(&ds->dev[i]) || (j < i && rank(&ds->dev[j]) == rank(&ds->dev[i]));
	return n;
}

/*
 * Put the host bridge at slot 0 and the devices behind it: one in each slot, or eight in
 * each slot if there are more than 31. Linux names disks and NICs in the order of slot and
 * function, so this keeps the order of the command line.
 */
static void put_on_bus(struct devices *ds, const struct devices_place *p)
{
	const struct pci_ids bridge = { .class = 0x060000 };
	uint32_t next = p->bar_base;
	unsigned n = ds->n + (p->last ? 1 : 0);
	bool packed = n > 31;

	pci_dev_init(&ds->bridge, &bridge);
	pci_attach(&ds->bus, 0, &ds->bridge);
	for (unsigned i = 0; i < n; i++) {
		struct device *d = i < ds->n ? &ds->dev[i] : NULL;
		struct pci_dev *pci = d ? &d->v.pci : p->last;
		unsigned at = d ? devices_position(ds, i) : i;
		unsigned slot = packed ? 1 + at / 8 : 1 + at, fn = packed ? at % 8 : 0;
		unsigned line = ds->host->compact ? p->first_irq + i : p->intx_base + slot % 8;

		if (d) {
			d->v.host_owner = ds->host_owner;
			d->v.index = i;
			vpci_init(&d->v, &d->desc, ds->host, line, ds->host->compact ? 0 : 1, &next);
		}
		if (packed)
			pci->cfg[0x0e] = 0x80; /* Header type: multi-function device */
		pci_attach(&ds->bus, PCI_DEVFN(slot, fn), pci);
	}
}

int devices_create(struct devices *ds, struct vm *vm, const struct vpci_host *host, void *host_owner)
{
	ds->vm = vm;
	ds->host = host;
	ds->host_owner = host_owner;
	if (open_descriptors(ds) < 0)
		return -1;
	make_own(ds);
	for (unsigned i = 0; i < vm->c->ndevices; i++)
		if (add_helper(ds, i) < 0)
			return -1;
	return 0;
}

int devices_attach(struct devices *ds, const struct devices_place *place)
{
	for (unsigned i = 0; i < ds->n; i++)
		if (ds->dev[i].type == DEVICE_BACKED && attach_helper(ds, &ds->dev[i]) < 0)
			return -1;
	put_on_bus(ds, place);
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

/* Read an eventfd, which resets it. False if it was 0 (another thread has read it). */
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

/* The socket of a helper is readable: a late reply, a restarted helper, or the connection has ended. */
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

	if (fd >= VFD_OWNKICK0 && fd < VFD_OWNKICK0 + DEVICES_OWN_KICKS) {
		drain(fd);
		ds->vm->stats.kicks++;
		if (fd == VFD_OWNKICK0 + OWN_CONSOLE_TX)
			own_send_output(ds);
		else if (fd == VFD_OWNKICK0 + OWN_CONSOLE_RX)
			devices_push_input(ds);
		else if (fd == VFD_OWNKICK0 + OWN_RNG)
			own_feed_rng(ds);
		else
			ports_kick(&ds->ports, (unsigned)(fd - VFD_OWNKICK0));
		return true;
	}
	if (fd >= VFD_PORT0 && fd < VFD_PORT0 + 2 * MAX_PORTS) {
		ports_event(&ds->ports, (unsigned)(fd - VFD_PORT0) / 2, events);
		return true;
	}
	if (fd >= VFD_QERR0 && fd < VFD_QERR0 + MAX_DEVICES) {
		d = helper(ds, (unsigned)(fd - VFD_QERR0));
		/* If it is 0, the driver has reset the device meanwhile: dev_stop() has read the eventfd. */
		if (drain(fd) && d) {
			d->front.any_page = true;
			vpci_needs_reset(&d->v);
		}
		return true;
	}
	if (fd >= VFD_QCALL0 && fd < VFD_QCALL0 + MAX_DEVICES * MAX_QUEUES) {
		unsigned n = (unsigned)(fd - VFD_QCALL0);

		/* If it is 0, the guest was taken back meanwhile: held_signals() has read the eventfd. */
		d = helper(ds, n / MAX_QUEUES);
		if (drain(fd) && d)
			vpci_interrupt(&d->v, n % MAX_QUEUES);
		return true;
	}
	if (fd >= VFD_FRONT0 && fd < VFD_FRONT0 + MAX_DEVICES) {
		helper_says(helper(ds, (unsigned)(fd - VFD_FRONT0)));
		return true;
	}
	if (fd == VFD_CON_IN) {
		own_read_input(ds);
		return true;
	}
	if (fd == VFD_CON_OUT) {
		conio_flush(&ds->conio);
		own_send_output(ds);
		return true;
	}
	return false;
}

bool devices_have_work(const struct devices *ds)
{
	bool any = ds->console_again || ds->rng_again || ports_have_work(&ds->ports);

	for (unsigned i = 0; i < ds->n; i++)
		any |= ds->dev[i].ctl_again;
	return any;
}

bool devices_work(struct devices *ds)
{
	if (ds->console_again)
		own_send_output(ds);
	if (ds->rng_again)
		own_feed_rng(ds);
	(void)ports_work(&ds->ports);
	for (unsigned i = 0; i < ds->n; i++)
		if (ds->dev[i].ctl_again)
			dev_net_work_ctl(&ds->dev[i]);
	return devices_have_work(ds);
}
