/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The first bytes of a file show if it is a kernel; otherwise the text names what it is. */
#include <elf.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "vcpu/load/kernel_check.h"

static uint8_t buf[KERNEL_CHECK_BYTES];
static const char *what;

/* Judge exactly @len bytes, at the end of an allocation: a sanitizer sees a read beyond them. */
static enum kernel_kind judge(size_t len)
{
	uint8_t *copy = malloc(len ? len : 1);
	enum kernel_kind k;

	memcpy(copy, buf, len);
	what = NULL;
	k = kernel_kind(copy, len, &what);
	free(copy);
	assert_non_null(what);
	return k;
}

static int clear(void **state)
{
	(void)state;
	memset(buf, 0, sizeof(buf));
	return 0;
}

static void make_bzimage(void)
{
	buf[0x1fe] = 0x55;
	buf[0x1ff] = 0xaa;
	memcpy(buf + 0x202, "HdrS", 4);
	buf[0x206] = 0x0f; /* protocol 2.15 */
	buf[0x207] = 0x02;
	buf[0x211] = 1; /* LOADED_HIGH */
}

static void bzimage(void **state)
{
	(void)state;
	make_bzimage();
	assert_int_equal(judge(sizeof(buf)), KERNEL_BZIMAGE);
	/* Kernels with an EFI stub begin with MZ: still a bzImage. */
	memcpy(buf, "MZ", 2);
	assert_int_equal(judge(sizeof(buf)), KERNEL_BZIMAGE);
	/* Cut off inside its header. */
	assert_int_equal(judge(0x25f), KERNEL_NONE);
	buf[0x211] = 0;
	assert_int_equal(judge(sizeof(buf)), KERNEL_NONE);
	assert_non_null(strstr(what, "zImage"));
	buf[0x211] = 1;
	buf[0x207] = 1; /* protocol 1.15 */
	assert_int_equal(judge(sizeof(buf)), KERNEL_NONE);
}

static struct kernel_needs needs(size_t len)
{
	uint8_t *copy = malloc(len);
	struct kernel_needs n;

	memcpy(copy, buf, len);
	n = kernel_needs(copy, len);
	free(copy);
	return n;
}

static void what_a_bzimage_needs(void **state)
{
	(void)state;
	make_bzimage();
	assert_int_equal(needs(sizeof(buf)).file, 0);
	assert_int_equal(needs(sizeof(buf)).memory, 0);
	buf[0x1f1] = 39;
	buf[0x1f5] = 0x10; /* 4096 units of 16 bytes, the last one perhaps a single byte */
	assert_int_equal(needs(sizeof(buf)).file, 40 * 512 + 4095 * 16 + 1);
	buf[0x1f1] = 0; /* stands for 4 */
	assert_int_equal(needs(sizeof(buf)).file, 5 * 512 + 4095 * 16 + 1);
	buf[0x263] = 0x03; /* init_size: 48 MiB; loaded at 1 MiB */
	assert_int_equal(needs(sizeof(buf)).memory, 49 << 20);
	buf[0x232] = 0x20; /* kernel_alignment: 2 MiB, of no meaning yet */
	assert_int_equal(needs(sizeof(buf)).memory, 49 << 20);
	buf[0x234] = 1; /* relocatable */
	assert_int_equal(needs(sizeof(buf)).memory, 50 << 20);
	buf[0x25b] = 0x01; /* pref_address: 16 MiB */
	assert_int_equal(needs(sizeof(buf)).memory, 64 << 20);
	memset(buf + 0x258, 0xff, 8);
	assert_int_equal(needs(sizeof(buf)).memory, UINT64_MAX);
	assert_int_equal(needs(0x263).file, 0); /* cut off inside its header */
	buf[0x206] = 0x03;			/* a protocol that has neither field */
	assert_int_equal(needs(sizeof(buf)).file, 0);
	assert_int_equal(needs(sizeof(buf)).memory, 0);
}

static void boot_sector(void **state)
{
	(void)state;
	buf[0x1fe] = 0x55;
	buf[0x1ff] = 0xaa;
	assert_int_equal(judge(sizeof(buf)), KERNEL_NONE);
	assert_non_null(strstr(what, "boot sector"));
	assert_int_equal(judge(0x1ff), KERNEL_NONE);
	assert_null(strstr(what, "boot sector"));
}

static void elf(void **state)
{
	Elf64_Ehdr *e = (Elf64_Ehdr *)buf;

	(void)state;
	memcpy(e->e_ident, ELFMAG, SELFMAG);
	e->e_ident[EI_CLASS] = ELFCLASS64;
	e->e_ident[EI_DATA] = ELFDATA2LSB;
	e->e_type = ET_EXEC;
	e->e_machine = EM_X86_64;
	assert_int_equal(judge(sizeof(buf)), KERNEL_ELF);
	e->e_machine = EM_386;
	assert_int_equal(judge(sizeof(buf)), KERNEL_ELF);
	e->e_machine = EM_AARCH64;
	assert_int_equal(judge(sizeof(buf)), KERNEL_NONE);
	assert_non_null(strstr(what, "another machine"));
	e->e_machine = EM_X86_64;
	e->e_type = ET_REL;
	assert_int_equal(judge(sizeof(buf)), KERNEL_NONE);
	assert_non_null(strstr(what, "object"));
	e->e_type = ET_EXEC;
	assert_int_equal(judge(20), KERNEL_NONE);
	assert_non_null(strstr(what, "cut off"));
}

