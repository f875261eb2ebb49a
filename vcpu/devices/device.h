/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A device of the guest (struct device), and all of them (struct devices). Private to the
 * vCPU process. All functions that take them need the engine's device lock.
 */
#ifndef VCPU_DEVICE_H
#define VCPU_DEVICE_H

#include <linux/virtio_fs.h>
#include <linux/virtio_net.h>

#include "vcpu/devices/console.h"
#include "vcpu/devices/front.h"
#include "vcpu/devices/ports.h"
#include "vcpu/devices/rng.h"
#include "vcpu/devices/vpci.h"
#include "vcpu/engine.h"

#define DEVICES_MAX	  (MAX_DEVICES + 2)
#define DEVICES_QUEUE_MAX 256 /* Largest queue size that is offered, in entries */

/* Kick eventfds of the devices that this process serves: descriptor VFD_OWNKICK0 + these; of the console, + the queue. */
enum { OWN_CONSOLE_RX, OWN_CONSOLE_TX, OWN_RNG = PORTS_MAX_QUEUES, DEVICES_OWN_KICKS };
_Static_assert((int)DEVICES_OWN_KICKS <= MAX_OWN_KICKS, "each kick has its number in common/fdtab.h");

enum device_type { DEVICE_CONSOLE, DEVICE_RNG, DEVICE_BACKED };

struct device {
	struct vpci v; /* Must be first: a struct vpci * is cast to its struct device * */
	struct vpci_device desc;
	char name[8]; /* "blk31"; DEVICE_BACKED only */
	struct devices *all;
	enum device_type type;
	unsigned helper; /* DEVICE_BACKED: index into vcpu_config.dev and in the descriptor table */
	struct front front;
	struct virtio_fs_config fs; /* A share */
	bool watching[MAX_QUEUES];  /* The call eventfd of this queue is in VFD_EPOLL */
	/* The rest is for NICs. */
	struct virtio_net_config net;
	struct vq ctl;
	bool ctl_again; /* The budget ended dev_net_work_ctl(): call it again */
	unsigned pairs; /* Queue pairs that the driver uses */
};

struct devices {
	struct vm *vm;
	const struct vpci_host *host;
	void *host_owner;
	uint64_t log_bytes; /* Size of each log of pages that a helper writes, at VFD_LOG0 on; 0: there are none */
	struct pci_bus bus;
	struct pci_dev bridge;
	unsigned n;
	struct device dev[DEVICES_MAX]; /* Console, then rng if there is one, then devices of helpers */
	struct conio conio;
	struct console console;
	struct ports ports; /* of the console */
	struct rng rng;
	uint32_t window_size;	       /* WINDOW_SIZE() of the user's terminal, or 0 */
	uint8_t in[1024];	       /* Input that the guest has not accepted yet */
	size_t in_len;		       /* Bytes of it */
	bool in_watched, out_watched;  /* VFD_CON_IN, VFD_CON_OUT are in VFD_EPOLL */
	bool in_ended;		       /* End of file on VFD_CON_IN */
	bool console_again, rng_again; /* The budget ended own_send_output(), own_feed_rng(): call again */
	/* Takes input and returns the number of bytes accepted. NULL: input goes to the virtio console. */
	size_t (*sink)(void *host_owner, const uint8_t *buf, size_t len);
};

static inline int device_kick_fd(const struct device *d, unsigned q)
{
	return VFD_QKICK0 + (int)(d->helper * MAX_QUEUES + q);
}
static inline int device_call_fd(const struct device *d, unsigned q)
{
	return VFD_QCALL0 + (int)(d->helper * MAX_QUEUES + q);
}

#endif
