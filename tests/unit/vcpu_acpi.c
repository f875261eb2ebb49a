/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The ACPI tables are complete, have valid checksums and pointers, and Intel's compiler accepts each of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "vcpu/kvm/acpi.h"
#include "vcpu/kvm/board.h"

#define BASE 0xe0000u

static uint8_t t[ACPI_MAX];
static size_t len;

static int build(void **state)
{
	const struct acpi_config c = { .cpus = 32, .vmgenid = true };

	(void)state;
	len = acpi_build(t, BASE, &c);
	return len && len <= ACPI_MAX ? 0 : -1;
}

static uint64_t get(const uint8_t *p, unsigned n)
{
	uint64_t v = 0;

	for (unsigned i = 0; i < n; i++)
		v |= (uint64_t)p[i] << (8 * i);
	return v;
}

static void sums_to_zero(const uint8_t *p, size_t n)
{
	uint8_t s = 0;

	for (size_t i = 0; i < n; i++)
		s = (uint8_t)(s + p[i]);
	assert_int_equal(s, 0);
}

/* The table at guest-physical @at, whole and inside what was built. */
static const uint8_t *table(uint64_t at, const char *sig)
{
	const uint8_t *p;
	uint32_t n;

	assert_true(at >= BASE && at - BASE + 36 <= len);
	p = t + (at - BASE);
	assert_memory_equal(p, sig, 4);
	n = (uint32_t)get(p + 4, 4);
	assert_true(n >= 36 && n <= len - (at - BASE));
	sums_to_zero(p, n);
	return p;
}

static void linked(void **state)
{
	const uint8_t *xsdt, *fadt, *dsdt;

	(void)state;
	assert_memory_equal(t, "RSD PTR ", 8);
	sums_to_zero(t, 20);
	sums_to_zero(t, 36);
	xsdt = table(get(t + 24, 8), "XSDT");
	assert_int_equal(get(xsdt + 4, 4), 36 + 24);
	fadt = table(get(xsdt + 36, 8), "FACP");
	table(get(xsdt + 44, 8), "APIC");
	table(get(xsdt + 52, 8), "SSDT");
	assert_int_equal(get(fadt + 4, 4), 276);
	dsdt = table(get(fadt + 140, 8), "DSDT");
	assert_ptr_equal(dsdt, table(get(fadt + 40, 4), "DSDT"));
	/* FACS: 64-aligned, and without a checksum of its own */
	assert_int_equal(get(fadt + 36, 4) % 64, 0);
	assert_memory_equal(t + (get(fadt + 36, 4) - BASE), "FACS", 4);
}

/* ACPI 6.4, table 5.9: the fields through which Linux resets and powers off. */
static void power_registers(void **state)
{
	const uint8_t *fadt = table(get(table(get(t + 24, 8), "XSDT") + 36, 8), "FACP");

	(void)state;
	assert_int_equal(get(fadt + 46, 2), PC_SCI_IRQ);
	assert_int_equal(get(fadt + 56, 4), PC_PM_PORT);
	assert_int_equal(get(fadt + 64, 4), PC_PM_CNT);
	assert_int_equal(fadt[88], 4);
	assert_int_equal(fadt[89], 2);
	assert_true(get(fadt + 112, 4) & (1u << 10));
	assert_int_equal(fadt[116], 1);
	assert_int_equal(get(fadt + 120, 8), PC_I8042_PORT);
	assert_int_equal(fadt[128], PC_RESET_VALUE);
	assert_int_equal(get(fadt + 152, 8), PC_PM_PORT);
	assert_int_equal(get(fadt + 176, 8), PC_PM_CNT);
}

static void processors(void **state)
{
	const uint8_t *madt = table(get(table(get(t + 24, 8), "XSDT") + 44, 8), "APIC");
	uint32_t n = (uint32_t)get(madt + 4, 4), cpus = 0, ioapics = 0, at = 44;

	(void)state;
	while (at < n) {
		assert_true(madt[at + 1] >= 2 && madt[at + 1] <= n - at);
		if (madt[at] == 0) {
			assert_int_equal(madt[at + 3], cpus);
			cpus++;
		}
		ioapics += madt[at] == 1;
		at += madt[at + 1];
	}
	assert_int_equal(at, n);
	assert_int_equal(cpus, 32);
	assert_int_equal(ioapics, 1);
}

