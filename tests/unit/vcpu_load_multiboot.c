/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Multiboot kernels, version 1: forged headers are refused with the reason, sound ones get what the specifications say. */
#include "tests/unit/vcpu_load_rig.h"
#include "vcpu/load/multiboot.h"

#define MAGIC1 0x1badb002u
#define MAGIC2 0xe85250d6u

static uint32_t *words(size_t off)
{
	return (uint32_t *)(image + off);
}

static uint32_t *guest32(uint64_t gpa)
{
	return at(gpa);
}

/* An ELF32 kernel with a header of version 1 at byte 3072. */
static uint32_t *make1(uint32_t flags)
{
	uint32_t *h = words(3072);

	make_elf32();
	h[0] = MAGIC1;
	h[1] = flags;
	h[2] = -(MAGIC1 + flags);
	return h;
}

/* A plain binary with a header of version 1 at byte @off: loaded to 2 MiB, entered at its beginning. */
static uint32_t *make_flat(size_t off)
{
	uint32_t *h = words(off);

	image_len = MAX(off + 32, 8192);
	for (size_t i = 0; i < image_len; i++)
		image[i] = (uint8_t)(i % 251 + 1);
	h[0] = MAGIC1;
	h[1] = 0x10000;
	h[2] = -(MAGIC1 + 0x10000);
	h[3] = 2 * MIB + (uint32_t)off; /* header_addr */
	h[4] = 2 * MIB;			/* load_addr */
	h[5] = h[6] = 0;		/* load_end_addr, bss_end_addr */
	h[7] = 2 * MIB;			/* entry_addr */
	return h;
}

static void elf1(void **state)
{
	uint32_t *i;

	(void)state;
	make1(3);
	rq.initrd = file_of("the module", 10);
	assert_int_equal(load_image(), 0);
	assert_int_equal(res.mode, LOAD_ENTRY_MULTIBOOT);
	assert_int_equal(res.magic, 0x2badb002);
	assert_int_equal(res.entry, 16 * MIB + 16);
	i = at(res.boot_params);
	assert_int_equal(i[0], 1 | 4 | 8 | 0x40 | 0x200);
	assert_int_equal(i[1], 639);
	assert_int_equal(i[2], (RAM - MIB) / 1024);
	assert_string_equal(at(i[4]), "console=ttyS0");
	assert_int_equal(i[5], 1);
	/* The module is at the first page behind the kernel. */
	assert_int_equal(guest32(i[6])[0], 16 * MIB + 8192);
	assert_int_equal(guest32(i[6])[1], 16 * MIB + 8192 + 10);
	assert_memory_equal(at(guest32(i[6])[0]), "the module", 10);
	assert_string_equal(at(guest32(i[6])[2]), "initrd");
	assert_string_equal(at(i[16]), "lguest-sep");
	/* Entries of 4 + 20 bytes; the last is the memory above 1 MiB. */
	assert_int_equal(i[11], 4 * 24);
	assert_int_equal(guest32(i[12] + 3 * 24)[0], 20);
	assert_int_equal(guest32(i[12] + 3 * 24)[1], MIB);
	assert_int_equal(guest32(i[12] + 3 * 24)[3], RAM - MIB);
	assert_int_equal(guest32(i[12] + 3 * 24)[5], 1);
	close(rq.initrd);
}

static void gzip_and_no_module(void **state)
{
	(void)state;
	make1(0);
	assert_int_equal(load_fd(gzip_of(image, image_len, "", 0)), 0);
	assert_int_equal(res.mode, LOAD_ENTRY_MULTIBOOT);
	assert_true(res.is_gzip);
	assert_int_equal(guest32(res.boot_params)[5], 0);
}

