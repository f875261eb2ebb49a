/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Self-confinement of a process, once it has opened and mapped everything that it needs:
 * see sandbox.h for the order. Runs in every role and in the supervisor. No step can be
 * undone. A layer that the host lacks is reported to the caller.
 */
#include <errno.h>
#include <link.h>
#include <linux/capability.h>
#include <linux/landlock.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/ctl.h"
#include "common/fmt.h"
#include "common/sandbox.h"

/* The headers of Debian 12 do not define these. */
#ifndef __NR_mseal
#define __NR_mseal 462
#endif
#define MDWE_SET	  65	       /* PR_SET_MDWE */
#define MDWE_REFUSE_EXEC  1	       /* PR_MDWE_REFUSE_EXEC_GAIN */
#define LL_FS_REFER	  (1ULL << 13) /* ABI 2 */
#define LL_FS_TRUNCATE	  (1ULL << 14) /* ABI 3 */
#define LL_FS_IOCTL_DEV	  (1ULL << 15) /* ABI 5 */
#define LL_FS_ABI1	  ((1ULL << 13) - 1)
#define LL_NET_BIND_TCP	  (1ULL << 0) /* ABI 4 */
#define LL_NET_CONNECT	  (1ULL << 1)
#define LL_SCOPE_ABSTRACT (1ULL << 0) /* ABI 6: abstract unix sockets */
#define LL_SCOPE_SIGNAL	  (1ULL << 1) /* ABI 6: signals to outside the domain */

struct ruleset_attr {
	uint64_t handled_access_fs;
	uint64_t handled_access_net; /* ABI 4 */
	uint64_t scoped;	     /* ABI 6 */
};

static struct ruleset_attr everything(int abi, size_t *size)
{
	struct ruleset_attr a = { .handled_access_fs = LL_FS_ABI1 };

	*size = offsetof(struct ruleset_attr, handled_access_net);
	if (abi >= 2)
		a.handled_access_fs |= LL_FS_REFER;
	if (abi >= 3)
		a.handled_access_fs |= LL_FS_TRUNCATE;
	if (abi >= 4) {
		a.handled_access_net = LL_NET_BIND_TCP | LL_NET_CONNECT;
		*size = offsetof(struct ruleset_attr, scoped);
	}
	if (abi >= 5)
		a.handled_access_fs |= LL_FS_IOCTL_DEV;
	if (abi >= 6) {
		a.scoped = LL_SCOPE_ABSTRACT | LL_SCOPE_SIGNAL;
		*size = sizeof(a);
	}
	return a;
}

/* Only what the ruleset handles can be allowed. Not among it: devices, FIFOs, sockets, executing. */
#define LL_FS_WRITING                                                                                 \
	(LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR | LANDLOCK_ACCESS_FS_WRITE_FILE | \
	 LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_MAKE_SYM |    \
	 LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_REMOVE_DIR | LL_FS_REFER | LL_FS_TRUNCATE)

/* Allow @access below each of the directories @list (NULL: none). */
static bool allow_below(int ruleset, const int *list, uint64_t access)
{
	struct landlock_path_beneath_attr rule = { .allowed_access = access };

	for (; list && *list >= 0; list++) {
		rule.parent_fd = *list;
		if (syscall(__NR_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) < 0)
			return false;
	}
	return true;
}

/*
 * Install a Landlock ruleset that denies every access it can control, except what @o allows below its directories.
 * Returns the layers that are missing.
 */
