/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ELF kernels are loaded to their addresses, or refused with a reason before anything is written outside RAM. */
#include "tests/unit/vcpu_load_rig.h"

static void elf64(void **state)
{
	(void)state;
	make_elf64();
	assert_int_equal(load_image(), 0);
	assert_int_equal(res.mode, LOAD_ENTRY_64);
	assert_int_equal(res.entry, 16 * MIB);
	assert_memory_equal(at(16 * MIB), image + 4096, 8192);
	assert_int_equal(*(uint8_t *)at(16 * MIB + 8192), 0);
	assert_int_equal(res.kernel_start, 16 * MIB);
	assert_int_equal(res.kernel_end, 16 * MIB + 16384);
	assert_true(res.is_elf && !res.is_gzip);
}

static void elf32(void **state)
{
	(void)state;
	make_elf32();
	assert_int_equal(load_image(), 0);
	assert_int_equal(res.mode, LOAD_ENTRY_32);
	assert_int_equal(res.entry, 16 * MIB + 16);
	assert_memory_equal(at(16 * MIB), image + 4096, 8192);
}

static void gzip_elf(void **state)
{
	(void)state;
	make_elf64();
	assert_int_equal(load_fd(gzip_of(image, image_len, "", 0)), 0);
	assert_true(res.is_elf && res.is_gzip);
	assert_memory_equal(at(16 * MIB), image + 4096, 8192);
}

/* Segments whose order in memory is not their order in the file: a stream is read forward all the same. */
static void segments_out_of_order(void **state)
{
	(void)state;
	make_elf64()->e_phnum = 2;
	*phdr64(1) = *phdr64(0);
	phdr64(0)->p_offset = 4096 + 4096;
	phdr64(0)->p_filesz = phdr64(0)->p_memsz = 4096;
	phdr64(1)->p_paddr = 20 * MIB;
	phdr64(1)->p_filesz = phdr64(1)->p_memsz = 4096;
	assert_int_equal(load_fd(gzip_of(image, image_len, "", 0)), 0);
	assert_memory_equal(at(16 * MIB), image + 8192, 4096);
	assert_memory_equal(at(20 * MIB), image + 4096, 4096);
}

static void headers_lie(void **state)
{
	static const struct {
		uint64_t phoff;
		uint16_t phnum, phentsize;
		const char *reason;
	} cases[] = {
		{ sizeof(Elf64_Ehdr), 0, sizeof(Elf64_Phdr), "0 program headers" },
		{ sizeof(Elf64_Ehdr), 65535, sizeof(Elf64_Phdr), "65535 program headers" },
		{ sizeof(Elf64_Ehdr), 65, sizeof(Elf64_Phdr), "65 program headers" },
		{ sizeof(Elf64_Ehdr), 1, 32, "invalid size" },
		{ 4096 + 8192, 1, sizeof(Elf64_Phdr), "truncated" },
		{ 4096 + 8192 - 8, 1, sizeof(Elf64_Phdr), "truncated" },
		{ UINT64_MAX - 8, 1, sizeof(Elf64_Phdr), "past its end" },
		{ INT64_MAX, 1, sizeof(Elf64_Phdr), "truncated" },
	};

	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		Elf64_Ehdr *h;

		new_guest(state);
		h = make_elf64();
		h->e_phoff = cases[i].phoff;
		h->e_phnum = cases[i].phnum;
		h->e_phentsize = cases[i].phentsize;
		refused(cases[i].reason);
	}
}

static void segments_lie(void **state)
{
	static const struct {
		uint64_t off, filesz, paddr, memsz;
		const char *reason;
	} cases[] = {
		{ 4096, 8192, RAM - 4096, 8192, "outside memory" },
		{ 4096, 8192, RAM, 8192, "outside memory" },
		{ 4096, 8192, UINT64_MAX - 4095, 8192, "outside memory" },
		{ 4096, 8192, 16 * MIB, UINT64_MAX, "outside memory" },
		{ 4096, 8192, 0, 8192, "outside memory" },
		{ 4096, 8192, MIB - 1, 8192, "outside memory" },
		{ 4096, 8192, 0xc0000000, 8192, "outside memory" },
		{ 4096, 8193, 16 * MIB, 8192, "larger in the file" },
		{ UINT64_MAX - 100, 8192, 16 * MIB, 8192, "wraps" },
		{ 4096, 8193, 16 * MIB, 16384, "truncated" },
		{ 1ull << 40, 8192, 16 * MIB, 8192, "truncated" },
	};

	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		new_guest(state);
		make_elf64();
		phdr64(0)->p_offset = cases[i].off;
		phdr64(0)->p_filesz = cases[i].filesz;
		phdr64(0)->p_paddr = cases[i].paddr;
		phdr64(0)->p_memsz = cases[i].memsz;
		refused(cases[i].reason);
		/* and the same through a gzip stream */
		assert_int_equal(load_fd(gzip_of(image, image_len, "", 0)), -1);
	}
}

