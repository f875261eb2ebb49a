/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Of two consoles, every line is shown once. Whatever the bytes are, no more is shown than
 * was written plus pair_extra().
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/console_pair.h"

static struct console_pair pair;
static char shown[1 << 20];
static size_t len;

static void show(void *owner, const uint8_t *buf, size_t n)
{
	assert_ptr_equal(owner, &pair);
	assert_true(len + n < sizeof(shown));
	memcpy(shown + len, buf, n);
	len += n;
	shown[len] = '\0';
}

static int fresh(void **state)
{
	(void)state;
	pair.on = true;
	pair_reset(&pair);
	len = 0;
	shown[0] = '\0';
	return 0;
}

/* In pieces of @step bytes: lines do not come whole. */
static void serial_by(const char *text, size_t step)
{
	for (size_t n = strlen(text), i = 0; i < n; i += step)
		pair_serial(&pair, (const uint8_t *)text + i, MIN(step, n - i), show, &pair);
}

static void virtio_by(const char *text, size_t step)
{
	for (size_t n = strlen(text), i = 0; i < n; i += step)
		pair_virtio(&pair, (const uint8_t *)text + i, MIN(step, n - i), show, &pair);
}

#define serial(text) serial_by(text, 7)
#define virtio(text) virtio_by(text, 5)

#define A "[    0.000000] Linux version 6\r\n"
#define B "[    0.100000] b\r\n"
#define C "[    1.234567] c\r\n"
#define D "[  100.000001] d\r\n"

static void off(void **state)
{
	(void)state;
	pair.on = false;
	serial(A B);
	virtio(A B);
	serial(C);
	assert_string_equal(shown, A B A B C);
	assert_int_equal(pair_extra(&pair), 0);
}

static void repeated_lines_are_skipped(void **state)
{
	(void)state;
	for (size_t step = 1; step < 100; step++) {
		fresh(NULL);
		serial_by(A B C, step);
		assert_string_equal(shown, A B C);
		virtio_by(A B C D, step);
		assert_string_equal(shown, A B C D);
		/* The kernel writes to both. */
		serial_by(D, step);
		assert_string_equal(shown, A B C D);
	}
}

/* Programs wrote to serial in between; the log repeats the kernel's lines only. */
static void between_programs_lines(void **state)
{
	(void)state;
	serial(A "init: begin\r\n" B "init: ok\r\n\r\n" C);
	virtio(A B C "init: ok\r\n");
	assert_string_equal(shown, A "init: begin\r\n" B "init: ok\r\n\r\n" C "init: ok\r\n");
}

/* With quiet the kernel may print nothing: a program's line is shown even if the serial port had the same line. */
static void programs_lines_are_never_skipped(void **state)
{
	(void)state;
	serial("ready\r\n" A);
	virtio("ready\r\n" A);
	assert_string_equal(shown, "ready\r\n" A "ready\r\n" A);
	fresh(NULL);
	serial(A "ready\r\n");
	virtio(A "ready\r\n");
	assert_string_equal(shown, A "ready\r\nready\r\n");
}

/* dmesg prints the log again, on purpose. */
static void a_log_that_a_program_prints_is_shown(void **state)
{
	(void)state;
	serial(A B);
	virtio(A B A B);
	assert_string_equal(shown, A B A B);
	fresh(NULL);
	serial(A B);
	virtio(A B "# dmesg\r\n" A B);
	assert_string_equal(shown, A B "# dmesg\r\n" A B);
}

/* The log level has changed: lines that serial had not shown stand among those it had. */
static void new_lines_among_the_repeated(void **state)
{
	(void)state;
	serial(A C);
	virtio(A B C D);
	assert_string_equal(shown, A C B D);
	virtio("login: ");
	assert_string_equal(shown, A C B D "login: ");
}

/* Equal but for a byte: not equal. */
static void only_what_is_equal(void **state)
{
	(void)state;
	serial(A B);
	virtio(A "[    0.100000] x\r\n");
	assert_string_equal(shown, A B "[    0.100000] x\r\n");
	fresh(NULL);
	serial(A B);
	virtio(A "[    0.100000] bb\r\n");
	assert_string_equal(shown, A B "[    0.100000] bb\r\n");
}

