/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The spawner: it places the role's descriptors, reports the role's end, and nothing outlives
 * the supervisor.
 */
#include "parent/room/confine.h"
#include "tests/unit/parent_rig.h"

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
	snprintf(text, sizeof(text), "ended by its filter: system call %d (execve), arguments 0x11 0x22 0x33",
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
	expect_end(&r, "killed by signal 9 (Killed), by a user or because the host is out of memory (see dmesg)");
	stop(&r);
}

/* The state letters of all threads of @pid, and its processor time in ticks. */
static unsigned long threads_of(pid_t pid, char *states, size_t size)
{
	char path[64], text[512];
	unsigned long user, kernel, sum = 0;
	struct dirent *e;
	size_t n = 0;
	DIR *d;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	d = opendir(path);
	assert_non_null(d);
	while ((e = readdir(d)) && n < size - 1) {
		if (e->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "/proc/%d/task/%.20s/stat", pid, e->d_name);
		f = fopen(path, "re");
		assert_non_null(f);
		assert_non_null(fgets(text, sizeof(text), f));
		fclose(f);
		assert_int_equal(sscanf(strrchr(text, ')'), ") %c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu",
					&states[n], &user, &kernel),
				 3);
		sum += user + kernel;
		n++;
	}
	closedir(d);
	states[n] = '\0';
	return sum;
}

static void pause_it(struct running *r, uint32_t number)
{
	struct spawn_msg m;

	assert_int_equal(spawner_pause_role(&r->s, number), 0);
	do
		assert_int_equal(wait_message(&r->s, &m), 1);
	while (m.type == SPAWN_PAUSED && m.value + 1 == number);
	assert_int_equal(m.type, SPAWN_PAUSED);
	assert_int_equal(m.value, number);
}

/* Wait until each of @n threads is in one of the states @want. */
static void wait_states(const struct running *r, size_t n, const char *want)
{
	char states[8] = "";

	for (unsigned i = 0; i < 6000 && (strlen(states) != n || strspn(states, want) != n); i++) {
		(void)threads_of(r->role, states, sizeof(states));
		usleep(i ? 10000 : 0);
	}
	assert_int_equal(strlen(states), n);
	assert_int_equal(strspn(states, want), n);
}

/* A thread that waits for a processor has its SIGSTOP, and stops as soon as it gets one. */
static void expect_stopped(const struct running *r)
{
	wait_states(r, 4, "Tt");
}

/* Three threads that never sleep, and one that waits for commands. */
static void test_pause(void **state)
{
	struct room room = a_room();
	struct running r = { .ctl = -1 };
	unsigned long before;
	char states[8];

	(void)state;
	need_root();
	assert_int_equal(spawner_create(&r.s, &room), 0);
	start_with(&r, NULL, 4);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(ask(r.ctl, 't'), 0);
	for (uint32_t i = 0; i < 200; i++) {
		pause_it(&r, 2 * i);
		expect_stopped(&r);
		assert_int_equal(spawner_resume_role(&r.s), 0);
		/* One that is resumed at once: its answer may come or not. */
		if (i % 3 == 0) {
			assert_int_equal(spawner_pause_role(&r.s, 2 * i + 1), 0);
			assert_int_equal(spawner_resume_role(&r.s), 0);
		}
		if (i % 10 == 0)
			assert_int_equal(ask(r.ctl, 'h'), 0);
	}
	pause_it(&r, 1000);
	expect_stopped(&r);
	before = threads_of(r.role, states, sizeof(states));
	assert_int_equal(send(r.ctl, "h", 1, 0), 1);
	sleep(1);
	assert_int_equal(threads_of(r.role, states, sizeof(states)), before);
	assert_int_equal(recv(r.ctl, states, sizeof(states), MSG_DONTWAIT), -1);
	assert_int_equal(spawner_kill_role(&r.s), 0);
	expect_end(&r, "killed by signal 9 (Killed), by a user or because the host is out of memory (see dmesg)");
	close(r.ctl);
	start_in(&r, NULL);
	assert_int_equal(ask(r.ctl, 'h'), 0);
	pause_it(&r, 1001);
	stop(&r);
}

/* A pause does not wait for a thread that cannot stop now; that thread does not return to its program all the same. */
static void test_pause_in_a_call(void **state)
{
	struct room room = a_room();
	struct running r = { .ctl = -1 };
	struct pollfd p = { .events = POLLIN };
	char states[8];
	long value = 0;

	(void)state;
	need_root();
	assert_int_equal(spawner_create(&r.s, &room), 0);
	start_with(&r, NULL, 2);
	assert_int_equal(ask(r.ctl, 'w'), 0);
	for (unsigned i = 0; i < 6000; i++) {
		(void)threads_of(r.role, states, sizeof(states));
		if (strchr(states, 'D'))
			break;
		usleep(10000);
	}
	assert_non_null(strchr(states, 'D'));
	pause_it(&r, 1);
	(void)threads_of(r.role, states, sizeof(states));
	assert_non_null(strchr(states, 'D'));
	assert_int_equal(send(r.ctl, "x", 1, 0), 1);
	wait_states(&r, 2, "Tt");
	assert_int_equal(recv(r.ctl, &value, sizeof(value), MSG_DONTWAIT), -1);
	assert_int_equal(spawner_resume_role(&r.s), 0);
	p.fd = r.ctl;
	assert_int_equal(poll(&p, 1, 60000), 1);
	assert_int_equal(recv(r.ctl, &value, sizeof(value), 0), sizeof(value));
	assert_int_equal(value, 7777);
	stop(&r);
}