/* iasl must disassemble and reassemble the table @p without a warning. */
static void agrees(const char *dir, const uint8_t *p)
{
	char name[5] = { 0 }, cmd[512];
	FILE *f;

	memcpy(name, p, 4);
	snprintf(cmd, sizeof(cmd), "%s/%s.aml", dir, name);
	f = fopen(cmd, "w");
	assert_non_null(f);
	assert_int_equal(fwrite(p, get(p + 4, 4), 1, f), 1);
	fclose(f);
	snprintf(cmd, sizeof(cmd),
		 "cd %s && iasl -d %s.aml > log 2>&1 && iasl -p again %s.dsl >> log 2>&1 && "
		 "grep -q 'successful. 0 Errors, 0 Warnings' log && ! grep -iE '(warning|error|invalid) ' log",
		 dir, name, name);
	if (system(cmd) != 0) {
		snprintf(cmd, sizeof(cmd), "cat %s/log >&2", dir);
		fail_msg("iasl does not like %s (%d)", name, system(cmd));
	}
}

/* Skipped if iasl (acpica-tools) is not installed. */
static void disassembles(void **state)
{
	static const char *const words[] = { "Device (PCI0)", "PNP0A03",    "PNP0501",	      "QEMU0001",
					     "_PRT",	      "_S5",	    "Package (0x20)", "0x001FFFFF",
					     "0xD0000000",    "0xFEBFFFFF", "0x2EC00000" };
	const uint8_t *xsdt = table(get(t + 24, 8), "XSDT"), *fadt = table(get(xsdt + 36, 8), "FACP");
	char dir[] = "/tmp/acpi-test-XXXXXX", path[64];
	static char text[65536];
	FILE *f;

	(void)state;
	if (system("command -v iasl > /dev/null") != 0)
		skip();
	assert_non_null(mkdtemp(dir));
	agrees(dir, xsdt);
	agrees(dir, fadt);
	agrees(dir, t + (get(fadt + 36, 4) - BASE)); /* FACS */
	agrees(dir, table(get(xsdt + 44, 8), "APIC"));
	agrees(dir, table(get(fadt + 140, 8), "DSDT"));
	agrees(dir, table(get(xsdt + 52, 8), "SSDT"));
	snprintf(path, sizeof(path), "%s/DSDT.dsl", dir);
	f = fopen(path, "r");
	assert_non_null(f);
	assert_true(fread(text, 1, sizeof(text) - 1, f) > 0);
	fclose(f);
	for (unsigned i = 0; i < ARRAY_SIZE(words); i++)
		assert_non_null(strstr(text, words[i]));
	assert_null(strstr(text, "Unknown"));
	snprintf(path, sizeof(path), "rm -rf %s", dir);
	assert_int_equal(system(path), 0);
}

/* Guests that cannot go back have no generation ID. */
static void without_id(void **state)
{
	const struct acpi_config c = { .cpus = 1 };
	static uint8_t other[ACPI_MAX];
	size_t n = acpi_build(other, BASE, &c);

	(void)state;
	assert_true(n && n < len);
	assert_int_equal(get(other + (get(t + 24, 8) - BASE) + 4, 4), 36 + 16);
	for (size_t i = 0; i + 4 <= n; i++)
		assert_memory_not_equal(other + i, "SSDT", 4);
}

/* More processors than the tables have room for are refused, and nothing is written past them. */
static void full(void **state)
{
	const struct acpi_config c = { .cpus = 1024 };
	static uint8_t small[ACPI_MAX + 64];

	(void)state;
	assert_int_equal(acpi_build(small, BASE, &c), 0);
	for (size_t i = 0; i < sizeof(small); i++)
		assert_int_equal(small[i], 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(full),	      cmocka_unit_test(linked),	      cmocka_unit_test(power_registers),
		cmocka_unit_test(processors), cmocka_unit_test(disassembles), cmocka_unit_test(without_id),
	};

	return cmocka_run_group_tests(tests, build, NULL);
}
