/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The sandbox, tested in child processes: after sandbox_enter() there is no access to files,
 * no network and no executable memory; filters work on old kernels as well.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/ctl.h"
#include "policy/policies.h"
#include "tests/lib/unique.h"
#include "tests/unit/hide_call.h"

#define SKIPPED 77
/* In a child: report the line of the first expectation that fails. */
#define EXPECT(x)                                                                          \
	do {                                                                               \
		if (!(x)) {                                                                \
			print_message("line %d: %s: %s\n", __LINE__, #x, strerror(errno)); \
			_exit(1);                                                          \
		}                                                                          \
	} while (0)

static int in_child(void (*what)(void))
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		struct rlimit none = { 1, 1 };

		setrlimit(RLIMIT_CORE, &none);
		signal(SIGSYS, SIG_DFL); /* cmocka has one for it */
		alarm(200);
		what();
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static void expect_good(void (*what)(void))
{
	int status = in_child(what);

	if (WIFEXITED(status) && WEXITSTATUS(status) == SKIPPED)
		skip();
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

static void enter(enum layer need)
{
	struct sandbox_options o = { 0 };

	if (sandbox_enter(&o) & LAYER_BIT(need)) {
		print_message("skipped: this host lacks %s\n", layer_text(need));
		_exit(SKIPPED);
	}
}

static bool is_sigsys(int status)
{
	return WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS;
}

static void flags_child(void)
{
	enter(LAYER_TRACE); /* never missing here */
	EXPECT(prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 0);
	EXPECT(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1);
}

static void test_flags(void **state)
{
	(void)state;
	expect_good(flags_child);
}

static void files_child(void)
{
	int fd;

	enter(LAYER_LANDLOCK);
	EXPECT(open("/etc/passwd", O_RDONLY) < 0 && errno == EACCES);
	EXPECT(open("/", O_RDONLY | O_DIRECTORY) < 0 && errno == EACCES);
	EXPECT(open("/tmp/x-sandbox", O_CREAT | O_WRONLY, 0600) < 0 && errno == EACCES);
	EXPECT(unlink("/etc/hostname") < 0 && errno == EACCES);
	EXPECT(truncate("/etc/hostname", 0) < 0 && errno == EACCES);
	fd = memfd_create("x", 0); /* memory is no file */
	EXPECT(fd >= 0);
}

static void test_no_files(void **state)
{
	(void)state;
	expect_good(files_child);
}

static void network_child(void)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd;

	enter(LAYER_LANDLOCK_NET);
	fd = socket(AF_INET, SOCK_STREAM, 0);
	EXPECT(fd >= 0);
	EXPECT(bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0 && errno == EACCES);
	a.sin_port = htons(22);
	EXPECT(connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0 && errno == EACCES);
}

static void test_no_network(void **state)
{
	(void)state;
	expect_good(network_child);
}

static void siblings_child(void)
{
	int s = socket(AF_UNIX, SOCK_STREAM, 0), c = socket(AF_UNIX, SOCK_STREAM, 0);
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int sockets;

	snprintf(a.sun_path + 1, sizeof(a.sun_path) - 1, "sandbox-%016" PRIx64, unique_number());
	EXPECT(bind(s, (struct sockaddr *)&a, sizeof(a)) == 0 && listen(s, 1) == 0);
	enter(LAYER_LANDLOCK);
	sockets = connect(c, (struct sockaddr *)&a, sizeof(a));
	if (sockets == 0)
		_exit(SKIPPED); /* Landlock before ABI 6 has no scopes */
	EXPECT(errno == EPERM);
	EXPECT(kill(getppid(), 0) < 0 && errno == EPERM);
}

static void test_no_signals_or_sockets_outside(void **state)
{
	(void)state;
	expect_good(siblings_child);
}

static void readable_child(void)
{
	int folder[2] = { open("/etc", O_PATH | O_DIRECTORY), -1 };
	struct sandbox_options o = { .readable = folder };

	if (sandbox_enter(&o) & LAYER_BIT(LAYER_LANDLOCK))
		_exit(SKIPPED);
	EXPECT(open("/etc/passwd", O_RDONLY) >= 0);
	EXPECT(open("/etc/passwd", O_WRONLY) < 0 && errno == EACCES);
	EXPECT(open("/etc/x-sandbox", O_CREAT | O_WRONLY, 0600) < 0 && errno == EACCES);
	EXPECT(open("/proc/self/status", O_RDONLY) < 0 && errno == EACCES);
}

static void test_readable_folder(void **state)
{
	(void)state;
	expect_good(readable_child);
}

static void mdwe_child(void)
{
	void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	enter(LAYER_MDWE);
	EXPECT(mprotect(p, 4096, PROT_READ | PROT_EXEC) < 0 && errno == EACCES);
	EXPECT(mmap(NULL, 4096, PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED);
}

static void jit_child(void)
{
	struct sandbox_options o = { .no_mdwe = true };

	sandbox_enter(&o);
	EXPECT(mmap(NULL, 4096, PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED);
}

static void test_no_executable_memory(void **state)
{
	(void)state;
	expect_good(jit_child);
	expect_good(mdwe_child);
}

static void mseal_child(void)
{
	void *p = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	enter(LAYER_MSEAL);
	EXPECT(sandbox_mseal(p, 4096) == 0);
	EXPECT(munmap(p, 4096) < 0 && errno == EPERM);
	EXPECT(mprotect(p, 4096, PROT_READ | PROT_WRITE) < 0 && errno == EPERM);
}

static void test_mseal(void **state)
{
	(void)state;
	expect_good(mseal_child);
}

static void filter_child(void)
{
	uint32_t missing = 0;

	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	EXPECT(sandbox_filter(&policy_netd, &missing) == 0);
	if (!missing)
		syscall(__NR_getppid);
}

/* Simulate a kernel before Linux 4.14, whose filters cannot end a whole process: hide seccomp(2). */
static void old_kernel_child(void)
{
	uint32_t missing = 0;

	hide(__NR_seccomp);
	EXPECT(sandbox_filter(&policy_netd, &missing) == 0);
	if (missing == LAYER_BIT(LAYER_KILL_PROCESS))
		syscall(__NR_getppid);
}

static void *forbidden(void *arg)
{
	uint32_t missing = 0;

	(void)arg;
	if (sandbox_filter(&policy_vcpu_lguest, &missing) == 0)
		syscall(__NR_getppid);
	return NULL;
}

/* One of two threads makes the forbidden call; the other one, which has no filter yet, must end as well. */
static void old_kernel_threads_child(void)
{
	pthread_t t;

	hide(__NR_seccomp);
	EXPECT(pthread_create(&t, NULL, forbidden, NULL) == 0);
	pthread_join(t, NULL);
	_exit(1);
}

static void handler(int sig)
{
	_exit(sig);
}

/* A forbidden call must end the process; no handler may catch SIGSYS. */
static void old_kernel_handler_child(void)
{
	struct sigaction a = { .sa_handler = handler };
	uint32_t missing = 0;

	hide(__NR_seccomp);
	EXPECT(sandbox_filter(&policy_start, &missing) == 0);
	EXPECT(sigaction(SIGUSR1, &a, NULL) == 0);
	EXPECT(sigaction(SIGSYS, &a, NULL) < 0);
	EXPECT(sandbox_filter(&policy_vcpu_lguest, &missing) == 0);
	syscall(__NR_getppid);
	_exit(1);
}

static void test_filter(void **state)
{
	int status;

	(void)state;
	status = in_child(filter_child);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS);
	status = in_child(old_kernel_child);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS);
	status = in_child(old_kernel_threads_child);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS);
	status = in_child(old_kernel_handler_child);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS);
}

