// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Descriptors that whoever started us left open. Runs in the parent: they are
 * noted before anything is opened, and closed when the privileged window has,
 * so that the supervisor holds nothing but its own. Until then a path such as
 * /dev/fd/5 on the command line means what it says.
 */
#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "setup.h"

#define MOST 1024

static int left_open[MOST];
static unsigned n;

static void note(int fd)
{
	if (fd > STDERR_FILENO && n < MOST)
		left_open[n++] = fd;
}

void inherited_note(void)
{
	DIR *dir = opendir("/proc/self/fd");
	struct dirent *d;

	if (!dir) {
		for (int fd = 0; fd < MOST; fd++)
			if (fcntl(fd, F_GETFD) >= 0)
				note(fd);
		return;
	}
	while ((d = readdir(dir))) {
		int fd = isdigit((unsigned char)*d->d_name) ? (int)strtol(d->d_name, NULL, 10) : -1;

		if (fd != dirfd(dir))
			note(fd);
	}
	closedir(dir);
}

/* --net=fd=N: that one was given to us. */
static bool is_given(const struct config *c, int fd)
{
	for (unsigned i = 0; i < c->nnets; i++)
		if (c->net[i].kind == NET_FD && c->net[i].fd == fd)
			return true;
	return false;
}

void inherited_close(const struct config *c)
{
	for (unsigned i = 0; i < n; i++)
		if (!is_given(c, left_open[i]))
			close(left_open[i]);
	n = 0;
}
