/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * All devices of a guest on its PCI bus: console, rng, and one per helper. For
 * the kvm engine and for lguest hosts of 4.x. Runs in the vCPU process; every
 * function is called under the engine's device lock.
 */
#ifndef VCPU_DEVICES_H
#define VCPU_DEVICES_H

#include <linux/virtio_net.h>

#include "vcpu/console.h"
#include "vcpu/engine.h"
#include "vcpu/front.h"
#include "vcpu/rng.h"
#include "vcpu/virtio_pci.h"

#define DEVICES_MAX	  (MAX_DEVICES + 2)
#define DEVICES_QUEUE_MAX 256 /* size of a queue */

/* Kicks of the role's own devices: VFD_OWNKICK0 + these. */
enum { OWN_CONSOLE_RX, OWN_CONSOLE_TX, OWN_RNG, DEVICES_OWN_KICKS };

enum device_role { ROLE_CONSOLE, ROLE_RNG, ROLE_HELPER };

struct device {
	struct vpci v; /* first: a vpci is its device */
	struct vpci_device desc;
	struct devices *all;
	enum device_role role;
	unsigned helper; /* ROLE_HELPER: index into vcpu_config.dev, front and eventfds */
	struct front front;
	bool watching[MAX_QUEUES]; /* call eventfd is in VFD_EPOLL */
	/* NIC */
	struct virtio_net_config net;
	struct vq ctl;
	bool ctl_again; /* commands are left, for their budget's sake */
	unsigned pairs; /* in use */
};

struct devices {
	struct vm *vm;
	const struct vpci_host *host;
	void *host_owner;
	struct pci_bus bus;
	struct pci_dev bridge;
	unsigned n;
	struct device dev[DEVICES_MAX]; /* console first, then rng if there is one, then helpers in order */
	struct conio conio;
	struct console console;
	struct rng rng;
	uint8_t in[1024]; /* input that its console has no room for yet */
	size_t in_len;
	bool in_watched, out_watched, in_ended;
	bool console_again, rng_again;
	/* Where input goes, if not to the virtio console alone: the number of bytes taken. */
	size_t (*sink)(void *host_owner, const uint8_t *buf, size_t len);
};

struct devices_place {
	uint32_t bar_base;  /* first address for BARs */
	unsigned first_irq; /* compact hosts: device n (from 1) has line first_irq + n - 1 */
	unsigned intx_base; /* others: slot n has interrupt intx_base + n % 8 */
};

/*
 * Set-up, under the start filter: eventfds, VFD_EPOLL (with VFD_CTL, VFD_CON_IN,
 * VFD_WAKE and the rest in it), handshakes with all helpers, the bus. 0, or -1
 * with vm->end and end_text set. @ds is zeroed memory.
 */
int devices_create(struct devices *ds, struct vm *vm, const struct vpci_host *host, void *host_owner,
		   const struct devices_place *place);

/* Descriptor @fd of VFD_EPOLL is ready; true if it was one of the devices'. */
bool devices_event(struct devices *ds, int fd, uint32_t events);
/* Work that was left for its budget's sake. True: some is left again. */
bool devices_work(struct devices *ds);
/* Is there such work? After a register access of the guest: then the main thread is to be woken. */
bool devices_have_work(const struct devices *ds);
/* For vpci_host.rewire: should the call eventfd of queue @q be watched by the main thread? */
void devices_watch_call(struct device *d, unsigned q, bool on);

/* Input that waits goes to its console, as far as there is room. */
void devices_push_input(struct devices *ds);
/* After conio_put() and conio_flush() by others: wait for the pipe if it is full. */
void devices_watch_output(struct devices *ds);

static inline int device_kick_fd(const struct device *d, unsigned q)
{
	return VFD_QKICK0 + (int)(d->helper * MAX_QUEUES + q);
}
static inline int device_call_fd(const struct device *d, unsigned q)
{
	return VFD_QCALL0 + (int)(d->helper * MAX_QUEUES + q);
}

/* vq.on_fault of a queue that this process serves; vq.owner is its struct device. */
void devices_own_fault(struct vq *vq, enum guest_fault f, uint64_t detail);

/* dev_net.c */
void dev_net_init(struct device *d, const struct vcpu_device *c);
/* Obey what is on the control queue. True: some is left. */
bool dev_net_work_ctl(struct device *d);
/* dev_blk.c */
void dev_blk_init(struct device *d, const struct vcpu_device *c);
/* Both: start and stop of the helper's queues. */
bool dev_start(struct vpci *v);
bool dev_start_queue(struct vpci *v, unsigned q);
void dev_stop(struct vpci *v);
void dev_notify(struct vpci *v, unsigned q);
void vq_from_vpci(const struct vpci *v, unsigned q, struct vq_setup *s);

#endif
