/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The filters allow exactly the calls that the policy files list. Filters are run by a small interpreter along every path,
 * and in a child for every system call number.
 */
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/seccomp.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/fdtab.h"
#include "policy/policies.h"

#define NUMBERS 471
#ifdef __x86_64__
#define THIS_ARCH  AUDIT_ARCH_X86_64
#define OTHER_ARCH AUDIT_ARCH_I386
#define ARCH_NAME  "x86_64"
#else
#define THIS_ARCH  AUDIT_ARCH_I386
#define OTHER_ARCH AUDIT_ARCH_X86_64
#define ARCH_NAME  "i386"
#endif

static const struct {
	const struct policy *p;
	unsigned budget; /* of system calls in the loop; 0: none */
	bool jit;	 /* PROT_EXEC is allowed */
	bool names_fds;	 /* every call on a descriptor names it */
} all[] = {
	{ &policy_blkd, 11, false, true },	    { &policy_netd, 10, false, true },
	{ &policy_blkd_foreign, 0, false, false },  { &policy_netd_foreign, 0, false, false },
	{ &policy_vcpu_kvm, 12, false, true },	    { &policy_vcpu_lguest, 12, false, true },
	{ &policy_supervisor, 20, false, false },   { &policy_start, 0, false, false },
	{ &policy_vcpu_kvm_load, 0, false, false }, { &policy_vcpu_lguest_load, 0, false, false },
	{ &policy_vcpu_qemu_load, 0, true, false }, { &policy_start_qemu, 0, true, false },
	{ &policy_vcpu_qemu, 0, true, false },	    { &policy_blkd_nbd, 11, false, false },
	{ &policy_blkd_saved, 11, false, true },    { &policy_blkd_saved_foreign, 0, false, false },
};

/* What is known of a call: its number, and those arguments that known[] says. */
struct call {
	uint32_t arch;
	int nr;
	uint64_t arg[6];
	bool known[6];
};

/* One instruction's comparison. */
static bool jump(const struct sock_filter *f, uint32_t a)
{
	switch (BPF_OP(f->code)) {
	case BPF_JEQ:
		return a == f->k;
	case BPF_JGT:
		return a > f->k;
	case BPF_JGE:
		return a >= f->k;
	case BPF_JSET:
		return (a & f->k) != 0;
	default:
		fail();
		return false;
	}
}

static bool load(const struct call *c, uint32_t off, uint32_t *a)
{
	unsigned i = (off - 16) / 8;

	if (off == offsetof(struct seccomp_data, nr)) {
		*a = (uint32_t)c->nr;
		return true;
	}
	if (off == offsetof(struct seccomp_data, arch)) {
		*a = c->arch;
		return true;
	}
	assert_true(off >= 16 && i < 6);
	*a = (uint32_t)(c->arg[i] >> (off % 8 ? 32 : 0));
	return c->known[i];
}

/* True if some path from instruction @pc returns ALLOW; *@action: the last action that was reached. */
static bool can_allow(const struct policy *p, const struct call *c, unsigned pc, uint32_t a, bool known,
		      uint32_t *action)
{
	const struct sock_filter *f;

	for (;; pc++) {
		assert_true(pc < p->ninsns);
		f = &p->insns[pc];
		switch (BPF_CLASS(f->code)) {
		case BPF_LD:
			known = load(c, f->k, &a);
			break;
		case BPF_ALU:
			assert_int_equal(BPF_OP(f->code), BPF_AND);
			a &= f->k;
			break;
		case BPF_RET:
			*action = f->k;
			return f->k == SECCOMP_RET_ALLOW;
		case BPF_JMP:
			if (BPF_OP(f->code) == BPF_JA) {
				pc += f->k;
			} else if (known) {
				pc += jump(f, a) ? f->jt : f->jf;
			} else {
				if (can_allow(p, c, pc + 1 + f->jt, a, false, action))
					return true;
				pc += f->jf;
			}
			break;
		default:
			fail();
		}
	}
}

