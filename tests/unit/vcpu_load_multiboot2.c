/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Multiboot kernels, version 2, and the ELF section headers that they get: forged ones are
 * refused with the reason, sound ones get what the specification says.
 */
#include "tests/unit/vcpu_load_rig.h"

#define MAGIC2 0xe85250d6u

static uint32_t *words(size_t off)
{
	return (uint32_t *)(image + off);
}

static uint32_t *guest32(uint64_t gpa)
{
	return at(gpa);
}

/* An ELF32 kernel with a header of version 2 at byte 2048 that contains @bytes of @tags. */
static uint32_t *make2(const void *tags, uint32_t bytes)
{
	uint32_t *h = words(2048);

	make_elf32();
	h[0] = MAGIC2;
	h[1] = 0;
	h[2] = 16 + bytes;
	h[3] = -(MAGIC2 + h[2]);
	memcpy(h + 4, tags, bytes);
	return h;
}

#define TAG(type, flags) ((type) | (uint32_t)(flags) << 16)
#define END		 TAG(0, 0), 8
#define MAKE2(...)	 make2((const uint32_t[]){ __VA_ARGS__ }, sizeof((const uint32_t[]){ __VA_ARGS__ }))

/* The tag @type of version 2's information, or NULL. */
static uint32_t *find_tag(uint32_t type)
{
	uint32_t total = guest32(res.boot_params)[0], off = 8;

	assert_int_equal(total % 8, 0);
	while (off < total) {
		uint32_t *t = guest32(res.boot_params + off);

		if (t[0] == type)
			return t;
		if (t[0] == 0)
			return NULL;
		assert_true(t[1] >= 8);
		off += (t[1] + 7) & ~7u;
	}
	return NULL;
}

static void elf2(void **state)
{
	uint32_t *t;

	(void)state;
	MAKE2(TAG(1, 0), 36, 1, 2, 3, 4, 6, 15, 21, 0, TAG(3, 0), 12, 16 * MIB + 64, 0, TAG(5, 1), 20, 640, 480, 32, 0,
	      TAG(6, 0), 8, TAG(7, 0), 8, TAG(4, 0), 12, 2, 0, END);
	words(2048)[5] = 36; /* Six requests and one more: no multiple of 8 */
	rq.initrd = file_of("m", 1);
	rq.acpi_rsdp = 0xe0000;
	memcpy(at(0xe0000), "RSD PTR and what follows, 36 bytes..", 36);
	assert_int_equal(load_image(), 0);
	assert_int_equal(res.magic, 0x36d76289);
	assert_int_equal(res.entry, 16 * MIB + 64);
	assert_int_equal(res.boot_params % 8, 0);
	assert_string_equal((char *)(find_tag(1) + 2), "console=ttyS0");
	assert_string_equal((char *)(find_tag(2) + 2), "lguest-sep");
	t = find_tag(3);
	assert_int_equal(t[2], 16 * MIB + 8192);
	assert_int_equal(t[3], 16 * MIB + 8193);
	assert_string_equal((char *)(t + 4), "initrd");
	t = find_tag(4);
	assert_int_equal(t[2], 639);
	assert_int_equal(t[3], (RAM - MIB) / 1024);
	t = find_tag(6);
	assert_int_equal(t[1], 16 + 4 * 24);
	assert_int_equal(t[2], 24);
	assert_memory_equal(find_tag(15) + 2, at(0xe0000), 36);
	assert_int_equal(find_tag(21)[2], 16 * MIB);
	assert_int_equal(find_tag(0)[1], 8);
	close(rq.initrd);
	/* The longest command line */
	static char longest[CMDLINE_MAX];

	memset(longest, 'x', sizeof(longest) - 1);
	rq.initrd = -1;
	rq.cmdline = longest;
	assert_int_equal(load_image(), 0);
	assert_string_equal((char *)(find_tag(1) + 2), longest);
	assert_null(find_tag(3));
}

