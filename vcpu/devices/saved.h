/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The devices of a saved guest, as records. What is read may have been made by anyone: nothing is accepted that
 * writes of a guest could not have led to. Runs in the vCPU process under the device lock, while no vCPU runs.
 */
#ifndef VCPU_SAVED_H
#define VCPU_SAVED_H

#include "vcpu/devices/device.h"
#include "vcpu/devices/records.h"

/*
 * The registers and queues of the devices of @ds. When reading, guest memory must be that of the saved guest, and the
 * devices must not have been used; helpers then hold their rings until held_end(). Returns false with r->error set.
 */
bool saved_devices(struct records *r, struct devices *ds);

#endif
