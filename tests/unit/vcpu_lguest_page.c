/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The descriptor page has the layout that lguest guests of Linux 3.x read; other content is not
 * trusted. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "vcpu/lguest/page.h"

#define AT 0x3000000u

static struct lguest_page page;
static uint8_t bytes[LGUEST_PAGE_BYTES];
static const uint8_t config[6] = { 2, 0, 0, 0, 0, 0x42 };

static const struct lguest_page_add nic = {
	.type = 1, .nqueues = 2, .irq = 5, .features = 0x10008020, .config = config, .config_len = sizeof(config)
};

static int fresh(void **state)
{
	(void)state;
	memset(&page, 0, sizeof(page));
	memset(bytes, 0xcc, sizeof(bytes));
	lguest_page_init(&page, AT, AT + 64 * LGUEST_PAGE_BYTES);
	return 0;
}

/* struct lguest_device_desc, lguest_vqconfig of include/linux/lguest_launcher.h: byte for byte */
static void lays_out_a_device(void **state)
{
	static const uint8_t want[] = {
		1,    2,    4, 6,    0,		       /* type, queues, feature and config length, status */
		0,    1,    5, 0,    0x01, 0x30, 0, 0, /* 256 entries, irq 5, page 0x3001 */
		0,    1,    5, 0,    0x04, 0x30, 0, 0, /* the next one three pages on */
		0x20, 0x80, 0, 0x10, 0,	   0,	 0, 0, /* offered, accepted */
		2,    0,    0, 0,    0,	   0x42,       /* configuration */
		0,				       /* the list's end */
	};

	(void)state;
	assert_true(lguest_page_add(&page, bytes, &nic));
	assert_memory_equal(bytes, want, sizeof(want));
	assert_int_equal(bytes[sizeof(want)], 0xcc);
	assert_true(lguest_page_add(&page, bytes, &nic));
	assert_int_equal(bytes[sizeof(want) - 1], 1);
	assert_int_equal(page.dev[1].ring[0], AT + 7 * LGUEST_PAGE_BYTES);
}

static void keeps_inside_its_page_and_memory(void **state)
{
	static const uint8_t large[255];
	struct lguest_page_add big = { .type = 2, .config = large, .config_len = 255 };
	unsigned n = 0;

	(void)state;
	while (lguest_page_add(&page, bytes, &big))
		n++;
	assert_int_equal(n, 15);
	assert_true(page.used < LGUEST_PAGE_BYTES);
	fresh(NULL);
	for (n = 0; lguest_page_add(&page, bytes, &nic); n++)
		;
	/* 63 pages for rings, six for each */
	assert_int_equal(n, 10);
	assert_true(page.next <= page.limit);
	fresh(NULL);
	big = nic;
	big.nqueues = LGUEST_PAGE_QUEUES + 1;
	assert_false(lguest_page_add(&page, bytes, &big));
}

/* vring_init() with LGUEST_VRING_ALIGN */
static void rings_have_the_legacy_layout(void **state)
{
	struct lguest_ring r;

	(void)state;
	lguest_ring_layout(AT, &r);
	assert_int_equal(r.desc, AT);
	assert_int_equal(r.avail, AT + 4096);
	assert_int_equal(r.used, AT + 8192);
	/* flags, index, entries and the event word end in the third page */
	assert_true(r.used + 6 + 8 * LGUEST_RING_SIZE <= AT + LGUEST_RING_PAGES * LGUEST_PAGE_BYTES);
}

static void reads_what_the_driver_wrote(void **state)
{
	(void)state;
	assert_true(lguest_page_add(&page, bytes, &nic));
	bytes[4] = 3;
	assert_int_equal(lguest_page_status(&page, bytes, 0), 3);
	memset(bytes + 25, 0xff, 4);
	assert_int_equal(lguest_page_accepted(&page, bytes, 0), nic.features);
	bytes[25] = 0;
	assert_int_equal(lguest_page_accepted(&page, bytes, 0), nic.features & ~0xffu);
	/* lengths and counts in the page mean nothing any more */
	memset(bytes, 0xff, 4);
	assert_int_equal(lguest_page_status(&page, bytes, 0), 3);
	assert_int_equal(lguest_page_accepted(&page, bytes, 0), nic.features & ~0xffu);
}

static void knows_what_a_notification_names(void **state)
{
	unsigned dev = 9, q = 9;

	(void)state;
	assert_true(lguest_page_add(&page, bytes, &nic) && lguest_page_add(&page, bytes, &nic));
	assert_int_equal(lguest_page_find(&page, AT, &dev, &q), LGUEST_NOTIFY_DEVICE);
	assert_int_equal(dev, 0);
	assert_int_equal(lguest_page_find(&page, AT + page.dev[1].at, &dev, &q), LGUEST_NOTIFY_DEVICE);
	assert_int_equal(dev, 1);
	assert_int_equal(lguest_page_find(&page, AT + 10 * 4096, &dev, &q), LGUEST_NOTIFY_QUEUE);
	assert_int_equal(dev, 1);
	assert_int_equal(q, 1);
	for (uint32_t a = AT; a < page.limit; a++) {
		bool ours = a == AT || a == AT + page.dev[1].at || a == AT + 4096 || a == AT + 4 * 4096 ||
			    a == AT + 7 * 4096 || a == AT + 10 * 4096;

		assert_int_equal(lguest_page_find(&page, a, &dev, &q) != LGUEST_NOTIFY_NOTHING, ours);
	}
	assert_int_equal(lguest_page_find(&page, 0, &dev, &q), LGUEST_NOTIFY_NOTHING);
	assert_int_equal(lguest_page_find(&page, 0xffffffff, &dev, &q), LGUEST_NOTIFY_NOTHING);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(lays_out_a_device, fresh),
		cmocka_unit_test_setup(keeps_inside_its_page_and_memory, fresh),
		cmocka_unit_test_setup(rings_have_the_legacy_layout, fresh),
		cmocka_unit_test_setup(reads_what_the_driver_wrote, fresh),
		cmocka_unit_test_setup(knows_what_a_notification_names, fresh),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
