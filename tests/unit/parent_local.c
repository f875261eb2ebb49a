/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Files that are known to be local, and that the parent therefore opens without a child that waits in its place: those
 * of the kinds listed, and no others, whatever names they have.
 */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/util.h"
#include "parent/setup/answers.h"
#include "parent/setup/inherited.h"
#include "parent/setup/local.h"

static char file[] = "/dev/shm/parent_local.XXXXXX";

static int make_file(void **state)
{
	int fd = mkstemp(file);

	(void)state;
	return fd < 0 ? -1 : close(fd);
}

static int remove_file(void **state)
{
	(void)state;
	return unlink(file);
}

/* Linux before 6.8 cannot tell: then no file is known to be local. */
static void need_statmount(void)
{
	int fd = open(file, O_RDONLY | O_CLOEXEC);
	bool local = file_is_local(fd);

	close(fd);
	if (local)
		return;
	print_message("skipped: this host has no statmount(2)\n");
	skip();
}

static void pipes_and_sockets_are_local(void **state)
{
	int fd[2];

	(void)state;
	assert_int_equal(pipe2(fd, O_CLOEXEC), 0);
	assert_true(file_is_local(fd[0]) && file_is_local(fd[1]));
	close(fd[0]);
	close(fd[1]);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd), 0);
	assert_true(file_is_local(fd[0]));
	close(fd[0]);
	close(fd[1]);
}

static void only_listed_kinds_are_local(void **state)
{
	static const char *const others[] = { "/proc/self/status", "/sys/kernel/mm" };
	int fd;

	(void)state;
	need_statmount();
	fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	assert_true(file_is_local(fd));
	close(fd);
	for (size_t i = 0; i < ARRAY_SIZE(others); i++) {
		fd = open(others[i], O_RDONLY | O_CLOEXEC);
		assert_true(fd >= 0);
		assert_false(file_is_local(fd));
		close(fd);
		assert_false(path_is_local(others[i]));
	}
	fd = eventfd(0, EFD_CLOEXEC);
	assert_false(file_is_local(fd));
	close(fd);
	assert_false(file_is_local(-1));
}

/* A magic link of /proc leads to a file that no lookup finds. */
static void only_cached_names_are_local(void **state)
{
	char link[40];
	int fd;

	(void)state;
	need_statmount();
	assert_true(path_is_local(file));
	assert_false(path_is_local("/dev/shm/parent_local.no such file"));
	fd = open(file, O_RDONLY | O_CLOEXEC);
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	assert_false(path_is_local(link));
	close(fd);
}

static long faults_of_children(void)
{
	struct rusage r;

	assert_int_equal(getrusage(RUSAGE_CHILDREN, &r), 0);
	return r.ru_minflt;
}

/* Three pipes take the place of the standard descriptors, which may be anything here. */
static void no_child_asks_for_local_files(void **state)
{
	static struct config c;
	int saved[3], fd[2];
	long before, local, other;

	(void)state;
	need_statmount();
	c.kernel = file;
	assert_int_equal(pipe2(fd, O_CLOEXEC), 0);
	for (int i = 0; i < 3; i++)
		saved[i] = fcntl(i, F_DUPFD_CLOEXEC, 10);
	for (int i = 0; i < 3; i++)
		dup2(fd[0], i);
	before = faults_of_children();
	local = files_answer(&c, 10000) ? -1 : faults_of_children();
	c.initrd = "/proc/self/status";
	other = files_answer(&c, 10000) ? -1 : faults_of_children();
	for (int i = 0; i < 3; i++)
		dup2(saved[i], i);
	for (int i = 0; i < 3; i++)
		close(saved[i]);
	close(fd[0]);
	close(fd[1]);
	assert_int_equal(local, before);
	assert_true(other > before);
}

/* A descriptor that the starting program left open counts as well, because closing it can block. */
static void inherited_descriptors_count(void **state)
{
	static struct config c;
	int fd[2], saved[3], other;
	bool local, with_other;

	(void)state;
	need_statmount();
	assert_int_equal(pipe2(fd, O_CLOEXEC), 0);
	for (int i = 0; i < 3; i++)
		saved[i] = fcntl(i, F_DUPFD_CLOEXEC, 10);
	for (int i = 0; i < 3; i++)
		dup2(fd[0], i);
	local = inherited_are_local();
	other = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
	dup2(other, 0);
	with_other = inherited_are_local();
	dup2(fd[0], 0);
	assert_int_equal(inherited_note(), 0);
	with_other |= inherited_are_local();
	for (int i = 0; i < 3; i++)
		dup2(saved[i], i);
	inherited_close(&c); /* All of these, and what this test was started with. */
	assert_true(other >= 0 && local);
	assert_false(with_other);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pipes_and_sockets_are_local), cmocka_unit_test(only_listed_kinds_are_local),
		cmocka_unit_test(only_cached_names_are_local), cmocka_unit_test(no_child_asks_for_local_files),
		cmocka_unit_test(inherited_descriptors_count),
	};

	return cmocka_run_group_tests(tests, make_file, remove_file);
}
