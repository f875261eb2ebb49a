/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Limits of a whole guest: where its cgroup is, what the kernel's counters mean, and that
 * running out of memory is named as the reason.
 */
#include "parent/setup/cgroup.h"
#include "parent/supervise/limits.h"
#include "tests/unit/parent_options_rig.h"

#define MOUNT(root, at) "36 25 0:30 " root " " at " rw,nosuid shared:4 - cgroup2 cgroup2 rw\n"
#define OTHER		"25 1 8:1 / / rw - ext4 /dev/sda1 rw\n30 25 0:26 /a /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n"

static void where_our_cgroup_is(void **state)
{
	static const struct {
		const char *cgroup, *mounts, *path, *top;
	} row[] = {
		{ "0::/\n", OTHER MOUNT("/", "/sys/fs/cgroup"), "/sys/fs/cgroup", "/sys/fs/cgroup" },
		{ "0::/a.slice/b.scope\n", MOUNT("/", "/sys/fs/cgroup"), "/sys/fs/cgroup/a.slice/b.scope",
		  "/sys/fs/cgroup" },
		/* Version 1 beside it. */
		{ "4:memory:/x\n1:name=systemd:/y\n0::/z\n", OTHER MOUNT("/", "/sys/fs/cgroup/unified"),
		  "/sys/fs/cgroup/unified/z", "/sys/fs/cgroup/unified" },
		/* A container that shows a part of the hierarchy; a longer root wins. */
		{ "0::/box/in\n", MOUNT("/box", "/cg"), "/cg/in", "/cg" },
		{ "0::/box\n", MOUNT("/box", "/cg"), "/cg", "/cg" },
		{ "0::/box/in\n", MOUNT("/", "/whole") MOUNT("/box", "/part"), "/part/in", "/part" },
		/* A name that only begins the same is another cgroup. */
		{ "0::/boxes/in\n", MOUNT("/box", "/cg"), NULL, NULL },
		{ "0::/../out\n", MOUNT("/box", "/cg"), NULL, NULL },
		{ "4:memory:/x\n", MOUNT("/", "/sys/fs/cgroup"), NULL, NULL },
		{ "0::/\n", OTHER, NULL, NULL },
	};
	char path[CGROUP_PATH_MAX], top[CGROUP_PATH_MAX];

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(row); i++) {
		int found = cgroup_own_path(row[i].cgroup, row[i].mounts, path, top);

		assert_int_equal(found, row[i].path ? 0 : -1);
		if (!row[i].path)
			continue;
		assert_string_equal(path, row[i].path);
		assert_string_equal(top, row[i].top);
	}
}

static void a_place_that_is_no_cgroup_is_refused(void **state)
{
	const struct limit_option o = { .pids = 5, .parent = "/tmp" };
	struct cgroup_place p;
	char why[512], text[64];

	(void)state;
	assert_int_equal(cgroup_find(&o, CG_PIDS, false, &p, why, sizeof(why)), -1);
	assert_non_null(strstr(why, "/tmp is not in a cgroup version 2"));
	close(p.dir);
	assert_string_equal(cgroup_names(CG_ALL, "+", text, sizeof(text)), "+memory +cpu +pids");
	assert_string_equal(cgroup_names(CG_PIDS, "-", text, sizeof(text)), "-pids");
}

static void the_counters_of_the_kernel(void **state)
{
	static const char text[] = "low 0\nhigh 0\nmax 812\noom 3\noom_kill 2\noom_group_kill 1\n";

	(void)state;
	assert_int_equal(sup_limits_counter(text, "oom_kill"), 2);
	assert_int_equal(sup_limits_counter(text, "max"), 812);
	assert_int_equal(sup_limits_counter(text, "oom"), 3);
	assert_int_equal(sup_limits_counter(text, "none"), 0);
	assert_int_equal(sup_limits_counter("", "oom"), 0);
}

static struct host host;
static struct supervisor s;
static uint8_t lines[LINES_SIZE];

