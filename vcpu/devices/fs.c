/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The file system device (virtio 1.2, 5.11): its configuration space. fsd serves its queues and has no access to it.
 * Runs in the vCPU process under the device lock.
 */
#include <linux/virtio_config.h>
#include <linux/virtio_fs.h>
#include <linux/virtio_ids.h>
#include <string.h>

#include "vcpu/devices/backed.h"
#include "vcpu/devices/fs.h"

/* 5.11.4: the tag, padded with zeroes, and the number of request queues, those without the one for urgent requests. */
static void fs_get_config(struct vpci *v, unsigned off, void *buf, unsigned len)
{
	const struct device *d = (const struct device *)v;

	memcpy(buf, (const uint8_t *)&d->fs + off, len);
}

void dev_fs_init(struct device *d, const struct vcpu_device *c)
{
	d->desc = (struct vpci_device){
		.type = VIRTIO_ID_FS,
		.class = 0x018000,
		.nqueues = d->front.nqueues,
		.queue_max = DEVICES_QUEUE_MAX,
		.config_len = sizeof(d->fs),
		.features = d->front.features | BIT64(VIRTIO_F_RING_RESET),
		.get_config = fs_get_config,
		.start = dev_start,
		.start_queue = dev_start_queue,
		.stop_queue = dev_stop_queue,
		.stop = dev_stop,
		.stopping = dev_stopping,
		.notify = dev_notify,
	};
	memset(&d->fs, 0, sizeof(d->fs));
	memcpy(d->fs.tag, c->tag, MIN(strlen(c->tag), sizeof(d->fs.tag)));
	d->fs.num_request_queues = htole32(d->front.nqueues - 1);
}
