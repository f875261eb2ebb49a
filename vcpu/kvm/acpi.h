/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The ACPI tables of guests of the kvm engine (ACPI 6.4): RSDP, XSDT, FADT, MADT, DSDT and SSDT.
 * Built once, in the vCPU process, before the guest runs.
 */
#ifndef VCPU_ACPI_H
#define VCPU_ACPI_H

#include "common/util.h"

struct acpi_config {
	unsigned cpus;
	bool vmgenid; /* There is a generation ID (vmgenid.h) */
};

/* Size of the buffer for all tables, in bytes. */
#define ACPI_MAX 8192u

/*
 * Write the tables to @buf, which has ACPI_MAX bytes and which the guest sees at physical
 * address @base. The RSDP is at its start. Returns the number of bytes used, or 0 if the
 * tables do not fit.
 */
size_t acpi_build(uint8_t *buf, uint64_t base, const struct acpi_config *c);

#endif
