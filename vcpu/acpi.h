/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The ACPI tables of the kvm engine's guests (ACPI 6.4): RSDP, XSDT, FADT,
 * MADT, DSDT. Made once, in the vCPU process, before the guest runs.
 */
#ifndef VCPU_ACPI_H
#define VCPU_ACPI_H

#include "common/util.h"

struct acpi_config {
	unsigned cpus;
	uint32_t pci_base, pci_end; /* the window for BARs: [pci_base, pci_end) */
	uint32_t lapic, ioapic;	    /* addresses */
	unsigned first_intx;	    /* INTA of slot n is at global interrupt first_intx + n % 8 */
};

/* Most bytes that the tables take. */
#define ACPI_MAX 8192u

/*
 * Write the tables to @buf (ACPI_MAX bytes), which the guest sees at physical
 * @base; the RSDP is at its beginning. Returns the bytes used.
 */
size_t acpi_build(uint8_t *buf, uint64_t base, const struct acpi_config *c);

#endif