static void required_tags(void **state)
{
	static const struct {
		uint32_t type;
		const char *name;
	} requests[] = { { 7, "VBE" },
			 { 8, "framebuffer (information tag 8)" },
			 { 5, "boot device" },
			 { 10, "APM" },
			 { 17, "EFI memory map" },
			 { 22, "information tag 22" },
			 { 0xffffffff, "information tag 4294967295" } };

	(void)state;
	for (unsigned i = 0; i < sizeof(requests) / sizeof(requests[0]); i++) {
		MAKE2(TAG(1, 0), 16, 6, requests[i].type, END);
		refused(requests[i].name);
		MAKE2(TAG(1, 1), 16, 6, requests[i].type, END);
		assert_int_equal(load_image(), 0);
	}
	MAKE2(TAG(5, 0), 20, 0, 0, 0, 0, END);
	refused("a framebuffer (header tag 5)");
	MAKE2(TAG(4, 0), 12, 1, 0, END);
	refused("header tag 4");
	MAKE2(TAG(4, 1), 12, 1, 0, END);
	assert_int_equal(load_image(), 0);
	MAKE2(TAG(11, 0), 8, END);
	refused("header tag 11");
	MAKE2(TAG(11, 1), 8, END);
	assert_int_equal(load_image(), 0);
	MAKE2(TAG(1, 0), 12, 9, 0, END);
	refused("no section headers");
	/* The range of a relocatable kernel contains its address, or not. */
	MAKE2(TAG(10, 0), 24, 16 * MIB, 16 * MIB + 8191, 4096, 0, END);
	assert_int_equal(load_image(), 0);
	assert_int_equal(find_tag(21)[2], 16 * MIB);
	MAKE2(TAG(10, 0), 24, 16 * MIB + 1, 32 * MIB, 4096, 0, END);
	refused("header tag 10");
	MAKE2(TAG(10, 0), 24, 0, 16 * MIB + 8190, 0, 0, END);
	refused("header tag 10");
	MAKE2(TAG(10, 0), 24, 0, 32 * MIB, 32 * MIB, 0, END);
	refused("header tag 10");
}

static void forged_tags(void **state)
{
	uint32_t *h;

	(void)state;
	MAKE2(TAG(6, 0), 0, END);
	refused("size of a tag");
	MAKE2(TAG(6, 0), 7, END);
	refused("size of a tag");
	MAKE2(TAG(6, 1), 0xffffffff, END);
	refused("size of a tag");
	MAKE2(TAG(6, 1), 17, END);
	refused("size of a tag");
	MAKE2(TAG(6, 1), 16, END); /* It contains the end tag */
	refused("no end tag");
	MAKE2(TAG(3, 0), 8, END);
	refused("too short");
	MAKE2(TAG(2, 0), 16, 0, 0, END);
	refused("too short");
	MAKE2(TAG(1, 0), 10, 9, 0, END);
	refused("multiple of 4");
	MAKE2(TAG(2, 0), 24, 0, 0, 0, 0, END);
	refused("no entry address");
	h = MAKE2(END);
	h[1] = 4;
	h[3] = -(h[0] + h[1] + h[2]);
	refused("another architecture (4");
	for (unsigned i = 0; i < 4; i++) {
		static const uint32_t lengths[] = { 0, 15, 32768 - 2048 + 1, 0xffffffff };

		h = MAKE2(END);
		h[2] = lengths[i];
		h[3] = -(h[0] + h[2]);
		refused("its length leaves");
	}
	/* A header that ends with the 32768 bytes */
	MAKE2(END);
	memset(image + 2048, 0, 24);
	memcpy(image + 32768 - 24, (const uint32_t[]){ MAGIC2, 0, 24, -(MAGIC2 + 24u), END }, 24);
	image_len = 32768;
	assert_int_equal(load_image(), 0);
	assert_int_equal(res.mode, LOAD_ENTRY_MULTIBOOT);
}

static void flat2(void **state)
{
	(void)state;
	MAKE2(TAG(2, 0), 24, 4 * MIB + 2048, 0xffffffff, 0, 0, TAG(3, 0), 12, 4 * MIB + 4096, 0, END);
	memset(image, 0, 64); /* No ELF file. -1: from its beginning */
	assert_int_equal(load_image(), 0);
	assert_memory_equal(at(4 * MIB), image, image_len);
	assert_int_equal(res.entry, 4 * MIB + 4096);
	words(2048)[6] = 2047;
	refused("header_addr");
}

/* A kernel with a PVH entry is entered there, whatever its Multiboot header requires. */
static void pvh_first(void **state)
{
	uint32_t note[] = { 4, 4, 18, 0x006e6558, 16 * MIB };

	(void)state;
	MAKE2(TAG(5, 0), 20, 0, 0, 0, 0, END);
	make_elf64()->e_phnum = 2;
	memcpy(image + 1024, note, sizeof(note));
	*phdr64(1) = (Elf64_Phdr){ .p_type = PT_NOTE, .p_offset = 1024, .p_filesz = sizeof(note) };
	assert_int_equal(load_image(), 0);
	assert_int_equal(res.mode, LOAD_ENTRY_PVH);
	image[1024 + 8] = 17;
	refused("a framebuffer");
	rq.target = LOAD_FOR_LGUEST;
	refused("Multiboot 2 kernel, which the lguest engine does not start");
}

