/* SPDX-License-Identifier: GPL-2.0-or-later */
/* bzImages, compressed files, initrds and command lines are loaded as the boot protocol says, or refused with a reason. */
#include "tests/unit/vcpu_load_rig.h"

static void boots_64(void **state)
{
	const struct boot_e820_entry *e;

	(void)state;
	make_bzimage(512);
	rq.acpi_rsdp = 0xe0000;
	assert_int_equal(load_image(), 0);
	assert_int_equal(res.mode, LOAD_ENTRY_64);
	assert_int_equal(res.entry, 16 * MIB + 0x200);
	assert_memory_equal(at(16 * MIB), image + 5 * 512, 512 * 1024);
	assert_int_equal(res.kernel_end, 24 * MIB);
	assert_int_equal(res.boot_params, LOAD_BOOT_PARAMS);
	assert_int_equal(params()->hdr.type_of_loader, 0xff);
	assert_int_equal(params()->hdr.code32_start, 16 * MIB);
	assert_int_equal(params()->hdr.pref_address, 16 * MIB);
	assert_int_equal(params()->acpi_rsdp_addr, 0xe0000);
	assert_string_equal(at(params()->hdr.cmd_line_ptr), "console=ttyS0");
	e = params()->e820_table;
	assert_int_equal(params()->e820_entries, 4);
	assert_int_equal(e[0].addr + e[0].size, 0x9fc00);
	assert_int_equal(e[3].addr, MIB);
	assert_int_equal(e[3].addr + e[3].size, RAM);
}

static void boots_32(void **state)
{
	struct setup_header *h;

	(void)state;
	h = make_bzimage(512);
	h->xloadflags = 0;
	assert_int_equal(load_image(), 0);
	assert_int_equal(res.mode, LOAD_ENTRY_32);
	assert_int_equal(res.entry, 16 * MIB);
	/* not relocatable: at 1 MiB, as ever */
	h->relocatable_kernel = 0;
	h->pref_address = 0;
	h->init_size = 0;
	assert_int_equal(load_image(), 0);
	assert_int_equal(res.entry, MIB);
	assert_memory_equal(at(MIB), image + 5 * 512, 512 * 1024);
}

static void for_lguest(void **state)
{
	(void)state;
	make_bzimage(512);
	rq.target = LOAD_FOR_LGUEST;
	assert_int_equal(load_image(), 0);
	assert_int_equal(res.mode, LOAD_ENTRY_32);
	assert_int_equal(res.entry, MIB);
	assert_int_equal(res.boot_params, 0);
	assert_int_equal(params()->hdr.hardware_subarch, 1);
	assert_int_equal(params()->hdr.loadflags & KEEP_SEGMENTS, KEEP_SEGMENTS);
	assert_int_equal(params()->hdr.cmd_line_ptr, 0x1000);
	assert_string_equal(at(0x1000), "console=ttyS0");
	assert_int_equal(params()->e820_entries, 1);
	assert_int_equal(params()->e820_table[0].size, RAM);
}

static void setup_sects(void **state)
{
	struct setup_header *h;

	(void)state;
	/* 0 means 4 */
	h = make_bzimage(512);
	h->setup_sects = 0;
	assert_int_equal(load_image(), 0);
	assert_memory_equal(at(16 * MIB), image + 5 * 512, 512 * 1024);
	/* 255: the payload begins behind 128 KiB */
	h->setup_sects = 255;
	refused("truncated");
	h->syssize = (512 * 1024 + 5 * 512 - 256 * 512) / 16;
	assert_int_equal(load_image(), 0);
	assert_memory_equal(at(16 * MIB), image + 256 * 512, h->syssize * 16);
}

static void sizes_lie(void **state)
{
	struct setup_header *h;

	(void)state;
	h = make_bzimage(512);
	h->syssize += 1;
	refused("truncated");
	h->syssize = 0xffffffff;
	refused("larger than the guest's memory");
	h->syssize = 1;
	refused("truncated");
	h = make_bzimage(512);
	h->init_size = 48 * MIB + 1;
	refused("needs memory");
	h->init_size = 0xffffffff;
	refused("needs memory");
	h->init_size = 48 * MIB;
	assert_int_equal(load_image(), 0);
	h->init_size = 8 * MIB;
	h->pref_address = UINT64_MAX - 4095;
	refused("needs memory");
	h->pref_address = RAM;
	refused("needs memory");
	h->pref_address = 4096;
	refused("needs memory");
	h->pref_address = 16 * MIB;
	h->kernel_alignment = 3 * MIB;
	refused("not a power of two");
	h->kernel_alignment = 0x80000000;
	refused("needs memory");
}

