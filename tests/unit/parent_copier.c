/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copiers: all bytes arrive, an error is the file's, and the process holds only the file and the pipe. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/util.h"
#include "parent/terminal/copier.h"
#include "tests/lib/sanitized.h"

static int temporary(const char *contents)
{
	char path[] = "/tmp/parent-copier-XXXXXX";
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	unlink(path);
	assert_int_equal(write(fd, contents, strlen(contents)), (int)strlen(contents));
	return fd;
}

/* Write @n bytes, waiting for the pipe as often as necessary. Returns 0, or the errno value. */
static int put(int fd, const char *buf, size_t n)
{
	while (n) {
		ssize_t done = copier_write(fd, buf, n);
		struct pollfd p = { .fd = fd, .events = POLLOUT };

		if (done < 0 && errno != EAGAIN)
			return errno;
		if (done < 0) {
			(void)poll(&p, 1, 10000);
			continue;
		}
		buf += done;
		n -= (size_t)done;
	}
	return 0;
}

static void wait_for_all(int fd)
{
	for (unsigned i = 0; i < 10000 && copier_left(fd); i++)
		usleep(1000);
	assert_int_equal(copier_left(fd), 0);
}

/* Close the pipe and wait for the copier's end. Returns its status. */
static int end(int fd)
{
	pid_t pid = copier_pid(fd);
	int status;

	close(fd);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static void all_bytes_reach_the_file(void **state)
{
	static char data[300000], back[sizeof(data)];
	int file = temporary("what was before"), fd;

	(void)state;
	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (char)(i * 7 + i / 251);
	fd = copier_output(file, true);
	assert_true(fd >= 0);
	assert_int_equal(put(fd, data, sizeof(data)), 0);
	wait_for_all(fd);
	assert_int_equal(copier_error(fd), 0);
	/* ftruncate(2) leaves the offset behind the old text. */
	assert_int_equal(pread(file, back, sizeof(back), 15), (int)sizeof(back));
	assert_memory_equal(back, data, sizeof(data));
	assert_int_equal(end(fd), 0);
	close(file);
}

static void without_a_byte_the_contents_stay(void **state)
{
	int file = temporary("unfinished"), fd = copier_output(file, true);
	char back[32];

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(end(fd), 0);
	assert_int_equal(pread(file, back, sizeof(back), 0), 10);
	close(file);
}

static void an_error_is_the_files(void **state)
{
	int file = open("/dev/full", O_WRONLY | O_CLOEXEC), fd = copier_output(file, false), error = 0;

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(put(fd, "lost", 4), 0);
	for (unsigned i = 0; i < 10000 && !copier_error(fd); i++)
		usleep(1000);
	assert_int_equal(copier_error(fd), ENOSPC);
	assert_int_equal(copier_left(fd), 4);
	for (unsigned i = 0; i < 10000 && !error; i++) {
		error = put(fd, "x", 1);
		usleep(1000);
	}
	assert_int_equal(error, ENOSPC);
	copier_forget(fd);
	assert_int_equal(copier_left(fd), 0);
	assert_int_equal(end(fd), 0);
	close(file);
}

static void input_is_read_from_the_offset_on(void **state)
{
	int file = temporary("first second"), fd;
	struct pollfd p = { .events = POLLIN };
	char back[32];

	(void)state;
	assert_int_equal(lseek(file, 6, SEEK_SET), 6);
	fd = copier_input(file);
	assert_true(fd >= 0);
	p.fd = fd;
	assert_int_equal(poll(&p, 1, 10000), 1);
	assert_int_equal(read(fd, back, sizeof(back)), 6);
	assert_memory_equal(back, "second", 6);
	assert_int_equal(poll(&p, 1, 10000), 1);
	assert_int_equal(read(fd, back, sizeof(back)), 0);
	assert_int_equal(end(fd), 0);
	close(file);
}

/* Neither guest memory nor a disk's lock may live on in a copier. */
static void it_holds_only_the_file_and_the_pipe(void **state)
{
	int file = temporary(""), other = temporary("other"), fd = copier_output(file, false);
	char path[64], line[256];
	unsigned n = 0;
	bool filtered = false;
	FILE *f;
	DIR *d;

	(void)state;
	assert_true(fd >= 0);
	snprintf(path, sizeof(path), "/proc/%d/fd", (int)copier_pid(fd));
	d = opendir(path);
	assert_non_null(d);
	for (struct dirent *e; (e = readdir(d));)
		n += e->d_name[0] != '.';
	closedir(d);
	assert_int_equal(n, 2);
	snprintf(path, sizeof(path), "/proc/%d/status", (int)copier_pid(fd));
	f = fopen(path, "r");
	assert_non_null(f);
	while (fgets(line, sizeof(line), f))
		filtered |= !strcmp(line, "Seccomp:\t2\n");
	fclose(f);
	assert_true(filtered);
	assert_int_equal(end(fd), 0);
	close(file);
	close(other);
}

static void other_descriptors_are_written_to_as_ever(void **state)
{
	int fd[2], end;

	(void)state;
	assert_int_equal(pipe(fd), 0);
	/* A number that no copier of the tests above had. */
	end = fcntl(fd[1], F_DUPFD_CLOEXEC, 100);
	close(fd[0]);
	close(fd[1]);
	assert_int_equal(copier_write(end, "x", 1), -1);
	assert_int_equal(errno, EPIPE);
	assert_int_equal(copier_error(end), 0);
	assert_int_equal(copier_pid(end), 0);
	close(end);
}

static int ignore_sigpipe(void **state)
{
	(void)state;
	return signal(SIGPIPE, SIG_IGN) == SIG_ERR ? -1 : 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_bytes_reach_the_file),
		cmocka_unit_test(without_a_byte_the_contents_stay),
		cmocka_unit_test(an_error_is_the_files),
		cmocka_unit_test(input_is_read_from_the_offset_on),
		cmocka_unit_test(it_holds_only_the_file_and_the_pipe),
		cmocka_unit_test(other_descriptors_are_written_to_as_ever),
	};

	/* A sanitizer makes system calls at the exit that a copier's filter forbids. */
	if (SANITIZED) {
		puts("1..1\nok 1 - parent_copier # SKIP filters are tested without sanitizers");
		return 0;
	}
	return cmocka_run_group_tests(tests, ignore_sigpipe, NULL);
}
