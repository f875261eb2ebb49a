/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Writes a cpio archive (see cpio.h). Runs in the parent before the privileged window. */
#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/fmt.h"
#include "parent/run/cpio.h"

#define HEADER 110 /* Bytes of a header: the magic number and 13 numbers of 8 hexadecimal digits. */

static int put(struct cpio *c, const void *data, size_t n)
{
	const char *from = data;

	if (n > c->max - MIN(c->off, c->max)) {
		errno = ENOSPC;
		return -1;
	}
	c->off += n;
	while (n) {
		ssize_t got = write(c->fd, from, n);

		if (got <= 0)
			return -1;
		from += got;
		n -= (size_t)got;
	}
	return 0;
}

static int align(struct cpio *c)
{
	return put(c, "\0\0\0", (4 - c->off % 4) % 4);
}

static int put_from(struct cpio *c, int from, uint64_t size)
{
	off_t at = 0;

	if (size > c->max - MIN(c->off, c->max)) {
		errno = ENOSPC;
		return -1;
	}
	while ((uint64_t)at < size) {
		ssize_t n = sendfile(c->fd, from, &at, MIN(size - (uint64_t)at, 1u << 30));

		if (n == 0)
			errno = ENODATA; /* The file has become shorter. */
		if (n <= 0)
			return -1;
	}
	c->off += size;
	return align(c);
}

static int header(struct cpio *c, const char *path, mode_t mode, uint64_t size)
{
	unsigned len = (unsigned)strlen(path) + 1;
	char text[HEADER + 1];

	if (size > UINT32_MAX) {
		errno = EFBIG;
		return -1;
	}
	/* Inode, mode, uid, gid, links, mtime, size, device and special device, length of the name, no checksum. */
	fmt_line(text, sizeof(text), "070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x", ++c->entries,
		 (unsigned)mode, 0u, 0u, 1u, 0u, (unsigned)size, 0u, 0u, 0u, 0u, len, 0u);
	return put(c, text, HEADER) < 0 || put(c, path, len) < 0 ? -1 : align(c);
}

int cpio_raw(struct cpio *c, int from, uint64_t size)
{
	return put_from(c, from, size);
}

int cpio_directory(struct cpio *c, const char *path)
{
	char part[PATH_MAX];

	for (const char *p = path; (p = strchr(p, '/')); p++) {
		fmt_line(part, sizeof(part), "%.*s", (int)(p - path), path);
		if (header(c, part, S_IFDIR | 0755, 0) < 0)
			return -1;
	}
	return header(c, path, S_IFDIR | 0755, 0);
}

int cpio_data(struct cpio *c, const char *path, mode_t mode, const void *data, size_t size)
{
	return header(c, path, S_IFREG | (mode & 0777), size) < 0 || put(c, data, size) < 0 ? -1 : align(c);
}

int cpio_file(struct cpio *c, const char *path, mode_t mode, int from, uint64_t size)
{
	return header(c, path, S_IFREG | (mode & 0777), size) < 0 ? -1 : put_from(c, from, size);
}

int cpio_end(struct cpio *c)
{
	return header(c, "TRAILER!!!", 0, 0);
}
