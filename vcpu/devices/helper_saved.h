/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The disks, NICs and shares of a saved guest, as records: what they are, and where their rings stand. Runs in the vCPU
 * process under the device lock. The helpers hold their rings meanwhile; when reading, saved_helpers() makes them do
 * that.
 */
#ifndef VCPU_HELPER_SAVED_H
#define VCPU_HELPER_SAVED_H

#include "vcpu/devices/device.h"
#include "vcpu/devices/records.h"

/*
 * Write records of what each disk, NIC and share of @ds is, or read them. When reading, each must be the same; the line
 * that refuses one names both. Returns false with r->error set.
 */
bool saved_helpers(struct records *r, struct devices *ds);
/*
 * Let the helpers of all snapshots and shares write what the guest has changed, or knows and has open, to the file of
 * --save, from *@at on, or with @load read it from that of --from. *@at moves behind it. Returns NULL, or the device
 * that failed, with front.error set.
 */
const struct device *saved_disks(struct devices *ds, bool load, uint64_t *at);
/*
 * Write or read the rings of @d, whose registers have been saved or loaded (saved_vpci()). When reading, its helper,
 * which must not have been used, is set up as the driver had set it up; it starts its rings with held_end(). Returns
 * false with r->error set.
 */
bool saved_rings(struct records *r, struct device *d);

#endif
