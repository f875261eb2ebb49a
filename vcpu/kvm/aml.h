/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The ACPI tables that iasl compiles from dsdt.asl and ssdt.asl at build time. */
#ifndef VCPU_AML_H
#define VCPU_AML_H

#include <stddef.h>
#include <stdint.h>

extern const uint8_t dsdt_aml[], ssdt_aml[];
extern const size_t dsdt_aml_len, ssdt_aml_len;

#endif
