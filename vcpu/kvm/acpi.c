/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The ACPI tables: what Linux needs to find processors, interrupts and the PCI bus, to reset
 * and to power off. Runs in the vCPU process before the guest runs, without input from it.
 * Clause numbers are those of ACPI 6.4.
 */
#include <stddef.h>
#include <string.h>

#include "vcpu/kvm/acpi.h"
#include "vcpu/kvm/aml.h"
#include "vcpu/kvm/board.h"

struct header { /* 5.2.6 */
	char sig[4];
	uint32_t length;
	uint8_t revision, checksum;
	char oem[6], oem_table[8];
	uint32_t oem_revision;
	char creator[4];
	uint32_t creator_revision;
} __attribute__((packed));

struct gas { /* 5.2.3.2 */
	uint8_t space, width, offset, access;
	uint64_t address;
} __attribute__((packed));
#define GAS_IO 1

struct rsdp { /* 5.2.5.3 */
	char sig[8];
	uint8_t checksum;
	char oem[6];
	uint8_t revision;
	uint32_t rsdt, length;
	uint64_t xsdt;
	uint8_t xchecksum, reserved[3];
} __attribute__((packed));

struct fadt { /* 5.2.9, revision 6 */
	struct header h;
	uint32_t facs, dsdt;
	uint8_t reserved0, profile;
	uint16_t sci_int;
	uint32_t smi_cmd;
	uint8_t acpi_enable, acpi_disable, s4bios, pstate;
	uint32_t pm1a_evt, pm1b_evt, pm1a_cnt, pm1b_cnt, pm2_cnt, pm_tmr, gpe0, gpe1;
	uint8_t pm1_evt_len, pm1_cnt_len, pm2_cnt_len, pm_tmr_len, gpe0_len, gpe1_len, gpe1_base, cst;
	uint16_t lvl2_lat, lvl3_lat, flush_size, flush_stride;
	uint8_t duty_offset, duty_width, day_alarm, month_alarm, century;
	uint16_t boot_arch;
	uint8_t reserved1;
	uint32_t flags;
	struct gas reset_reg;
	uint8_t reset_value;
	uint16_t arm_boot_arch;
	uint8_t minor;
	uint64_t x_facs, x_dsdt;
	struct gas x_pm1a_evt, x_pm1b_evt, x_pm1a_cnt, x_pm1b_cnt, x_pm2_cnt, x_pm_tmr, x_gpe0, x_gpe1, sleep_control,
		sleep_status;
	uint64_t hypervisor;
} __attribute__((packed));

#define FADT_WBINVD	(1u << 0)
#define FADT_PROC_C1	(1u << 2)
#define FADT_SLP_BUTTON (1u << 5) /* There is no fixed sleep button */
#define FADT_RESET_REG	(1u << 10)
/* Flags of boot_arch. Without bit 1 ("8042") Linux does not look for a keyboard controller. */
#define FADT_NO_VGA  (1u << 2)
#define FADT_LEGACY  (1u << 0)
#define CMOS_CENTURY 0x32

/* dsdt.asl needs these as plain numbers; iasl does not compute them. */
_Static_assert(KVM_PCI_LAST == KVM_PCI_END - 1 && KVM_PCI_SIZE == KVM_PCI_END - KVM_PCI_BASE, "the window for BARs");
/* The file of ACPI tables is from 0xe0000 on, which is LOAD_ACPI, and all memory up to 1 MiB is reserved there. */
_Static_assert(PC_VMGENID_GPA == 0xe0000 + ACPI_MAX, "the generation ID has a page of its own");

static void seal(void *table, size_t len, uint8_t *sum)
{
	uint8_t s = 0;

	*sum = 0;
	for (size_t i = 0; i < len; i++)
		s = (uint8_t)(s + ((const uint8_t *)table)[i]);
	*sum = (uint8_t)-s;
}

static struct header header(const char *sig, uint8_t revision)
{
	struct header h = { .revision = revision, .oem_revision = 1, .creator_revision = 1 };

	memcpy(h.sig, sig, 4);
	memcpy(h.oem, "LGSEP ", 6);
	memcpy(h.oem_table, "LGUESTSP", 8);
	memcpy(h.creator, "LGSP", 4);
	return h;
}

static struct gas io_gas(uint16_t port, unsigned bytes)
{
	return (struct gas){ .space = GAS_IO,
			     .width = (uint8_t)(8 * bytes),
			     .access = (uint8_t)(bytes > 2 ? 3 : bytes),
			     .address = port };
}

static struct fadt fadt(uint64_t dsdt, uint64_t facs)
{
	struct fadt f = {
		.h = header("FACP", 6),
		.facs = (uint32_t)facs,
		.dsdt = (uint32_t)dsdt,
		.x_dsdt = dsdt,
		.sci_int = PC_SCI_IRQ,
		.pm1a_evt = PC_PM_PORT,
		.pm1a_cnt = PC_PM_CNT,
		.pm1_evt_len = 4,
		.pm1_cnt_len = 2,
		.lvl2_lat = 0xffff, /* No processor state C2 or C3 */
		.lvl3_lat = 0xffff,
		.century = CMOS_CENTURY,
		.boot_arch = FADT_LEGACY | FADT_NO_VGA,
		.flags = FADT_WBINVD | FADT_PROC_C1 | FADT_SLP_BUTTON | FADT_RESET_REG,
		.reset_reg = io_gas(PC_I8042_PORT, 1),
		.reset_value = PC_RESET_VALUE,
		.minor = 4,
		.x_pm1a_evt = io_gas(PC_PM_PORT, 4),
		.x_pm1a_cnt = io_gas(PC_PM_CNT, 2),
	};

