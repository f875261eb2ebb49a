// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Who has a file open: the kernel does not name the holder of an OFD lock, so
 * /proc is looked through. Runs in the parent, on the way to an error message,
 * and sees only the processes that the caller may look into.
 */
#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/util.h"
#include "find_holder.h"

static bool has_open(const char *pid, dev_t dev, ino_t ino)
{
	char path[300];
	struct dirent *e;
	bool found = false;
	DIR *d;

	snprintf(path, sizeof(path), "/proc/%s/fd", pid);
	d = opendir(path);
	if (!d)
		return false;
	while (!found && (e = readdir(d))) {
		struct stat st;

		if (isdigit((unsigned char)e->d_name[0]) && fstatat(dirfd(d), e->d_name, &st, 0) == 0)
			found = st.st_dev == dev && st.st_ino == ino;
	}
	closedir(d);
	return found;
}

/* The name of a process, without its newline; "?" if it cannot be read. */
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

void find_holder(dev_t dev, ino_t ino, char *text, size_t size)
{
	DIR *d = opendir("/proc");
	struct dirent *e;
	char self[24], name[32];

	snprintf(text, size, "another program");
	snprintf(self, sizeof(self), "%d", (int)getpid());
	if (!d)
		return;
	while ((e = readdir(d))) {
		if (!isdigit((unsigned char)e->d_name[0]) || !strcmp(e->d_name, self) || !has_open(e->d_name, dev, ino))
			continue;
		process_name(e->d_name, name, sizeof(name));
		snprintf(text, size, "process %.10s (%s)", e->d_name, name);
		break;
	}
	closedir(d);
}