/* A payload without a size of its own (protocol before 2.04) ends with the file, and not in what is not memory. */
static void no_size(void **state)
{
	struct setup_header *h;

	(void)state;
	h = make_bzimage(3072);
	h->version = 0x0203;
	h->relocatable_kernel = 0;
	assert_int_equal(load_image(), 0);
	assert_int_equal(res.kernel_end, MIB + 3072 * 1024);
	rq.ram_low = 3 * MIB;
	refused("larger than the guest's memory");
}

static void header_ends_early(void **state)
{
	(void)state;
	make_bzimage(512);
	/* the header says that it ends before xloadflags: what follows is not its */
	image[0x201] = 0x20;
	assert_int_equal(load_image(), 0);
	assert_int_equal(res.mode, LOAD_ENTRY_32);
	image[0x201] = 0;
	assert_int_equal(load_image(), -1);
	image[0x201] = 0xff;
	assert_int_equal(load_image(), 0);
}

static void not_kernels(void **state)
{
	(void)state;
	make_bzimage(512);
	image[0x206] = 1;
	image[0x207] = 2;
	refused("too old");
	image[0x1fe] = 0;
	refused("not a kernel");
	image_len = 5;
	refused("not a kernel");
	image_len = 3;
	refused("truncated");
	image_len = 0;
	refused("empty");
	for (size_t len = 1; len < 0x300; len += 7) {
		image_len = len;
		assert_int_equal(load_image(), -1);
	}
}

static void gzip_streams(void **state)
{
	static const uint8_t zeroes[512], junk[] = "junk";
	int fd;

	(void)state;
	make_bzimage(512);
	assert_int_equal(load_fd(gzip_of(image, image_len, "", 0)), 0);
	assert_true(res.is_gzip && !res.is_elf);
	assert_memory_equal(at(16 * MIB), image + 5 * 512, 512 * 1024);
	/* padding of zeroes is no harm; anything else is */
	assert_int_equal(load_fd(gzip_of(image, image_len, zeroes, sizeof(zeroes))), 0);
	assert_int_equal(load_fd(gzip_of(image, image_len, junk, sizeof(junk))), -1);
	assert_non_null(strstr(res.error, "after the end"));

	/* the last eight bytes are checksum and length (RFC 1952) */
	for (int from_end = 1; from_end <= 8; from_end++) {
		uint8_t b;
		off_t off;

		fd = gzip_of(image, image_len, "", 0);
		off = lseek(fd, 0, SEEK_END) - from_end;
		assert_int_equal(pread(fd, &b, 1, off), 1);
		b ^= 0x40;
		assert_int_equal(pwrite(fd, &b, 1, off), 1);
		assert_int_equal(load_fd(fd), -1);
		assert_non_null(strstr(res.error, "damaged"));
	}
}

static void gzip_truncated(void **state)
{
	struct stat sb;
	int fd;

	(void)state;
	make_bzimage(16);
	fd = gzip_of(image, image_len, "", 0);
	assert_int_equal(fstat(fd, &sb), 0);
	for (off_t len = 3; len < sb.st_size; len += len < 64 ? 1 : 41) {
		int cut = gzip_of(image, image_len, "", 0);

		assert_int_equal(ftruncate(cut, len), 0);
		assert_int_equal(load_fd(cut), -1);
	}
	close(fd);
}

static void gzip_bombs(void **state)
{
	(void)state;
	/* a GiB of zeroes is no kernel: nothing of it is unpacked */
	assert_int_equal(load_fd(gzip_bomb("", 0, 1ull << 30)), -1);
	assert_non_null(strstr(res.error, "not a kernel"));
	/* a kernel with a GiB of zeroes behind it: given up at the size of memory */
	make_bzimage(512);
	assert_int_equal(load_fd(gzip_bomb(image, image_len, 1ull << 30)), -1);
	assert_non_null(strstr(res.error, "more than the guest's memory"));
}

