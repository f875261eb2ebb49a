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

/* A page that is zero may be read-only. */
static void zeros_are_not_written(void **state)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	uint8_t *p = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	(void)state;
	assert_ptr_not_equal(p, MAP_FAILED);
	assert_int_equal(mprotect(p, page, PROT_READ), 0);
	p[page] = 1;
	clear_object(p, 2 * page);
	assert_int_equal(p[page], 0);
	assert_int_equal(munmap(p, 2 * page), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_is_zero),
		cmocka_unit_test(zeros_are_not_written),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
