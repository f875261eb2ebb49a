/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a role does to itself once it has everything that it needs: see the
 * header for the order. Runs in every role, and in the supervisor. It never
 * gives anything back, and a layer that the host lacks is reported, not ignored.
 */
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <linux/landlock.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/ctl.h"
#include "common/log.h"
#include "common/sandbox.h"

/* Younger than the headers of Debian 12. */
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

/* Every right is handled and none is granted, but to read and execute below @readable. */
static uint32_t enter_landlock(const int *readable)
{
	int abi = (int)syscall(__NR_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
	struct landlock_path_beneath_attr rule = {
		.allowed_access =
			LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR,
	};
	uint32_t missing = LAYER_BIT(LAYER_LANDLOCK) | LAYER_BIT(LAYER_LANDLOCK_NET);
	struct ruleset_attr a;
	bool ok = true;
	size_t size;
	int fd;

	if (abi < 1)
		return missing;
	a = everything(abi, &size);
	fd = (int)syscall(__NR_landlock_create_ruleset, &a, size, 0);
	if (fd < 0)
		return missing;
	for (; readable && *readable >= 0 && ok; readable++) {
		rule.parent_fd = *readable;
		ok = syscall(__NR_landlock_add_rule, fd, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) == 0;
	}
	ok = ok && syscall(__NR_landlock_restrict_self, fd, 0) == 0;
	close(fd);
	if (!ok)
		return missing;
	return abi >= 4 ? 0 : LAYER_BIT(LAYER_LANDLOCK_NET);
}

/* The program's headers, code and nothing that was ever written to (ld(1), "etext"). */
extern const uint8_t __executable_start[], etext[];

void sandbox_forget_code(void)
{
	uintptr_t page = (uintptr_t)getpagesize();
	uintptr_t from = ((uintptr_t)__executable_start + page - 1) & ~(page - 1);
	uintptr_t to = (uintptr_t)etext & ~(page - 1);

	/* The pages stay in the page cache; what runs on comes back one fault at a time. */
	if (from < to)
		madvise((void *)from, to - from, MADV_DONTNEED);
}

/* What of one loaded object nobody can have written to: headers, code, constants. */
static int forget_object(struct dl_phdr_info *info, size_t size, void *unused)
{
	uintptr_t page = (uintptr_t)getpagesize(), from[8] = { 0 }, to[8] = { 0 };
	unsigned n = 0;

	(void)size;
	(void)unused;
	/* All are read before any goes: they lie in one of them. */
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
	prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	missing = enter_landlock(o->readable);
	if (!o->no_mdwe && prctl(MDWE_SET, MDWE_REFUSE_EXEC, 0, 0, 0) < 0)
		missing |= LAYER_BIT(LAYER_MDWE);
	/* An address that cannot be sealed: EINVAL where the call is there. */
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
	errno = ENOSYS; /* 64-bit kernels alone have it */
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
 * Linux before 4.14 knows no kill-process, and its kill ends one thread of several: the rest would
 * go on, with locks that nobody gives back. There the call is answered by a SIGSYS that can be
 * neither blocked nor ignored, and policy/start lets nobody have a handler for it.
 */
static bool has_kill_process(void)
{
	uint32_t action = SECCOMP_RET_KILL_PROCESS;

	return syscall(__NR_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) == 0;
}

int sandbox_filter(const struct policy *p, uint32_t *missing)
{
	static struct sock_filter copy[2048];
	struct sock_fprog prog = { .len = p->ninsns };
	unsigned i;

	if (has_kill_process()) {
		prog.filter = (struct sock_filter *)(uintptr_t)p->insns;
		return install(&prog);
	}
	if (missing)
		*missing |= LAYER_BIT(LAYER_KILL_PROCESS);
	if (p->ninsns > ARRAY_SIZE(copy)) {
		errno = E2BIG;
		return -1;
	}
	for (i = 0; i < p->ninsns; i++) {
		copy[i] = p->insns[i];
		if (copy[i].code == (BPF_RET | BPF_K) && copy[i].k == SECCOMP_RET_KILL_PROCESS)
			copy[i].k = SECCOMP_RET_TRAP;
	}
	prog.filter = copy;
	return install(&prog);
}

static int limit(int which, uint64_t value)
{
	struct rlimit old, new = { (rlim_t)value, (rlim_t)value };

	if (getrlimit((__rlimit_resource_t)which, &old) < 0)
		return -1;
	/* Only ever down: what the parent or the user set lower stays. */
	new.rlim_max = MIN(new.rlim_max, old.rlim_max);
	new.rlim_cur = MIN(new.rlim_cur, new.rlim_max);
	return setrlimit((__rlimit_resource_t)which, &new);
}

int sandbox_rlimits(unsigned table_len, uint64_t fsize, uint64_t address_space)
{
	if (limit(RLIMIT_NOFILE, table_len) < 0 || limit(RLIMIT_NPROC, 0) < 0 || limit(RLIMIT_CORE, 0) < 0 ||
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
