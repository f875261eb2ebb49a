/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The ports of a saved PC, as a record. */
#ifndef VCPU_PC_SAVED_H
#define VCPU_PC_SAVED_H

#include "vcpu/devices/records.h"
#include "vcpu/kvm/pc.h"

/*
 * The registers of @pc. When reading, @pc must be as after pc_init(); values are refused that no write of a guest leads
 * to, and the interrupt lines follow the registers. Returns false with r->error set.
 */
bool saved_pc(struct records *r, struct pc *pc);

#endif