static bool allows(const struct policy *p, const struct call *c)
{
	uint32_t action;

	return can_allow(p, c, 0, 0, false, &action);
}

static uint32_t verdict(const struct policy *p, int nr, uint64_t arg)
{
	struct call c = { .arch = THIS_ARCH, .nr = nr };
	uint32_t action = 0;

	for (int i = 0; i < 6; i++) {
		c.arg[i] = arg;
		c.known[i] = true;
	}
	can_allow(p, &c, 0, 0, false, &action);
	return action;
}

static int number_of(const char *name)
{
	for (int nr = 0; nr < NUMBERS; nr++)
		if (!strcmp(syscall_name((uint64_t)nr), name))
			return nr;
	return !strcmp(name, "mseal") ? 462 : -1;
}

/* The calls that NAME.policy lists, read without the compiler. */
static void read_list(const char *name, bool *listed)
{
	char path[128], line[512], word[64];
	FILE *f;

	snprintf(path, sizeof(path), "policy/%s.policy", name);
	f = fopen(path, "r");
	assert_non_null(f);
	while (fgets(line, sizeof(line), f)) {
		char *p = line;

		if (*p == '[') {
			if (strncmp(p + 1, ARCH_NAME "]", sizeof(ARCH_NAME)) != 0)
				continue;
			p = strchr(p, ']') + 2;
		}
		if (sscanf(p, "include %63[a-z-]", word) == 1)
			read_list(word, listed);
		else if (sscanf(p, "%63[a-z0-9_]", word) == 1 && strcmp(word, "default") != 0 &&
			 strcmp(word, "errno") != 0) {
			assert_true(number_of(word) >= 0);
			listed[number_of(word)] = true;
		}
	}
	fclose(f);
}

static void test_exactly_what_is_listed(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		bool listed[NUMBERS] = { false };
		unsigned n = 0;

		read_list(all[i].p->name, listed);
		for (int nr = 0; nr < NUMBERS; nr++) {
			struct call c = { .arch = THIS_ARCH, .nr = nr };

			n += listed[nr];
#ifdef __x86_64__
			if (allows(all[i].p, &c) != listed[nr])
				fail_msg("%s: system call %d (%s) is %s", all[i].p->name, nr,
					 syscall_name((uint64_t)nr),
					 listed[nr] ? "listed and refused" : "allowed and not listed");
#else
			if (listed[nr] && strcmp(syscall_name((uint64_t)nr), "mmap") != 0)
				assert_true(allows(all[i].p, &c));
#endif
		}
		assert_int_equal(n, all[i].p->ncalls);
		if (all[i].budget && n > all[i].budget + (sizeof(long) == 4))
			fail_msg("%s: %u system calls, budget %u", all[i].p->name, n, all[i].budget);
	}
}

static void test_other_ways_in(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		for (int nr = 0; nr < NUMBERS; nr++) {
			struct call other = { .arch = OTHER_ARCH, .nr = nr };
			struct call x32 = { .arch = THIS_ARCH, .nr = nr | 0x40000000 };
			uint32_t action;

			assert_false(can_allow(all[i].p, &other, 0, 0, false, &action));
			assert_int_equal(action, SECCOMP_RET_KILL_PROCESS);
			assert_false(can_allow(all[i].p, &x32, 0, 0, false, &action));
#ifdef __x86_64__
			assert_int_equal(action, SECCOMP_RET_KILL_PROCESS);
#endif
		}
}

static void test_nothing_becomes_executable(void **state)
{
	static const char *const names[] = { "mmap", "mmap2", "mprotect", "pkey_mprotect" };

	(void)state;
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		for (size_t k = 0; k < 4; k++) {
			struct call c = { .arch = THIS_ARCH, .nr = number_of(names[k]) };

			c.known[2] = true;
			for (uint64_t prot = 4; prot < 8 && c.nr >= 0; prot++) {
				c.arg[2] = prot;
				if (allows(all[i].p, &c) && !all[i].jit)
					fail_msg("%s: %s with PROT_EXEC", all[i].p->name, names[k]);
			}
		}
}

