/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The file of a guest's console never grows beyond its limit, whatever the guest writes. Dropped output is counted, and
 * reported once. With timestamps each line has one, and the stamps count towards the limit.
 */
#include <errno.h>
#include <fcntl.h>
#include <regex.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/utc.h"
#include "parent/supervise/console_out.h"
#include "parent/supervise/drain.h"
#include "parent/supervise/io.h"

static struct host host;
static struct config config;
static struct supervisor s;
static uint8_t lines[LINES_SIZE], out[CONSOLE_OUT_SIZE];
static int guest[2];

static int console(void **state)
{
	(void)state;
	memset(&s, 0, sizeof(s));
	s.control_console = -1;
	memset(&config, 0, sizeof(config));
	memset(&host, 0, sizeof(host));
	s.h = &host;
	s.c = &config;
	s.status = -1;
	s.nroles = 1;
	s.role[0].host = &host.role[0];
	s.role[0].ctl = -1;
	s.serial = -1;
	s.err = (struct outbuf){ .buf = lines, .size = sizeof(lines) };
	s.out = (struct outbuf){ .buf = out, .size = sizeof(out) };
	config.console.path = "FILE";
	config.console.max = UINT64_MAX;
	host.term.in = host.term.out = host.term.err = -1;
	host.console = (struct console_place){ .fd = memfd_create("file", 0), .own = true };
	if (host.console.fd < 0 || pipe2(guest, O_NONBLOCK) < 0)
		return -1;
	s.con_out = guest[0];
	return 0;
}

static int closed(void **state)
{
	(void)state;
	close(host.console.fd);
	close(guest[1]);
	if (s.con_out >= 0)
		close(s.con_out);
	return 0;
}

static void write_all(void)
{
	while (sup_output_waits(&s))
		assert_true(sup_console_write(&s, SIZE_MAX) || s.out.gone);
}

/* @n bytes of the guest's, as the supervisor's loop moves them. */
static void guest_writes(const void *data, size_t n)
{
	for (size_t done = 0; done < n;) {
		size_t some = MIN(n - done, 60000);

		assert_int_equal(write(guest[1], (const uint8_t *)data + done, some), some);
		for (size_t left = some; left;) {
			size_t room = sup_console_room(&s), now = MIN(MIN(left, room), 16384);

			if (now)
				sup_read_console(&s, &s.con_out, &s.panic);
			left -= now;
			if (!now || !left)
				write_all();
		}
		done += some;
	}
	write_all();
}

static size_t file_size(void)
{
	struct stat st;

	assert_int_equal(fstat(host.console.fd, &st), 0);
	return (size_t)st.st_size;
}

static unsigned lines_said(void)
{
	unsigned n = 0;

	for (size_t i = 0; i < s.err.len; i++)
		n += lines[(s.err.head + i) % sizeof(lines)] == '\n';
	return n;
}

static void a_flood_ends_at_the_limit(void **state)
{
	static uint8_t flood[1 << 20];
	struct rusage before, after;

	(void)state;
	sup_console_prepare(&s);
	memset(flood, 'x', sizeof(flood));
	guest_writes(flood, sizeof(flood));
	getrusage(RUSAGE_SELF, &before);
	for (unsigned i = 1; i < 1024; i++)
		guest_writes(flood, sizeof(flood));
	getrusage(RUSAGE_SELF, &after);
	assert_int_equal(file_size(), CONSOLE_MAX);
	assert_int_equal(s.console.dropped, (UINT64_C(1) << 30) - CONSOLE_MAX);
	assert_int_equal(lines_said(), 1);
	/* The memory file is not ours alone: its pages are not mapped. */
	assert_true(after.ru_maxrss - before.ru_maxrss < 1024);
}

static void a_limit_may_be_chosen(void **state)
{
	char got[16] = "";

	(void)state;
	config.console.max = 10;
	sup_console_prepare(&s);
	guest_writes("12345678", 8);
	assert_int_equal(lines_said(), 0);
	guest_writes("90", 2);
	assert_int_equal(lines_said(), 0);
	guest_writes("abc", 3);
	guest_writes("d", 1);
	assert_int_equal(lines_said(), 1);
	assert_int_equal(s.console.dropped, 4);
	assert_int_equal(pread(host.console.fd, got, sizeof(got), 0), 10);
	assert_string_equal(got, "1234567890");
}

static void a_terminal_has_no_limit(void **state)
{
	(void)state;
	host.console.tty = true;
	sup_console_prepare(&s);
	assert_true(s.console.max == UINT64_MAX);
	config.console.max = 5;
	sup_console_prepare(&s);
	assert_int_equal(s.console.max, 5);
}

