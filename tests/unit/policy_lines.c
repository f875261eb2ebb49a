/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The policy compiler refuses lines that it does not understand, and counts what it has read. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include <cmocka.h>

#ifdef __x86_64__
#define ARCH_NAME "x86_64"
#else
#define ARCH_NAME "i386"
#endif

static char compiler[640];

static int compile(const char *text, char *said, size_t size)
{
	char dir[] = "/tmp/policy-XXXXXX", command[2048];
	size_t n;
	FILE *f;
	int rc;

	assert_non_null(mkdtemp(dir));
	snprintf(command, sizeof(command), "%s/t.policy", dir);
	f = fopen(command, "w");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
	snprintf(command, sizeof(command), "'%s' %s --count '%s/t.policy' 2>&1; s=$?; rm -r '%s'; exit $s", compiler,
		 ARCH_NAME, dir, dir);
	f = popen(command, "r");
	assert_non_null(f);
	n = fread(said, 1, size - 1, f);
	said[n] = '\0';
	rc = pclose(f);
	return WEXITSTATUS(rc);
}

static void test_errors(void **state)
{
	static const struct {
		const char *text, *want;
	} bad[] = {
		{ "default kill # d\nread\n", "t.policy:2: no reason" },
		{ "default kill # d\nread #  \n", "t.policy:2: no reason" },
		{ "default kill # d\nraed # r\n", "t.policy:2: no such system call: 'raed'" },
		{ "default kill # d\nread 0==HFD_CLT # r\n", "t.policy:2: unknown symbol 'HFD_CLT'" },
		{ "default kill # d\nread 6==1 # r\n", "t.policy:2: a condition begins" },
		{ "default kill # d\nread 0=1 # r\n", "t.policy:2: no comparison" },
		{ "default kill # d\nread 0==1x # r\n", "t.policy:2: '1x' is no number" },
		{ "default kill # d\nread 0==1 1==2 # r\n", "t.policy:2: not understood" },
		{ "default kill # d\nread 0==1, 0==2 # r\n", "argument 0 has two conditions" },
		{ "default kill # d\nread 0 in 8/16 # r\n", "COUNT of 'in' is a power of two" },
		{ "default kill # d\nread 0 in 16/3 # r\n", "COUNT of 'in' is a power of two" },
		{ "default kill # d\nread 0&3!=1 # r\n", "a mask is followed by" },
		{ "default kill # d\nread 0==(1|2 # r\n", "')' is missing" },
		{ "default kill # d\n[arm] read # r\n", "an architecture is" },
		{ "default kill # d\ninclude nosuch\n", "nosuch.policy" },
		{ "default kill # d\ninclude t\n", "includes nest too deep" },
		{ "default kill # d\ndefault kill # d\n", "t.policy:2: a second default" },
		{ "read # r\ndefault errno ENOSYS # d\n", "before the first rule" },
		{ "default maybe # d\n", "the default is" },
		{ "default kill # d\nerrno read # r\n", "unknown symbol" },
		{ "read # r\n", "no default line" },
	};
	char said[1024];

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(compile(bad[i].text, said, sizeof(said)), 1);
		if (!strstr(said, bad[i].want))
			fail_msg("wanted '%s', got '%s'", bad[i].want, said);
	}
}

static void test_counts(void **state)
{
	char said[1024];

	(void)state;
	assert_int_equal(compile("# a comment\n\ndefault kill # d\nread 0==1 # a\nread 0==2 # b\n"
				 "write # c\nerrno clone3 ENOSYS # e\n[" ARCH_NAME "] close 0==(1|2)+4 # f\n",
				 said, sizeof(said)),
			 0);
	assert_memory_equal(said, "t 3 4 3 ", 8);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_errors),
		cmocka_unit_test(test_counts),
	};
	char *slash;

	(void)argc;
	snprintf(compiler, sizeof(compiler) - 32, "%s", argv[0]);
	slash = strrchr(compiler, '/');
	snprintf(slash ? slash : compiler, 32, "%s/../../policy/compile", slash ? "" : ".");
	return cmocka_run_group_tests_name("policy_lines", tests, NULL, NULL);
}
