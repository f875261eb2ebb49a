/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The audit reports descriptors that the supervisor inherited. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/fdtab.h"
#include "common/util.h"
#include "parent/audit/audit.h"
#include "parent/audit/fds.h"
#include "parent/audit/maps.h"

#define HIGH 2000

static struct audit_guest guest;

static const char *judged(unsigned number)
{
	static struct facts f;
	const char *wrong = "not open";

	facts_free(&f);
	memset(&f, 0, sizeof(f));
	f.pid = getpid();
	facts_fds(&f);
	audit_judge_fds(&guest, PART_SUPERVISOR, &f);
	for (unsigned i = 0; i < f.nfds; i++)
		if (f.fd[i].number == number)
			wrong = f.fd[i].wrong;
	return wrong;
}

static void inherited_ones_are_found(void **state)
{
	struct rlimit r = { HIGH + 1, HIGH + 1 };
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	(void)state;
	assert_true(fd > 2);
	assert_null(judged((unsigned)fd));
	if (setrlimit(RLIMIT_NOFILE, &r) < 0 || dup2(fd, HIGH) < 0) {
		print_message("skipped: no descriptor of number %d here\n", HIGH);
		skip();
	}
	assert_non_null(judged(HIGH));
	assert_int_equal(fcntl(HIGH, F_SETFD, FD_CLOEXEC), 0);
	assert_null(judged(HIGH));
	close(HIGH);
	close(fd);
}

/* What QEMU opens itself may have the kernel's number only if there is no kernel. */
static void the_number_of_the_kernel(void **state)
{
	static struct audit_fd fd[] = { { .number = VFD_KERNEL, .kind = FD_EPOLL },
					{ .number = VFD_INITRD, .kind = FD_EPOLL } };
	struct facts f = { .fd = fd, .nfds = ARRAY_SIZE(fd) };

	(void)state;
	audit_judge_fds(&guest, PART_QEMU, &f);
	assert_non_null(fd[0].wrong);
	assert_null(fd[1].wrong);
	guest.no_kernel = true;
	audit_judge_fds(&guest, PART_QEMU, &f);
	guest.no_kernel = false;
	assert_null(fd[0].wrong);
	assert_null(fd[1].wrong);
	fd[0].kind = FD_TAP;
	audit_judge_fds(&guest, PART_QEMU, &f);
	assert_non_null(fd[0].wrong);
}

/* The user's three standard descriptors may be of any kind. */
static void standard_ones_are_not_looked_at(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 3; i++)
		assert_true(fcntl((int)i, F_GETFD) < 0 || !judged(i));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(inherited_ones_are_found),
		cmocka_unit_test(the_number_of_the_kernel),
		cmocka_unit_test(standard_ones_are_not_looked_at),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
