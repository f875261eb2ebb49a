/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Devices whose queues a helper serves: the common part of all of them, and the disk.
 * Runs in the vCPU process under the device lock. It never reads or writes a ring.
 */
#include <linux/virtio_blk.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ids.h>
#include <linux/virtio_ring.h>
#include <string.h>
#include <unistd.h>

#include "vcpu/devices/backed.h"

void vq_from_vpci(const struct vpci *v, unsigned q, struct vq_setup *s)
{
	const struct vpci_queue *vq = &v->queue[q];

	*s = (struct vq_setup){
		.size = vq->size,
		.desc = vq->desc,
		.avail = vq->avail,
		.used = vq->used,
		.event_idx = vpci_has(v, VIRTIO_RING_F_EVENT_IDX),
		.indirect = vpci_has(v, VIRTIO_RING_F_INDIRECT_DESC),
	};
}

static bool in_use(const struct device *d, unsigned q)
{
	return d->front.kind != DEV_NET || q / 2 < d->pairs;
}

bool dev_start_queue(struct vpci *v, unsigned q)
{
	struct device *d = (struct device *)v;
	const struct vpci_queue *vq = &v->queue[q];
	struct front_ring r = { vq->size, vq->desc, vq->avail, vq->used };

	return front_start(&d->front, q, &r) && (!in_use(d, q) || front_enable(&d->front, q, true));
}

bool dev_start(struct vpci *v)
{
	struct device *d = (struct device *)v;

	if (!front_features(&d->front, v->features))
		return false;
	for (unsigned q = 0; q < d->front.nqueues; q++)
		if (v->queue[q].enabled && !dev_start_queue(v, q))
			return false;
	return true;
}

void dev_stop_queue(struct vpci *v, unsigned q)
{
	struct device *d = (struct device *)v;

	front_stop(&d->front, q);
}

void dev_stop(struct vpci *v)
{
	struct device *d = (struct device *)v;
	uint64_t n;

	front_stop_all(&d->front);
	/* Clear a pending ring fault of the old queues: it must not stop the next driver's device. */
	if (read(d->front.err, &n, sizeof(n)) < 0)
		return;
}

bool dev_stopping(const struct vpci *v)
{
	return front_stopping(&((const struct device *)v)->front);
}

/* Handle a notification that arrived as a register access: signal the kick eventfd. */
void dev_notify(struct vpci *v, unsigned q)
{
	const uint64_t one = 1;

	if (write(device_kick_fd((struct device *)v, q), &one, sizeof(one)) < 0)
		return; /* The counter is full, so a kick is pending already */
}

static void blk_get_config(struct vpci *v, unsigned off, void *buf, unsigned len)
{
	const struct device *d = (const struct device *)v;

	memcpy(buf, d->front.config + off, len);
}

/* 5.2.5: the driver may write only the field writeback. */
static void blk_set_config(struct vpci *v, unsigned off, const void *buf, unsigned len)
{
	struct device *d = (struct device *)v;

	if (off != offsetof(struct virtio_blk_config, wce) || len != 1 || !vpci_has(v, VIRTIO_BLK_F_CONFIG_WCE) ||
	    *(const uint8_t *)buf > 1)
		return;
	front_set_config(&d->front, off, buf, len);
}

/* Set seg_max to the size of our queues minus the descriptors of header and status. */
static void wide_segments(struct front *f)
{
	uint32_t max = htole32(DEVICES_QUEUE_MAX - 2);

	memcpy(f->config + offsetof(struct virtio_blk_config, seg_max), &max, sizeof(max));
}

void dev_blk_init(struct device *d, const struct vcpu_device *c)
{
	d->desc = (struct vpci_device){
		.type = VIRTIO_ID_BLOCK,
		.class = 0x018000,
		.nqueues = d->front.nqueues,
		.queue_max = DEVICES_QUEUE_MAX,
		.config_len = d->front.config_len,
		.features = d->front.features | BIT64(VIRTIO_F_RING_RESET),
		.get_config = blk_get_config,
		.set_config = blk_set_config,
		.start = dev_start,
		.start_queue = dev_start_queue,
		.stop_queue = dev_stop_queue,
		.stop = dev_stop,
		.stopping = dev_stopping,
		.notify = dev_notify,
	};
	/*
	 * 5.2.4: blkd reports the seg_max for queues of 128 entries, as QEMU has. Ours are
	 * larger, so raise it.
	 */
	if (!d->front.foreign)
		wide_segments(&d->front);
	if (c->read_only)
		d->desc.features |= BIT64(VIRTIO_BLK_F_RO);
	/* MQ is offered only with more than one queue. */
	if (d->front.nqueues < 2)
		d->desc.features &= ~BIT64(VIRTIO_BLK_F_MQ);
}
