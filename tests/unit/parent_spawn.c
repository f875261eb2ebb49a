/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a spawner promises: its room, its role's descriptors and limits, the
 * report of the role's end, and that nothing outlives the supervisor.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "parent/spawn.h"

#define ROLE_UID 54321
#define ROLE_GID 54322

static char folder[640];
static int init_exe = -1, role_exe = -1;

struct running {
	struct spawner s;
	int ctl;
	pid_t role; /* as this test sees it */
};

static void need_root(void)
{
	if (geteuid() != 0) {
		print_message("skipped: needs root\n");
		skip();
	}
}

static struct room a_room(void)
{
	struct room r = { .name = "blk0",
			  .role = ROLE_BLKD,
			  .uid = ROLE_UID,
			  .gid = ROLE_GID,
			  .exe = role_exe,
			  .init_exe = init_exe,
			  .diag = 2 };
	return r;
}

static int wait_message(struct spawner *s, struct spawn_msg *m)
{
	struct pollfd p = { .fd = s->sock, .events = POLLIN };

	if (poll(&p, 1, 10000) != 1)
		return 0;
	return spawner_recv(s, m);
}

static long ask(int ctl, char command)
{
	struct pollfd p = { .fd = ctl, .events = POLLIN };
	long value = -1;

	assert_int_equal(send(ctl, &command, 1, MSG_NOSIGNAL), 1);
	if (poll(&p, 1, 10000) != 1 || recv(ctl, &value, sizeof(value), 0) != sizeof(value))
		return -12345;
	return value;
}

static pid_t child_of(pid_t pid)
{
	char path[64];
	int child = -1;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", pid, pid);
	f = fopen(path, "r");
	if (f) {
		if (fscanf(f, "%d", &child) != 1)
			child = -1;
		fclose(f);
	}
	return child;
}

static void start_in(struct running *r, const struct role_fds *more)
{
	struct role_fds f = { 0 };
	struct spawn_msg m;
	int pair[2];

	if (more)
		f = *more;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	role_fds_add(&f, pair[1], HFD_CTL);
	assert_int_equal(spawner_start_role(&r->s, &f, HFD_LIMIT, 0, 4096, 0), 0);
	close(pair[1]);
	r->ctl = pair[0];
	assert_int_equal(wait_message(&r->s, &m), 1);
	assert_int_equal(m.type, SPAWN_STARTED);
	assert_int_equal(ask(r->ctl, 'h'), 0);
	r->role = child_of(r->s.pid);
	assert_true(r->role > 0);
}

static void start(struct running *r)
{
	struct room room = a_room();

	memset(r, 0, sizeof(*r));
	assert_int_equal(spawner_create(&r->s, &room), 0);
	start_in(r, NULL);
}

static void stop(struct running *r)
{
	close(r->ctl);
	spawner_destroy(&r->s);
}

static bool gone(pid_t pid)
{
	for (int i = 0; i < 500; i++) {
		if (kill(pid, 0) < 0 && errno == ESRCH)
			return true;
		usleep(10000);
	}
	return false;
}

static void status_field(pid_t pid, const char *field, char *value, size_t size)
{
	char path[64], line[256];
	FILE *f;

	value[0] = '\0';
	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	f = fopen(path, "r");
	assert_non_null(f);
	while (fgets(line, sizeof(line), f))
		if (!strncmp(line, field, strlen(field)) && line[strlen(field)] == ':')
			snprintf(value, size, "%s", line + strlen(field) + 2);
	fclose(f);
	value[strcspn(value, "\n")] = '\0';
}

static void expect_status(pid_t pid, const char *field, const char *want)
{
	char got[256];

	status_field(pid, field, got, sizeof(got));
	assert_string_equal(got, want);
}

static void expect_confined(pid_t pid)
{
	static const char *const ns[] = { "mnt", "pid", "net", "ipc", "uts", "cgroup" };
	char a[64], b[64], la[128], lb[128];
	ssize_t n;

	expect_status(pid, "CapEff", "0000000000000000");
	expect_status(pid, "CapPrm", "0000000000000000");
	expect_status(pid, "CapInh", "0000000000000000");
	expect_status(pid, "CapBnd", "0000000000000000");
	expect_status(pid, "CapAmb", "0000000000000000");
	expect_status(pid, "NoNewPrivs", "1");
	expect_status(pid, "Seccomp", "2");
	for (size_t i = 0; i < sizeof(ns) / sizeof(ns[0]); i++) {
		snprintf(a, sizeof(a), "/proc/%d/ns/%s", pid, ns[i]);
		snprintf(b, sizeof(b), "/proc/self/ns/%s", ns[i]);
		n = readlink(a, la, sizeof(la) - 1);
		assert_true(n > 0);
		la[n] = '\0';
		n = readlink(b, lb, sizeof(lb) - 1);
		assert_true(n > 0);
		lb[n] = '\0';
		assert_string_not_equal(la, lb);
	}
}

