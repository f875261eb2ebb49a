/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The ACPI tables: what Linux needs to find its processors, interrupts and the
 * PCI bus, to reset and to power off. Runs in the vCPU process before the guest
 * does; no input is the guest's.
 */
#include <string.h>

#include "vcpu/acpi.h"
#include "vcpu/aml.h"
#include "vcpu/pc.h"

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
#define FADT_SLP_BUTTON (1u << 5) /* no fixed sleep button */
#define FADT_RESET_REG	(1u << 10)
#define FADT_NO_VGA	(1u << 2) /* of boot_arch; without "8042" (bit 1) no keyboard is looked for */
#define FADT_LEGACY	(1u << 0)
#define CMOS_CENTURY	0x32

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

static void isa_device(struct aml *a, const char *seg, const char *id, uint16_t port, uint8_t len, unsigned irq)
{
	struct aml_crs r;
	size_t dev = aml_device(a, seg);

	aml_def_eisaid(a, "_HID", id);
	aml_def_int(a, "_STA", 0x0f);
	aml_crs_open(&r);
	aml_crs_io(&r, port, len);
	if (irq)
		aml_crs_irq(&r, irq);
	aml_crs_close(&r, a);
	aml_close(a, dev);
}

/* 6.2.13: INTA of each slot, wired straight to the I/O APIC. */
static void prt(struct aml *a, unsigned first)
{
	size_t all;

	aml_byte(a, 0x08); /* NameOp */
	aml_name(a, "_PRT");
	aml_byte(a, 0x12); /* PackageOp */
	all = aml_open(a);
	aml_byte(a, 32);
	for (uint32_t slot = 0; slot < 32; slot++) {
		size_t one;

		aml_byte(a, 0x12);
		one = aml_open(a);
		aml_byte(a, 4);
		aml_int(a, slot << 16 | 0xffff);
		aml_int(a, 0);
		aml_int(a, 0);
		aml_int(a, first + slot % 8);
		aml_close(a, one);
	}
	aml_close(a, all);
}

static void pci_root(struct aml *a, const struct acpi_config *c)
{
	struct aml_crs r;
	size_t dev = aml_device(a, "PCI0");

	aml_def_eisaid(a, "_HID", "PNP0A03");
	aml_def_int(a, "_UID", 0);
	aml_crs_open(&r);
	aml_crs_bus(&r, 0, 0);
	aml_crs_io(&r, 0xcf8, 8);
	aml_crs_io_window(&r, 0x1000, 0xffff);
	aml_crs_mem_window(&r, c->pci_base, c->pci_end - 1);
	aml_crs_close(&r, a);
	prt(a, c->first_intx);
	aml_close(a, dev);
}

static void pvpanic(struct aml *a)
{
	struct aml_crs r;
	size_t dev = aml_device(a, "PEVT");

	aml_def_string(a, "_HID", "QEMU0001");
	aml_def_int(a, "_STA", 0x0f);
	aml_crs_open(&r);
	aml_crs_io(&r, PC_PVPANIC_PORT, 1);
	aml_crs_close(&r, a);
	aml_close(a, dev);
}