static void each_line_has_its_time(void **state)
{
	static const char pattern[] = "^(20[0-9][0-9]-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-6][0-9]"
				      "\\.[0-9][0-9][0-9]Z [a-z]*\r?\n){4}$";
	char got[256] = "";
	regex_t re;

	(void)state;
	config.console.timestamps = true;
	sup_console_prepare(&s);
	guest_writes("one", 3);
	guest_writes("more\r\ntwo\n\nthree\n", 17);
	assert_true(pread(host.console.fd, got, sizeof(got) - 1, 0) > 0);
	assert_int_equal(regcomp(&re, pattern, REG_EXTENDED | REG_NOSUB), 0);
	assert_int_equal(regexec(&re, got, 0, NULL, 0), 0);
	regfree(&re);
	assert_int_equal(s.console.written, file_size());
}

static void stamps_count_and_are_whole(void **state)
{
	static char flood[100000];

	(void)state;
	config.console.timestamps = true;
	config.console.max = 1000;
	sup_console_prepare(&s);
	memset(flood, '\n', sizeof(flood));
	guest_writes(flood, sizeof(flood));
	/* 25 bytes of stamp and the line's own one. */
	assert_int_equal(file_size(), 1000 / 26 * 26);
	assert_int_equal(s.console.dropped, sizeof(flood) - 1000 / 26);
	assert_int_equal(lines_said(), 1);
}

static void a_full_disk_loses_and_says(void **state)
{
	(void)state;
	close(host.console.fd);
	host.console.fd = open("/dev/full", O_WRONLY);
	sup_console_prepare(&s);
	guest_writes("lost", 4);
	guest_writes("too", 3);
	assert_true(s.out.gone);
	assert_int_equal(s.status, -1);
	sup_report_lost(&s);
	assert_int_equal(lines_said(), 1);
	assert_non_null(memmem(lines, s.err.len, "--console=FILE: No space left on device; 7 bytes", 48));
}

/* Unlike for standard output, the guest is not ended: the log is not its purpose. */
static void a_log_without_a_reader_ends_nothing(void **state)
{
	int fd[2];

	(void)state;
	signal(SIGPIPE, SIG_IGN);
	assert_int_equal(pipe(fd), 0);
	close(fd[0]);
	close(host.console.fd);
	host.console.fd = fd[1];
	s.phase = PHASE_RUNNING;
	sup_console_prepare(&s);
	sup_output_closed(&s);
	assert_int_equal(s.status, -1);
	guest_writes("x", 1);
	assert_int_equal(s.status, -1);
	assert_int_equal(lines_said(), 1);
	config.console.path = NULL;
	s.out_closed = false;
	sup_output_closed(&s);
	assert_int_equal(s.status, EXIT_SIGHUP);
}

/* The user wants the end at once: a reader that takes a byte now and then does not put it off. */
static void a_reader_that_trickles_does_not_put_off_the_end(void **state)
{
	uint64_t now = now_ms();

	(void)state;
	s.out.len = 1000;
	s.status = EXIT_SIGQUIT;
	s.hurried = true;
	s.drain_from = now - 900;
	s.taken_at = now;
	assert_in_range(sup_output_deadline(&s, true), now + 50, now + 200);
	s.drain_from = now - 1100;
	sup_output_due(&s, true);
	assert_true(s.out.gone);
	assert_int_equal(s.out.dropped, 1000);
}

static void dates_are_right(void **state)
{
	char text[UTC_TEXT];

	(void)state;
	utc_text(0, text);
	assert_string_equal(text, "1970-01-01T00:00:00.000Z");
	utc_text(951782399999, text);
	assert_string_equal(text, "2000-02-28T23:59:59.999Z");
	utc_text(951782400000, text);
	assert_string_equal(text, "2000-02-29T00:00:00.000Z");
	utc_text(4107542400000, text);
	assert_string_equal(text, "2100-03-01T00:00:00.000Z");
	utc_text(UINT64_MAX, text);
	assert_int_equal(strncmp(text, "9999-12-31T", 11), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, console, closed)
		T(a_flood_ends_at_the_limit),
		T(a_limit_may_be_chosen),
		T(a_terminal_has_no_limit),
		T(each_line_has_its_time),
		T(stamps_count_and_are_whole),
		T(a_full_disk_loses_and_says),
		T(a_log_without_a_reader_ends_nothing),
		T(a_reader_that_trickles_does_not_put_off_the_end),
		cmocka_unit_test(dates_are_right),
#undef T
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
