/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A cleared object is zero to its last byte, and pages of it that were never written take no memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/clear.h"

static void all_is_zero(void **state)
{
	uint8_t buf[1000], zeros[1000] = { 0 };

	(void)state;
	for (size_t size = 0; size < sizeof(buf); size += 7) {
		memset(buf, 0x5a, sizeof(buf));
		clear_object(buf, size);
		assert_memory_equal(buf, zeros, size);
		/* Nothing behind it is written. */
		assert_int_equal(buf[size], 0x5a);
	}
	/* One byte that is not zero. */
	for (size_t at = 0; at < sizeof(buf); at += 13) {
		memset(buf, 0, sizeof(buf));
		buf[at] = 1;
		clear_object(buf, sizeof(buf));
		assert_memory_equal(buf, zeros, sizeof(buf));
	}
}

static unsigned resident(uint8_t *p, size_t pages, size_t page)
{
	unsigned char state[8];
	unsigned n = 0;

	assert_true(pages <= sizeof(state));
	assert_int_equal(mincore(p, pages * page, state), 0);
	for (size_t i = 0; i < pages; i++)
		n += state[i] & 1;
	return n;
}

/* Both pages that the object only begins and ends in keep what does not belong to it. */
static void whole_pages_are_not_touched(void **state)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	uint8_t *p = mmap(NULL, 8 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	(void)state;
	assert_ptr_not_equal(p, MAP_FAILED);
	p[0] = p[1] = p[7 * page] = p[7 * page + 1] = 1;
	clear_object(p + 1, 7 * page);
	assert_int_equal(resident(p, 8, page), 2);
	memset(p, 1, 8 * page);
	clear_object(p + 1, 7 * page);
	assert_int_equal(resident(p, 8, page), 2);
	assert_true(p[0] == 1 && p[7 * page + 1] == 1);
	for (size_t i = 1; i <= 7 * page; i++)
		assert_int_equal(p[i], 0);
	assert_int_equal(munmap(p, 8 * page), 0);
}

static void locked_memory_is_cleared(void **state)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	uint8_t *p = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	(void)state;
	assert_ptr_not_equal(p, MAP_FAILED);
	if (mlock(p, page) < 0) {
		print_message("skipped: cannot lock memory\n");
		skip();
	}
	p[5] = 1;
	clear_object(p, page);
	assert_int_equal(p[5], 0);
	assert_int_equal(munmap(p, page), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_is_zero),
		cmocka_unit_test(whole_pages_are_not_touched),
		cmocka_unit_test(locked_memory_is_cleared),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
