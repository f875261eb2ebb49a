/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The formatter gives the same text as printf for all formats that it supports, and never
 * writes behind the buffer; each log message is one packet or one write.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/clock.h"
#include "common/ctl.h"

/* The same arguments to both formatters. */
#define SAME(...)                                                               \
	do {                                                                    \
		char ours[256], theirs[256];                                    \
		int n = snprintf(theirs, sizeof(theirs), __VA_ARGS__);          \
		assert_int_equal(fmt_line(ours, sizeof(ours), __VA_ARGS__), n); \
		assert_string_equal(ours, theirs);                              \
	} while (0)

static void test_numbers(void **state)
{
	(void)state;
	SAME("%d %i %d", 0, -1, INT_MIN);
	SAME("%u %x %u", UINT_MAX, 0xdeadbeefu, 0u);
	SAME("%ld %lu %lx", LONG_MIN, ULONG_MAX, ULONG_MAX);
	SAME("%lld %llu %llx", LLONG_MIN, ULLONG_MAX, 0x123456789abcdefULL);
	SAME("%zu %zd", SIZE_MAX, (ssize_t)-5);
	SAME("[%5d] [%-5d] [%05d] [%02x] [%016llx]", 42, 42, -42, 7u, 0xabcULL);
	SAME("%d%%", 100);
	SAME("%p", (void *)state);
}

static void test_text(void **state)
{
	static const char open_ended[3] = { 'a', 'b', 'c' };

	(void)state;
	SAME("%s %.*s %.2s [%8s] [%-8s] %c", "one", 3, "twotwo", "three", "r", "l", 'x');
	SAME("%.*s|", 3, open_ended); /* no byte beyond the precision is read */
	SAME("%.*s|", 0, "x");
	errno = ENOENT;
	SAME("%m");
}

static void test_never_past_the_end(void **state)
{
	char buf[16];

	(void)state;
	for (size_t size = 1; size <= sizeof(buf); size++) {
		memset(buf, '#', sizeof(buf));
		assert_int_equal(fmt_line(buf, size, "%s-%020d-%s", "abcdef", 7, "xyz"), size - 1);
		assert_int_equal(buf[size - 1], '\0');
		for (size_t i = size; i < sizeof(buf); i++)
			assert_int_equal(buf[i], '#');
	}
	memset(buf, '#', sizeof(buf));
	assert_int_equal(fmt_line(buf, 0, "%d", 1), 0);
	assert_int_equal(buf[0], '#');
	/* A width larger than any buffer takes no time. */
	assert_int_equal(fmt_line(buf, sizeof(buf), "%9999d", 1), sizeof(buf) - 1);
}

static void test_lines_to_a_file(void **state)
{
	char buf[1024], long_text[600];
	int p[2];
	ssize_t n;

	(void)state;
	assert_int_equal(pipe2(p, O_NONBLOCK), 0);
	log_to_fd(p[1], "unit", LOG_INFO);
	log_line(LOG_DEBUG, "not said");
	assert_int_equal(read(p[0], buf, sizeof(buf)), -1);
	errno = EBUSY;
	log_line(LOG_INFO, "disk %d: %m", 3);
	assert_int_equal(errno, EBUSY);
	n = read(p[0], buf, sizeof(buf));
	assert_true(n > 0);
	buf[n] = '\0';
	assert_string_equal(buf, "unit: disk 3: Device or resource busy\n");
	memset(long_text, 'y', sizeof(long_text) - 1);
	long_text[sizeof(long_text) - 1] = '\0';
	log_line(LOG_ERROR, "%s", long_text);
	n = read(p[0], buf, sizeof(buf));
	assert_int_equal(n, 6 + LOG_LINE_MAX - 1 + 1);
	assert_int_equal(buf[n - 1], '\n');
	close(p[0]);
	close(p[1]);
}

static void test_lines_to_the_supervisor(void **state)
{
	struct ctl_msg m;
	int s[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, s), 0);
	log_to_ctl(s[1], "blk0", LOG_WARN);
	log_line(LOG_WARN, "queue %u stopped\n\x1b[2J", 4u);
	assert_int_equal(ctl_recv(s[0], &m), 1);
	assert_int_equal(m.type, CTL_LOG);
	assert_int_equal(m.value, LOG_WARN);
	assert_string_equal(m.text, "queue 4 stopped??[2J");
	/* A supervisor that does not read must not block the sender. */
	for (int i = 0; i < 10000; i++)
		log_line(LOG_ERROR, "line %d", i);
	close(s[0]);
	log_line(LOG_ERROR, "nobody is there");
	close(s[1]);
}

static void test_die(void **state)
{
	int p[2], status;
	char buf[64];
	ssize_t n;
	pid_t pid;

	(void)state;
	assert_int_equal(pipe(p), 0);
	pid = fork();
	if (pid == 0) {
		log_to_fd(p[1], "unit", LOG_INFO);
		errno = ENOENT;
		die("no image: %m");
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 1);
	n = read(p[0], buf, sizeof(buf) - 1);
	assert_true(n > 0);
	buf[n] = '\0';
	assert_string_equal(buf, "unit: no image: No such file or directory\n");
	close(p[0]);
	close(p[1]);
}

static void test_limit(void **state)
{
	struct log_limit l = LOG_LIMIT_INIT(3, 60000), quick = LOG_LIMIT_INIT(3, 50);
	unsigned allowed = 0;
	uint64_t began;

	(void)state;
	for (int i = 0; i < 100; i++)
		allowed += log_allowed(&l);
	assert_true(allowed >= 3 && allowed <= 4);
	assert_int_equal(l.suppressed, 100 - allowed);
	while (log_allowed(&quick))
		;
	usleep(60000);
	assert_true(log_allowed(&quick));
	usleep(400000); /* no more than the burst comes back, and what this loop's own time adds */
	began = now_ms();
	for (allowed = 0; log_allowed(&quick); allowed++)
		;
	assert_true(allowed >= 3 && allowed <= 4 + (now_ms() - began) / 50);
}

#ifdef __x86_64__
/* The time without any clock in the vDSO. */
static void test_counter_is_a_clock(void **state)
{
	uint64_t from, to, real;

	(void)state;
	clock_measure();
	from = clock_by_counter_us();
	real = now_us();
	usleep(200000);
	to = clock_by_counter_us();
	real = now_us() - real;
	assert_true(from > 0);
	/* The process may be preempted between the two pairs of calls. */
	assert_in_range(to - from, real / 2, real * 2);
}
#endif

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_text),
		cmocka_unit_test(test_never_past_the_end),
		cmocka_unit_test(test_lines_to_a_file),
		cmocka_unit_test(test_lines_to_the_supervisor),
		cmocka_unit_test(test_die),
		cmocka_unit_test(test_limit),
#ifdef __x86_64__
		cmocka_unit_test(test_counter_is_a_clock),
#endif
	};

	return cmocka_run_group_tests_name("common_log", tests, NULL, NULL);
}
