/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The first bytes of a kernel show for which machine it is; whatever they are, nothing is read beyond them. */
#include <elf.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/util.h"
#include "vcpu/load/kernel_machine.h"

static uint8_t buf[KERNEL_MACHINE_BYTES];

/* Examine exactly @len bytes, at the end of an allocation: a sanitizer sees a read beyond them. */
static struct kernel_machine examine(size_t len)
{
	uint8_t *copy = malloc(len ? len : 1);
	struct kernel_machine k;

	memcpy(copy, buf, len);
	k = kernel_machine(copy, len);
	free(copy);
	return k;
}

static int clear(void **state)
{
	(void)state;
	memset(buf, 0, sizeof(buf));
	return 0;
}

static void is(enum kernel_format format, const char *name)
{
	struct kernel_machine k = examine(sizeof(buf));

	assert_int_equal(k.format, format);
	assert_string_equal(k.name, name);
	/* A file that ends inside the header is of no known format. */
	for (size_t len = 0; len < 64; len++)
		assert_int_equal(examine(len).format, FORMAT_OTHER);
}

static void elf_files(void **state)
{
	static const struct {
		uint8_t class;
		uint16_t machine;
		const char *name;
	} known[] = {
		{ ELFCLASS64, EM_X86_64, "x86_64" },   { ELFCLASS32, EM_386, "i386" },
		{ ELFCLASS64, EM_AARCH64, "aarch64" }, { ELFCLASS32, EM_ARM, "arm" },
		{ ELFCLASS64, EM_RISCV, "riscv64" },   { ELFCLASS32, EM_RISCV, "riscv32" },
	};

	(void)state;
	memcpy(buf, ELFMAG, SELFMAG);
	buf[EI_DATA] = ELFDATA2LSB;
	for (size_t i = 0; i < ARRAY_SIZE(known); i++) {
		buf[EI_CLASS] = known[i].class;
		buf[18] = (uint8_t)known[i].machine;
		buf[19] = (uint8_t)(known[i].machine >> 8);
		is(FORMAT_ELF, known[i].name);
	}
	buf[EI_DATA] = ELFDATA2MSB;
	assert_null(examine(sizeof(buf)).name);
	buf[EI_DATA] = ELFDATA2LSB;
	buf[18] = EM_S390;
	buf[19] = 0;
	assert_null(examine(sizeof(buf)).name);
}

static void put64(unsigned at, uint64_t v)
{
	for (unsigned i = 0; i < 8; i++)
		buf[at + i] = (uint8_t)(v >> 8 * i);
}

static void images(void **state)
{
	(void)state;
	memcpy(buf + 56, "ARM\x64", 4);
	put64(8, 0);
	put64(16, 0x2000000);
	is(FORMAT_IMAGE, "aarch64");
	assert_int_equal(examine(64).memory, 0x2000000);
	/* Sizes that wrap around need more memory than there is, not less. */
	put64(8, UINT64_MAX - 1);
	assert_true(examine(64).memory == UINT64_MAX);
	memcpy(buf + 56, "RSC\x05", 4);
	put64(8, 0x200000);
	is(FORMAT_IMAGE, "riscv64");
	assert_int_equal(examine(64).memory, 0x2200000);
	put64(8, 0x400000);
	is(FORMAT_IMAGE, "riscv32");
}

static void zimages(void **state)
{
	(void)state;
	memcpy(buf + 0x24, "\x18\x28\x6f\x01", 4);
	buf[0x2d] = 0x10; /* end */
	is(FORMAT_ZIMAGE, "arm");
	assert_int_equal(examine(64).file, 0x1000);
	buf[0x29] = 0x20; /* start, behind it */
	assert_int_equal(examine(64).file, 0);
}

static void bzimages(void **state)
{
	(void)state;
	memcpy(buf + 0x202, "HdrS", 4);
	buf[0x206] = 0x0c;
	buf[0x207] = 2;
	is(FORMAT_BZIMAGE, "i386");
	buf[0x236] = 1;
	is(FORMAT_BZIMAGE, "x86_64");
	buf[0x206] = 0x0b; /* This protocol has no such flag. */
	is(FORMAT_BZIMAGE, "i386");
	assert_int_equal(examine(0x25f).format, FORMAT_OTHER);
}

static void what_runs_where(void **state)
{
	(void)state;
	assert_true(kernel_runs_on("i386", "x86_64"));
	assert_false(kernel_runs_on("x86_64", "i386"));
	assert_true(kernel_runs_on("arm", "arm"));
	assert_false(kernel_runs_on("arm", "aarch64"));
	assert_false(kernel_runs_on("riscv32", "riscv64"));
}

static void efi_programs(void **state)
{
	(void)state;
	memcpy(buf, "MZ", 2);
	buf[0x3c] = 0x80;
	memcpy(buf + 0x80, "PE\0\0\x64\x86", 6);
	assert_int_equal(examine(0x86).format, FORMAT_EFI);
	assert_string_equal(examine(0x86).name, "x86_64");
	assert_int_equal(examine(0x85).format, FORMAT_OTHER);
	memcpy(buf + 0x84, "\x64\xaa", 2);
	assert_string_equal(examine(sizeof(buf)).name, "aarch64");
	memcpy(buf + 0x84, "\0\0", 2); /* of no machine, as in the table's empty fields */
	assert_int_equal(examine(sizeof(buf)).format, FORMAT_OTHER);
	/* An offset of the signature beyond what was read. */
	memcpy(buf + 0x84, "\x64\xaa", 2);
	memset(buf + 0x3c, 0xff, 4);
	assert_int_equal(examine(sizeof(buf)).format, FORMAT_OTHER);
	assert_int_equal(examine(64).format, FORMAT_OTHER);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(elf_files, clear),    cmocka_unit_test_setup(images, clear),
		cmocka_unit_test_setup(zimages, clear),	     cmocka_unit_test_setup(bzimages, clear),
		cmocka_unit_test_setup(efi_programs, clear), cmocka_unit_test(what_runs_where),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
