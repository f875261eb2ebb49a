/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Refuses kernels that cannot confine a guest's processes. Runs in the parent, before it opens a device or file, or
 * starts a process.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "common/fmt.h"
#include "common/util.h"
#include "parent/options/util.h"
#include "parent/setup/kernel.h"

/* A kernel with seccomp filters reads the filter first, and cannot read one at the address NULL (seccomp(2)). */
static bool has_filters(void)
{
	return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, NULL, 0, 0) == 0 || errno != EINVAL;
}

static bool has_no_new_privs(void)
{
	return prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) >= 0 || errno != EINVAL;
}

/* Without it, glibc cannot set a limit on 32-bit hosts. */
static bool has_prlimit(void)
{
	return syscall(SYS_prlimit64, 0, RLIMIT_CORE, NULL, NULL) == 0 || errno != ENOSYS;
}

/* glibc's fstat() and opendir() use this flag on 32-bit hosts. No descriptor is -1: EBADF if the flag is known. */
static bool has_empty_path(void)
{
	struct stat st;

	return fstatat(-1, "", &st, AT_EMPTY_PATH) == 0 || errno != EINVAL;
}

static bool has_memfd(void)
{
	return syscall(SYS_memfd_create, NULL, 0U) >= 0 || errno != ENOSYS;
}

static bool has_execveat(void)
{
	return syscall(SYS_execveat, -1, "", NULL, NULL, AT_EMPTY_PATH) == 0 || errno != ENOSYS;
}

static bool has_getrandom(void)
{
	return syscall(SYS_getrandom, NULL, 0UL, 1U) >= 0 || errno != ENOSYS;
}

static const struct {
	const char *name;
	bool (*has)(void);
	bool replaced; /* Hosts without it can start guests: something else takes its place. */
} feature[] = {
	{ "seccomp filters", has_filters, false }, { "no_new_privs", has_no_new_privs, false },
	{ "prlimit64", has_prlimit, false },	   { "fstatat with AT_EMPTY_PATH", has_empty_path, false },
	{ "memfd_create", has_memfd, true },	   { "execveat", has_execveat, true },
	{ "getrandom", has_getrandom, true },
};

/* Write the names of the missing features to @text, "a, b, c". */
static void list_missing(bool replaced, char *text, size_t size)
{
	size_t n = 0;

	for (unsigned i = 0; i < ARRAY_SIZE(feature); i++)
		if (feature[i].replaced == replaced && !feature[i].has())
			n += fmt_line(text + n, size - n, "%s%s", n ? ", " : "", feature[i].name);
}

int kernel_check(void)
{
	char needed[160] = "", others[80] = "";
	struct utsname host;

	if (has_filters())
		return 0;
	if (uname(&host) < 0)
		fmt_line(host.release, sizeof(host.release), "(unknown version)");
	list_missing(false, needed, sizeof(needed));
	list_missing(true, others, sizeof(others));
	return complain(-1, "this host's kernel, Linux %s, cannot confine a guest: it lacks %s%s%s%s; %s", host.release,
			needed, *others ? " (and " : "", others, *others ? ", which lguest-sep can do without)" : "",
			has_no_new_privs() ? "use one that was built with CONFIG_SECCOMP_FILTER"
					   : "use Linux 3.5 or later, built with CONFIG_SECCOMP_FILTER; /dev/lguest "
					     "exists up to 4.13");
}
