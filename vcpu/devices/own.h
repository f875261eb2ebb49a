/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The devices that the vCPU process serves itself: console and rng. */
#ifndef VCPU_OWN_H
#define VCPU_OWN_H

#include "vcpu/devices/device.h"

/* Fill in @d as the console, or as the rng. The caller has set d->all and d->type. */
void own_console_init(struct device *d);
void own_rng_init(struct device *d);

/* Deliver pending input to the guest, as much as it has room for. */
void devices_push_input(struct devices *ds);
/* After conio_put() and conio_flush(): watch VFD_CON_OUT if the pipe is full; otherwise stop watching it. */
void devices_watch_output(struct devices *ds);

/* The size of the user's terminal is now @size (WINDOW_SIZE()). Report it to a driver that supports it. */
void devices_resize(struct devices *ds, uint32_t size);

/* VFD_CON_IN is readable: read it and deliver the input. */
void own_read_input(struct devices *ds);
/* Move the guest's output to the pipe. Sets ds->console_again if the budget ended it. */
void own_send_output(struct devices *ds);
/* Fill buffers of the rng. Sets ds->rng_again if the budget ended it. */
void own_feed_rng(struct devices *ds);

/* The function vq.on_fault of queues that this process serves; vq.owner must be their struct device. */
void devices_own_fault(struct vq *vq, enum guest_fault f, uint64_t detail);

#endif