static void expect_empty_root(pid_t pid)
{
	char path[64];
	struct dirent *e;
	unsigned entries = 0;
	struct stat st;
	DIR *d;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/root", pid);
	fd = open(path, O_RDONLY | O_DIRECTORY);
	assert_true(fd >= 0);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0555);
	assert_int_equal(st.st_uid, 0);
	assert_true(openat(fd, "x", O_CREAT | O_WRONLY, 0600) < 0);
	assert_int_equal(errno, EROFS);
	d = fdopendir(fd);
	assert_non_null(d);
	while ((e = readdir(d)))
		entries += strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0;
	closedir(d);
	assert_int_equal(entries, 0);
	snprintf(path, sizeof(path), "/proc/%d/cwd", pid);
	fd = open(path, O_RDONLY | O_DIRECTORY);
	assert_true(openat(fd, "../etc", O_RDONLY) < 0);
	close(fd);
}

static void test_room(void **state)
{
	struct running r;

	(void)state;
	need_root();
	start(&r);
	assert_int_equal(r.s.missing, 0);
	expect_confined(r.s.pid);
	expect_confined(r.role);
	expect_status(r.role, "Uid", "54321\t54321\t54321\t54321");
	expect_status(r.role, "Gid", "54322\t54322\t54322\t54322");
	expect_status(r.role, "Groups", " ");
	expect_empty_root(r.role);
	assert_int_equal(ask(r.ctl, 'o'), ENOSYS);
	assert_int_equal(ask(r.ctl, 'k'), EAGAIN);
	stop(&r);
}

static unsigned long open_fds(pid_t pid)
{
	unsigned long set = 0;
	struct dirent *e;
	char path[64];
	DIR *d;

	snprintf(path, sizeof(path), "/proc/%d/fd", pid);
	d = opendir(path);
	assert_non_null(d);
	while ((e = readdir(d)))
		if (e->d_name[0] != '.')
			set |= 1UL << (strtoul(e->d_name, NULL, 10) & 63);
	closedir(d);
	return set;
}

/* Numbers that are also those at which the descriptors arrive in the spawner. */
static void test_descriptors(void **state)
{
	static const unsigned number[] = { 5, 0, 7, 6, 1, 16, 33, 2 };
	struct room room = a_room();
	unsigned long want = 1UL << HFD_CTL;
	struct role_fds f = { 0 };
	struct running r = { .ctl = -1 };
	char path[64], a[256], name[32];
	ssize_t n;
	int fd;

	(void)state;
	need_root();
	assert_int_equal(spawner_create(&r.s, &room), 0);
	for (size_t i = 0; i < sizeof(number) / sizeof(number[0]); i++) {
		snprintf(name, sizeof(name), "m%u", number[i]);
		fd = memfd_create(name, MFD_CLOEXEC);
		assert_true(fd >= 0);
		role_fds_add(&f, fd, number[i]);
		want |= 1UL << number[i];
	}
	start_in(&r, &f);
	assert_int_equal(open_fds(r.role), want);
	assert_int_equal(open_fds(r.s.pid), 1UL << IFD_DIAG | 1UL << IFD_CMD | 1UL << IFD_EXE);
	for (unsigned i = 0; i < f.n; i++) {
		snprintf(path, sizeof(path), "/proc/%d/fd/%u", r.role, f.number[i]);
		n = readlink(path, a, sizeof(a) - 1);
		assert_true(n > 0);
		a[n] = '\0';
		snprintf(name, sizeof(name), "/memfd:m%u ", f.number[i]);
		assert_memory_equal(a, name, strlen(name));
		close(f.fd[i]);
	}
	stop(&r);
}

static void expect_limit(pid_t pid, const char *name, unsigned long long want)
{
	unsigned long long soft = 1, hard = 1;
	char path[64], line[256];
	bool found = false;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/limits", pid);
	f = fopen(path, "r");
	assert_non_null(f);
	while (fgets(line, sizeof(line), f))
		if (!strncmp(line, name, strlen(name)))
			found = sscanf(line + 26, "%llu %llu", &soft, &hard) == 2;
	fclose(f);
	assert_true(found);
	assert_true(soft == want && hard == want);
}