/* No loop may use a scratch descriptor of the vCPU process, one behind the helpers' table, nor any ioctl that is not its own. */
static void test_descriptors_are_named(void **state)
{
	static const char *const names[] = { "read",	  "write",	 "readv",     "writev",
					     "preadv2",	  "pwritev2",	 "pread64",   "pwrite64",
					     "recvmsg",	  "sendmsg",	 "ioctl",     "fdatasync",
					     "fallocate", "epoll_pwait", "epoll_ctl", "io_uring_enter" };

	(void)state;
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		struct call c = { .arch = THIS_ARCH, .nr = number_of("ioctl") };

		c.known[1] = true;
		c.arg[1] = TIOCSTI;
		assert_false(allows(all[i].p, &c));
		c.arg[1] = 0xdead;
		assert_false(allows(all[i].p, &c));
		if (!all[i].names_fds)
			continue;
		for (size_t k = 0; k < sizeof(names) / sizeof(names[0]); k++) {
			struct call d = { .arch = THIS_ARCH, .nr = number_of(names[k]), .arg = { HFD_LIMIT } };

			d.known[0] = true;
			if (allows(all[i].p, &d))
				fail_msg("%s: %s on any descriptor", all[i].p->name, names[k]);
			d.arg[0] = 1ULL << 32 | HFD_CTL;
			if (sizeof(long) == 8 && allows(all[i].p, &d))
				fail_msg("%s: %s: upper half is not looked at", all[i].p->name, names[k]);
		}
	}
}

static bool on_fd(const struct policy *p, const char *name, unsigned fd)
{
	struct call c = { .arch = THIS_ARCH, .nr = number_of(name), .arg = { fd } };

	c.known[0] = true;
	return allows(p, &c);
}

static void test_arrays_end_where_they_end(void **state)
{
	(void)state;
	for (unsigned fd = 0; fd < HFD_LIMIT + 40; fd++) {
		bool event = fd - HFD_CALL0 < MAX_QUEUES || fd - HFD_ERR0 < MAX_QUEUES;
		bool tap = fd >= HFD_TAP0 && fd < HFD_TAP0 + 16, disk = fd == HFD_DISK || fd == HFD_DELTA;

		assert_int_equal(on_fd(&policy_blkd, "read", fd), fd == HFD_TIMER);
		assert_int_equal(on_fd(&policy_blkd, "write", fd), event);
		assert_true(on_fd(&policy_blkd, "preadv2", fd) == disk && on_fd(&policy_blkd, "pwritev2", fd) == disk);
		assert_int_equal(on_fd(&policy_blkd_saved, "preadv2", fd), disk || fd == HFD_FROM);
		assert_int_equal(on_fd(&policy_blkd_saved, "pwritev2", fd), disk || fd == HFD_SAVE);
		assert_int_equal(on_fd(&policy_fsd_saved, "pwrite64", fd), fd == HFD_SAVE);
		assert_int_equal(on_fd(&policy_netd, "writev", fd), tap || fd == HFD_CAPTURE);
		assert_int_equal(on_fd(&policy_blkd, "io_uring_enter", fd), fd == HFD_RING);
		assert_int_equal(on_fd(&policy_netd, "io_uring_enter", fd), fd == HFD_RING);
	}
}

/* Room behind the image's end is given by fallocate() with KEEP_SIZE, past every limit: only holes may keep the size. */
static void test_nothing_is_allocated_behind_the_end(void **state)
{
	(void)state;
	for (uint64_t mode = 0; mode < 0x100; mode++) {
		struct call c = { .arch = THIS_ARCH, .nr = number_of("fallocate"), .arg = { HFD_DISK, mode } };

		c.known[0] = c.known[1] = true;
		assert_int_equal(allows(&policy_blkd, &c),
				 mode == (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE) || mode == FALLOC_FL_ZERO_RANGE);
	}
}

/*
 * Since Linux 6.11 the kernel never filters uretprobe (335) and uprobe (336): they
 * return from a probe of its own and are refused from anywhere else.
 */
