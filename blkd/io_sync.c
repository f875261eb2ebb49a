/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Transfers by preadv2(2) and pwritev2(2). Used for data in the page cache, which needs no
 * waiting; for all I/O on hosts without io_uring; and for operations that io_uring
 * refuses. Runs in blkd. It never touches bytes beyond the limit of the image.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "blkd/image.h"
#include "blkd/io_sync.h"
#include "common/iov.h"

/* After MISSES_PATIENCE misses of the page cache in a row, try it only for every MISSES_RETRYth read. */
#define MISSES_PATIENCE 16
#define MISSES_RETRY	32

static ssize_t move(struct image_file *f, bool write, const struct iovec *iov, unsigned n, uint64_t off, int flags)
{
	off_t at = (off_t)(f->shift + off);
	ssize_t got;

	do {
#ifdef __i386__
		/* Most hosts of the i386 build are too old for preadv2() and pwritev2(). */
		if (!flags)
			got = write ? pwritev(f->fd, iov, (int)n, at) : preadv(f->fd, iov, (int)n, at);
		else
#endif
			got = write ? pwritev2(f->fd, iov, (int)n, at, flags) : preadv2(f->fd, iov, (int)n, at, flags);
	} while (got < 0 && errno == EINTR);
	/* Linux before 4.7 lacks RWF_DSYNC; libc then returns EOPNOTSUPP. Write, then call fdatasync(). */
	if (got < 0 && flags == RWF_DSYNC && (errno == EOPNOTSUPP || errno == ENOSYS)) {
		got = move(f, true, iov, n, off, 0);
		return got > 0 && fdatasync(f->fd) < 0 ? -errno : got;
	}
	return got < 0 ? -errno : got;
}

static ssize_t try_read(struct image_file *f, const struct iovec *iov, unsigned n, uint64_t off)
{
	ssize_t got;

	if (f->memory)
		return move(f, false, iov, n, off, 0);
	if (!f->nowait_read)
		return -EAGAIN;
	if (f->misses >= MISSES_PATIENCE && ++f->misses % MISSES_RETRY)
		return -EAGAIN;
	got = move(f, false, iov, n, off, RWF_NOWAIT);
	if (got == -EOPNOTSUPP || got == -ENOSYS || got == -EINVAL) {
		f->nowait_read = false;
		return -EAGAIN;
	}
	if (got == -EAGAIN)
		f->misses++;
	else
		f->misses = 0;
	return got;
}

static ssize_t try_write(struct image_file *f, const struct iovec *iov, unsigned n, uint64_t off, bool dsync)
{
	if (f->nowait_write && !dsync) {
		ssize_t put = move(f, true, iov, n, off, RWF_NOWAIT);

		if (put != -EOPNOTSUPP && put != -ENOSYS && put != -EINVAL)
			return put;
		f->nowait_write = false;
	}
	return move(f, true, iov, n, off, dsync ? RWF_DSYNC : 0);
}

ssize_t io_try(struct image_file *f, bool write, const struct iovec *iov, unsigned n, uint64_t off, bool dsync)
{
	if (f->direct)
		return -EAGAIN;
	return write ? try_write(f, iov, n, off, dsync) : try_read(f, iov, n, off);
}

ssize_t io_wait(struct image_file *f, bool write, const struct iovec *iov, unsigned n, uint64_t off, bool dsync)
{
	return move(f, write, iov, n, off, write && dsync ? RWF_DSYNC : 0);
}

bool io_bounce_shares(const struct image_file *f, bool write, uint64_t off, uint64_t len)
{
	return write && (!is_aligned(off, f->off_align) || !is_aligned(len, f->off_align));
}

static uint8_t bounce[BOUNCE_SIZE] __attribute__((aligned(IMAGE_MAX_ALIGN)));

/* Read bounce[at .. at + len) from the file at offset @start + @at. Bytes beyond its end become zero. */
static ssize_t bounce_fill(struct image_file *f, uint64_t start, size_t at, size_t len)
{
	size_t have = 0;

	while (have < len) {
		struct iovec v = { bounce + at + have, len - have };
		ssize_t got = move(f, false, &v, 1, start + at + have, 0);

		if (got < 0)
			return got;
		if (!got || !is_aligned((uint64_t)got, f->off_align)) {
			/* The end of the file. */
			have += (size_t)got;
			memset(bounce + at + have, 0, len - have);
			return (ssize_t)have;
		}
		have += (size_t)got;
	}
	return (ssize_t)have;
}

