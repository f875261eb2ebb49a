/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The init of lguest-sep run recognises what a root disk begins with, so that it can name what is missing. It reads no
 * byte beyond those it has.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "guest/guest_disk.h"

static uint8_t head[DISK_HEAD];

/* What a disk is that has the @n bytes of @text at @at, and before them zeros. */
static const char *contents(size_t at, const char *text, size_t n)
{
	memset(head, 0, sizeof(head));
	memcpy(head + at, text, n);
	return disk_contents(head, sizeof(head));
}

static void file_systems_are_named(void **state)
{
	(void)state;
	assert_string_equal(contents(1080, "\x53\xef", 2), "ext4");
	assert_string_equal(contents(0, "XFSB", 4), "xfs");
	assert_string_equal(contents(0, "hsqs", 4), "squashfs");
	assert_string_equal(contents(1024, "\xe2\xe1\xf5\xe0", 4), "erofs");
	assert_string_equal(contents(65600, "_BHRfS_M", 8), "btrfs");
	assert_string_equal(contents(32769, "CD001", 5), "iso9660");
	assert_null(contents(0, "nothing", 7));
}

static void a_boot_sector_of_vfat_is_no_partition_table(void **state)
{
	(void)state;
	assert_string_equal(contents(510, "\x55\xaa", 2), "partitions");
	memcpy(head + 82, "FAT32   ", 8);
	assert_string_equal(disk_contents(head, sizeof(head)), "vfat");
	assert_string_equal(contents(512, "EFI PART", 8), "partitions");
}

static void short_disks_are_nothing(void **state)
{
	(void)state;
	memcpy(head, "XFSB", 4);
	for (size_t n = 0; n < sizeof(head); n += n < 4200 ? 1 : 997) {
		/* On the heap: the address sanitizer sees reads beyond its end. */
		uint8_t *copy = malloc(n ? n : 1);

		assert_non_null(copy);
		memset(copy, 0, n ? n : 1);
		assert_null(disk_contents(copy, n));
		free(copy);
	}
	assert_null(disk_contents(head, 3));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(file_systems_are_named),
		cmocka_unit_test(a_boot_sector_of_vfat_is_no_partition_table),
		cmocka_unit_test(short_disks_are_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