static void test_limits(void **state)
{
	struct running r;

	(void)state;
	need_root();
	start(&r);
	expect_limit(r.role, "Max open files", HFD_LIMIT);
	expect_limit(r.role, "Max processes", 0);
	expect_limit(r.role, "Max core file size", 0);
	expect_limit(r.role, "Max file size", 4096);
	stop(&r);
}

static void expect_end(struct running *r, const char *want)
{
	char text[256];
	struct spawn_msg m;

	assert_int_equal(wait_message(&r->s, &m), 1);
	assert_int_equal(m.type, SPAWN_ENDED);
	assert_false(r->s.running);
	spawn_end_text(&m, text, sizeof(text));
	assert_string_equal(text, want);
}

static void test_ends(void **state)
{
	char text[256];
	struct running r;

	(void)state;
	need_root();
	start(&r);
	assert_int_equal(ask(r.ctl, 'f'), 0);
	assert_int_equal(send(r.ctl, "x", 1, 0), 1);
	snprintf(text, sizeof(text),
		 "ended by its filter: system call %d (execve), arguments 0x11 0x22 0x33",
		 sizeof(long) == 8 ? 59 : 11);
	expect_end(&r, text);
	close(r.ctl);
	start_in(&r, NULL); /* the same spawner, again */
	assert_int_equal(send(r.ctl, "q", 1, 0), 1);
	expect_end(&r, "ended with status 113");
	close(r.ctl);
	start_in(&r, NULL);
	assert_int_equal(send(r.ctl, "b", 1, 0), 1);
	expect_end(&r, "killed by signal 11 (Segmentation fault)");
	close(r.ctl);
	start_in(&r, NULL);
	assert_int_equal(spawner_kill_role(&r.s), 0);
	expect_end(&r, "killed by signal 9 (Killed)");
	stop(&r);
}

static void test_signals_pass(void **state)
{
	struct running r;
	long n = 0;

	(void)state;
	need_root();
	start(&r);
	assert_int_equal(ask(r.ctl, 's'), 0);
	for (int i = 1; i <= 20; i++) {
		assert_int_equal(kill(r.role, SIGUSR1), 0);
		for (int k = 0; k < 500 && n < i; k++) {
			n = ask(r.ctl, 's');
			usleep(n < i ? 1000 : 0);
		}
		assert_int_equal(n, i);
	}
	assert_true(r.s.running);
	stop(&r);
}

static void test_refusals(void **state)
{
	struct role_fds f = { 0 };
	struct spawn_msg m;
	struct running r;

	(void)state;
	need_root();
	start(&r);
	assert_int_equal(spawner_start_role(&r.s, &f, HFD_LIMIT, 0, 0, 0), 0);
	assert_int_equal(wait_message(&r.s, &m), 1);
	assert_true(m.type == SPAWN_FAILED && m.value == EBUSY && r.s.running);
	assert_int_equal(spawner_start_role(&r.s, &f, VFD_LIMIT + 1, 0, 0, 0), 0);
	assert_int_equal(wait_message(&r.s, &m), 1);
	assert_true(m.type == SPAWN_FAILED && m.value == EINVAL);
	role_fds_add(&f, 0, HFD_LIMIT); /* a number outside the table */
	assert_int_equal(spawner_start_role(&r.s, &f, HFD_LIMIT, 0, 0, 0), 0);
	assert_int_equal(wait_message(&r.s, &m), 1);
	assert_true(m.type == SPAWN_FAILED && m.value == EINVAL);
	assert_int_equal(send(r.s.sock, "?", 1, 0), 1); /* not a request at all: nothing happens */
	assert_int_equal(ask(r.ctl, 'h'), 0);
	f.n = SPAWN_MAX_FDS + 1;
	assert_int_equal(spawner_start_role(&r.s, &f, HFD_LIMIT, 0, 0, 0), -1);
	assert_int_equal(errno, E2BIG);
	stop(&r);
}

static void test_end_of_file_ends_all(void **state)
{
	struct running r;
	pid_t spawner;

	(void)state;
	need_root();
	start(&r);
	spawner = r.s.pid;
	spawner_destroy(&r.s);
	assert_true(gone(r.role));
	assert_true(gone(spawner));
	close(r.ctl);
}