static int initrd_of(size_t len)
{
	uint8_t *b = calloc(1, len ? len : 1);
	int fd;

	for (size_t i = 0; i < len; i++)
		b[i] = (uint8_t)(i * 3 + 1);
	fd = file_of(b, len);
	free(b);
	return fd;
}

static void initrd_at_the_top(void **state)
{
	(void)state;
	make_bzimage(512);
	rq.initrd = initrd_of(100001);
	assert_int_equal(load_image(), 0);
	assert_int_equal(res.initrd % 4096, 0);
	assert_int_equal(res.initrd, (RAM - 100001) & ~4095u);
	assert_int_equal(params()->hdr.ramdisk_image, res.initrd);
	assert_int_equal(params()->hdr.ramdisk_size, 100001);
	for (size_t i = 0; i < 100001; i++)
		assert_int_equal(((uint8_t *)at(res.initrd))[i], (uint8_t)(i * 3 + 1));
	/* not higher than the kernel allows */
	((struct setup_header *)(image + 0x1f1))->initrd_addr_max = 32 * MIB - 1;
	assert_int_equal(load_image(), 0);
	assert_int_equal(res.initrd, (32 * MIB - 100001) & ~4095u);
	close(rq.initrd);
}

static void initrd_refused(void **state)
{
	(void)state;
	make_bzimage(512);
	rq.initrd = initrd_of(0);
	refused("initrd is empty");
	close(rq.initrd);
	/* the kernel needs [16, 24) MiB: 40 MiB fit, a page more overlaps it */
	rq.initrd = initrd_of(40 * MIB);
	assert_int_equal(load_image(), 0);
	assert_int_equal(res.initrd, 24 * MIB);
	assert_int_equal(ftruncate(rq.initrd, 40 * MIB + 1), 0);
	refused("do not both fit");
	assert_int_equal(ftruncate(rq.initrd, RAM + 1), 0);
	refused("larger than the guest's memory");
	assert_int_equal(ftruncate(rq.initrd, 1ll << 40), 0);
	refused("larger than the guest's memory");
	close(rq.initrd);
}

static void command_line(void **state)
{
	char line[CMDLINE_MAX];
	struct setup_header *h;

	(void)state;
	h = make_bzimage(512);
	memset(line, 'x', sizeof(line));
	line[CMDLINE_MAX - 1] = '\0';
	rq.cmdline = line;
	assert_int_equal(load_image(), 0);
	assert_string_equal(at(params()->hdr.cmd_line_ptr), line);
	h->cmdline_size = 255;
	refused("command line has 2047 bytes; this kernel allows 255");
	line[255] = '\0';
	assert_int_equal(load_image(), 0);
	line[255] = 'x';
	line[256] = '\0';
	refused("command line");
}

static void memory_above_the_hole(void **state)
{
	const struct boot_e820_entry *e;
	struct shm_policy p = { 0 };
	bool sealed;
	int fd = shm_create(4 * MIB, &sealed);

	(void)state;
	assert_int_equal(shm_add(&mem, &p, fd, LOAD_HIGH_RAM, 4 * MIB, LOAD_HIGH_RAM, 0), SHM_OK);
	close(fd);
	make_bzimage(512);
	rq.ram_high = 4 * MIB;
	assert_int_equal(load_image(), 0);
	e = &params()->e820_table[params()->e820_entries - 1];
	assert_true(e->addr == LOAD_HIGH_RAM && e->size == 4 * MIB && e->type == 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(boots_64, new_guest),
		cmocka_unit_test_setup(boots_32, new_guest),
		cmocka_unit_test_setup(for_lguest, new_guest),
		cmocka_unit_test_setup(setup_sects, new_guest),
		cmocka_unit_test_setup(sizes_lie, new_guest),
		cmocka_unit_test_setup(no_size, new_guest),
		cmocka_unit_test_setup(header_ends_early, new_guest),
		cmocka_unit_test_setup(not_kernels, new_guest),
		cmocka_unit_test_setup(gzip_streams, new_guest),
		cmocka_unit_test_setup(gzip_truncated, new_guest),
		cmocka_unit_test_setup(gzip_bombs, new_guest),
		cmocka_unit_test_setup(initrd_at_the_top, new_guest),
		cmocka_unit_test_setup(initrd_refused, new_guest),
		cmocka_unit_test_setup(command_line, new_guest),
		cmocka_unit_test_setup(memory_above_the_hole, new_guest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
