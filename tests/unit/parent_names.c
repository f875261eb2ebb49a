/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Each role's program sets the name of its process itself, because Linux before 6.14 names a
 * process that is executed by descriptor after that descriptor. The test simulates that by an
 * executable with another name.
 */
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/fdtab.h"

#define WAIT_MS 60000

/* The program @name in a memory file of another name. */
static int copy_of(const char *name)
{
	char path[600];
	struct stat st;
	ssize_t n = readlink("/proc/self/exe", path, 500);
	int from, to = memfd_create("3", MFD_CLOEXEC);

	assert_true(n > 0 && to >= 0);
	path[n] = '\0';
	*strrchr(path, '/') = '\0';
	strcat(path, "/../../bin/");
	strcat(path, name);
	from = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(from >= 0);
	assert_int_equal(fstat(from, &st), 0);
	for (off_t off = 0; off < st.st_size;)
		assert_true(sendfile(to, from, &off, (size_t)(st.st_size - off)) > 0);
	close(from);
	/* Out of the way of the channel's number. */
	from = fcntl(to, F_DUPFD_CLOEXEC, 100);
	assert_true(from >= 0);
	close(to);
	return from;
}

/* Waits for its configuration or command, on the number that all of them have for it. */
static pid_t start(int exe, int channel)
{
	char *const argv[] = { (char *)"x", (char *)"--supervised", NULL };
	pid_t pid = fork();

	if (pid)
		return pid;
	if (dup2(channel, HFD_CTL) == HFD_CTL)
		fexecve(exe, argv, (char *[]){ NULL });
	_exit(99);
}

static void comm_of(pid_t pid, char name[32])
{
	char path[64];
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/comm", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? 0 : read(fd, name, 31);
	close(fd);
	name[n > 0 ? n : 0] = '\0';
	name[strcspn(name, "\n")] = '\0';
}

static void named_by_itself(void **state)
{
	static const char *const programs[] = { "lguest-sep-vcpu", "lguest-sep-netd", "lguest-sep-blkd",
						"lguest-sep-init" };
	_Static_assert((int)VFD_CTL == (int)HFD_CTL && (int)IFD_CMD == (int)HFD_CTL, "one number");

	(void)state;
	for (unsigned i = 0; i < sizeof(programs) / sizeof(programs[0]); i++) {
		char name[32] = "";
		int sv[2], exe = copy_of(programs[i]);
		pid_t pid;

		assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sv), 0);
		pid = start(exe, sv[1]);
		for (unsigned ms = 0; ms < WAIT_MS && strcmp(name, programs[i]); ms += 10) {
			poll(NULL, 0, 10);
			comm_of(pid, name);
		}
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		close(sv[0]);
		close(sv[1]);
		close(exe);
		assert_string_equal(name, programs[i]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(named_by_itself) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