static void test_supervisor_killed(void **state)
{
	int report[2];
	pid_t pids[2], supervisor;
	struct running r;

	(void)state;
	need_root();
	assert_int_equal(pipe(report), 0);
	supervisor = fork();
	if (supervisor == 0) {
		start(&r);
		pids[0] = r.s.pid;
		pids[1] = r.role;
		if (write(report[1], pids, sizeof(pids)) < 0)
			_exit(1);
		pause();
	}
	assert_int_equal(read(report[0], pids, sizeof(pids)), sizeof(pids));
	kill(supervisor, SIGKILL);
	waitpid(supervisor, NULL, 0);
	assert_true(gone(pids[0]));
	assert_true(gone(pids[1]));
	close(report[0]);
	close(report[1]);
}

static void test_listening_sockets(void **state)
{
	struct room room = a_room();
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	struct running r = { .ctl = -1 };
	struct stat st;
	int fd, c;

	(void)state;
	need_root();
	room.nlisten = 2;
	room.listen[0] = "net0.sock";
	room.listen[1] = "net1.sock";
	assert_int_equal(spawner_create(&r.s, &room), 0);
	start_in(&r, NULL);
	snprintf(a.sun_path, sizeof(a.sun_path), "/proc/%d/root/net1.sock", r.role);
	assert_int_equal(stat(a.sun_path, &st), 0);
	assert_true(st.st_uid == ROLE_UID && st.st_gid == ROLE_GID);
	assert_int_equal(st.st_mode & 0777, 0600);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	c = accept4(r.s.listen_fd[1], NULL, NULL, SOCK_CLOEXEC);
	assert_true(c >= 0);
	assert_true(accept4(r.s.listen_fd[0], NULL, NULL, SOCK_CLOEXEC) < 0);
	close(c);
	close(fd);
	close(r.s.listen_fd[0]);
	close(r.s.listen_fd[1]);
	stop(&r);
}

/* QEMU's room shows a few folders of the host, and none of it can be written to or gain anything. */
static void test_qemu_room(void **state)
{
	struct room room = a_room();
	struct running r = { .ctl = -1 };
	char path[64], line[512], options[64];
	unsigned mounts = 0;
	FILE *f;

	(void)state;
	need_root();
	room.qemu = true;
	assert_int_equal(spawner_create(&r.s, &room), 0);
	assert_int_equal(r.s.missing, 0);
	start_in(&r, NULL);
	expect_confined(r.role);
	snprintf(path, sizeof(path), "/proc/%d/mountinfo", r.role);
	f = fopen(path, "r");
	assert_non_null(f);
	while (fgets(line, sizeof(line), f)) {
		assert_int_equal(sscanf(line, "%*d %*d %*s %*s %*s %63s", options), 1);
		assert_memory_equal(options, "ro,nosuid,nodev", 15);
		mounts++;
	}
	fclose(f);
	assert_true(mounts >= 3);
	snprintf(path, sizeof(path), "/proc/%d/root/etc/passwd", r.role);
	assert_int_equal(access(path, F_OK), -1);
	snprintf(path, sizeof(path), "/proc/%d/root/etc/ld.so.cache", r.role);
	assert_int_equal(access(path, R_OK), 0);
	stop(&r);
}

/* As an ordinary user: the same room, by way of a user namespace. */
static void unprivileged(void)
{
	struct room room = a_room();
	struct running r = { .ctl = -1 };
	char got[128];

	room.uid = (uid_t)-1;
	if (spawner_create(&r.s, &room) < 0)
		_exit(10);
	if (r.s.missing) {
		print_message("skipped: this host refuses user namespaces\n");
		_exit(77);
	}
	start_in(&r, NULL);
	expect_confined(r.role);
	status_field(r.role, "Uid", got, sizeof(got));
	_exit(strcmp(got, "65534\t65534\t65534\t65534") != 0);
}

