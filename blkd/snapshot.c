/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Snapshots: see snapshot.h. Runs in blkd. It never writes to the base image, and marks a
 * cluster as present only after all of it was written.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "blkd/io_sync.h"
#include "blkd/snapshot.h"
#include "common/iov.h"
#include "common/vring.h"

int snapshot_init(struct snapshot *s, struct image_file *base, struct image_file *delta, uint64_t capacity)
{
	void *m;

	memset(s, 0, sizeof(*s));
	s->cluster = snapmap_cluster(capacity);
	if (snapmap_bytes(capacity) > SIZE_MAX)
		return -EFBIG;
	s->bits_len = (size_t)snapmap_bytes(capacity);
	m = mmap(NULL, s->bits_len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (m == MAP_FAILED)
		return -errno;
	s->bits = m;
	s->capacity = capacity;
	s->base = base;
	s->delta = delta;
	s->on = true;
	return 0;
}

bool snapshot_share(struct snapshot *s, int fd)
{
	struct stat st;
	void *m;

	if (!s->on || fstat(fd, &st) < 0)
		return false;
	/* If the file could shrink, the next access to the map could kill us by SIGBUS. */
	if ((uint64_t)st.st_size < s->bits_len || !(fcntl(fd, F_GET_SEALS) & F_SEAL_SHRINK)) {
		errno = EINVAL;
		return false;
	}
	m = mmap(NULL, s->bits_len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (m == MAP_FAILED)
		return false;
	munmap(s->bits, s->bits_len);
	s->bits = m;
	return true;
}

static bool there(const struct snapshot *s, uint64_t cluster)
{
	return (s->bits[cluster / 64] >> (cluster % 64)) & 1;
}

static void mark(struct snapshot *s, uint64_t cluster)
{
	s->bits[cluster / 64] |= 1ull << (cluster % 64);
}

/* The end of the clusters from @off on that are all present or all absent; at most @end. */
static uint64_t run_end(const struct snapshot *s, uint64_t off, uint64_t end)
{
	uint64_t c = off / s->cluster;
	bool kind = there(s, c);

	do {
		c++;
	} while (c * s->cluster < end && there(s, c) == kind);
	return MIN(c * s->cluster, end);
}

struct image_file *snapshot_map(const struct snapshot *s, bool write, uint64_t off, uint64_t *len)
{
	uint64_t end = run_end(s, off, off + *len);

	if (there(s, off / s->cluster)) {
		*len = end - off;
		return s->delta;
	}
	if (write)
		return NULL;
	*len = end - off;
	return s->base;
}

static uint8_t cow[SNAP_MAX_CLUSTER] __attribute__((aligned(IMAGE_MAX_ALIGN)));

/* Read [off, off + len) of the base into cow[]. -EIO if the base has become shorter. */
static int read_base(struct snapshot *s, uint64_t off, size_t len)
{
	size_t have = 0;

	while (have < len) {
		struct iovec v = { cow + have, len - have };
		ssize_t got;

		if (image_aligned(s->base, &v, 1, off + have))
			got = io_wait(s->base, false, &v, 1, off + have, false);
		else
			got = io_bounce(s->base, false, &v, 1, off + have, v.iov_len, false);
		if (got <= 0)
			return got ? (int)got : -EIO;
		have += (size_t)got;
	}
	return 0;
}

static int write_delta(struct snapshot *s, const uint8_t *from, uint64_t off, size_t len)
{
	while (len) {
		struct iovec v = { (uint8_t *)(uintptr_t)from, len };
		ssize_t put = io_wait(s->delta, true, &v, 1, off, false);

		if (put <= 0)
			return put ? (int)put : -EIO;
		from += put;
		off += (uint64_t)put;
		len -= (size_t)put;
	}
	return 0;
}

/*
 * Write into an absent cluster: read it from the base, replace the part that begins at
 * @off, and write all of it to the delta. @iov NULL: write zeroes. Returns the bytes of the
 * part, or -errno.
 */
static ssize_t fill_up(struct snapshot *s, const struct iovec *iov, unsigned n, uint64_t off, uint64_t len)
{
	uint64_t c = off / s->cluster, start = c * s->cluster;
	size_t whole = (size_t)MIN((uint64_t)s->cluster, s->capacity - start);
	size_t skip = (size_t)(off - start), part = (size_t)MIN(len, (uint64_t)whole - skip);
	int r = read_base(s, start, whole);

	if (r)
		return r;
	if (iov)
		iov_to_buf(iov, n, 0, cow + skip, part);
	else
		memset(cow + skip, 0, part);
	r = write_delta(s, cow, start, whole);
	if (r)
		return r;
	mark(s, c);
	return (ssize_t)part;
}

/* Bytes at the start of [off, off + len) that are whole clusters; 0 if it does not begin with one. */
static uint64_t whole_part(const struct snapshot *s, uint64_t off, uint64_t len)
{
	if (!is_aligned(off, s->cluster))
		return 0;
	if (off + len == s->capacity)
		return len;
	return len & ~(uint64_t)(s->cluster - 1);
}

ssize_t snapshot_write(struct snapshot *s, const struct iovec *iov, unsigned n, uint64_t off, uint64_t len)
{
	static struct iovec part[VQ_MAX_SIZE];
	uint64_t whole = whole_part(s, off, len);
	ssize_t put;
	int cnt;

	if (!whole)
		return fill_up(s, iov, n, off, len);
	cnt = iov_slice(iov, n, 0, (size_t)whole, part, ARRAY_SIZE(part));
	if (cnt <= 0)
		return -EIO;
	put = io_wait(s->delta, true, part, (unsigned)cnt, off, false);
	if (put <= 0)
		return put ? put : -EIO;
	/* Less than one cluster was written, so it is not present: write it by copying. */
	if (!whole_part(s, off, (uint64_t)put))
		return fill_up(s, iov, n, off, len);
	put = (ssize_t)whole_part(s, off, (uint64_t)put);
	for (uint64_t at = off; at < off + (uint64_t)put; at += s->cluster)
		mark(s, at / s->cluster);
	return put;
}

static int zero_partial(struct snapshot *s, uint64_t off, uint64_t len)
{
	ssize_t r;

	if (there(s, off / s->cluster))
		return io_zero(s->delta, off, len, true);
	r = fill_up(s, NULL, 0, off, len);
	return r < 0 ? (int)r : 0;
}

int snapshot_zero(struct snapshot *s, uint64_t off, uint64_t len, bool discard)
{
	while (len) {
		uint64_t part = whole_part(s, off, len);
		int r = 0;

		if (part) {
			/* Zero the delta even for absent clusters: a failed write may have left data there. */
			r = io_zero(s->delta, off, part, true);
			for (uint64_t at = off; !r && at < off + part; at += s->cluster)
				mark(s, at / s->cluster);
		} else {
			part = MIN(len, s->cluster - off % s->cluster);
			if (!discard)
				r = zero_partial(s, off, part);
		}
		if (r)
			return r;
		off += part;
		len -= part;
	}
	return 0;
}
