/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Kernels that cannot confine a guest are refused, and what they lack is named. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "parent/options/util.h"
#include "parent/setup/kernel.h"
#include "tests/host/old_host.h"

#define COULD_NOT 77 /* Status of a child that has no such filter, such as under another one. */

static bool says(const char *text)
{
	return strstr(complaint_last(), text);
}

/* With status 0 if everything that is missing is named, and nothing else. */
static void on_2009(void)
{
	if (old_host(true) < 0)
		_exit(COULD_NOT);
	if (kernel_check() == 0)
		_exit(1);
	_exit(!(says("Linux 2.6.") &&
		says("it lacks seccomp filters, no_new_privs, prlimit64 (and memfd_create, "
		     "execveat, getrandom, which lguest-sep can do without); use Linux 3.5 or later")));
}

static void without_config(void)
{
	if (old_host(false) < 0)
		_exit(COULD_NOT);
	if (kernel_check() == 0)
		_exit(1);
	_exit(!says("it lacks seccomp filters; use one that was built with CONFIG_SECCOMP_FILTER"));
}

static void of_today(void)
{
	_exit(kernel_check() != 0 || complaint_last());
}

static void check(void (*child)(void))
{
	int status;
	pid_t pid = fork();

	if (pid == 0)
		child();
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == COULD_NOT)
		skip();
	assert_int_equal(WEXITSTATUS(status), 0);
}

static void what_linux_2_6_30_lacks(void **state)
{
	(void)state;
	check(on_2009);
}

static void a_kernel_without_filters(void **state)
{
	(void)state;
	check(without_config);
}

static void this_kernel_is_accepted(void **state)
{
	(void)state;
	check(of_today);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_linux_2_6_30_lacks),
		cmocka_unit_test(a_kernel_without_filters),
		cmocka_unit_test(this_kernel_is_accepted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
