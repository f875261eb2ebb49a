/* SPDX-License-Identifier: GPL-2.0-or-later */
/* AppArmor: which profile a process changes to and when, and what the audit compares. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/util.h"
#include "parent/audit/audit.h"
#include "parent/audit/check.h"
#include "parent/audit/label.h"
#include "parent/room/apparmor.h"

/* A directory that plays /proc/self, with attr/ as on older kernels, or attr/apparmor/ below it. */
static char self[64];
static const char *place;

static void name_file(char *path, size_t size, const char *name)
{
	snprintf(path, size, "%s/%s/%s", self, place, name);
}

static void put(const char *name, const char *text)
{
	char path[128];
	FILE *f;

	name_file(path, sizeof(path), name);
	f = fopen(path, "w");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static const char *get(const char *name)
{
	static char text[128];
	char path[128];
	FILE *f;
	size_t n;

	name_file(path, sizeof(path), name);
	f = fopen(path, "r");
	if (!f)
		return NULL;
	n = fread(text, 1, sizeof(text) - 1, f);
	text[n] = '\0';
	fclose(f);
	return text;
}

static void make(const char *where)
{
	static const char *const parts[] = { "attr", "attr/apparmor" };
	char path[128];

	snprintf(self, sizeof(self), "/tmp/apparmor-XXXXXX");
	assert_non_null(mkdtemp(self));
	place = where;
	for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
		snprintf(path, sizeof(path), "%s/%s", self, parts[i]);
		if (strlen(parts[i]) <= strlen(where))
			assert_int_equal(mkdir(path, 0700), 0);
	}
	put("exec", "");
}

static void clear(void)
{
	char command[96];

	snprintf(command, sizeof(command), "rm -rf %s", self);
	assert_int_equal(system(command), 0);
}

static void changes(const char *where)
{
	make(where);
	put("current", "lguest-sep (unconfined)\n");
	assert_int_equal(apparmor_change(self, "lguest-sep-blkd", true), 1);
	assert_string_equal(get("exec"), "exec lguest-sep-blkd");
	assert_string_equal(get("current"), "lguest-sep (unconfined)\n");
	put("exec", "");
	put("current", "lguest-sep (complain)\n");
	assert_int_equal(apparmor_change(self, "lguest-sep-supervisor", false), 1);
	assert_string_equal(get("exec"), "");
	assert_int_equal(strncmp(get("current"), "changeprofile lguest-sep-supervisor", 35), 0);
	clear();
}

static void installed_launcher_changes(void **state)
{
	(void)state;
	changes("attr/apparmor");
	changes("attr");
}

/* A build directory, another profile, another security module: nothing is asked for. */
static void others_do_not_change(void **state)
{
	static const char *const labels[] = {
		"unconfined\n",
		"lguest-sep-blkd (enforce)\n",
		"lguest-sep",
		"",
		"lguest-sep//&:other:unconfined\n",
		"kernel",
		"unconfined_u:unconfined_r:unconfined_t:s0\n",
	};

	(void)state;
	make("attr");
	for (size_t i = 0; i < ARRAY_SIZE(labels); i++) {
		put("current", labels[i]);
		assert_int_equal(apparmor_change(self, "lguest-sep-blkd", true), 0);
		assert_string_equal(get("exec"), "");
		assert_int_equal(apparmor_change(self, "lguest-sep-blkd", false), 0);
		assert_string_equal(get("current"), labels[i]);
	}
	clear();
	assert_int_equal(apparmor_change("/nonexistent", "lguest-sep-blkd", true), 0);
}

/* A profile that is not loaded is an error: the process must not stay without one. */
static void refusals_are_errors(void **state)
{
	char path[128];

	(void)state;
	make("attr/apparmor");
	put("current", "lguest-sep (unconfined)\n");
	name_file(path, sizeof(path), "exec");
	unlink(path);
	assert_int_equal(apparmor_change(self, "lguest-sep-blkd", true), -1);
	assert_int_equal(errno, ENOENT);
	assert_int_equal(symlink("/dev/full", path), 0);
	assert_int_equal(apparmor_change(self, "lguest-sep-blkd", true), -1);
	assert_int_equal(errno, ENOSPC);
	clear();
}

static void roles_have_profiles_of_their_own(void **state)
{
	struct room r = { .role = ROLE_VCPU };

	(void)state;
	assert_string_equal(apparmor_profile(&r), "lguest-sep-vcpu");
	r.qemu = machine_get(MACHINE_X86_64);
	assert_string_equal(apparmor_profile(&r), "lguest-sep-qemu");
	r.qemu = NULL;
	for (unsigned i = 0; i < ROLE_COUNT; i++) {
		r.role = (enum role)i;
		assert_non_null(apparmor_profile(&r));
		assert_int_equal(strncmp(apparmor_profile(&r), "lguest-sep-", 11), 0);
	}
}

/* Returns how many AppArmor rows of @g have the verdict @v. */
static unsigned rows(struct audit_guest *g, enum verdict v)
{
	unsigned n = 0;

	for (unsigned i = 0; i < g->n; i++)
		g->process[i].nchecks = 0;
	g->nchecks = 0;
	audit_judge(g);
	for (unsigned i = 0; i < g->n; i++)
		for (unsigned c = 0; c < g->process[i].nchecks; c++)
			n += !strcmp(g->process[i].check[c].what, "AppArmor profile") &&
			     g->process[i].check[c].verdict == v;
	return n;
}

static void audit_compares_labels(void **state)
{
	static struct audit_process p[] = {
		{ .part = PART_SUPERVISOR, .f = { .pid = 10, .label = "lguest-sep-supervisor (enforce)" } },
		{ .part = PART_SPAWNER, .f = { .pid = 11, .ppid = 10, .label = "lguest-sep-blkd (enforce)" } },
		{ .part = PART_BLKD, .f = { .pid = 12, .ppid = 11, .label = "lguest-sep-blkd (enforce)" } },
	};
	struct audit_guest g = { .process = p, .n = ARRAY_SIZE(p) };

	(void)state;
	assert_int_equal(rows(&g, AS_PROMISED), 3);
	assert_int_equal(rows(&g, WEAKER), 0);
	strcpy(p[2].f.label, "lguest-sep-blkd (complain)");
	strcpy(p[1].f.label, "lguest-sep-fsd (enforce)");
	assert_int_equal(rows(&g, AS_PROMISED), 1);
	assert_int_equal(rows(&g, WEAKER), 2);
	strcpy(p[0].f.label, "unconfined");
	assert_int_equal(rows(&g, AS_PROMISED) + rows(&g, WEAKER), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(installed_launcher_changes), cmocka_unit_test(others_do_not_change),
		cmocka_unit_test(refusals_are_errors),	      cmocka_unit_test(roles_have_profiles_of_their_own),
		cmocka_unit_test(audit_compares_labels),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
