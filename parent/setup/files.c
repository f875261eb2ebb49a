/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Finds and opens programs, kernel, initrd and output files. Runs in the parent, inside
 * the privileged window, and reads none of them. The confined vCPU process checks the
 * kernel's content.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "parent/options/util.h"
#include "parent/setup/files.h"
#include "parent/setup/setup.h"
#include "parent/setup/user.h"

const char *file_kind(mode_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFDIR:
		return "a directory";
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

int open_output_file(const char *path, const char *what)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0666);
	struct stat st;

	if (fd < 0)
		return complain(-1, "%s%s: cannot open it for writing: %m%s", what, path,
				errno == ENXIO ? "; start the program that reads this pipe first" : "");
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size && ftruncate(fd, 0) < 0) {
		complain(-1, "%s%s: cannot empty it: %m", what, path);
		close(fd);
		return -1;
	}
	return fd;
}

int open_capture_file(const char *path, const char *who)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0600);
	struct stat st;

	if (fd < 0 && errno != ENXIO)
		return complain(-1, "%s: pcap=%s: cannot open it for writing: %m", who, path);
	/* Refuse a pipe (ENXIO: one without a reader), because a full one would stop the guest's NIC. */
	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
		complain(-1, "%s: pcap=%s: this is %s; a capture needs a regular file", who, path,
			 fd < 0 ? "a named pipe or socket" : file_kind(st.st_mode));
	} else if (ftruncate(fd, 0) < 0) {
		complain(-1, "%s: pcap=%s: cannot empty it: %m", who, path);
	} else {
		return fd;
	}
	if (fd >= 0)
		close(fd);
	return -1;
}

int open_save_file(struct host *h)
{
	if (!h->c->save)
		return 0;
	h->save = open(h->c->save, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOCTTY, 0600);
	if (h->save >= 0)
		return 0;
	return complain(-1, "--save=%s: cannot create it: %m%s", h->c->save,
			errno == EEXIST ? "; remove it, or choose another name" : "");
}

/* Open the program @name in our own directory @folder, or in LIBEXEC. Returns -1 after logging the reason. */
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
		return complain(-1, "%s is neither in %s nor in %s/" LIBEXEC "; run make install", name, folder,
				folder);
	return fd;
}

/* Find the directory of lguest-sep. Returns 0, or -1 after logging the reason. */
static int own_directory(char folder[PATH_MAX])
{
	ssize_t n = readlink("/proc/self/exe", folder, PATH_MAX - 1);
	char *slash;

	if (n < 0)
		return complain(-1, "cannot find out where lguest-sep is: /proc/self/exe: %m (is /proc mounted?)");
	folder[n] = '\0';
	slash = strrchr(folder, '/');
	if (slash)
		*slash = '\0';
	return 0;
}

int open_own_program(const char *name)
{
	char folder[PATH_MAX];

	return own_directory(folder) < 0 ? -1 : open_program(folder, name);
}

int open_programs(struct host *h)
{
	static const char *const name[ROLE_COUNT] = {
		[ROLE_VCPU] = "lguest-sep-vcpu", [ROLE_NETD] = "lguest-sep-netd",
		[ROLE_BLKD] = "lguest-sep-blkd", [ROLE_CONTROLD] = "lguest-sep-controld",
		[ROLE_FSD] = "lguest-sep-fsd",
	};
	bool wanted[ROLE_COUNT] = {
		[ROLE_VCPU] = true,
		[ROLE_NETD] = h->c->nnets > 0,
		[ROLE_BLKD] = h->c->ndisks > 0,
		[ROLE_CONTROLD] = h->c->control,
		[ROLE_FSD] = h->c->nshares > 0,
	};
	char folder[PATH_MAX];

	if (own_directory(folder) < 0)
		return -1;
	h->init_exe = open_program(folder, "lguest-sep-init");
	if (h->init_exe < 0)
		return -1;
	if (user_wanted(h->c)) {
		h->exe[ROLE_PASST] = user_open_program();
		if (h->exe[ROLE_PASST] < 0)
			return -1;
	}
	for (unsigned i = 0; i < ROLE_COUNT; i++) {
		if (!wanted[i])
			continue;
		h->exe[i] = open_program(folder, name[i]);
		if (h->exe[i] < 0)
			return -1;
	}
	return 0;
}
