// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The guest's console: three ^C, the panic line, and buffers that keep every
 * byte in order and never take more than they have room for.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "parent/console.h"

static bool type(struct ctrl_c *c, const char *keys, uint64_t at)
{
	return ctrl_c_feed(c, (const uint8_t *)keys, strlen(keys), at);
}

static void three_within_a_second_leave(void **state)
{
	struct ctrl_c c = { 0 };

	(void)state;
	assert_true(type(&c, "\003\003\003", 5));
	c = (struct ctrl_c){ 0 };
	assert_false(type(&c, "\003", 1000));
	assert_false(type(&c, "\003", 1500));
	assert_true(type(&c, "\003", 2000));
}

static void slower_ones_do_not(void **state)
{
	struct ctrl_c c = { 0 };

	(void)state;
	for (uint64_t t = 0; t < 20000; t += 501)
		assert_false(type(&c, "\003", t));
	c = (struct ctrl_c){ 0 };
	assert_false(type(&c, "\003", 0));
	assert_false(type(&c, "\003", 900));
	assert_false(type(&c, "\003", 1001)); /* the first is too old by now */
	assert_true(type(&c, "\003", 1900));  /* but the second is not */
}

static void other_keys_between_start_over(void **state)
{
	struct ctrl_c c = { 0 };

	(void)state;
	assert_false(type(&c, "\003\003x\003\003", 0));
	assert_true(type(&c, "\003", 0));
	c = (struct ctrl_c){ 0 };
	assert_false(type(&c, "abc\003\003\r\003", 0));
}

static bool panics(const char *text)
{
	struct panic_watch p = { 0 };

	panic_feed(&p, (const uint8_t *)text, strlen(text));
	return p.seen;
}

static void panic_lines_are_found(void **state)
{
	struct panic_watch p = { 0 };
	const char *s = "[    1.234567] Kernel panic - not syncing: VFS: Unable to mount\033 root\r\n";

	(void)state;
	assert_true(panics("Kernel panic - not syncing: sysrq\n"));
	assert_true(panics("x\n[    9.1] [  T1] Kernel panic - not syncing: x\n"));
	assert_true(panics("[    9.1][    T1] Kernel panic - not syncing: x\n"));
	/* In any pieces. */
	for (; *s; s++)
		panic_feed(&p, (const uint8_t *)s, 1);
	assert_true(p.seen);
	assert_string_equal(p.text, "VFS: Unable to mount? root");
	/* The first counts. */
	panic_feed(&p, (const uint8_t *)"Kernel panic - not syncing: two\n", 32);
	assert_string_equal(p.text, "VFS: Unable to mount? root");
}

static void other_lines_are_not_panics(void **state)
{
	struct panic_watch p = { 0 };

	(void)state;
	assert_false(panics("$ echo Kernel panic - not syncing: x\n"));
	assert_false(panics(" Kernel panic - not syncing: x\n"));
	assert_false(panics("---[ end Kernel panic - not syncing: x ]---\n"));
	assert_false(panics("[ Kernel panic - not syncing: x\n"));
	assert_false(panics("Kernel panic - not syncing\n"));
	panic_feed(&p, (const uint8_t *)"Kernel panic - not syncing: cut", 31);
	assert_false(p.seen);
	panic_end(&p);
	assert_true(p.seen);
	assert_string_equal(p.text, "cut");
}

static void endless_lines_are_survived(void **state)
{
	struct panic_watch p = { 0 };

	(void)state;
	for (unsigned i = 0; i < 100000; i++)
		panic_feed(&p, (const uint8_t *)"Kernel panic - not syncing: ", 28);
	panic_feed(&p, (const uint8_t *)"\n", 1);
	assert_true(p.seen);
	assert_true(strlen(p.text) < sizeof(p.text));
}

static void buffers_keep_every_byte_in_order(void **state)
{
	static uint8_t room[97];
	struct outbuf o = { .buf = room, .size = sizeof(room) };
	uint8_t sent = 0, seen = 0, piece[50], got[50];
	int fd[2];

	(void)state;
	assert_int_equal(pipe(fd), 0);
	for (unsigned i = 0; i < 2000; i++) {
		size_t n = (size_t)i % sizeof(piece), put;

		for (size_t k = 0; k < n; k++)
			piece[k] = (uint8_t)(sent + k);
		put = outbuf_put(&o, piece, n);
		assert_true(put == n || outbuf_room(&o) == 0);
		sent = (uint8_t)(sent + put);
		if (i % 3 == 0) {
			n = outbuf_take(&o, got, i % 29);
			for (size_t k = 0; k < n; k++)
				assert_int_equal(got[k], seen++);
		} else if (outbuf_write(&o, fd[1], i % 31 + 1)) {
			ssize_t r = read(fd[0], got, sizeof(got));

			for (ssize_t k = 0; k < r; k++)
				assert_int_equal(got[k], seen++);
		}
	}
	assert_true(o.len > 0);
	close(fd[0]);
	close(fd[1]);
}

static void full_and_gone_takers(void **state)
{
	static uint8_t room[65536];
	struct outbuf o = { .buf = room, .size = sizeof(room) };
	uint8_t data[1024] = { 0 };
	int fd[2];

	(void)state;
	assert_int_equal(pipe2(fd, O_NONBLOCK), 0);
	/* A full pipe: what is left stays in the buffer, which then has no room. */
	for (unsigned i = 0; i < 200; i++) {
		outbuf_put(&o, data, sizeof(data));
		outbuf_write(&o, fd[1], SIZE_MAX);
	}
	assert_false(outbuf_write(&o, fd[1], SIZE_MAX));
	assert_int_equal(outbuf_room(&o), 0);
	assert_int_equal(outbuf_put(&o, data, 1), 0);
	assert_false(o.gone);
	assert_int_equal(o.dropped, 0);
	/* Nobody there: everything is dropped, and the giver is never held up. */
	assert_false(outbuf_write(&o, -1, SIZE_MAX));
	assert_true(o.gone);
	assert_int_equal(o.error, 0);
	assert_int_equal(outbuf_put(&o, data, sizeof(data)), sizeof(data));
	assert_int_equal(o.len, 0);
	close(fd[0]);
	close(fd[1]);
	/* One that takes nothing any more: why, and how much it did not get. */
	fd[0] = open("/dev/full", O_WRONLY);
	o = (struct outbuf){ .buf = room, .size = sizeof(room) };
	outbuf_put(&o, data, 10);
	assert_false(outbuf_write(&o, fd[0], SIZE_MAX));
	assert_true(o.gone);
	assert_int_equal(o.error, ENOSPC);
	outbuf_put(&o, data, 5);
	assert_int_equal(o.dropped, 15);
	close(fd[0]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(three_within_a_second_leave),	    cmocka_unit_test(slower_ones_do_not),
		cmocka_unit_test(other_keys_between_start_over),    cmocka_unit_test(panic_lines_are_found),
		cmocka_unit_test(other_lines_are_not_panics),	    cmocka_unit_test(endless_lines_are_survived),
		cmocka_unit_test(buffers_keep_every_byte_in_order), cmocka_unit_test(full_and_gone_takers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
