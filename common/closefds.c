/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Closing and placing descriptors: see closefds.h. On hosts without close_range(2),
 * one ppoll(2) call finds out which of 64 descriptors are open. That is faster than
 * calling close() for each: the range has thousands of numbers, nearly all unused.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "common/closefds.h"

#define AT_ONCE 64

static void close_some(unsigned from, unsigned n)
{
	const struct timespec now = { 0, 0 };
	struct pollfd p[AT_ONCE];
	bool told;

	for (unsigned i = 0; i < n; i++)
		p[i] = (struct pollfd){ .fd = (int)(from + i) };
	told = ppoll(p, n, &now, NULL) >= 0;
	for (unsigned i = 0; i < n; i++)
		if (!told || !(p[i].revents & POLLNVAL))
			close(p[i].fd);
}

bool close_fds(unsigned from, unsigned last, unsigned highest)
{
	if (syscall(__NR_close_range, from, last, 0U) == 0)
		return true;
	for (; from <= last && from < highest; from += AT_ONCE)
		close_some(from, MIN(AT_ONCE, MIN(last - from + 1, highest - from)));
	return false;
}

int place_fd(int fd, int to)
{
	int rc, err;

	if (fd < 0 || fd == to)
		return fd < 0 ? -1 : 0;
	rc = dup3(fd, to, O_CLOEXEC);
	err = errno;
	close(fd);
	errno = err;
	return rc < 0 ? -1 : 0;
}
