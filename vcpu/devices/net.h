/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The NIC as a device on the guest's bus. Runs in the vCPU process, under the device lock. */
#ifndef VCPU_NET_H
#define VCPU_NET_H

#include "vcpu/devices/device.h"

/* Fill in d->desc for a NIC configured as @c. front_attach() must have succeeded for d->front. */
void dev_net_init(struct device *d, const struct vcpu_device *c);
/* True if queue @q of the NIC @v is its control queue. */
bool dev_net_has_ctl(const struct vpci *v, unsigned q);
/* Execute commands of the control queue. True if the budget ended it: call it again. */
bool dev_net_work_ctl(struct device *d);

#endif