static uint32_t enter_landlock(const struct sandbox_options *o)
{
	int abi = (int)syscall(__NR_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
	uint32_t missing = LAYER_BIT(LAYER_LANDLOCK) | LAYER_BIT(LAYER_LANDLOCK_NET);
	struct ruleset_attr a;
	size_t size;
	bool ok;
	int fd;

	if (abi < 1)
		return missing;
	a = everything(abi, &size);
	fd = (int)syscall(__NR_landlock_create_ruleset, &a, size, 0);
	if (fd < 0)
		return missing;
	ok = allow_below(fd, o->readable,
			 LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR) &&
	     allow_below(fd, o->writable, LL_FS_WRITING & a.handled_access_fs) &&
	     syscall(__NR_landlock_restrict_self, fd, 0) == 0;
	close(fd);
	if (!ok)
		return missing;
	return abi >= 4 ? 0 : LAYER_BIT(LAYER_LANDLOCK_NET);
}

/* Linker symbols around the program's headers and code, which are never written to (ld(1), "etext"). */
extern const uint8_t __executable_start[], etext[];

void sandbox_forget_code(void)
{
	uintptr_t page = (uintptr_t)getpagesize();
	uintptr_t from = ((uintptr_t)__executable_start + page - 1) & ~(page - 1);
	uintptr_t to = (uintptr_t)etext & ~(page - 1);

	/* The pages stay in the page cache; code that runs again is mapped again by a page fault. */
	if (from < to)
		madvise((void *)from, to - from, MADV_DONTNEED);
}

/* Unmap the read-only segments of one loaded object: headers, code, constants. */
static int forget_object(struct dl_phdr_info *info, size_t size, void *unused)
{
	uintptr_t page = (uintptr_t)getpagesize(), from[8] = { 0 }, to[8] = { 0 };
	unsigned n = 0;

	(void)size;
	(void)unused;
	/* Read all program headers before unmapping anything, because they lie in one of the segments. */
	for (unsigned i = 0; i < info->dlpi_phnum && n < ARRAY_SIZE(from); i++) {
		const ElfW(Phdr) *p = &info->dlpi_phdr[i];

		if (p->p_type != PT_LOAD || (p->p_flags & PF_W))
			continue;
		from[n] = (info->dlpi_addr + p->p_vaddr) & ~(page - 1);
		to[n] = (info->dlpi_addr + p->p_vaddr + p->p_filesz) & ~(page - 1);
		n += from[n] < to[n];
	}
	while (n--)
		madvise((void *)from[n], to[n] - from[n], MADV_DONTNEED);
	return 0;
}

void sandbox_forget_libraries(void)
{
	dl_iterate_phdr(forget_object, NULL);
}

uint32_t sandbox_enter(const struct sandbox_options *o)
{
	uint32_t missing;

	sandbox_forget_code();
	sandbox_undumpable();
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	missing = enter_landlock(o);
	if (!o->no_mdwe && prctl(MDWE_SET, MDWE_REFUSE_EXEC, 0, 0, 0) < 0)
		missing |= LAYER_BIT(LAYER_MDWE);
	/* This address cannot be sealed: EINVAL if the kernel has the system call, ENOSYS if not. */
	if (sandbox_mseal((void *)1, 0) < 0 && errno == ENOSYS)
		missing |= LAYER_BIT(LAYER_MSEAL);
	return missing;
}

int sandbox_mseal(void *addr, size_t len)
{
#ifdef __x86_64__
	return (int)syscall(__NR_mseal, addr, len, 0UL);
#else
	(void)addr;
	(void)len;
	errno = ENOSYS; /* Only 64-bit kernels have mseal() */
	return -1;
#endif
}

static int install(const struct sock_fprog *prog)
{
	if (syscall(__NR_seccomp, SECCOMP_SET_MODE_FILTER, 0, prog) == 0)
		return 0;
	if (errno != ENOSYS)
		return -1;
	return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, prog, 0, 0);
}

/*
 * True if the kernel has SECCOMP_RET_KILL_PROCESS (Linux 4.14). Older kernels can only kill the
 * calling thread; the other threads would go on, and might wait for its locks for ever. On these the
 * filters use SECCOMP_RET_TRAP instead: the kernel sends SIGSYS, which ends the whole process, because
 * it cannot be blocked or ignored here and policy/start.policy forbids handlers for it.
 */