/* The address in an ELF header is a virtual one if a segment has it, as in kernels of the higher half. */
static void entry_by_virtual_address(void **state)
{
	Elf32_Phdr *p = (Elf32_Phdr *)(image + sizeof(Elf32_Ehdr));

	(void)state;
	make1(0);
	p->p_vaddr = 0xc0000000 + 16 * MIB;
	((Elf32_Ehdr *)image)->e_entry = 0xc0000000 + 16 * MIB + 32;
	assert_int_equal(load_image(), 0);
	assert_int_equal(res.entry, 16 * MIB + 32);
	((Elf32_Ehdr *)image)->e_entry = 16 * MIB + 48; /* Physical all the same */
	assert_int_equal(load_image(), 0);
	assert_int_equal(res.entry, 16 * MIB + 48);
	((Elf32_Ehdr *)image)->e_entry = 0xc0000000 + 16 * MIB + 8192;
	refused("outside its segments");
}

static void where_headers_count(void **state)
{
	struct multiboot m;
	static uint8_t head[MULTIBOOT2_SEARCH];
	const uint32_t one[] = { MAGIC1, 3, -(MAGIC1 + 3u) }, two[] = { MAGIC2, 0, 24, -(MAGIC2 + 24u) };

	(void)state;
	assert_int_equal(multiboot_find(head, sizeof(head), &m), 0);
	memcpy(head + 8192 - 12, one, sizeof(one)); /* The last place */
	assert_int_equal(multiboot_find(head, sizeof(head), &m), 1);
	assert_int_equal(m.at, 8192 - 12);
	assert_int_equal(multiboot_find(head, 8192, &m), 1);
	assert_int_equal(multiboot_find(head, 8191, &m), 0);
	head[8192 - 12 + 4] = 2; /* The sum is wrong */
	assert_int_equal(multiboot_find(head, sizeof(head), &m), 0);
	memset(head, 0, sizeof(head));
	memcpy(head + 8192 - 8, one, sizeof(one)); /* Too late */
	assert_int_equal(multiboot_find(head, sizeof(head), &m), 0);
	memcpy(head + sizeof(head) - 16, two, sizeof(two));
	assert_int_equal(multiboot_find(head, sizeof(head), &m), 2);
	assert_int_equal(m.at, sizeof(head) - 16);
	assert_int_equal(multiboot_find(head, sizeof(head) - 1, &m), 0);
	memset(head, 0, sizeof(head));
	memcpy(head + 4, two, sizeof(two)); /* Not aligned to 8 */
	assert_int_equal(multiboot_find(head, sizeof(head), &m), 0);
	memcpy(head + 16, two, sizeof(two));
	memcpy(head + 64, one, sizeof(one)); /* Of both, version 1, as QEMU does */
	assert_int_equal(multiboot_find(head, sizeof(head), &m), 1);
	for (size_t len = 0; len < 128; len++)
		multiboot_find(head, len, &m); /* No read past the end (under a sanitizer) */
}

static void required_flags(void **state)
{
	(void)state;
	make1(4);
	refused("a video mode (flag 2)");
	make1(8);
	refused("requires the flags 0x8");
	make1(0x8000 | 3);
	refused("requires the flags 0x8000");
	make1(0xfffe0003); /* Flags of the upper half are optional */
	assert_int_equal(load_image(), 0);
	make1(0x10003); /* Addresses, which are zero here */
	refused("outside memory");
}

static void flat(void **state)
{
	uint32_t *h = make_flat(512);

	(void)state;
	assert_int_equal(load_image(), 0);
	assert_int_equal(res.mode, LOAD_ENTRY_MULTIBOOT);
	assert_int_equal(res.entry, 2 * MIB);
	assert_int_equal(res.kernel_end, 2 * MIB + 8192);
	assert_memory_equal(at(2 * MIB), image, 8192);
	/* Without its first bytes, only up to load_end_addr, and with a .bss */
	new_guest(state);
	h = make_flat(512);
	h[4] = h[3] - 256;
	h[5] = h[4] + 1024;
	h[6] = h[4] + 4096;
	h[7] = h[4] + 4095;
	assert_int_equal(load_image(), 0);
	assert_memory_equal(at(h[4]), image + 256, 1024);
	assert_int_equal(*(uint8_t *)at(h[4] + 1024), 0);
	assert_int_equal(res.kernel_end, h[4] + 4096);
	/* The addresses of the header count for an ELF file too */
	new_guest(state);
	h = make_flat(512);
	memcpy(image, ELFMAG, SELFMAG);
	image[EI_DATA] = ELFDATA2LSB;
	image[EI_CLASS] = ELFCLASS32;
	((Elf32_Ehdr *)image)->e_machine = EM_386;
	assert_int_equal(load_image(), 0);
	assert_memory_equal(at(2 * MIB), image, 8192);
	/* The last legal place of a header with addresses, and four bytes later */
	new_guest(state);
	make_flat(8192 - 32);
	assert_int_equal(load_image(), 0);
	make_flat(8192 - 28);
	refused("past the first 8192 bytes");
}