static bool unfiltered(int nr)
{
	return sizeof(long) == 8 && (nr == 335 || nr == 336);
}

/* All numbers, for real: arguments that nothing allows, so conditional calls die as well. */
/* A foreign front-end's back-end: no flag but O_NONBLOCK changes, and no call takes a path with a descriptor. */
static void test_no_flags_and_no_paths(void **state)
{
	static const struct policy *const p[] = { &policy_blkd_foreign, &policy_netd_foreign, &policy_supervisor,
						  &policy_vcpu_kvm_checkpoint_load, &policy_vcpu_lguest_load };
	struct call c = { .arch = THIS_ARCH, .arg = { HFD_KICK0, F_SETFL }, .known = { true, true, true } };

	(void)state;
	for (size_t i = 0; i < sizeof(p) / sizeof(p[0]); i++) {
#ifdef __NR_fcntl64
		c.nr = __NR_fcntl64;
#else
		c.nr = __NR_fcntl;
#endif
		c.arg[2] = O_RDWR | O_NONBLOCK;
		assert_int_equal(allows(p[i], &c), i < 2);
		c.arg[2] = O_NONBLOCK | O_APPEND;
		assert_false(allows(p[i], &c));
		/* The other side may read the same eventfd, and must not wait for us there. */
		c.arg[2] = 0;
		assert_false(allows(p[i], &c));
		c.arg[2] = O_RDWR;
		assert_false(allows(p[i], &c));
		c.arg[2] = O_DIRECT;
		assert_false(allows(p[i], &c));
		assert_false(allows(p[i], &(struct call){ .arch = THIS_ARCH, .nr = __NR_statx }));
		/* A back-end makes no memory but what RLIMIT_AS counts, and changes no size of a file. */
		for (unsigned k = 0; k < 2 && i < 2; k++)
			assert_false(allows(p[i], &(struct call){ .arch = THIS_ARCH,
								  .nr = k ? __NR_memfd_create : __NR_ftruncate }));
#ifdef __NR_newfstatat
		assert_false(allows(p[i], &(struct call){ .arch = THIS_ARCH, .nr = __NR_newfstatat }));
#else
		assert_false(allows(p[i], &(struct call){ .arch = THIS_ARCH, .nr = __NR_fstatat64 }));
#endif
	}
}

static void test_every_number_in_a_child(void **state)
{
	struct rlimit no_core = { 0, 0 };
	int status;

	(void)state;
	setrlimit(RLIMIT_CORE, &no_core);
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		for (int nr = 0; nr < NUMBERS; nr++) {
			uint32_t want = verdict(all[i].p, nr, ~0ULL);
			pid_t pid = unfiltered(nr) ? -1 : fork();

			if (unfiltered(nr))
				continue;
			if (pid == 0) {
				alarm(60);
				prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
				if (sandbox_filter(all[i].p, NULL) < 0)
					_exit(9);
				syscall(nr, -1L, -1L, -1L, -1L, -1L, -1L);
				syscall(__NR_exit_group, 0); /* and nothing else on the way out */
			}
			assert_int_equal(waitpid(pid, &status, 0), pid);
			assert_false(WIFEXITED(status) && WEXITSTATUS(status) == 9);
			if ((WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS) != (want == SECCOMP_RET_KILL_PROCESS))
				fail_msg("%s: system call %d (%s): status 0x%x", all[i].p->name, nr,
					 syscall_name((uint64_t)nr), (unsigned)status);
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_exactly_what_is_listed),
		cmocka_unit_test(test_other_ways_in),
		cmocka_unit_test(test_nothing_becomes_executable),
		cmocka_unit_test(test_descriptors_are_named),
		cmocka_unit_test(test_arrays_end_where_they_end),
		cmocka_unit_test(test_nothing_is_allocated_behind_the_end),
		cmocka_unit_test(test_no_flags_and_no_paths),
		cmocka_unit_test(test_every_number_in_a_child),
	};

	return cmocka_run_group_tests_name("policy_compile", tests, NULL, NULL);
}
