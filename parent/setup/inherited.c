/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Descriptors that the program that started us left open. Runs in the parent. It lists
 * them before anything else is opened, and closes them after the privileged window, so
 * that the supervisor holds only its own. Until then, paths such as /dev/fd/5 on the
 * command line work.
 */
#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "common/util.h"
#include "parent/options/util.h"
#include "parent/setup/inherited.h"
#include "parent/setup/local.h"

/* Without /proc, check descriptors one by one up to this number; RLIMIT_NOFILE can be a billion. */
#define MAX_CHECKED (1 << 20)

static int *left_open;
static size_t n, room;

/* Returns 0, or -1 after logging the reason. */
static int note(int fd)
{
	if (fd <= STDERR_FILENO)
		return 0;
	if (n == room) {
		size_t more = room ? 2 * room : 64;
		int *grown = reallocarray(left_open, more, sizeof(*left_open));

		if (!grown)
			return complain(-1, "cannot make the list of inherited descriptors: %m");
		left_open = grown;
		room = more;
	}
	left_open[n++] = fd;
	return 0;
}

static int ask_for_each(void)
{
	struct rlimit r = { .rlim_cur = MAX_CHECKED };

	(void)getrlimit(RLIMIT_NOFILE, &r);
	for (int fd = 0; fd < (int)MIN(r.rlim_cur, (rlim_t)MAX_CHECKED); fd++)
		if (fcntl(fd, F_GETFD) >= 0 && note(fd) < 0)
			return -1;
	return 0;
}

int inherited_note(void)
{
	DIR *dir = opendir("/proc/self/fd");
	struct dirent *d;
	int result = 0;

	if (!dir)
		return ask_for_each();
	while (result == 0 && (d = readdir(dir))) {
		int fd = isdigit((unsigned char)*d->d_name) ? (int)strtol(d->d_name, NULL, 10) : -1;

		if (fd != dirfd(dir))
			result = note(fd);
	}
	closedir(dir);
	return result;
}

bool inherited_are_local(void)
{
	for (int fd = 0; fd <= STDERR_FILENO; fd++)
		if (!file_is_local(fd))
			return false;
	for (size_t i = 0; i < n; i++)
		if (!file_is_local(left_open[i]))
			return false;
	return true;
}

/* True if @fd was given with --net=fd=N. */
static bool is_given(const struct config *c, int fd)
{
	for (unsigned i = 0; i < c->nnets; i++)
		if (c->net[i].kind == NET_FD && c->net[i].fd == fd)
			return true;
	return false;
}

void inherited_close(const struct config *c)
{
	for (size_t i = 0; i < n; i++)
		if (!is_given(c, left_open[i]))
			close(left_open[i]);
	free(left_open);
	left_open = NULL;
	n = room = 0;
}