static void named(void **state)
{
	static const struct {
		const char *bytes;
		size_t len;
		const char *text;
	} cases[] = {
		{ "\x89PNG\r\n", 6, "PNG" },
		{ "#!/bin/sh\n", 10, "script" },
		{ "070701000", 9, "cpio" },
		{ "just some words\n", 16, "text" },
		{ "\xfd"
		  "7zXZ\0",
		  6, "xz -dc" },
		{ "\x28\xb5\x2f\xfd", 4, "zstd -dc" },
		{ "BZh91AY", 7, "bzip2 -dc" },
		{ "\x04\x22\x4d\x18", 4, "lz4 -dc" },
		{ "\x02\x21\x4c\x18", 4, "lz4 -dc" },
		{ "\x89LZO\0\r\n\x1a\n", 9, "lzop -dc" },
		{ "\x5d\0\0\x80\0", 5, "xz --format=lzma -dc" },
		{ "QFI\xfb", 4, "qcow2" },
		{ "PK\x03\x04", 4, "zip" },
		{ "!<arch>\ndebian", 14, "Debian" },
		{ "MZ\x90", 3, "EFI" },
		{ "\x01\x02\x03\x04", 4, "no known" },
		{ "\x7f"
		  "EL",
		  3, "no known" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		memcpy(buf, cases[i].bytes, cases[i].len);
		assert_int_equal(judge(cases[i].len), KERNEL_NONE);
		assert_non_null(strstr(what, cases[i].text));
	}
	assert_int_equal(judge(0), KERNEL_NONE);
	assert_non_null(strstr(what, "empty"));
	memcpy(buf, "\x1f\x8b\x08", 3);
	assert_int_equal(judge(3), KERNEL_GZIP);
}

static void kernels_of_other_machines(void **state)
{
	static const struct {
		size_t off;
		const char *bytes;
		const char *text;
	} cases[] = {
		{ 0x38, "ARM\x64", "arm64" },		{ 0x30, "RISCV", "RISC-V" },
		{ 0x24, "\x18\x28\x6f\x01", "(arm)" },	{ 0, "\x27\x05\x19\x56", "U-Boot" },
		{ 4, "zimg", "compressed EFI kernel" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		memset(buf, 0, sizeof(buf));
		memcpy(buf, "MZ", 2); /* they are EFI programs as well */
		memcpy(buf + cases[i].off, cases[i].bytes, strlen(cases[i].bytes));
		assert_int_equal(judge(sizeof(buf)), KERNEL_NONE);
		assert_non_null(strstr(what, cases[i].text));
	}
}

/* A 64-bit ELF file with one note segment of @len bytes; returns its descriptor. */
static int elf_with_notes(const void *notes, size_t len)
{
	Elf64_Ehdr e = { .e_type = ET_EXEC,
			 .e_machine = EM_X86_64,
			 .e_phoff = sizeof(e),
			 .e_phentsize = sizeof(Elf64_Phdr),
			 .e_phnum = 1 };
	Elf64_Phdr p = { .p_type = PT_NOTE, .p_offset = sizeof(e) + sizeof(p), .p_filesz = len };
	int fd = memfd_create("elf", 0);

	memcpy(e.e_ident, ELFMAG, SELFMAG);
	e.e_ident[EI_CLASS] = ELFCLASS64;
	assert_int_equal(write(fd, &e, sizeof(e)), sizeof(e));
	assert_int_equal(write(fd, &p, sizeof(p)), sizeof(p));
	assert_int_equal(write(fd, notes, len), len);
	return fd;
}

static void pvh_note(void **state)
{
	/* Another note of 5 bytes, padded; then Xen's entry. */
	uint32_t notes[] = { 4, 5, 6, 0x006e6558, 1, 2, 4, 8, 18, 0x006e6558, 0x100000, 0 };
	uint32_t huge[] = { 0xffffffff, 0xffffffff, 18, 0x006e6558 };
	int fd = elf_with_notes(notes, sizeof(notes));

	(void)state;
	assert_true(kernel_elf(fd).pvh);
	assert_int_equal(kernel_elf(fd).file, 0); /* No segment is loaded */
	close(fd);
	fd = elf_with_notes(notes, 24); /* cut off before it */
	assert_false(kernel_elf(fd).pvh);
	close(fd);
	notes[8] = 17;
	fd = elf_with_notes(notes, sizeof(notes));
	assert_false(kernel_elf(fd).pvh);
	close(fd);
	fd = elf_with_notes(huge, sizeof(huge));
	assert_false(kernel_elf(fd).pvh);
	close(fd);
}

/* Every length of random bytes: never a read past the end (under a sanitizer). */
static void any_length(void **state)
{
	(void)state;
	srandom(1);
	for (size_t len = 0; len <= sizeof(buf); len++) {
		for (size_t i = 0; i < len; i++)
			buf[i] = (uint8_t)random();
		if (len > 0x206 && len % 3 == 0)
			make_bzimage();
		judge(len);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(bzimage, clear),	    cmocka_unit_test_setup(what_a_bzimage_needs, clear),
		cmocka_unit_test_setup(boot_sector, clear), cmocka_unit_test_setup(elf, clear),
		cmocka_unit_test_setup(named, clear),	    cmocka_unit_test_setup(kernels_of_other_machines, clear),
		cmocka_unit_test_setup(any_length, clear),  cmocka_unit_test(pvh_note),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
