/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A range of descriptors is closed, with close_range(2) and without. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/closefds.h"
#include "tests/unit/hide_call.h"

#define HIGHEST 900

static bool is_open(int fd)
{
	return fcntl(fd, F_GETFD) >= 0;
}

/* In a child: open descriptors at several numbers, hide the system calls @hidden, and close the range. */
static int emptied(unsigned hidden)
{
	static const int numbers[] = { 9, 10, 11, 73, 74, 75, 137, 138, 139, 700, HIGHEST - 1 };
	int got[2];

	if (pipe(got) < 0)
		return 2;
	for (unsigned i = 0; i < ARRAY_SIZE(numbers); i++)
		if (dup2(got[1], numbers[i]) < 0)
			return 3;
	if (hidden > 0)
		hide(__NR_close_range);
	if (hidden > 1)
		hide(__NR_ppoll);
#ifdef __NR_ppoll_time64
	if (hidden > 1)
		hide(__NR_ppoll_time64);
#endif
	if (close_fds(10, 138, HIGHEST) != !hidden)
		return 4;
	for (unsigned i = 0; i < ARRAY_SIZE(numbers); i++)
		if (is_open(numbers[i]) != (numbers[i] < 10 || numbers[i] > 138))
			return 10 + (int)i;
	if (close_fds(10, ~0U, HIGHEST) != !hidden)
		return 5;
	for (unsigned i = 0; i < ARRAY_SIZE(numbers); i++)
		if (is_open(numbers[i]) != (numbers[i] < 10))
			return 30 + (int)i;
	return 0;
}

static void the_table_is_emptied(void **state)
{
	(void)state;
	for (unsigned hidden = 0; hidden < 3; hidden++) {
		int status;
		pid_t pid = fork();

		assert_true(pid >= 0);
		if (pid == 0)
			_exit(emptied(hidden));
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_int_equal(status, 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_table_is_emptied),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