/* The ELF headers in the page before a kernel that is linked to 1 MiB are left out, and nothing else below 1 MiB. */
static void headers_below(void **state)
{
	(void)state;
	make_elf64()->e_entry = MIB + 16;
	phdr64(0)->p_offset = 0;
	phdr64(0)->p_paddr = MIB - 4096;
	phdr64(0)->p_filesz = phdr64(0)->p_memsz = 4096 + 8192;
	assert_int_equal(load_image(), 0);
	assert_memory_equal(at(MIB), image + 4096, 8192);
	assert_int_equal(*(uint8_t *)at(MIB - 4096), 0);
	assert_int_equal(res.kernel_start, MIB);
	/* In a segment of their own */
	make_elf64()->e_phnum = 2;
	*phdr64(1) = *phdr64(0);
	phdr64(1)->p_offset = 0;
	phdr64(1)->p_paddr = MIB - 4096;
	phdr64(1)->p_filesz = phdr64(1)->p_memsz = 200;
	assert_int_equal(load_image(), 0);
	assert_int_equal(res.kernel_start, 16 * MIB);
	phdr64(1)->p_paddr = MIB - 4097;
	refused("outside memory");
	phdr64(1)->p_paddr = MIB - 4096;
	phdr64(1)->p_memsz = UINT64_MAX;
	refused("outside memory");
	phdr64(1)->p_memsz = 100; /* Less than in the file */
	phdr64(1)->p_filesz = 101;
	refused("larger in the file");
}

static void segments_overlap(void **state)
{
	(void)state;
	make_elf64()->e_phnum = 2;
	*phdr64(1) = *phdr64(0);
	phdr64(1)->p_paddr = 16 * MIB + 16383;
	refused("overlap");
	phdr64(1)->p_paddr = 16 * MIB + 16384;
	assert_int_equal(load_image(), 0);
}

static void too_many_segments(void **state)
{
	(void)state;
	make_elf64()->e_phnum = 33;
	for (unsigned i = 0; i < 33; i++)
		*phdr64(i) = (Elf64_Phdr){
			.p_type = PT_LOAD, .p_offset = 4096, .p_filesz = 16, .p_memsz = 16, .p_paddr = 16 * MIB + i * 16
		};
	refused("too many segments");
}

static void entry_outside(void **state)
{
	static const uint64_t entries[] = { 0, 16 * MIB - 1, 16 * MIB + 16384, RAM, UINT64_MAX };

	for (unsigned i = 0; i < sizeof(entries) / sizeof(entries[0]); i++) {
		new_guest(state);
		make_elf64()->e_entry = entries[i];
		refused("entry");
	}
}

static void wrong_kind(void **state)
{
	make_elf64()->e_machine = EM_AARCH64;
	refused("a kernel for aarch64; give --machine=aarch64");
	make_elf64()->e_machine = EM_S390;
	refused("another machine");
	make_elf64()->e_machine = EM_386;
	refused("another machine");
	make_elf64()->e_type = ET_REL;
	refused("not an executable");
	make_elf64()->e_ident[EI_CLASS] = 7;
	refused("32-bit nor 64-bit");
	make_elf64()->e_ident[EI_DATA] = ELFDATA2MSB;
	refused("32-bit nor 64-bit");
	new_guest(state);
	make_elf64()->e_phnum = 1;
	phdr64(0)->p_type = PT_NULL;
	refused("nothing to load");
}

/* Every length that the file may be cut to is refused, and reads nothing beyond it. */
static void truncated(void **state)
{
	(void)state;
	make_elf64();
	for (size_t len = 0; len < 4096 + 8192; len += len < 200 ? 1 : 997) {
		assert_int_equal(load_fd(file_of(image, len)), -1);
		if (len > SELFMAG && len < 64)
			assert_non_null(strstr(res.error, "truncated"));
	}
}