static ssize_t bounce_write(struct image_file *f, uint64_t start, size_t len, size_t span, bool dsync)
{
	size_t put = 0;

	while (put < span) {
		struct iovec v = { bounce + put, span - put };
		ssize_t got = move(f, true, &v, 1, start + put, dsync ? RWF_DSYNC : 0);

		if (got <= 0)
			return got ? got : -EIO;
		put += (size_t)got;
		if (put < span && !is_aligned(put, f->off_align))
			return -EIO;
	}
	return (ssize_t)len;
}

ssize_t io_bounce(struct image_file *f, bool write, const struct iovec *iov, unsigned n, uint64_t off, uint64_t len,
		  bool dsync)
{
	uint64_t start = off & ~(uint64_t)(f->off_align - 1);
	size_t skip = (size_t)(off - start);
	size_t part = (size_t)MIN(len, (uint64_t)BOUNCE_SIZE - skip);
	size_t span = (skip + part + f->off_align - 1) & ~(size_t)(f->off_align - 1);
	ssize_t got;

	if (!write) {
		got = bounce_fill(f, start, 0, span);
		if (got < 0)
			return got;
		if ((size_t)got <= skip)
			return 0;
		part = MIN(part, (size_t)got - skip);
		iov_from_buf(iov, n, 0, bounce + skip, part);
		return (ssize_t)part;
	}
	if (start + span > f->limit)
		return -EIO;
	if (skip) {
		got = bounce_fill(f, start, 0, f->off_align);
		if (got < 0)
			return got;
	}
	if ((skip + part) % f->off_align && (!skip || span > f->off_align)) {
		got = bounce_fill(f, start, span - f->off_align, f->off_align);
		if (got < 0)
			return got;
	}
	iov_to_buf(iov, n, 0, bounce + skip, part);
	return bounce_write(f, start, part, span, dsync);
}

int io_flush(struct image_file *f)
{
	int r;

	do {
		r = fdatasync(f->fd);
	} while (r < 0 && errno == EINTR);
	return r < 0 ? -errno : 0;
}

/* Source of zero bytes for all requests. Never written, so it uses no memory but the kernel's zero page. */
static uint8_t zeroes[64 * 1024] __attribute__((aligned(IMAGE_MAX_ALIGN)));

static int write_zeroes(struct image_file *f, uint64_t off, uint64_t len)
{
	while (len) {
		struct iovec v = { zeroes, (size_t)MIN(len, sizeof(zeroes)) };
		ssize_t put;

		if (image_aligned(f, &v, 1, off))
			put = move(f, true, &v, 1, off, 0);
		else
			put = io_bounce(f, true, &v, 1, off, v.iov_len, false);
		if (put <= 0)
			return put ? (int)put : -EIO;
		off += (uint64_t)put;
		len -= (uint64_t)put;
	}
	return 0;
}

int io_zero(struct image_file *f, uint64_t off, uint64_t len, bool unmap)
{
	/* ZERO_RANGE without KEEP_SIZE: the same inside the image, and the only form that the filter allows. */
	int first = unmap ? FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE : FALLOC_FL_ZERO_RANGE;

	if (!len)
		return 0;
	if (!range_ok(off, len, f->limit))
		return -EIO;
	if (fallocate(f->fd, first, (off_t)(f->shift + off), (off_t)len) == 0)
		return 0;
	if (unmap && fallocate(f->fd, FALLOC_FL_ZERO_RANGE, (off_t)(f->shift + off), (off_t)len) == 0)
		return 0;
	if (errno == ENOSPC || errno == EIO)
		return -errno;
	return write_zeroes(f, off, len);
}

int io_discard(struct image_file *f, uint64_t off, uint64_t len)
{
	if (!range_ok(off, len, f->limit))
		return -EIO;
	if (fallocate(f->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)(f->shift + off), (off_t)len) == 0)
		return 0;
	/* 5.2.6.2: a discard is only a hint, so a file system without support is no error. */
	return errno == EOPNOTSUPP || errno == ENOSYS ? 0 : -errno;
}