/* Processes of @pid's pid namespace, @pid itself included. */
static unsigned in_namespace_of(pid_t pid)
{
	char path[64], own[64], other[64];
	struct dirent *e;
	unsigned count = 0;
	ssize_t n, m;
	DIR *d;

	snprintf(path, sizeof(path), "/proc/%d/ns/pid", pid);
	n = readlink(path, own, sizeof(own));
	assert_true(n > 0);
	d = opendir("/proc");
	assert_non_null(d);
	while ((e = readdir(d))) {
		snprintf(path, sizeof(path), "/proc/%.20s/ns/pid", e->d_name);
		m = e->d_name[0] >= '1' && e->d_name[0] <= '9' ? readlink(path, other, sizeof(other)) : -1;
		count += m == n && !memcmp(own, other, (size_t)n);
	}
	closedir(d);
	return count;
}

/* A role that may make threads may make processes too, until its own filter is on. */
static void test_nothing_is_left_behind(void **state)
{
	struct room room = a_room();
	struct running r = { .ctl = -1 };

	(void)state;
	need_root();
	assert_int_equal(spawner_create(&r.s, &room), 0);
	for (unsigned i = 0; i < 3; i++) {
		start_with(&r, NULL, 1);
		assert_int_equal(ask(r.ctl, 'l'), 0);
		for (unsigned k = 0; k < 6000 && in_namespace_of(r.s.pid) < 4; k++)
			usleep(10000);
		assert_int_equal(in_namespace_of(r.s.pid), 4); /* spawner, role, child, grandchild */
		assert_int_equal(send(r.ctl, "q", 1, 0), 1);
		expect_end(&r, "ended with status 113");
		assert_int_equal(in_namespace_of(r.s.pid), 1);
		close(r.ctl);
	}
	start_in(&r, NULL); /* it still starts a role */
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
		for (int k = 0; k < 60000 && n < i; k++) {
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

static void test_subordinate_ids(void **state)
{
	char file[] = "/tmp/subid-XXXXXX";
	static const char text[] = "bad:0:10\nalice:100000:65536\nbob:x:1\nbob:200000:65536\n"
				   "carol:4294967290:65536\nalic:7:8\ndave:300000:3\n1007:400000:2\n";
	uid_t id = 0;
	int fd = mkstemp(file);

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, sizeof(text) - 1), sizeof(text) - 1);
	close(fd);
	assert_int_equal(subid_nth(file, "alice", 1, 65535, &id), 0);
	assert_int_equal(id, 165535);
	assert_int_equal(subid_nth(file, "alice", 1, 65536, &id), -1);
	assert_int_equal(subid_nth(file, "bob", 1, 0, &id), 0);
	assert_int_equal(id, 200000);
	assert_int_equal(subid_nth(file, "bad", 1, 0, &id), -1);
	assert_int_equal(errno, ENOENT);
	assert_int_equal(subid_nth(file, "carol", 1, 0, &id), -1);
	assert_int_equal(subid_nth(file, "ali", 1, 0, &id), -1);
	/* Several lines count together, by name and by number. */
	assert_int_equal(subid_nth(file, "dave", 1007, 2, &id), 0);
	assert_int_equal(id, 300002);
	assert_int_equal(subid_nth(file, "dave", 1007, 3, &id), 0);
	assert_int_equal(id, 400000);
	assert_int_equal(subid_nth(file, "dave", 1007, 5, &id), -1);
	unlink(file);
	assert_int_equal(subid_nth(file, "alice", 1, 0, &id), -1);
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

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_descriptors),
		cmocka_unit_test(test_ends),
		cmocka_unit_test(test_pause),
		cmocka_unit_test(test_pause_in_a_call),
		cmocka_unit_test(test_nothing_is_left_behind),
		cmocka_unit_test(test_signals_pass),
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_end_of_file_ends_all),
		cmocka_unit_test(test_supervisor_killed),
		cmocka_unit_test(test_subordinate_ids),
		cmocka_unit_test(test_end_text),
	};
	const struct CMUnitTest pure[] = {
		cmocka_unit_test(test_subordinate_ids),
		cmocka_unit_test(test_end_text),
	};
	char self[600];

	(void)argc;
	snprintf(self, sizeof(self), "%s", argv[0]);
	if (open_programs(self) < 0) {
		fprintf(stderr, "%s: lguest-sep-init or spawn_role is not built\n", self);
		return 1;
	}
#if defined(__SANITIZE_ADDRESS__)
	print_message("skipped: programs with a sanitizer are not static\n");
	(void)tests;
	return cmocka_run_group_tests_name("parent_spawn", pure, NULL, NULL);
#else
	(void)pure;
	return cmocka_run_group_tests_name("parent_spawn", tests, NULL, NULL);
#endif
}