static void flat_lies(void **state)
{
	static const struct {
		uint32_t header, load, load_end, bss_end, entry;
		const char *reason;
	} cases[] = {
		{ 2 * MIB + 512, 2 * MIB - 1, 0, 0, 2 * MIB, "load_addr" }, /* Before the file's first byte */
		{ 2 * MIB, 2 * MIB + 1, 0, 0, 2 * MIB, "load_addr" },
		{ 511, 0xffffffff, 0, 0, 2 * MIB, "load_addr" }, /* -1 has no meaning in version 1 */
		{ 0, 0, 0, 0, 0, "outside memory" },
		{ MIB - 1, MIB - 1, 0, 0, MIB, "outside memory" },
		{ RAM, RAM, 0, 0, RAM, "outside memory" },
		{ 0xffffffff, 0xffffffff, 0, 0, 0xffffffff, "outside memory" },
		{ RAM - 4096, RAM - 4096, 0, 0, RAM - 4096, "larger than its memory" },
		{ RAM - 4096, RAM - 4096, RAM + 1, 0, RAM - 4096, "outside memory" },
		{ 2 * MIB, 2 * MIB, 2 * MIB, 0, 2 * MIB, "load_end_addr" },
		{ 2 * MIB, 2 * MIB, 1, 0, 2 * MIB, "load_end_addr" },
		{ 2 * MIB, 2 * MIB, 0xffffffff, 0, 2 * MIB, "outside memory" },
		{ 2 * MIB, 2 * MIB, 3 * MIB, 0, 2 * MIB, "truncated" },
		{ 2 * MIB, 2 * MIB, 0, 0xffffffff, 2 * MIB, "outside memory" },
		{ 2 * MIB, 2 * MIB, 2 * MIB + 4096, 2 * MIB + 4095, 2 * MIB, "bss_end_addr" },
		{ 2 * MIB, 2 * MIB, 0, 2 * MIB - 1, 2 * MIB, "bss_end_addr" },
		{ 2 * MIB, 2 * MIB, 0, 2 * MIB + 4096, 2 * MIB, "larger than its memory" },
		{ 2 * MIB, 2 * MIB, 0, 0, 2 * MIB - 1, "entry" },
		{ 2 * MIB, 2 * MIB, 0, 0, 2 * MIB + 8192, "entry" },
		{ 2 * MIB, 2 * MIB, 0, 0, 0, "entry" },
	};

	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint32_t *h;

		new_guest(state);
		h = make_flat(512);
		h[3] = cases[i].header;
		h[4] = cases[i].load;
		h[5] = cases[i].load_end;
		h[6] = cases[i].bss_end;
		h[7] = cases[i].entry;
		/* Addresses in these rows are those of a file that is loaded from its header on. */
		refused(cases[i].reason);
		assert_int_equal(load_fd(gzip_of(image, image_len, "", 0)), -1);
	}
	new_guest(state);
	make_flat(512)[1] = 0; /* No addresses, no ELF file */
	words(512)[2] = -MAGIC1;
	refused("its header has no addresses");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(elf1, new_guest),
		cmocka_unit_test_setup(gzip_and_no_module, new_guest),
		cmocka_unit_test_setup(entry_by_virtual_address, new_guest),
		cmocka_unit_test(where_headers_count),
		cmocka_unit_test_setup(required_flags, new_guest),
		cmocka_unit_test_setup(flat, new_guest),
		cmocka_unit_test_setup(flat_lies, new_guest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
