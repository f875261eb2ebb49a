/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The guest's console: the escape key, the line of a panic, and buffers that keep all bytes in
 * order and never accept more than fits.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "parent/terminal/console.h"

static bool type(struct escape *e, const char *keys, uint64_t at)
{
	return escape_feed(e, ESCAPE_DEFAULT, (const uint8_t *)keys, strlen(keys), at);
}

static void three_within_a_second_leave(void **state)
{
	struct escape c = { 0 };

	(void)state;
	assert_true(type(&c, "\003\003\003", 5));
	c = (struct escape){ 0 };
	assert_false(type(&c, "\003", 1000));
	assert_false(type(&c, "\003", 1500));
	assert_true(type(&c, "\003", 2000));
}

static void slower_ones_do_not(void **state)
{
	struct escape c = { 0 };

	(void)state;
	for (uint64_t t = 0; t < 20000; t += 501)
		assert_false(type(&c, "\003", t));
	c = (struct escape){ 0 };
	assert_false(type(&c, "\003", 0));
	assert_false(type(&c, "\003", 900));
	assert_false(type(&c, "\003", 1001)); /* the first is too old by now */
	assert_true(type(&c, "\003", 1900));  /* but the second is not */
}

static void other_keys_between_start_over(void **state)
{
	struct escape c = { 0 };

	(void)state;
	assert_false(type(&c, "\003\003x\003\003", 0));
	assert_true(type(&c, "\003", 0));
	c = (struct escape){ 0 };
	assert_false(type(&c, "abc\003\003\r\003", 0));
}

static void another_key_or_none(void **state)
{
	static const uint8_t keys[] = { 3, 3, 3, 3 }, own[] = { 29, 29, 29 };
	struct escape e = { 0 };

	(void)state;
	assert_false(escape_feed(&e, 29, keys, sizeof(keys), 5));
	assert_true(escape_feed(&e, 29, own, sizeof(own), 5));
	e = (struct escape){ 0 };
	for (unsigned byte = 0; byte < 256; byte++) {
		const uint8_t three[] = { (uint8_t)byte, (uint8_t)byte, (uint8_t)byte };

		assert_false(escape_feed(&e, ESCAPE_OFF, three, sizeof(three), 5));
	}
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
	/* The last one counts: the first may be a program's, hours before. */
	panic_feed(&p, (const uint8_t *)"Kernel panic - not syncing: two\n", 32);
	assert_string_equal(p.text, "two");
	assert_int_equal(p.count, 2);
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
	/* Without a descriptor everything is dropped, and the writer is not blocked. */
	assert_false(outbuf_write(&o, -1, SIZE_MAX));
	assert_true(o.gone);
	assert_int_equal(o.error, 0);
	assert_int_equal(outbuf_put(&o, data, sizeof(data)), sizeof(data));
	assert_int_equal(o.len, 0);
	close(fd[0]);
	close(fd[1]);
	/* A descriptor that fails: the buffer records the error and the number of lost bytes. */
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
		cmocka_unit_test(three_within_a_second_leave),	 cmocka_unit_test(slower_ones_do_not),
		cmocka_unit_test(other_keys_between_start_over), cmocka_unit_test(another_key_or_none),
		cmocka_unit_test(panic_lines_are_found),	 cmocka_unit_test(other_lines_are_not_panics),
		cmocka_unit_test(endless_lines_are_survived),	 cmocka_unit_test(buffers_keep_every_byte_in_order),
		cmocka_unit_test(full_and_gone_takers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