/* An ELF32 kernel with three sections behind its segment: one loaded by it, two not. */
static Elf32_Shdr *make_sections(void)
{
	Elf32_Ehdr *h = (Elf32_Ehdr *)image;
	Elf32_Shdr *s = (Elf32_Shdr *)(image + 16384);

	h->e_shoff = 16384;
	h->e_shnum = 4;
	h->e_shentsize = sizeof(*s);
	h->e_shstrndx = 3;
	memset(s, 0, 4 * sizeof(*s));
	s[1] = (Elf32_Shdr){ .sh_type = SHT_PROGBITS, .sh_flags = SHF_ALLOC, .sh_addr = 16 * MIB, .sh_size = 100 };
	s[2] = (Elf32_Shdr){ .sh_type = SHT_SYMTAB, .sh_offset = 20480, .sh_size = 5 };
	s[3] = (Elf32_Shdr){ .sh_type = SHT_STRTAB, .sh_offset = 20000, .sh_size = 7 };
	memcpy(image + 20480, "symbs", 5);
	memcpy(image + 20000, "strings", 7);
	image_len = 20485;
	return s;
}

static void sections(void **state)
{
	uint32_t *i;
	Elf32_Shdr *s;

	(void)state;
	MAKE2(END);
	make_sections();
	rq.initrd = file_of("m", 1);
	for (int packed = 0; packed < 2; packed++) {
		assert_int_equal(load_fd(packed ? gzip_of(image, image_len, "", 0) : file_of(image, image_len)), 0);
		i = find_tag(9);
		assert_non_null(i);
		assert_int_equal(i[2], 4);
		assert_int_equal(i[3], sizeof(*s));
		assert_int_equal(i[4], 3);
		s = (Elf32_Shdr *)(i + 5);
		assert_int_equal(s[1].sh_addr, 16 * MIB);
		assert_memory_equal(at(s[2].sh_addr), "symbs", 5);
		assert_memory_equal(at(s[3].sh_addr), "strings", 7);
		assert_true(s[2].sh_addr >= 16 * MIB + 8192 && s[3].sh_addr >= 16 * MIB + 8192);
		/* The module does not overlap with them. */
		assert_true(res.initrd >= s[2].sh_addr + 5 && res.initrd >= s[3].sh_addr + 7);
	}
	close(rq.initrd);
}

/* Sections that cannot be loaded: a kernel that does not require them gets none, another is refused. */
static void forged_sections(void **state)
{
	static const struct {
		uint32_t shoff;
		uint16_t count, size, names;
		uint32_t offset, bytes; /* Of section 2 */
		const char *reason;
	} cases[] = {
		{ 16384, 4, 64, 3, 20480, 5, "invalid" },
		{ 16384, 4, 40, 4, 20480, 5, "invalid" },
		{ 16384, 129, 40, 3, 20480, 5, "invalid" },
		{ 16384, 65535, 40, 3, 20480, 5, "invalid" },
		{ 0xffffffff, 4, 40, 3, 20480, 5, "truncated" },
		{ 20480, 4, 40, 3, 20480, 5, "truncated" },
		{ 16384, 4, 40, 3, 20480, 6, "truncated" },
		{ 16384, 4, 40, 3, 20480, 0xffffffff, "fit into memory" },
		{ 16384, 4, 40, 3, 0xffffffff, 2, "truncated" },
		{ 16384, 4, 40, 3, 20006, 5, "overlap" },
	};

	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		for (int required = 0; required < 2; required++) {
			Elf32_Ehdr *h = (Elf32_Ehdr *)image;

			new_guest(state);
			MAKE2(TAG(1, !required), 12, 9, 0, END);
			make_sections()[2].sh_offset = cases[i].offset;
			((Elf32_Shdr *)(image + 16384))[2].sh_size = cases[i].bytes;
			h->e_shoff = cases[i].shoff;
			h->e_shnum = cases[i].count;
			h->e_shentsize = cases[i].size;
			h->e_shstrndx = cases[i].names;
			if (required) {
				refused(cases[i].reason);
				continue;
			}
			assert_int_equal(load_image(), 0);
			assert_null(find_tag(9));
			assert_int_equal(res.kernel_end, 16 * MIB + 8192);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(elf2, new_guest),
		cmocka_unit_test_setup(required_tags, new_guest),
		cmocka_unit_test_setup(forged_tags, new_guest),
		cmocka_unit_test_setup(flat2, new_guest),
		cmocka_unit_test_setup(pvh_first, new_guest),
		cmocka_unit_test_setup(sections, new_guest),
		cmocka_unit_test_setup(forged_sections, new_guest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
