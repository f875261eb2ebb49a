/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Emptying a table of descriptors: see closefds.h. Where there is no
 * close_range, poll(2) tells of many numbers in one call which of them are open:
 * a table of thousands is emptied at every start, and nearly all of it is empty.
 */
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