static void a_prompt_does_not_wait_for_its_end(void **state)
{
	(void)state;
	serial(A);
	virtio("[root@host ~]# ");
	assert_string_equal(shown, A "[root@host ~]# ");
}

static void without_time_stamps(void **state)
{
	(void)state;
	serial("Linux version 6\r\none\r\nok\r\ntwo\r\n");
	virtio("Linux version 6\r\none\r\ntwo\r\nok\r\n");
	assert_string_equal(shown, "Linux version 6\r\none\r\nok\r\ntwo\r\nok\r\n");
}

/* Output of an init that opened the serial port earlier is shown until programs write to hvc0. */
static void programs_on_serial(void **state)
{
	(void)state;
	serial(A);
	virtio(A B);
	serial(B "init: one\r\n" C "init: ");
	assert_string_equal(shown, A B "init: one\r\ninit: ");
	virtio(C);
	virtio("login: ");
	serial("init: two\r\n");
	assert_string_equal(shown, A B "init: one\r\ninit: \r\n" C "login: ");
}

static void a_line_that_serial_has_begun(void **state)
{
	(void)state;
	serial(A "loading...");
	virtio(A "hello\r\n");
	assert_string_equal(shown, A "loading...\r\nhello\r\n");
}

#define PANIC "[    9.000000] Kernel panic - not syncing: x\r\n"

static void a_panic_on_serial_only(void **state)
{
	(void)state;
	serial(A);
	virtio(A "hello\r\n# ");
	serial(B PANIC C);
	assert_string_equal(shown, A "hello\r\n# \r\n" PANIC C);
	fresh(NULL);
	serial(A);
	virtio(A "hello\r\n" PANIC C);
	serial(PANIC C);
	assert_string_equal(shown, A "hello\r\n" PANIC C);
}

/* More than the record holds: its newest half is still compared. */
static void a_long_log(void **state)
{
	static char line[64];
	unsigned n = 8000;

	(void)state;
	for (unsigned i = 0; i < n; i++) {
		snprintf(line, sizeof(line), "[%5u.%06u] a line of the log\r\n", i / 100, i % 100);
		serial_by(line, 64);
	}
	len = 0;
	for (unsigned i = n - 1000; i < n; i++) {
		snprintf(line, sizeof(line), "[%5u.%06u] a line of the log\r\n", i / 100, i % 100);
		virtio_by(line, 64);
	}
	assert_int_equal(len, 0);
}

static void any_bytes(void **state)
{
	static const char *const some[] = {
		A, B, "\r\n", "\n", "[", "<6>[   1", "Linux version ", PANIC, "Kernel ", "x"
	};
	uint8_t buf[64];

	(void)state;
	srandom(1);
	for (unsigned i = 0; i < 200000; i++) {
		const char *text = some[(size_t)random() % ARRAY_SIZE(some)];
		size_t n = strlen(text), most;

		if (i % 5000 == 0)
			fresh(NULL);
		memcpy(buf, text, n);
		if (random() % 4 == 0)
			buf[(size_t)random() % n] = (uint8_t)random();
		len = 0;
		most = n + pair_extra(&pair);
		(random() % 3 ? pair_virtio : pair_serial)(&pair, buf, n, show, &pair);
		assert_true(len <= most);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(off, fresh),
		cmocka_unit_test_setup(repeated_lines_are_skipped, fresh),
		cmocka_unit_test_setup(between_programs_lines, fresh),
		cmocka_unit_test_setup(programs_lines_are_never_skipped, fresh),
		cmocka_unit_test_setup(a_log_that_a_program_prints_is_shown, fresh),
		cmocka_unit_test_setup(new_lines_among_the_repeated, fresh),
		cmocka_unit_test_setup(only_what_is_equal, fresh),
		cmocka_unit_test_setup(a_prompt_does_not_wait_for_its_end, fresh),
		cmocka_unit_test_setup(without_time_stamps, fresh),
		cmocka_unit_test_setup(programs_on_serial, fresh),
		cmocka_unit_test_setup(a_line_that_serial_has_begun, fresh),
		cmocka_unit_test_setup(a_panic_on_serial_only, fresh),
		cmocka_unit_test_setup(a_long_log, fresh),
		cmocka_unit_test_setup(any_bytes, fresh),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
