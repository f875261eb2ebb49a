/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The room of a role: user IDs, capabilities, namespaces, an empty root directory, limits;
 * started by root and by an ordinary user.
 */
#include "parent/room/confine.h"
#include "tests/unit/parent_rig.h"

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
	pid_t climber;
	int fd, status;
	DIR *d;

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
	/* As the role sees it, whose root this is: there is nothing above. */
	climber = fork();
	if (climber == 0)
		_exit(fchdir(fd) < 0 || chroot(".") < 0 || open("../etc", O_RDONLY) >= 0 || errno != ENOENT);
	assert_int_equal(waitpid(climber, &status, 0), climber);
	assert_int_equal(status, 0);
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
	expect_limit(r.role, "Max core file size", 1);
	expect_limit(r.role, "Max file size", 4096);
	stop(&r);
}

/*
 * Another process of the same user cannot inspect a role, even while the role waits for its configuration:
 * the /proc files of a process that is not dumpable belong to root.
 */
static void test_not_dumpable_from_the_start(void **state)
{
	static const char *const program[] = { "vcpu", "netd", "blkd" };
	struct room room = a_room();

	(void)state;
	need_root();
	for (unsigned i = 0; i < 3; i++) {
		struct running r = { .ctl = -1 };
		struct role_fds f = { 0 };
		struct stat st = { .st_uid = ROLE_UID };
		char path[700];
		struct spawn_msg m;
		int pair[2];

		snprintf(path, sizeof(path), "%s/../../bin/lguest-sep-%s", folder, program[i]);
		room.exe = open(path, O_RDONLY | O_CLOEXEC);
		assert_true(room.exe >= 0);
		assert_int_equal(spawner_create(&r.s, &room), 0);
		assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
		role_fds_add(&f, pair[1], HFD_CTL);
		assert_int_equal(spawner_start_role(&r.s, &f, HFD_LIMIT, 0, 0, 0), 0);
		assert_int_equal(wait_message(&r.s, &m), 1);
		assert_int_equal(m.type, SPAWN_STARTED);
		snprintf(path, sizeof(path), "/proc/%d/fd", child_of(r.s.pid));
		for (unsigned k = 0; k < 6000 && st.st_uid == ROLE_UID; k++) {
			assert_int_equal(stat(path, &st), 0);
			usleep(10000);
		}
		assert_int_equal(st.st_uid, 0);
		close(pair[0]);
		close(pair[1]);
		close(room.exe);
		spawner_destroy(&r.s);
	}
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

/* QEMU's room shows a few directories of the host, and none of it can be written to or gain anything. */
static void test_qemu_room(void **state)
{
	struct room room = a_room();
	struct running r = { .ctl = -1 };
	char path[64], line[512], options[64];
	unsigned mounts = 0;
	FILE *f;

	(void)state;
	need_root();
	room.qemu = machine_get(MACHINE_X86_64);
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
	char got[128], want[128];

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
	fmt_line(want, sizeof(want), "%u\t%u\t%u\t%u", ROLE_UID, ROLE_UID, ROLE_UID, ROLE_UID);
	_exit(strcmp(got, want) != 0);
}

static void test_unprivileged(void **state)
{
	int status;
	pid_t pid;

	(void)state;
	need_root();
	pid = fork();
	if (pid == 0) {
		/* Not 65534, which in a new user namespace is everybody. */
		if (setgroups(0, NULL) || setresgid(ROLE_GID, ROLE_GID, ROLE_GID) ||
		    setresuid(ROLE_UID, ROLE_UID, ROLE_UID))
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

/* As at the beginning of the privileged window. The last test, because it cannot be undone. */
static void test_empty_bounding_set(void **state)
{
	char before[64], after[64];
	struct running r;

	(void)state;
	need_root();
	status_field(getpid(), "CapEff", before, sizeof(before));
	assert_int_equal(confine_bounds(), 0);
	status_field(getpid(), "CapEff", after, sizeof(after));
	assert_string_equal(after, before);
	expect_status(getpid(), "CapBnd", "0000000000000000");
	start(&r);
	assert_int_equal(r.s.missing, 0);
	expect_confined(r.s.pid);
	expect_confined(r.role);
	stop(&r);
}

/* Where the user stays root, only confine_self() takes the capabilities away. */
static void test_capabilities_without_another_user(void **state)
{
	static const char *const sets[] = { "CapEff", "CapPrm", "CapInh", "CapBnd", "CapAmb" };
	int to_child[2], from_child[2];
	char byte;
	pid_t pid;

	(void)state;
	need_root();
	assert_int_equal(pipe(to_child), 0);
	assert_int_equal(pipe(from_child), 0);
	pid = fork();
	if (pid == 0) {
		byte = confine_self((uid_t)-1, (gid_t)-1) == 0;
		close(to_child[1]);
		if (write(from_child[1], &byte, 1) != 1 || read(to_child[0], &byte, 1) != 0)
			_exit(1);
		_exit(0);
	}
	close(from_child[1]);
	assert_int_equal(read(from_child[0], &byte, 1), 1);
	assert_int_equal(byte, true);
	for (size_t i = 0; i < sizeof(sets) / sizeof(sets[0]); i++)
		expect_status(pid, sets[i], "0000000000000000");
	close(to_child[0]);
	close(to_child[1]);
	close(from_child[0]);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_room),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_not_dumpable_from_the_start),
		cmocka_unit_test(test_listening_sockets),
		cmocka_unit_test(test_qemu_room),
		cmocka_unit_test(test_unprivileged),
		cmocka_unit_test(test_several_at_once),
		cmocka_unit_test(test_capabilities_without_another_user),
		cmocka_unit_test(test_empty_bounding_set),
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
	print_message("skipped: programs with a sanitizer are not static\n");
	(void)tests;
	return 0;
#else
	return cmocka_run_group_tests_name("parent_room", tests, NULL, NULL);
#endif
}