/* A running guest whose memory.events has @text, as often as it is read. */
static void running(const char *text)
{
	memset(&s, 0, sizeof(s));
	memset(&host, 0, sizeof(host));
	memset(&c, 0, sizeof(c));
	s.h = &host;
	s.c = &c;
	s.status = -1;
	s.phase = PHASE_RUNNING;
	s.nroles = 1;
	s.role[0].host = &host.role[0];
	s.role[0].ctl = host.role[0].diag = host.role[0].spawner.sock = -1;
	s.err = (struct outbuf){ .buf = lines, .size = sizeof(lines) };
	c.limit.memory = 100 << 20;
	for (unsigned i = 0; i < ARRAY_SIZE(host.limits.events); i++) {
		host.limits.events[i] = memfd_create("events", MFD_CLOEXEC);
		assert_int_equal(pwrite(host.limits.events[i], text, strlen(text), 0), (ssize_t)strlen(text));
	}
	host.limits.peak = host.limits.refused = -1;
}

static void out_of_memory_is_the_reason(void **state)
{
	(void)state;
	running("max 9\noom 1\noom_kill 0\n");
	sup_limits_check(&s);
	assert_int_equal(s.status, -1);
	assert_false(s.out_of_memory);
	running("max 9\noom 2\noom_kill 4\n");
	sup_limits_check(&s);
	assert_true(s.out_of_memory);
	assert_int_equal(s.status, EXIT_ROLE_DIED);
	assert_int_equal(s.oom_kills, 4);
	lines[s.err.len] = '\0';
	assert_non_null(strstr((char *)lines, "out of memory"));
	assert_non_null(strstr((char *)lines, "--memory-max=100M"));
	/* Only once. */
	s.err.len = 0;
	sup_limits_check(&s);
	assert_int_equal(s.err.len, 0);
}

/* The host, or a cgroup above the guest's, ran out of memory. */
static void anothers_memory_is_not_the_reason(void **state)
{
	(void)state;
	running("max 0\noom 0\noom_kill 4\n");
	sup_limits_check(&s);
	assert_false(s.out_of_memory);
	assert_int_equal(s.oom_kills, 0);
	running("max 9\noom 2\noom_kill 4\n");
	c.limit.memory = 0;
	sup_limits_check(&s);
	assert_false(s.out_of_memory);
}

/* A reason from outside, such as --timeout, stays the reason. */
static void an_earlier_reason_stays(void **state)
{
	(void)state;
	running("oom 1\noom_kill 4\n");
	s.status = EXIT_TIMEOUT;
	sup_limits_check(&s);
	assert_int_equal(s.status, EXIT_TIMEOUT);
	assert_false(s.out_of_memory);
}

static void options_of_limits(void **state)
{
	static const struct bad bad[] = {
		{ { "--memory-max=9", "64", "k" }, "--memory-max=9: give a size from 1M on" },
		{ { "--cpus=0", "64", "k" }, "--cpus=0: give processor time" },
		{ { "--cpus=0.001", "64", "k" }, "--cpus=0.001: give processor time" },
		{ { "--cpus=5000", "64", "k" }, "--smp=N" },
		{ { "--pids-max=0", "64", "k" }, "--pids-max=0:" },
		{ { "--cgroup-parent=guests", "64", "k" }, "--cgroup-parent=guests: give the path" },
	};

	(void)state;
	expect_refused(bad, ARRAY_SIZE(bad));
	assert_int_equal(WITH("--memory-max=300M", "--cpus=1.5", "--pids-max=20", "--cgroup-parent=/x"), -1);
	assert_int_equal(c.limit.memory, 300 << 20);
	assert_int_equal(c.limit.cpus, 1500);
	assert_int_equal(c.limit.pids, 20);
	assert_string_equal(c.limit.parent, "/x");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(where_our_cgroup_is),
		cmocka_unit_test(a_place_that_is_no_cgroup_is_refused),
		cmocka_unit_test(the_counters_of_the_kernel),
		cmocka_unit_test(out_of_memory_is_the_reason),
		cmocka_unit_test(anothers_memory_is_not_the_reason),
		cmocka_unit_test(an_earlier_reason_stays),
		cmocka_unit_test(options_of_limits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