static void test_unprivileged(void **state)
{
	int status;
	pid_t pid;

	(void)state;
	need_root();
	pid = fork();
	if (pid == 0) {
		if (setgroups(0, NULL) || setresgid(65534, 65534, 65534) || setresuid(65534, 65534, 65534))
			_exit(11);
		/* ids changed: this clears "dumpable", and with it the right to map ids */
		execl("/proc/self/exe", "parent_spawn", "--unprivileged", folder, NULL);
		_exit(12);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_true(WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == 77);
}

static void test_several_at_once(void **state)
{
	struct room room = a_room();
	struct spawner s[3];
	uint64_t best = UINT64_MAX, t;

	(void)state;
	need_root();
	for (int round = 0; round < 5; round++) {
		t = now_us();
		for (int i = 0; i < 3; i++)
			assert_int_equal(spawner_begin(&s[i], &room), 0);
		for (int i = 0; i < 3; i++)
			assert_int_equal(spawner_finish(&s[i]), 0);
		t = now_us() - t;
		best = MIN(best, t);
		for (int i = 0; i < 3; i++)
			spawner_destroy(&s[i]);
	}
	print_message("three rooms in %llu us\n", (unsigned long long)best);
	assert_true(best < 200000);
}

static void test_subid_range(void **state)
{
	char file[] = "/tmp/subid-XXXXXX";
	static const char text[] = "bad:0:10\nalice:100000:65536\nbob:x:1\nbob:200000:65536\n"
				   "carol:4294967290:65536\nalic:7:8\n";
	uid_t first = 0, count = 0;
	int fd = mkstemp(file);

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, sizeof(text) - 1), sizeof(text) - 1);
	close(fd);
	assert_int_equal(subid_range(file, "alice", &first, &count), 0);
	assert_true(first == 100000 && count == 65536);
	assert_int_equal(subid_range(file, "bob", &first, &count), 0);
	assert_true(first == 200000 && count == 65536);
	assert_int_equal(subid_range(file, "bad", &first, &count), -1);
	assert_int_equal(errno, ENOENT);
	assert_int_equal(subid_range(file, "carol", &first, &count), -1);
	assert_int_equal(subid_range(file, "ali", &first, &count), -1);
	unlink(file);
	assert_int_equal(subid_range(file, "alice", &first, &count), -1);
}

static void test_end_text(void **state)
{
	struct spawn_msg m = { .type = SPAWN_ENDED, .value = SIGSYS };
	char text[32];

	(void)state;
	m.call_known = 1;
	m.call = 1ULL << 40; /* what a spawner that lies might say */
	assert_int_equal(spawn_end_text(&m, text, sizeof(text)), sizeof(text) - 1);
	assert_memory_equal(text, "ended by its filter: system cal", sizeof(text));
	m.call_known = 0;
	spawn_end_text(&m, text, sizeof(text));
	assert_string_equal(text, "ended by its filter: a system c");
	m.type = SPAWN_FAILED;
	m.value = ENOENT;
	spawn_end_text(&m, text, sizeof(text));
	assert_string_equal(text, "could not be started: No such f");
}

static int open_programs(const char *argv0)
{
	char path[700];
	char *slash;

	snprintf(folder, sizeof(folder), "%s", argv0);
	slash = strrchr(folder, '/');
	if (slash)
		*slash = '\0';
	snprintf(path, sizeof(path), "%s/../../bin/lguest-sep-init", folder);
	init_exe = open(path, O_RDONLY | O_CLOEXEC);
	snprintf(path, sizeof(path), "%s/../host/spawn_role", folder);
	role_exe = open(path, O_RDONLY | O_CLOEXEC);
	return init_exe < 0 || role_exe < 0 ? -1 : 0;
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_room),
		cmocka_unit_test(test_descriptors),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_ends),
		cmocka_unit_test(test_signals_pass),
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_end_of_file_ends_all),
		cmocka_unit_test(test_supervisor_killed),
		cmocka_unit_test(test_listening_sockets),
		cmocka_unit_test(test_qemu_room),
		cmocka_unit_test(test_unprivileged),
		cmocka_unit_test(test_several_at_once),
		cmocka_unit_test(test_subid_range),
		cmocka_unit_test(test_end_text),
	};
	const struct CMUnitTest pure[] = {
		cmocka_unit_test(test_subid_range),
		cmocka_unit_test(test_end_text),
	};
	bool again = argc == 3 && !strcmp(argv[1], "--unprivileged");
	char self[600];

	snprintf(self, sizeof(self), "%s%s", again ? argv[2] : argv[0], again ? "/x" : "");
	if (open_programs(self) < 0) {
		fprintf(stderr, "%s: lguest-sep-init or spawn_role is not built\n", self);
		return 1;
	}
	if (again)
		unprivileged();
#if defined(__SANITIZE_ADDRESS__)
	print_message("rooms are skipped: programs with a sanitizer are not static\n");
	(void)tests;
	return cmocka_run_group_tests_name("parent_spawn", pure, NULL, NULL);
#else
	(void)pure;
	return cmocka_run_group_tests_name("parent_spawn", tests, NULL, NULL);
#endif
}
