/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Devices on lguest hosts with Linux 3.5 to 3.19: a page of descriptors above guest RAM,
 * legacy virtio rings after it, and notifications by hypercall (drivers/lguest/
 * lguest_device.c of Linux 3.11). The devices are the same as on the PCI bus; only the way
 * to start them differs. Runs on the vCPU thread. Page, rings and notified addresses are
 * under the guest's control.
 */
#include <linux/virtio_blk.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ids.h>
#include <string.h>

#include "common/log.h"
#include "vcpu/lguest/dev.h"
#include "vcpu/lguest/legacy.h"
#include "vcpu/lguest/lguest.h"
#include "vcpu/lguest/wait.h"
#include "vcpu/vm.h"

/* Longest text of one notification of the early console, in bytes. Linux prints at most 16 at once. */
#define EARLY_MAX 256

/* Features that are not offered: the guest's writes to a configuration space have no effect, and it has one CPU. */
#define NOT_FOR_BLK (BIT64(VIRTIO_BLK_F_CONFIG_WCE) | BIT64(VIRTIO_BLK_F_MQ))

static struct log_limit nonsense = LOG_LIMIT_INIT(5, 10000);

static uint8_t *page(const struct lguest *lg)
{
	return shm_ptr(&lg->vm->mem, lg->page.address, LGUEST_PAGE_BYTES);
}

static bool add(struct lguest *lg, struct device *d, uint8_t *bytes)
{
	static uint8_t config[VPCI_CONFIG_MAX];
	const struct vpci_device *desc = &d->desc;
	struct lguest_page_add a = {
		.type = (uint8_t)desc->type,
		.nqueues = (uint8_t)desc->nqueues,
		.irq = (uint8_t)lguest_line(&d->v),
		.features = (uint32_t)desc->features,
		.config = config,
		.config_len = (uint8_t)MIN(desc->config_len, UINT8_MAX),
	};

	if (desc->type == VIRTIO_ID_BLOCK)
		a.features &= (uint32_t)~NOT_FOR_BLK;
	if (a.config_len)
		desc->get_config(&d->v, 0, config, a.config_len);
	return lguest_page_add(&lg->page, bytes, &a);
}

/* True for a disk. Its notifications come to this process, because wait.c can then answer faster. */
static bool is_lone(const struct device *d)
{
	return d->type == DEVICE_BACKED && d->desc.nqueues == 1;
}

/* Connect the queues of a NIC to their kick eventfds: the host's kernel then signals these itself. */
static bool wire(struct lguest *lg, unsigned i)
{
	struct device *d = &lg->devices.dev[i];

	if (d->type != DEVICE_BACKED || is_lone(d))
		return true;
	for (unsigned q = 0; q < d->desc.nqueues; q++)
		if (!lguest_eventfd(lg->page.dev[i].ring[q], device_kick_fd(d, q)))
			return false;
	return true;
}

int lguest_legacy_create(struct lguest *lg)
{
	struct vm *vm = lg->vm;
	uint8_t *bytes;

	lguest_page_init(&lg->page, (uint32_t)lg->ram, (uint32_t)vm->c->mem_bytes - LGUEST_PAGE_SIZE);
	bytes = page(lg);
	if (!bytes)
		return vm_fail(vm, GUEST_ENGINE_FAILED, "no memory for the device page");
	for (unsigned i = 0; i < lg->devices.n; i++) {
		if (!add(lg, &lg->devices.dev[i], bytes))
			return vm_fail(vm, GUEST_ENGINE_FAILED,
				       "too many devices: this host's lguest has one page for their descriptors");
		if (!wire(lg, i))
			return vm_fail(vm, GUEST_ENGINE_FAILED, "/dev/lguest: EVENTFD: %m");
	}
	return 0;
}