	f.h.length = sizeof(f);
	return f;
}

/* Upper limit for the MADT without its processors, and bytes for each processor. */
#define MADT_BYTES 128
#define CPU_BYTES  8

/* Append @n bytes to the table at @t, whose length so far is *@len. */
static void put(uint8_t *t, size_t *len, const void *p, size_t n)
{
	memcpy(t + *len, p, n);
	*len += n;
}

static size_t madt(uint8_t *t, const struct acpi_config *c)
{
	const uint8_t io[] = { 1, 12, 0, 0 }, base[] = { 0, 0, 0, 0 };
	/* Interrupt source overrides: IRQ 0 (timer) is at pin 2; the SCI is level-triggered, active high. */
	const uint8_t over0[] = { 2, 10, 0, 0, 2, 0, 0, 0, 0, 0 };
	const uint8_t over9[] = { 2, 10, 0, PC_SCI_IRQ, PC_SCI_IRQ, 0, 0, 0, 0x0d, 0 };
	const uint8_t nmi[] = { 4, 6, 0xff, 0, 0, 1 };			  /* NMI at LINT1 of all processors */
	const uint32_t lapic = KVM_LAPIC, ioapic = KVM_IOAPIC, flags = 1; /* Flag: there are two 8259 PICs */
	struct header h = header("APIC", 5);
	size_t len = sizeof(h);

	put(t, &len, &lapic, sizeof(lapic));
	put(t, &len, &flags, sizeof(flags));
	for (unsigned i = 0; i < c->cpus; i++) {
		const uint8_t cpu[CPU_BYTES] = { 0, sizeof(cpu), (uint8_t)i, (uint8_t)i, 1, 0, 0, 0 };

		put(t, &len, cpu, sizeof(cpu));
	}
	put(t, &len, io, sizeof(io));
	put(t, &len, &ioapic, sizeof(ioapic));
	put(t, &len, base, sizeof(base));
	put(t, &len, over0, sizeof(over0));
	put(t, &len, over9, sizeof(over9));
	put(t, &len, nmi, sizeof(nmi));
	h.length = (uint32_t)len;
	memcpy(t, &h, sizeof(h));
	return len;
}

/* A table that iasl has compiled. Our header replaces iasl's, which contains the version of iasl. */
static size_t compiled(uint8_t *t, const char *sig, const uint8_t *aml, size_t len)
{
	struct header h = header(sig, 2);

	h.length = (uint32_t)len;
	memcpy(t, aml, len);
	memcpy(t, &h, sizeof(h));
	return len;
}

static size_t align(size_t v)
{
	return (v + 63) & ~(size_t)63;
}

static void seal_table(uint8_t *t)
{
	uint32_t len;

	memcpy(&len, t + offsetof(struct header, length), sizeof(len));
	seal(t, len, t + offsetof(struct header, checksum));
}

/* The XSDT at offset @at of @buf, with the addresses of @n tables. */
static void put_xsdt(uint8_t *buf, size_t at, const uint64_t *entries, unsigned n)
{
	struct header h = header("XSDT", 1);

	h.length = (uint32_t)(sizeof(h) + n * sizeof(*entries));
	memcpy(buf + at, &h, sizeof(h));
	memcpy(buf + at + sizeof(h), entries, n * sizeof(*entries));
	seal_table(buf + at);
}

size_t acpi_build(uint8_t *buf, uint64_t base, const struct acpi_config *c)
{
	/* 5.2.10: required if there are sleep states; aligned to 64 bytes, in reserved memory. */
	uint8_t facs[64] = { 'F', 'A', 'C', 'S', 64 };
	size_t at_xsdt = 64, at_facs = 128, at_fadt = 192, at_madt, at_dsdt, at_ssdt, end;
	struct rsdp r = { .revision = 2, .length = sizeof(r), .xsdt = base + at_xsdt };
	struct fadt f;

	at_madt = align(at_fadt + sizeof(f));
	if (at_madt + MADT_BYTES + c->cpus * CPU_BYTES + 128 + dsdt_aml_len + ssdt_aml_len > ACPI_MAX)
		return 0;
	memset(buf, 0, ACPI_MAX);
	at_dsdt = align(at_madt + madt(buf + at_madt, c));
	end = at_dsdt + compiled(buf + at_dsdt, "DSDT", dsdt_aml, dsdt_aml_len);
	at_ssdt = align(end);
	if (c->vmgenid)
		end = at_ssdt + compiled(buf + at_ssdt, "SSDT", ssdt_aml, ssdt_aml_len);

	facs[32] = 2; /* version */
	memcpy(buf + at_facs, facs, sizeof(facs));
	f = fadt(base + at_dsdt, base + at_facs);
	memcpy(buf + at_fadt, &f, sizeof(f));
	put_xsdt(buf, at_xsdt, (uint64_t[]){ base + at_fadt, base + at_madt, base + at_ssdt }, c->vmgenid ? 3 : 2);
	seal_table(buf + at_fadt);
	seal_table(buf + at_madt);
	seal_table(buf + at_dsdt);
	if (c->vmgenid)
		seal_table(buf + at_ssdt);

	memcpy(r.sig, "RSD PTR ", 8);
	memcpy(r.oem, "LGSEP ", 6);
	seal(&r, 20, &r.checksum); /* The checksum of ACPI 1.0 covers the first 20 bytes */
	seal(&r, sizeof(r), &r.xchecksum);
	memcpy(buf, &r, sizeof(r));
	return end;
}
