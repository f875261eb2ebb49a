// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Programs, kernel and initrd: found and opened, never read. Runs in the
 * parent, inside the privileged window. What a kernel file is worth is judged
 * by the vCPU process, confined.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "options.h"
#include "setup.h"

const char *file_kind(mode_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFDIR:
		return "a folder";
	case S_IFCHR:
		return "a character device";
	case S_IFBLK:
		return "a block device";
	case S_IFIFO:
		return "a named pipe";
	case S_IFSOCK:
		return "a socket";
	case S_IFREG:
		return "a file";
	default:
		return "something else";
	}
}

int open_boot_file(const char *path, const char *what)
{
	struct stat st;
	char self[40];
	int look = open(path, O_PATH | O_CLOEXEC);
	int fd;

	if (look < 0)
		return complain(-1, "%s%s: cannot open it: %m", what, path);
	if (fstat(look, &st) < 0 || !S_ISREG(st.st_mode) || !st.st_size) {
		close(look);
		return complain(-1, "%s%s: this is %s%s", what, path,
				S_ISREG(st.st_mode) ? "an empty file" : file_kind(st.st_mode),
				S_ISREG(st.st_mode) ? "" : ", not a file");
	}
	snprintf(self, sizeof(self), "/proc/self/fd/%d", look);
	fd = open(self, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd < 0)
		complain(-1, "%s%s: cannot read it: %m%s", what, path,
			 errno == EACCES ? "; change its permissions" : "");
	close(look);
	return fd;
}

/* @name in our own folder, or in LIBEXEC. */
static int open_program(const char *folder, const char *name)
{
	char path[PATH_MAX + 64];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT) {
		snprintf(path, sizeof(path), "%s/" LIBEXEC "/%s", folder, name);
		fd = open(path, O_RDONLY | O_CLOEXEC);
	}
	if (fd < 0 && errno != ENOENT)
		return complain(-1, "%s: cannot open it: %m", path);
	if (fd < 0)
		return complain(-1, "%s is neither in %s nor in %s/" LIBEXEC " (make install puts it there)", name,
				folder, folder);
	return fd;
}

int open_programs(struct host *h)
{
	static const char *const name[ROLE_COUNT] = {
		[ROLE_VCPU] = "lguest-sep-vcpu",
		[ROLE_NETD] = "lguest-sep-netd",
		[ROLE_BLKD] = "lguest-sep-blkd",
	};
	bool wanted[ROLE_COUNT] = {
		[ROLE_VCPU] = true,
		[ROLE_NETD] = h->c->nnets > 0,
		[ROLE_BLKD] = h->c->ndisks > 0,
	};
	char folder[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", folder, sizeof(folder) - 1);
	char *slash;

	if (n < 0)
		return complain(-1, "cannot tell where lguest-sep is: /proc/self/exe: %m (is /proc mounted?)");
	folder[n] = '\0';
	slash = strrchr(folder, '/');
	if (slash)
		*slash = '\0';
	h->init_exe = open_program(folder, "lguest-sep-init");
	if (h->init_exe < 0)
		return -1;
	for (unsigned i = 0; i < ROLE_COUNT; i++) {
		if (!wanted[i])
			continue;
		h->exe[i] = open_program(folder, name[i]);
		if (h->exe[i] < 0)
			return -1;
	}
	return 0;
}