static bool has_kill_process(void)
{
	uint32_t action = SECCOMP_RET_KILL_PROCESS;

	return syscall(__NR_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) == 0;
}

/* Adapt one instruction of a filter: the kill action of this kernel, and our process ID for POLICY_SELF. */
static struct sock_filter adapted(struct sock_filter f, bool kill_process)
{
	if (!kill_process && f.code == (BPF_RET | BPF_K) && f.k == SECCOMP_RET_KILL_PROCESS)
		f.k = SECCOMP_RET_TRAP;
	if (f.code == (BPF_JMP | BPF_JEQ | BPF_K) && f.k == POLICY_SELF)
		f.k = (uint32_t)getpid();
	return f;
}

int sandbox_filter(const struct policy *p, uint32_t *missing)
{
	static struct sock_filter copy[2048];
	struct sock_fprog prog = { .len = p->ninsns };
	bool kill_process = has_kill_process();
	unsigned i;

	clock_prepare();
	if (!kill_process && missing)
		*missing |= LAYER_BIT(LAYER_KILL_PROCESS);
	if (kill_process && !p->names_self) {
		prog.filter = (struct sock_filter *)(uintptr_t)p->insns;
		return install(&prog);
	}
	if (p->ninsns > ARRAY_SIZE(copy)) {
		errno = E2BIG;
		return -1;
	}
	for (i = 0; i < p->ninsns; i++)
		copy[i] = adapted(p->insns[i], kill_process);
	prog.filter = copy;
	return install(&prog);
}

static int limit(int which, uint64_t value)
{
	struct rlimit old, new = { (rlim_t)value, (rlim_t)value };

	if (getrlimit((__rlimit_resource_t)which, &old) < 0)
		return -1;
	/* Only lower a limit: the parent or the user may have set a stricter one. */
	new.rlim_max = MIN(new.rlim_max, old.rlim_max);
	new.rlim_cur = MIN(new.rlim_cur, new.rlim_max);
	return setrlimit((__rlimit_resource_t)which, &new);
}

int sandbox_no_core(bool *partly)
{
	struct rlimit l = { CORE_LIMIT_NONE, CORE_LIMIT_NONE }, old;

	if (setrlimit(RLIMIT_CORE, &l) == 0)
		return 0;
	/* A hard limit of 0 can be raised only with CAP_SYS_RESOURCE. */
	if (getrlimit(RLIMIT_CORE, &old) < 0 || old.rlim_max != 0) {
		errno = EPERM;
		return -1;
	}
	if (partly)
		*partly = true;
	return 0;
}

bool sandbox_elevated(void)
{
	struct __user_cap_header_struct self = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct have[_LINUX_CAPABILITY_U32S_3] = { 0 };

	if (!getauxval(AT_SECURE))
		return false;
	if (getuid() != geteuid() || getgid() != getegid())
		return true;
	return getuid() != 0 && syscall(SYS_capget, &self, have) == 0 && (have[0].permitted || have[1].permitted);
}

void sandbox_undumpable(void)
{
	prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
}

int sandbox_rlimits(unsigned table_len, uint64_t fsize, uint64_t address_space)
{
	if (limit(RLIMIT_NOFILE, table_len) < 0 || limit(RLIMIT_NPROC, 0) < 0 || sandbox_no_core(NULL) < 0 ||
	    limit(RLIMIT_FSIZE, fsize) < 0)
		return -1;
	return address_space ? limit(RLIMIT_AS, address_space) : 0;
}

size_t sandbox_missing_text(uint32_t missing, char *buf, size_t size)
{
	size_t n = 0;

	if (size)
		buf[0] = '\0';
	for (unsigned l = 0; l < LAYER_COUNT; l++)
		if (missing & LAYER_BIT(l))
			n += fmt_line(buf + n, size - n, "%s%s", n ? ", " : "", layer_text((enum layer)l));
	return n;
}
