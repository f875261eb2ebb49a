/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The DSDT, compiled from dsdt.asl by iasl at build time. */
#ifndef VCPU_DSDT_H
#define VCPU_DSDT_H

#include <stddef.h>
#include <stdint.h>

extern const uint8_t dsdt_aml[];
extern const size_t dsdt_aml_len;

#endif