static void no_privileges_child(void)
{
	/* Neither no_new_privs nor a capability: refused, and said. */
	if (geteuid() == 0 && setuid(65534) < 0)
		_exit(SKIPPED);
	EXPECT(sandbox_filter(&policy_netd, NULL) < 0 && errno == EACCES);
}

/* SELF in a policy: the supervisor stops itself, and QEMU aborts itself. */
static void stops_another_child(void)
{
	pid_t other = getppid();

	EXPECT(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
	EXPECT(sandbox_filter(&policy_supervisor, NULL) == 0);
	syscall(__NR_kill, other, SIGSTOP);
}

static void aborts_another_child(void)
{
	pid_t other = getppid();

	EXPECT(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
	EXPECT(sandbox_filter(&policy_vcpu_qemu, NULL) == 0);
	syscall(__NR_tgkill, other, other, SIGABRT);
}

static void aborts_itself_child(void)
{
	pid_t self = getpid();

	EXPECT(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
	EXPECT(sandbox_filter(&policy_vcpu_qemu, NULL) == 0);
	syscall(__NR_tgkill, self, self, SIGABRT);
}

static void test_only_itself(void **state)
{
	pid_t self, pid;
	int status;

	(void)state;
	assert_true(is_sigsys(in_child(stops_another_child)));
	assert_true(is_sigsys(in_child(aborts_another_child)));
	status = in_child(aborts_itself_child);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
	pid = fork();
	if (pid == 0) {
		self = getpid();
		if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && sandbox_filter(&policy_supervisor, NULL) == 0)
			syscall(__NR_kill, self, SIGSTOP);
		_exit(1);
	}
	assert_int_equal(waitpid(pid, &status, WUNTRACED), pid);
	assert_true(WIFSTOPPED(status));
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, &status, 0), pid);
}

