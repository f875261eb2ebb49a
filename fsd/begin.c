/* SPDX-License-Identifier: GPL-2.0-or-later */
/* --reset=fresh: tables that begin as they were at the checkpoint, see begin.h. Runs in fsd, before it is confined. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/ctl.h"
#include "common/fdstat.h"
#include "common/util.h"
#include "fsd/begin.h"

/* True if the memory file @fd has @bytes, and has @seals, so that it keeps them. */
static bool fits(int fd, uint64_t bytes, int seals)
{
	struct stat st;

	if (fd_stat(fd, &st) < 0)
		return false;
	if ((uint64_t)st.st_size >= bytes && (fcntl(fd, F_GET_SEALS) & seals) == seals)
		return true;
	errno = EINVAL;
	return false;
}

/* Holes are left out: most of the tables was never used, and would take memory. */
static int copy(int fd, const uint8_t *from, uint8_t *to, off_t end)
{
	off_t at = lseek(fd, 0, SEEK_DATA), hole;

	while (at >= 0 && at < end) {
		hole = lseek(fd, at, SEEK_HOLE);
		if (hole <= at)
			return -1;
		memcpy(to + at, from + at, (size_t)(MIN(hole, end) - at));
		at = lseek(fd, hole, SEEK_DATA);
	}
	/* There is no more data. */
	return at >= 0 || errno == ENXIO ? 0 : -1;
}

int nodes_begin(int from, int to, uint32_t limit)
{
	size_t bytes = fs_tables_bytes(limit, false);
	int error;
	void *old, *new;

	if (!fits(from, bytes, F_SEAL_SHRINK | F_SEAL_WRITE) || !fits(to, bytes, F_SEAL_SHRINK))
		return -1;
	old = mmap(NULL, bytes, PROT_READ, MAP_PRIVATE, from, 0);
	if (old == MAP_FAILED)
		return -1;
	new = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, to, 0);
	error = new == MAP_FAILED ? -1 : copy(from, old, new, (off_t)bytes);
	if (new != MAP_FAILED)
		munmap(new, bytes);
	munmap(old, bytes);
	return error;
}
