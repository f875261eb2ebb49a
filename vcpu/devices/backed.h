/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Devices whose queues a helper (blkd, netd, fsd or a foreign back-end) serves. Runs in the vCPU
 * process, under the device lock.
 */
#ifndef VCPU_BACKED_H
#define VCPU_BACKED_H

#include "vcpu/devices/device.h"

/* Fill in d->desc for a disk configured as @c. front_attach() must have succeeded for d->front. */
void dev_blk_init(struct device *d, const struct vcpu_device *c);

/* Functions of struct vpci_device for disks, NICs and shares: they start and stop the queues in the helper. */
bool dev_start(struct vpci *v);
bool dev_start_queue(struct vpci *v, unsigned q);
void dev_stop_queue(struct vpci *v, unsigned q);
void dev_stop(struct vpci *v);
bool dev_stopping(const struct vpci *v);
void dev_notify(struct vpci *v, unsigned q);
/* Fill in @s with the size and addresses of queue @q, for a queue that the vCPU process serves itself. */
void vq_from_vpci(const struct vpci *v, unsigned q, struct vq_setup *s);

#endif
