/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The frame of a stand-alone back-end: the privileges of a connection's process; front-ends
 * are served one after another; and neither the next connection nor the end comes before the
 * last I/O of a killed process has completed.
 */
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/fdtab.h"
#include "common/log.h"
#include "common/standalone.h"

#define FILE_BYTES 12345
/* Time limit for everything that must happen (ms). */
#define PATIENCE_MS 60000
/* How long to check that nothing happens (ms); a slow machine cannot make this check fail. */
#define QUIET_MS 400

static char path[64];

/* ---- the back-end's side: runs in processes of its own ---- */

static void say(const char *text)
{
	if (send(HFD_FRONT, text, strlen(text), MSG_NOSIGNAL) < 0)
		_exit(99);
}

/* Send the privileges of this process as text. */
static int report(void *device)
{
	char text[4096], line[256];
	struct rlimit nofile, nproc, core, fsize;
	size_t n = 0;
	FILE *f = fopen("/proc/self/status", "r");

	(void)device;
	while (f && fgets(line, sizeof(line), f))
		if (!strncmp(line, "Cap", 3) || !strncmp(line, "NoNewPrivs", 10) || !strncmp(line, "SigIgn", 6) ||
		    !strncmp(line, "SigBlk", 6))
			n += (size_t)snprintf(text + n, sizeof(text) - n, "%s", line);
	if (f)
		fclose(f);
	getrlimit(RLIMIT_NOFILE, &nofile);
	getrlimit(RLIMIT_NPROC, &nproc);
	getrlimit(RLIMIT_CORE, &core);
	getrlimit(RLIMIT_FSIZE, &fsize);
	n += (size_t)snprintf(text + n, sizeof(text) - n, "limits %d %d %d %d\nopen", (int)nofile.rlim_max,
			      (int)nproc.rlim_max, (int)core.rlim_max, (int)fsize.rlim_max);
	for (int fd = 0; fd < 1024; fd++)
		if (fcntl(fd, F_GETFD) >= 0)
			n += (size_t)snprintf(text + n, sizeof(text) - n, " %d", fd);
	say(text);
	return 7;
}

/* Pass the tether to the test, which acts as an I/O ring that outlives its process. */
static void give_tether(void *device)
{
	union {
		struct cmsghdr h;
		char room[CMSG_SPACE(sizeof(int))];
	} c = { .h = { .cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS } };
	pid_t pid = getpid();
	struct iovec iov = { &pid, sizeof(pid) };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &c, .msg_controllen = sizeof(c) };

	(void)device;
	memcpy(CMSG_DATA(&c.h), &(int){ HFD_CTL }, sizeof(int));
	if (sendmsg(HFD_FRONT, &m, 0) < 0)
		_exit(98);
}

static int hang(void *device)
{
	(void)device;
	while (pause() < 0)
		;
	return 1;
}

/* ---- the test's side ---- */

static pid_t start(void (*make)(void *), int (*serve)(void *), int fd)
{
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (!pid) {
		struct standalone s = {
			.socket_path = fd < 0 ? path : NULL,
			.fd = fd,
			.first = HFD_DISK,
			.last = HFD_DISK,
			.file_bytes = FILE_BYTES,
			.make = make,
			.serve = serve,
		};

		/* A check that fails leaves nothing behind. */
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		log_to_fd(2, "frame", LOG_ERROR);
		if (fd >= 0)
			s.fd = standalone_move_out(fd, "fd");
		standalone_place(open("/dev/null", O_RDWR), HFD_DISK);
		/* A descriptor that was inherited by accident. */
		dup2(2, 77);
		dup2(2, 700);
		_exit(standalone_serve(&s));
	}
	return pid;
}

static void nap(void)
{
	nanosleep(&(struct timespec){ .tv_nsec = 10000000 }, NULL);
}

static int connect_to_it(void)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	memcpy(a.sun_path, path, sizeof(path));
	for (unsigned i = 0; i < PATIENCE_MS / 10; i++) {
		if (connect(fd, (struct sockaddr *)&a, sizeof(a)) == 0)
			return fd;
		nap();
	}
	fail_msg("cannot connect");
	return -1;
}

/* True if @fd is readable or at end of file within @ms. */
static bool readable(int fd, int ms)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, ms) == 1;
}

/* Receive the tether of a connection's process; sets *@pid to that process. */
static int take_tether(int conn, pid_t *pid)
{
	union {
		struct cmsghdr h;
		char room[CMSG_SPACE(sizeof(int))];
	} c;
	struct iovec iov = { pid, sizeof(*pid) };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &c, .msg_controllen = sizeof(c) };
	int fd;

	assert_true(readable(conn, PATIENCE_MS));
	assert_int_equal(recvmsg(conn, &m, MSG_CMSG_CLOEXEC), sizeof(*pid));
	assert_non_null(CMSG_FIRSTHDR(&m));
	memcpy(&fd, CMSG_DATA(&c.h), sizeof(fd));
	return fd;
}