static void test_filter_is_refused(void **state)
{
	(void)state;
	expect_good(no_privileges_child);
}

static void limits_child(void)
{
	struct rlimit l;

	EXPECT(sandbox_rlimits(64, 1 << 20, 1ULL << 36) == 0);
	EXPECT(getrlimit(RLIMIT_NOFILE, &l) == 0 && l.rlim_cur == 64 && l.rlim_max == 64);
	EXPECT(getrlimit(RLIMIT_NPROC, &l) == 0 && l.rlim_cur == 0 && l.rlim_max == 0);
	EXPECT(getrlimit(RLIMIT_CORE, &l) == 0 && l.rlim_cur == 1 && l.rlim_max == 1);
	EXPECT(getrlimit(RLIMIT_FSIZE, &l) == 0 && l.rlim_max == 1 << 20);
	/* A limit is never raised again, even with the privilege to do so. */
	EXPECT(sandbox_rlimits(128, 1ULL << 40, 0) == 0);
	EXPECT(getrlimit(RLIMIT_NOFILE, &l) == 0 && l.rlim_max == 64);
	EXPECT(getrlimit(RLIMIT_FSIZE, &l) == 0 && l.rlim_max == 1 << 20);
}

static void test_limits(void **state)
{
	(void)state;
	expect_good(limits_child);
}

static void test_missing_text(void **state)
{
	char buf[64];

	(void)state;
	assert_int_equal(sandbox_missing_text(0, buf, sizeof(buf)), 0);
	assert_string_equal(buf, "");
	sandbox_missing_text(LAYER_BIT(LAYER_LANDLOCK) | LAYER_BIT(LAYER_MDWE), buf, sizeof(buf));
	assert_string_equal(buf, "Landlock, memory-deny-write-execute");
	assert_int_equal(sandbox_missing_text(~0u, buf, sizeof(buf)), sizeof(buf) - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_flags),		cmocka_unit_test(test_no_files),
		cmocka_unit_test(test_no_network),	cmocka_unit_test(test_no_signals_or_sockets_outside),
		cmocka_unit_test(test_readable_folder), cmocka_unit_test(test_no_executable_memory),
		cmocka_unit_test(test_mseal),		cmocka_unit_test(test_filter),
		cmocka_unit_test(test_only_itself),	cmocka_unit_test(test_filter_is_refused),
		cmocka_unit_test(test_limits),		cmocka_unit_test(test_missing_text),
	};

	return cmocka_run_group_tests_name("common_sandbox", tests, NULL, NULL);
}
