/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The file system device, whose queues fsd serves. Runs in the vCPU process, under the device lock. */
#ifndef VCPU_FS_H
#define VCPU_FS_H

#include "vcpu/devices/device.h"

/* Fill in d->desc for a share configured as @c. front_attach() must have succeeded for d->front. */
void dev_fs_init(struct device *d, const struct vcpu_device *c);

#endif