static int exit_status(pid_t pid)
{
	int status;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static const char *hear(int conn)
{
	static char text[4096];
	ssize_t n;

	assert_true(readable(conn, PATIENCE_MS));
	n = recv(conn, text, sizeof(text) - 1, 0);
	assert_true(n > 0);
	text[n] = '\0';
	return text;
}

static void has(const char *text, const char *part)
{
	if (!strstr(text, part))
		fail_msg("no \"%s\" in: %s", part, text);
}

static void a_connection_has_no_capability(void **state)
{
	pid_t pid = start(NULL, report, -1);
	const char *text;
	char open_ones[64];

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		int conn = connect_to_it();

		text = hear(conn);
		has(text, "CapInh:\t0000000000000000\n");
		has(text, "CapPrm:\t0000000000000000\n");
		has(text, "CapEff:\t0000000000000000\n");
		has(text, "CapAmb:\t0000000000000000\n");
		has(text, "NoNewPrivs:\t1\n");
		has(text, "SigBlk:\t0000000000000000\n");
		if (geteuid() == 0)
			has(text, "CapBnd:\t0000000000000000\n");
		snprintf(open_ones, sizeof(open_ones), "limits %d 0 1 %d\n", HFD_LIMIT, FILE_BYTES);
		has(text, open_ones);
		snprintf(open_ones, sizeof(open_ones), "open 0 1 2 %d %d", HFD_FRONT, HFD_DISK);
		assert_string_equal(strstr(text, "open"), open_ones);
		close(conn);
	}
	kill(pid, SIGTERM);
	assert_int_equal(exit_status(pid), 0);
	assert_int_equal(access(path, F_OK), -1);
}

static void the_next_one_waits_for_the_last_operation(void **state)
{
	pid_t pid = start(give_tether, hang, -1), child;
	int first = connect_to_it(), tether = take_tether(first, &child), second;

	(void)state;
	second = connect_to_it();
	assert_false(readable(second, QUIET_MS));
	kill(child, SIGKILL);
	/* The first front-end sees the end; the second is not served while the ring works. */
	assert_true(readable(first, PATIENCE_MS));
	assert_false(readable(second, QUIET_MS));
	close(tether);
	tether = take_tether(second, &child);
	/* The same at SIGTERM: our end is what frees the lock. */
	kill(pid, SIGTERM);
	assert_true(readable(second, PATIENCE_MS));
	for (unsigned i = 0; i < QUIET_MS / 10; i++) {
		assert_int_equal(waitpid(pid, NULL, WNOHANG), 0);
		nap();
	}
	close(tether);
	assert_int_equal(exit_status(pid), 0);
	close(first);
	close(second);
}

static void operations_that_never_end_are_reported(void **state)
{
	pid_t pid, child;
	int conn, tether, errors[2], saved = dup(2);
	char line[256];
	ssize_t n;

	(void)state;
	assert_int_equal(pipe2(errors, O_CLOEXEC), 0);
	dup2(errors[1], 2);
	pid = start(give_tether, hang, -1);
	dup2(saved, 2);
	conn = connect_to_it();
	tether = take_tether(conn, &child);
	kill(pid, SIGTERM);
	assert_int_equal(exit_status(pid), 1);
	n = read(errors[0], line, sizeof(line) - 1);
	assert_true(n > 0);
	line[n] = '\0';
	has(line, "the device stays in use until it does");
	assert_int_equal(access(path, F_OK), -1);
	close(tether);
	close(conn);
	close(errors[0]);
	close(errors[1]);
	close(saved);
}

static void a_connected_socket_is_served_once(void **state)
{
	int pair[2];
	pid_t pid;

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	pid = start(NULL, report, pair[1]);
	close(pair[1]);
	has(hear(pair[0]), "NoNewPrivs:\t1\n");
	assert_int_equal(exit_status(pid), 7);
	close(pair[0]);
}

static int make_path(void **state)
{
	static char dir[] = "/tmp/frame-XXXXXX";

	(void)state;
	if (!mkdtemp(dir))
		return -1;
	snprintf(path, sizeof(path), "%s/sock", dir);
	return 0;
}

static int remove_path(void **state)
{
	(void)state;
	*strrchr(path, '/') = '\0';
	return rmdir(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_connection_has_no_capability),
		cmocka_unit_test(the_next_one_waits_for_the_last_operation),
		cmocka_unit_test(operations_that_never_end_are_reported),
		cmocka_unit_test(a_connected_socket_is_served_once),
	};

	return cmocka_run_group_tests(tests, make_path, remove_path);
}
