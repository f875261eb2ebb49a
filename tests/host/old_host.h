/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Shared by tests of hosts without seccomp filters: a seccomp filter that makes calls fail as such a kernel does. */
#ifndef TESTS_HOST_OLD_HOST_H
#define TESTS_HOST_OLD_HOST_H

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#define OLD_LOAD(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define OLD_FAIL(with)	BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (with))
#define OLD_ALLOW	BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)
#define OLD_IF(v)	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (v), 0, 1)
/* A system call, and an option of prctl(2), that the kernel does not have. */
#define OLD_CALL(call)	 OLD_IF(SYS_##call), OLD_FAIL(ENOSYS)
#define OLD_OPTION(o)	 OLD_IF(o), OLD_FAIL(EINVAL)
#define OLD_ONLY_PRCTL() BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_prctl, 1, 0), OLD_ALLOW, OLD_LOAD(args[0])

/*
 * From now on this process runs as on a kernel that was built without CONFIG_SECCOMP_FILTER, or with @y2009 as on Linux
 * 2.6.30, which lacks newer calls as well and whose version begins with 2.6. Returns 0, or -1 with errno set.
 */
static inline int old_host(bool y2009)
{
	struct sock_filter of_2009[] = {
		OLD_LOAD(nr),
		OLD_CALL(seccomp),
		OLD_CALL(memfd_create),
		OLD_CALL(execveat),
		OLD_CALL(getrandom),
		OLD_CALL(prlimit64),
		OLD_ONLY_PRCTL(),
		OLD_OPTION(PR_SET_SECCOMP),
		OLD_OPTION(PR_GET_NO_NEW_PRIVS),
		OLD_OPTION(PR_SET_NO_NEW_PRIVS),
		OLD_ALLOW,
	};
	struct sock_filter today[] = {
		OLD_LOAD(nr), OLD_CALL(seccomp), OLD_ONLY_PRCTL(), OLD_OPTION(PR_SET_SECCOMP), OLD_ALLOW,
	};
	struct sock_fprog p = { sizeof(today) / sizeof(*today), today };

	if (y2009) {
		p = (struct sock_fprog){ sizeof(of_2009) / sizeof(*of_2009), of_2009 };
		if (personality(UNAME26) < 0)
			return -1;
	}
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -1;
	return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &p, 0, 0);
}

#endif
