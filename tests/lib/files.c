/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Files made for tests: see files.h. For test programs only. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <zlib.h>

#include "tests/lib/files.h"

static void put(int fd, const void *p, size_t n)
{
	if (write(fd, p, n) != (ssize_t)n)
		abort();
}

int file_of(const void *bytes, size_t len)
{
	int fd = memfd_create("test", MFD_CLOEXEC);

	if (fd < 0)
		abort();
	put(fd, bytes, len);
	return fd;
}

static void squeeze(z_stream *z, int fd, const void *p, size_t n, int flush)
{
	static uint8_t out[65536];

	z->next_in = (Bytef *)(uintptr_t)p;
	z->avail_in = (uInt)n;
	do {
		z->next_out = out;
		z->avail_out = sizeof(out);
		if (deflate(z, flush) == Z_STREAM_ERROR)
			abort();
		put(fd, out, sizeof(out) - z->avail_out);
	} while (z->avail_out == 0);
}

int gzip_bomb(const void *head, size_t len, uint64_t zeroes)
{
	static const uint8_t none[1 << 20];
	int fd = memfd_create("test", MFD_CLOEXEC);
	z_stream z = { 0 };

	if (fd < 0 || deflateInit2(&z, 1, Z_DEFLATED, 31, 8, Z_DEFAULT_STRATEGY) != Z_OK)
		abort();
	squeeze(&z, fd, head, len, Z_NO_FLUSH);
	for (; zeroes; zeroes -= zeroes < sizeof(none) ? zeroes : sizeof(none))
		squeeze(&z, fd, none, zeroes < sizeof(none) ? zeroes : sizeof(none), Z_NO_FLUSH);
	squeeze(&z, fd, none, 0, Z_FINISH);
	deflateEnd(&z);
	return fd;
}

int gzip_of(const void *bytes, size_t len, const void *tail, size_t tail_len)
{
	int fd = gzip_bomb(bytes, len, 0);

	put(fd, tail, tail_len);
	return fd;
}
