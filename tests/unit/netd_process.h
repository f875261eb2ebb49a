/* SPDX-License-Identifier: GPL-2.0-or-later */
/* For tests of netd that take the numbers of its table of descriptors, and so need a process of their own. */
#ifndef TESTS_UNIT_NETD_PROCESS_H
#define TESTS_UNIT_NETD_PROCESS_H

// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
// clang-format on
#include <sys/wait.h>
#include <unistd.h>

/* The exit status for a host that lacks what the test needs. */
#define NOT_HERE 77

/* Call @what in a new process. It must exit with 0, or the test fails; with NOT_HERE, the test is skipped. */
static inline void in_a_process(void (*what)(void))
{
	int status;
	pid_t pid = fork();

	if (!pid)
		what();
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == NOT_HERE)
		skip();
	assert_int_equal(WEXITSTATUS(status), 0);
}

#endif