static void dsdt_body(struct aml *a, const struct acpi_config *c)
{
	const uint8_t s5[] = { 4, PC_S5_TYPE, 0, 0, 0 };
	size_t scope, pkg;

	/* \_S5: what the sleep register is to be told (7.4.2) */
	aml_byte(a, 0x08);
	aml_name(a, "\\_S5");
	aml_byte(a, 0x12);
	pkg = aml_open(a);
	aml_byte(a, s5[0]);
	for (unsigned i = 1; i < sizeof(s5); i++)
		aml_int(a, s5[i]);
	aml_close(a, pkg);

	scope = aml_scope(a, "\\_SB");
	pci_root(a, c);
	isa_device(a, "COM1", "PNP0501", PC_SERIAL_PORT, 8, PC_SERIAL_IRQ);
	isa_device(a, "RTC", "PNP0B00", PC_CMOS_PORT, 2, 0);
	pvpanic(a);
	aml_close(a, scope);
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
		.lvl2_lat = 0xffff, /* no C2, no C3 */
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

static size_t madt(uint8_t *buf, const struct acpi_config *c)
{
	struct header h = header("APIC", 5);
	struct aml a = { .buf = buf, .size = 1024, .len = sizeof(h) };
	uint32_t flags = 1; /* two 8259 as well */

	aml_bytes(&a, &c->lapic, 4);
	aml_bytes(&a, &flags, 4);
	for (unsigned i = 0; i < c->cpus; i++) {
		const uint8_t cpu[] = { 0, 8, (uint8_t)i, (uint8_t)i, 1, 0, 0, 0 };

		aml_bytes(&a, cpu, sizeof(cpu));
	}
	{
		const uint8_t io[] = { 1, 12, 0, 0 }, base[] = { 0, 0, 0, 0 };
		/* the timer is at pin 2; the SCI is level-triggered, active high */
		const uint8_t over0[] = { 2, 10, 0, 0, 2, 0, 0, 0, 0, 0 };
		const uint8_t over9[] = { 2, 10, 0, PC_SCI_IRQ, PC_SCI_IRQ, 0, 0, 0, 0x0d, 0 };
		const uint8_t nmi[] = { 4, 6, 0xff, 0, 0, 1 }; /* LINT1 of all */

		aml_bytes(&a, io, sizeof(io));
		aml_bytes(&a, &c->ioapic, 4);
		aml_bytes(&a, base, sizeof(base));
		aml_bytes(&a, over0, sizeof(over0));
		aml_bytes(&a, over9, sizeof(over9));
		aml_bytes(&a, nmi, sizeof(nmi));
	}
	h.length = (uint32_t)a.len;
	memcpy(buf, &h, sizeof(h));
	return a.len;
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

size_t acpi_build(uint8_t *buf, uint64_t base, const struct acpi_config *c)
{
	/* 5.2.10: must exist where sleep states do; 64-aligned, in memory that the system keeps */
	uint8_t facs[64] = { 'F', 'A', 'C', 'S', 64 };
	size_t at_xsdt = 64, at_facs = 128, at_fadt = 192, at_madt, at_dsdt, end;
	struct header xh = header("XSDT", 1), dh = header("DSDT", 2);
	struct rsdp r = { .revision = 2, .length = sizeof(r), .xsdt = base + at_xsdt };
	struct fadt f;
	uint64_t entries[2];
	struct aml a;

	memset(buf, 0, ACPI_MAX);
	at_madt = align(at_fadt + sizeof(f));
	at_dsdt = align(at_madt + madt(buf + at_madt, c));
	a = (struct aml){ .buf = buf + at_dsdt, .size = ACPI_MAX - at_dsdt, .len = sizeof(dh) };
	dsdt_body(&a, c);
	dh.length = (uint32_t)a.len;
	memcpy(buf + at_dsdt, &dh, sizeof(dh));
	end = at_dsdt + a.len;

	facs[32] = 2; /* version */
	memcpy(buf + at_facs, facs, sizeof(facs));
	f = fadt(base + at_dsdt, base + at_facs);
	memcpy(buf + at_fadt, &f, sizeof(f));
	entries[0] = base + at_fadt;
	entries[1] = base + at_madt;
	xh.length = sizeof(xh) + sizeof(entries);
	memcpy(buf + at_xsdt, &xh, sizeof(xh));
	memcpy(buf + at_xsdt + sizeof(xh), entries, sizeof(entries));
	seal_table(buf + at_xsdt);
	seal_table(buf + at_fadt);
	seal_table(buf + at_madt);
	seal_table(buf + at_dsdt);

	memcpy(r.sig, "RSD PTR ", 8);
	memcpy(r.oem, "LGSEP ", 6);
	seal(&r, 20, &r.checksum); /* the first 20 bytes, as of ACPI 1.0 */
	seal(&r, sizeof(r), &r.xchecksum);
	memcpy(buf, &r, sizeof(r));
	return a.full ? 0 : end;
}
