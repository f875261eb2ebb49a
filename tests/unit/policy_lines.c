/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The policy compiler refuses lines that it does not understand, counts what it has read, and compares frequent calls
 * first on i386.
 */
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
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

/* Compile the policy at @path for i386. Returns the number of instructions. */
static unsigned filter_of(const char *path, struct sock_filter *insns, unsigned max)
{
	char command[2048], line[256];
	unsigned n = 0;
	FILE *f;

	snprintf(command, sizeof(command), "'%s' i386 '%s' /dev/stdout", compiler, path);
	f = popen(command, "r");
	assert_non_null(f);
	while (fgets(line, sizeof(line), f)) {
		char *p = line;
		unsigned long v[4];

		if (strncmp(p, "\t{ ", 3) != 0)
			continue;
		p += 2;
		for (size_t i = 0; i < 4; i++)
			v[i] = strtoul(p + 1, &p, 0);
		assert_true(n < max && !strcmp(p, " },\n"));
		insns[n++] = (struct sock_filter){ (uint16_t)v[0], (uint8_t)v[1], (uint8_t)v[2], (uint32_t)v[3] };
	}
	assert_int_equal(pclose(f), 0);
	return n;
}

/* The action for the call @d. *@steps: the number of instructions that it took. */
static uint32_t run(const struct sock_filter *insns, unsigned n, struct seccomp_data d, unsigned *steps)
{
	uint32_t a = 0;

	*steps = 0;
	for (unsigned pc = 0; pc < n; pc++) {
		const struct sock_filter *f = &insns[pc];

		++*steps;
		if (f->code == (BPF_LD | BPF_W | BPF_ABS))
			memcpy(&a, (const char *)&d + f->k, sizeof(a));
		else if (f->code == (BPF_ALU | BPF_AND | BPF_K))
			a &= f->k;
		else if (f->code == (BPF_RET | BPF_K))
			return f->k;
		else if (f->code == (BPF_JMP | BPF_JA))
			pc += f->k;
		else if (f->code == (BPF_JMP | BPF_JEQ | BPF_K))
			pc += a == f->k ? f->jt : f->jf;
		else if (f->code == (BPF_JMP | BPF_JGT | BPF_K))
			pc += a > f->k ? f->jt : f->jf;
		else if (f->code == (BPF_JMP | BPF_JGE | BPF_K))
			pc += a >= f->k ? f->jt : f->jf;
		else
			fail_msg("unknown instruction 0x%x", f->code);
	}
	fail_msg("the filter has no end");
	return 0;
}

/* Numbers of i386 calls. */
enum {
	I386_WRITE = 4,
	I386_OPEN,
	I386_PTRACE = 26,
	I386_GETPPID = 64,
	I386_MMAP = 90,
	I386_PREAD64 = 180,
	I386_PWRITE64,
	I386_MMAP2 = 192,
	I386_FUTEX = 240,
	I386_EPOLL_PWAIT = 319
};

static void test_frequent_calls_come_first(void **state)
{
	static const struct {
		int nr;
		uint32_t action;
		unsigned steps; /* At most; 0: any number */
	} calls[] = {
		{ I386_PREAD64, SECCOMP_RET_ALLOW, 5 }, { I386_PWRITE64, SECCOMP_RET_ALLOW, 6 },
		{ I386_WRITE, SECCOMP_RET_ALLOW, 8 },	{ I386_EPOLL_PWAIT, SECCOMP_RET_ALLOW, 8 },
		{ I386_FUTEX, SECCOMP_RET_ALLOW, 0 },	{ I386_OPEN, SECCOMP_RET_ERRNO, 0 },
		{ I386_GETPPID, SECCOMP_RET_ERRNO, 0 }, { I386_PTRACE, SECCOMP_RET_ERRNO, 0 },
		{ -1, SECCOMP_RET_ERRNO, 0 },
	};
	static struct sock_filter insns[BPF_MAXINSNS];
	unsigned n = filter_of("policy/start.policy", insns, BPF_MAXINSNS), steps;

	(void)state;
	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		struct seccomp_data d = { .nr = calls[i].nr, .arch = AUDIT_ARCH_I386, .args = { 77 } };

		assert_int_equal(run(insns, n, d, &steps) & SECCOMP_RET_ACTION_FULL, calls[i].action);
		if (calls[i].steps && steps > calls[i].steps)
			fail_msg("call %d takes %u instructions", calls[i].nr, steps);
		d.arch = AUDIT_ARCH_X86_64;
		assert_int_equal(run(insns, n, d, &steps), SECCOMP_RET_KILL_PROCESS);
	}
}

/* The number of a policy's instructions for i386. It begins with @first, and 45 more calls make it a tree. */
static unsigned tree_of(const char *first, struct sock_filter *insns, unsigned max)
{
	static const char *const names[] = {
		"read",	     "close",	 "lseek",   "munmap",	"brk",	   "ioctl",   "pread64", "readv", "writev",
		"access",    "pipe",	 "mremap",  "msync",	"mincore", "madvise", "dup",	 "dup2",  "pause",
		"nanosleep", "alarm",	 "getpid",  "fork",	"vfork",   "execve",  "wait4",	 "kill",  "uname",
		"fsync",     "truncate", "getcwd",  "chdir",	"fchdir",  "rename",  "mkdir",	 "rmdir", "creat",
		"link",	     "unlink",	 "symlink", "readlink", "chmod",   "fchmod",  "umask",	 "times", "ptrace",
	};
	char path[] = "/tmp/policy-XXXXXX.policy";
	int fd = mkstemps(path, (int)strlen(".policy"));
	unsigned n;
	FILE *f;

	assert_true(fd >= 0);
	f = fdopen(fd, "w");
	assert_non_null(f);
	fprintf(f, "default kill # d\n%s # f\n", first);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		fprintf(f, "%s # n\n", names[i]);
	fclose(f);
	n = filter_of(path, insns, max);
	remove(path);
	return n;
}

/* Calls with conditions are not compared first, nor names that are other calls on i386. */
static void test_only_what_is_allowed_comes_first(void **state)
{
	static struct sock_filter insns[BPF_MAXINSNS];
	struct seccomp_data d = { .arch = AUDIT_ARCH_I386, .nr = I386_MMAP };
	unsigned n = tree_of("mmap", insns, BPF_MAXINSNS), steps;

	(void)state;
	assert_int_equal(run(insns, n, d, &steps), SECCOMP_RET_KILL_PROCESS);
	d.nr = I386_MMAP2;
	assert_int_equal(run(insns, n, d, &steps), SECCOMP_RET_ALLOW);

	n = tree_of("write 0==7", insns, BPF_MAXINSNS);
	d.nr = I386_WRITE;
	assert_int_equal(run(insns, n, d, &steps), SECCOMP_RET_KILL_PROCESS);
	d.args[0] = 7;
	assert_int_equal(run(insns, n, d, &steps), SECCOMP_RET_ALLOW);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_errors),
		cmocka_unit_test(test_counts),
		cmocka_unit_test(test_frequent_calls_come_first),
		cmocka_unit_test(test_only_what_is_allowed_comes_first),
	};
	char *slash;

	(void)argc;
	snprintf(compiler, sizeof(compiler) - 32, "%s", argv[0]);
	slash = strrchr(compiler, '/');
	snprintf(slash ? slash : compiler, 32, "%s/../../policy/compile", slash ? "" : ".");
	return cmocka_run_group_tests_name("policy_lines", tests, NULL, NULL);
}
