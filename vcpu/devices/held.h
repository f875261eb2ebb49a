/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Devices of a guest that stands still for a checkpoint or a reset. Runs in the vCPU process; all functions need the
 * device lock, and no vCPU may run. For devices that this process serves, the first and the last do nothing.
 */
#ifndef VCPU_HELD_H
#define VCPU_HELD_H

#include "vcpu/devices/device.h"

/* The registers of a device, and what its helper needs. */
struct held_device {
	struct vpci v;
	struct front_saved front;
	/* Of a NIC: its control queue, and the queue pairs in use. */
	struct vq ctl;
	bool ctl_again;
	unsigned pairs;
};

/*
 * Make the helper finish what is in flight, and hold its rings. Returns false if it does not do that in time. Call
 * held_begin_early() for all devices before, so that the helpers work at the same time.
 */
bool held_begin(struct device *d);
void held_begin_early(struct device *d);
/*
 * Instead of these, with --reset=fresh: drop what the helper sends from now on; and when its process has ended, forget
 * all that it has sent, before another one starts. held_load() then waits for that one.
 */
void held_leave(struct device *d);
void held_renew(struct device *d);
/*
 * What the helper has signalled before, and no thread has seen yet: with @deliver it reaches the guest's registers,
 * otherwise it is dropped.
 */
void held_signals(struct device *d, bool deliver);
void held_save(const struct device *d, struct held_device *s);
/* Load the registers; the caller updates interrupts (vpci_host). Returns false if the helper refuses its state. */
bool held_load(struct device *d, const struct held_device *s);
/* Let the helper go on. Returns false if it refuses. held_end_early() as above. */
bool held_end(struct device *d, enum vhu_go what);
void held_end_early(struct device *d, enum vhu_go what);

#endif
