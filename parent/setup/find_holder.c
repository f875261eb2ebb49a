/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Finds the process that has a file open. The kernel does not name the holder of an OFD
 * lock, so this searches /proc. Runs in the parent, to complete an error message, and
 * finds only processes that the user may inspect.
 */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/fdstat.h"
#include "common/util.h"
#include "parent/setup/find_holder.h"

/*
 * True if the link at @path (/proc/PID/fd/N) refers to the file of @st; @target is the text
 * of our own link to that file. Must not wait for a file system's server: a dead one would
 * block us inside the privileged window.
 */
static bool leads_to(const char *path, const struct stat *st, const char *target)
{
	char text[PATH_MAX];
	struct stat other;
	ssize_t n;

	if (stat_cached(path, &other) == 0)
		return other.st_dev == st->st_dev && other.st_ino == st->st_ino;
	if (errno != ENOSYS)
		return false;
	n = readlink(path, text, sizeof(text) - 1);
	if (n <= 0)
		return false;
	text[n] = '\0';
	return !strcmp(text, target);
}

static bool has_open(const char *pid, const struct stat *st, const char *target)
{
	char path[300], file[320];
	struct dirent *e;
	bool found = false;
	DIR *d;

	snprintf(path, sizeof(path), "/proc/%s/fd", pid);
	d = opendir(path);
	if (!d)
		return false;
	while (!found && (e = readdir(d))) {
		snprintf(file, sizeof(file), "%.40s/%.20s", path, e->d_name);
		found = isdigit((unsigned char)e->d_name[0]) && leads_to(file, st, target);
	}
	closedir(d);
	return found;
}

/* Read the name of a process without its newline, or "?". */
static void process_name(const char *pid, char *name, size_t size)
{
	char path[300];
	ssize_t n = -1;
	int fd;

	snprintf(path, sizeof(path), "/proc/%s/comm", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		n = read(fd, name, size - 1);
		close(fd);
	}
	if (n <= 0) {
		snprintf(name, size, "?");
		return;
	}
	name[n] = '\0';
	name[strcspn(name, "\n")] = '\0';
}

void find_holder(int fd, char *text, size_t size)
{
	DIR *d = opendir("/proc");
	struct dirent *e;
	char self[40], name[32], target[PATH_MAX];
	struct stat st;
	ssize_t n;

	snprintf(text, size, "another program");
	if (!d)
		return;
	snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
	n = readlink(self, target, sizeof(target) - 1);
	if (n < 0 || fd_stat(fd, &st) < 0) {
		closedir(d);
		return;
	}
	target[n] = '\0';
	snprintf(self, sizeof(self), "%d", (int)getpid());
	while ((e = readdir(d))) {
		if (!isdigit((unsigned char)e->d_name[0]) || !strcmp(e->d_name, self) ||
		    !has_open(e->d_name, &st, target))
			continue;
		process_name(e->d_name, name, sizeof(name));
		snprintf(text, size, "process %.10s (%s)", e->d_name, name);
		break;
	}
	closedir(d);
}