static void put_note(uint32_t namesz, uint32_t descsz, uint32_t type, uint32_t entry)
{
	uint32_t *n = (uint32_t *)(image + 2048);

	n[0] = namesz;
	n[1] = descsz;
	n[2] = type;
	memcpy(&n[3], "Xen", 4);
	n[4] = entry;
	n[5] = 0;
	phdr64(1)->p_type = PT_NOTE;
	phdr64(1)->p_offset = 2048;
	phdr64(1)->p_filesz = 24;
}

static void pvh(void **state)
{
	struct {
		uint32_t magic, version, flags, modules;
		uint64_t modlist, cmdline, rsdp, map;
		uint32_t entries, reserved;
	} * info;

	(void)state;
	make_elf64()->e_phnum = 2;
	put_note(4, 8, 18, 16 * MIB + 64);
	rq.acpi_rsdp = 0xe0000;
	assert_int_equal(load_image(), 0);
	assert_int_equal(res.mode, LOAD_ENTRY_PVH);
	assert_int_equal(res.entry, 16 * MIB + 64);
	info = at(res.boot_params);
	assert_int_equal(info->magic, 0x336ec578);
	assert_int_equal(info->rsdp, 0xe0000);
	assert_string_equal(at(info->cmdline), "console=ttyS0");
	assert_int_equal(info->entries, 4);
	/* An entry address outside the image is refused, also if it comes from an ELF note. */
	put_note(4, 4, 18, 0x1000);
	refused("entry");
	/* lguest has no PVH: the note is not looked at */
	rq.target = LOAD_FOR_LGUEST;
	refused("64-bit");
}

/* Of several note segments any may have the entry, wherever it lies; also in a stream, which is read forward. */
static void pvh_in_any_note(void **state)
{
	(void)state;
	make_elf64()->e_phnum = 3;
	put_note(4, 8, 18, 16 * MIB + 64);
	*phdr64(2) = *phdr64(1);
	phdr64(1)->p_offset = 3000; /* zeroes */
	assert_int_equal(load_image(), 0);
	assert_int_equal(res.mode, LOAD_ENTRY_PVH);
	assert_int_equal(res.entry, 16 * MIB + 64);
	assert_int_equal(load_fd(gzip_of(image, image_len, "", 0)), 0);
	assert_int_equal(res.mode, LOAD_ENTRY_PVH);
	phdr64(1)->p_filesz = 0;
	assert_int_equal(load_image(), 0);
	assert_int_equal(res.mode, LOAD_ENTRY_PVH);
}

static void bad_notes_are_ignored(void **state)
{
	static const uint32_t cases[][3] = {
		{ 0xffffffff, 8, 18 },		{ 4, 0xffffffff, 18 }, { 4, 64, 18 },	 { 4, 2, 18 },
		{ 0xfffffffd, 0xfffffffd, 18 }, { 4, 8, 17 },	       { 65536, 4, 18 }, { 0, 0, 0 },
	};

	(void)state;
	make_elf64()->e_phnum = 2;
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		put_note(cases[i][0], cases[i][1], cases[i][2], 16 * MIB + 64);
		assert_int_equal(load_image(), 0);
		assert_int_equal(res.mode, LOAD_ENTRY_64);
	}
	put_note(4, 8, 18, 16 * MIB);
	phdr64(1)->p_offset = UINT64_MAX;
	assert_int_equal(load_image(), 0);
	assert_int_equal(res.mode, LOAD_ENTRY_64);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(elf64, new_guest),
		cmocka_unit_test_setup(elf32, new_guest),
		cmocka_unit_test_setup(gzip_elf, new_guest),
		cmocka_unit_test_setup(segments_out_of_order, new_guest),
		cmocka_unit_test_setup(headers_lie, new_guest),
		cmocka_unit_test_setup(segments_lie, new_guest),
		cmocka_unit_test_setup(headers_below, new_guest),
		cmocka_unit_test_setup(segments_overlap, new_guest),
		cmocka_unit_test_setup(too_many_segments, new_guest),
		cmocka_unit_test_setup(entry_outside, new_guest),
		cmocka_unit_test_setup(wrong_kind, new_guest),
		cmocka_unit_test_setup(truncated, new_guest),
		cmocka_unit_test_setup(pvh, new_guest),
		cmocka_unit_test_setup(pvh_in_any_note, new_guest),
		cmocka_unit_test_setup(bad_notes_are_ignored, new_guest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