static void stop(struct lguest *lg, unsigned i)
{
	struct vpci *v = &lg->devices.dev[i].v;

	if (v->running)
		v->dev->stop(v);
	v->running = false;
	/* A driver that starts again expects zeroed rings. */
	for (unsigned q = 0; q < lg->page.dev[i].nqueues; q++) {
		size_t len = LGUEST_RING_PAGES * LGUEST_PAGE_SIZE;
		void *ring = shm_ptr(&lg->vm->mem, lg->page.dev[i].ring[q], len);

		v->queue[q].enabled = false;
		if (ring)
			memset(ring, 0, len);
	}
}

static void start(struct lguest *lg, unsigned i)
{
	struct vpci *v = &lg->devices.dev[i].v;
	struct lguest_ring r;

	v->features = lguest_page_accepted(&lg->page, page(lg), i);
	for (unsigned q = 0; q < lg->page.dev[i].nqueues; q++) {
		lguest_ring_layout(lg->page.dev[i].ring[q], &r);
		v->queue[q] = (struct vpci_queue){ .max_size = LGUEST_RING_SIZE,
						   .size = LGUEST_RING_SIZE,
						   .vector = VPCI_NO_VECTOR,
						   .enabled = true,
						   .desc = r.desc,
						   .avail = r.avail,
						   .used = r.used };
	}
	v->running = true;
	if (!v->dev->start(v)) {
		if (log_allowed(&nonsense))
			log_line(LOG_WARN, "%s: refused the features or rings of the guest's driver", v->dev->name);
		stop(lg, i);
	}
}

/*
 * The driver has changed the status of a device. It notifies that when it has chosen its
 * features (ACKNOWLEDGE and DRIVER are set then), when it resets the device, and when it
 * gives up; it does not notify DRIVER_OK.
 */
static void status_changed(struct lguest *lg, unsigned i)
{
	uint8_t status = lguest_page_status(&lg->page, page(lg), i);
	bool running = lg->devices.dev[i].v.running;

	if (!status || (status & VIRTIO_CONFIG_S_FAILED))
		stop(lg, i);
	else if ((status & VIRTIO_CONFIG_S_DRIVER) && !running)
		start(lg, i);
}

/* Print the string at @addr, which the guest writes before it has a console. */
static void early_print(struct lguest *lg, uint32_t addr)
{
	uint8_t text[EARLY_MAX];
	size_t n, max = (size_t)MIN(sizeof(text), lg->ram - addr);
	const uint8_t *p = shm_ptr(&lg->vm->mem, addr, max);

	if (!p)
		return;
	for (n = 0; n < max; n++) {
		text[n] = READ_ONCE(p[n]);
		if (!text[n])
			break;
	}
	conio_put(&lg->devices.conio, text, n);
	conio_flush(&lg->devices.conio);
	devices_watch_output(&lg->devices);
}

void lguest_legacy_notify(struct lguest *lg, uint32_t addr)
{
	unsigned i = 0, q = 0;
	enum lguest_page_what what = lguest_page_find(&lg->page, addr, &i, &q);
	struct vpci *v;

	/* No lock is needed, because only this thread starts and stops devices. */
	if (what == LGUEST_NOTIFY_QUEUE && is_lone(&lg->devices.dev[i])) {
		if (lg->devices.dev[i].v.running)
			lguest_kick(lg, i);
		return;
	}
	pthread_mutex_lock(&lg->lock);
	switch (what) {
	case LGUEST_NOTIFY_DEVICE:
		status_changed(lg, i);
		break;
	case LGUEST_NOTIFY_QUEUE:
		v = &lg->devices.dev[i].v;
		lg->vm->stats.kicks++;
		if (v->running)
			v->dev->notify(v, q);
		break;
	case LGUEST_NOTIFY_NOTHING:
		if (addr < lg->ram)
			early_print(lg, addr);
		else if (log_allowed(&nonsense))
			log_line(LOG_WARN, "the guest notified 0x%x, which is no queue or device", addr);
		break;
	}
	devices_push_input(&lg->devices);
	pthread_mutex_unlock(&lg->lock);
}
