/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The NIC: its configuration space and its control queue (virtio 1.2, 5.1.6.5). The
 * back-end has no access to either. Runs in the vCPU process under the device lock.
 */
#include <linux/virtio_config.h>
#include <linux/virtio_ids.h>
#include <string.h>

#include "common/iov.h"
#include "vcpu/devices/backed.h"
#include "vcpu/devices/net.h"
#include "vcpu/devices/own.h"
#include "vcpu/devices/written.h"

/* Most commands executed in one call; the main thread continues with the rest. */
#define CTL_BUDGET 16

static unsigned max_pairs(const struct device *d)
{
	return d->front.nqueues / 2;
}

/* 5.1.2: the control queue follows the queue pairs; without MQ it is queue 2. */
static unsigned ctl_index(const struct vpci *v)
{
	const struct device *d = (const struct device *)v;

	return vpci_has(v, VIRTIO_NET_F_MQ) ? 2 * max_pairs(d) : 2;
}

bool dev_net_has_ctl(const struct vpci *v, unsigned q)
{
	return vpci_has(v, VIRTIO_NET_F_CTRL_VQ) && q == ctl_index(v);
}

static void net_get_config(struct vpci *v, unsigned off, void *buf, unsigned len)
{
	const struct device *d = (const struct device *)v;

	memcpy(buf, (const uint8_t *)&d->net + off, len);
}

static bool net_start_ctl(struct vpci *v, unsigned q)
{
	struct device *d = (struct device *)v;
	struct vq_setup s;

	vq_from_vpci(v, q, &s);
	if (vq_start(&d->ctl, &d->all->vm->mem, &s) != VQ_START_OK)
		return false;
	written_mark_ring(&d->ctl);
	return true;
}

static bool net_start_queue(struct vpci *v, unsigned q)
{
	if (dev_net_has_ctl(v, q))
		return net_start_ctl(v, q);
	return q < ((struct device *)v)->front.nqueues && dev_start_queue(v, q);
}

static bool net_start(struct vpci *v)
{
	struct device *d = (struct device *)v;

	d->pairs = 1;
	if (!front_features(&d->front, v->features))
		return false;
	for (unsigned q = 0; q < d->desc.nqueues; q++)
		if (v->queue[q].enabled && !net_start_queue(v, q))
			return false;
	return true;
}

static void net_stop_queue(struct vpci *v, unsigned q)
{
	struct device *d = (struct device *)v;

	if (dev_net_has_ctl(v, q))
		vq_stop(&d->ctl);
	else
		front_stop(&d->front, q);
}

static void net_stop(struct vpci *v)
{
	vq_stop(&((struct device *)v)->ctl);
	dev_stop(v);
}

/* 5.1.6.5.5: the driver sets how many pairs it uses. False if @n is invalid. */
static bool set_pairs(struct device *d, unsigned n)
{
	if (n < 1 || n > max_pairs(d))
		return false;
	for (unsigned q = 0; q < d->front.nqueues; q++) {
		bool on = q / 2 < n, was = q / 2 < d->pairs;

		if (on != was && d->front.running[q] && !front_enable(&d->front, q, on))
			return false;
	}
	d->pairs = n;
	return true;
}

static bool command(struct device *d, const uint8_t *cmd, size_t len)
{
	if (len == 4 && cmd[0] == VIRTIO_NET_CTRL_MQ && cmd[1] == VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET &&
	    vpci_has(&d->v, VIRTIO_NET_F_MQ))
		return set_pairs(d, cmd[2] | (unsigned)cmd[3] << 8);
	return false;
}

bool dev_net_work_ctl(struct device *d)
{
	static struct iovec iov[VQ_MAX_SIZE];
	struct vq_chain c;
	unsigned n;

	for (n = 0; n < CTL_BUDGET && d->ctl.running; n++) {
		uint8_t cmd[64], ack;

		if (vq_pop(&d->ctl, iov, ARRAY_SIZE(iov), &c) != VQ_POP_CHAIN) {
			/* 2.7.10.1: with EVENT_IDX, a driver kicks only if we have set avail_event */
			if (vq_enable_kicks(&d->ctl))
				continue;
			break;
		}
		if (c.out_len < 2 || c.in_len < 1) {
			guest_fault(&d->ctl, FAULT_SHORT_HEADER, c.out_len);
			break;
		}
		ack = command(d, cmd, iov_to_buf(iov, c.nout, 0, cmd, MIN(c.out_len, sizeof(cmd)))) ? VIRTIO_NET_OK
												    : VIRTIO_NET_ERR;
		iov_from_buf(iov + c.nout, c.nin, 0, &ack, 1);
		written_mark_iov(iov + c.nout, c.nin, 1);
		vq_push(&d->ctl, c.head, 1);
	}
	if (vq_publish(&d->ctl) && vq_wants_call(&d->ctl))
		vpci_interrupt(&d->v, ctl_index(&d->v));
	d->ctl_again = n == CTL_BUDGET && d->ctl.running;
	return d->ctl_again;
}

static void net_notify(struct vpci *v, unsigned q)
{
	if (dev_net_has_ctl(v, q))
		dev_net_work_ctl((struct device *)v);
	else if (q < ((struct device *)v)->front.nqueues)
		dev_notify(v, q);
}

void dev_net_init(struct device *d, const struct vcpu_device *c)
{
	d->desc = (struct vpci_device){
		.type = VIRTIO_ID_NET,
		.class = 0x020000,
		.nqueues = d->front.nqueues,
		.queue_max = DEVICES_QUEUE_MAX,
		.config_len = offsetof(struct virtio_net_config, mtu) + sizeof(d->net.mtu),
		.features = d->front.features | BIT64(VIRTIO_NET_F_MAC) | BIT64(VIRTIO_NET_F_STATUS) |
			    BIT64(VIRTIO_F_RING_RESET),
		.get_config = net_get_config,
		.start = net_start,
		.start_queue = net_start_queue,
		.stop_queue = net_stop_queue,
		.stop = net_stop,
		.stopping = dev_stopping,
		.notify = net_notify,
	};
	memcpy(d->net.mac, c->mac, sizeof(d->net.mac));
	d->net.status = htole16(VIRTIO_NET_S_LINK_UP);
	d->net.max_virtqueue_pairs = htole16((uint16_t)max_pairs(d));
	d->net.mtu = htole16(c->mtu);
	if (c->mtu)
		d->desc.features |= BIT64(VIRTIO_NET_F_MTU);
	if (max_pairs(d) > 1) {
		d->desc.features |= BIT64(VIRTIO_NET_F_MQ) | BIT64(VIRTIO_NET_F_CTRL_VQ);
		d->desc.nqueues++;
	}
	d->ctl.name = d->front.name;
	d->ctl.index = d->front.nqueues;
	d->ctl.owner = d;
	d->ctl.on_fault = devices_own_fault;
}
