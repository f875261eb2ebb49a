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
#include <unistd.h>

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

bool snapshot_levels(struct snapshot *s, int fd)
{
	uint64_t bytes = snapmap_levels_bytes(s->capacity), map = snapmap_map(s->capacity);
	struct stat st;
	uint8_t *m;

	if (!s->on || fstat(fd, &st) < 0)
		return false;
	if (bytes > SIZE_MAX || (uint64_t)st.st_size < bytes || !(fcntl(fd, F_GET_SEALS) & F_SEAL_SHRINK)) {
		errno = EINVAL;
		return false;
	}
	m = mmap(NULL, (size_t)bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (m == MAP_FAILED)
		return false;
	s->levels_len = (size_t)bytes;
	s->kept_now = (uint64_t *)(void *)m;
	s->side = (uint64_t *)(void *)(m + SNAPMAP_PAGE);
	s->kept_bits = (uint64_t *)(void *)(m + SNAPMAP_PAGE + map);
	s->kept_side = (uint64_t *)(void *)(m + SNAPMAP_PAGE + 2 * map);
	s->changed = (uint64_t *)(void *)(m + SNAPMAP_PAGE + 3 * map);
	s->other = *s->delta;
	s->other.shift = snapmap_places(s->capacity);
	return true;
}

bool snapshot_lower(struct snapshot *s, int fd, int map, unsigned slot, bool begins)
{
	const int sealed = F_SEAL_SHRINK | F_SEAL_WRITE;
	struct stat st;
	void *m;

	if (!s->on || fstat(map, &st) < 0)
		return false;
	if ((uint64_t)st.st_size < s->bits_len || (fcntl(map, F_GET_SEALS) & sealed) != sealed ||
	    (fcntl(fd, F_GETFL) & O_ACCMODE) != O_RDONLY) {
		errno = EINVAL;
		return false;
	}
	/* The map is new, so a guest does not see what is left there; but it would if it took this process over. */
	if (begins && (ftruncate(s->delta->fd, 0) < 0 || ftruncate(s->delta->fd, (off_t)s->capacity) < 0))
		return false;
	m = mmap(NULL, s->bits_len, PROT_READ, MAP_PRIVATE, map, 0);
	if (m == MAP_FAILED)
		return false;
	s->low_bits = m;
	image_probe(&s->lower, fd, slot, false, 0, s->capacity);
	return true;
}

static bool bit(const uint64_t *map, uint64_t n)
{
	return (map[n / 64] >> (n % 64)) & 1;
}

static void set_bit(uint64_t *map, uint64_t n, bool on)
{
	if (on)
		map[n / 64] |= BIT64(n % 64);
	else
		map[n / 64] &= ~BIT64(n % 64);
}

/* Where the data of a cluster is. */
enum place { BASE, LOWER, FIRST, SECOND };

static enum place place_of(const struct snapshot *s, uint64_t cluster)
{
	if (!bit(s->bits, cluster))
		return s->low_bits && bit(s->low_bits, cluster) ? LOWER : BASE;
	return s->kept_now && bit(s->side, cluster) ? SECOND : FIRST;
}

static struct image_file *file_of(struct snapshot *s, enum place p)
{
	return p == BASE ? s->base : p == LOWER ? &s->lower : p == FIRST ? s->delta : &s->other;
}

/* The place for new data of a cluster. It is the present one, unless that is only read or kept. */
static enum place place_for(const struct snapshot *s, uint64_t cluster)
{
	enum place p = place_of(s, cluster);

	if (p == BASE || p == LOWER)
		return FIRST;
	if (!s->kept_now || !*s->kept_now || !bit(s->kept_bits, cluster) ||
	    bit(s->kept_side, cluster) != bit(s->side, cluster))
		return p;
	return p == FIRST ? SECOND : FIRST;
}

/* Data of the cluster is in place @p. blkd may be killed at any store: the maps are right before and after each. */
static void mark(struct snapshot *s, uint64_t cluster, enum place p)
{
	if (s->kept_now) {
		set_bit(s->changed, cluster / 8 / SNAPMAP_PAGE, true);
		smp_wmb();
		set_bit(s->side, cluster, p == SECOND);
		smp_wmb();
	}
	set_bit(s->bits, cluster, true);
}

void snapshot_checkpoint(struct snapshot *s, bool back)
{
	const size_t words = SNAPMAP_PAGE / sizeof(uint64_t);
	uint64_t pages = snapmap_map(s->capacity) / SNAPMAP_PAGE;

	if (!s->kept_now || (back && !*s->kept_now))
		return;
	for (uint64_t w = 0; w * 64 < pages; w++) {
		for (uint64_t left = s->changed[w]; left; left &= left - 1) {
			uint64_t page = w * 64 + (unsigned)__builtin_ctzll(left);
			size_t at = (size_t)page * words;

			/* Memory that blkd shares with its successor, which a taken one may have changed. */
			if (page >= pages)
				break;
			memcpy(back ? s->side + at : s->kept_side + at, back ? s->kept_side + at : s->side + at,
			       SNAPMAP_PAGE);
			memcpy(back ? s->bits + at : s->kept_bits + at, back ? s->kept_bits + at : s->bits + at,
			       SNAPMAP_PAGE);
		}
		/* If blkd is killed before this, its successor does the same again. */
		smp_wmb();
		s->changed[w] = 0;
	}
	*s->kept_now = 1;
}

uint64_t snapshot_next(struct snapshot *s, uint64_t *cluster, uint64_t max, struct image_file **f)
{
	uint64_t all = (s->capacity + s->cluster - 1) / s->cluster, c = *cluster, n;
	enum place p;

	while (c < all && !bit(s->bits, c))
		c = s->bits[c / 64] >> c % 64 ? c + 1 : (c / 64 + 1) * 64;
	if (c >= all)
		return 0;
	p = place_of(s, c);
	for (n = 1; c + n < all && (n + 1) * s->cluster <= max && place_of(s, c + n) == p; n++)
		;
	*cluster = c;
	*f = file_of(s, p);
	return n;
}

/*
 * Writes only to words that are not zeros. Reading is enough to give a page of a shared map its memory: each map then
 * takes 32 KiB for a disk of 1 GiB.
 */
static void clear_map(uint64_t *map, uint64_t bytes)
{
	for (uint64_t i = 0; i < bytes / sizeof(*map); i++)
		if (map[i])
			map[i] = 0;
}

void snapshot_clear(struct snapshot *s)
{
	if (s->kept_now) {
		*s->kept_now = 0;
		/* Clear the three maps and the map of their changed pages, which lie one behind the other. */
		clear_map(s->side, s->levels_len - SNAPMAP_PAGE);
	}
	clear_map(s->bits, s->bits_len);
}

void snapshot_have(struct snapshot *s, uint64_t cluster, uint64_t n)
{
	while (n--)
		mark(s, cluster++, FIRST);
}

/* The end of the clusters from @off on whose data is in one place, and for a write goes to one place; at most @end. */
static uint64_t run_end(const struct snapshot *s, bool write, uint64_t off, uint64_t end)
{
	uint64_t c = off / s->cluster;
	enum place now = place_of(s, c), next = write ? place_for(s, c) : BASE;

	do {
		c++;
	} while (c * s->cluster < end && place_of(s, c) == now && (!write || place_for(s, c) == next));
	return MIN(c * s->cluster, end);
}

struct image_file *snapshot_map(struct snapshot *s, bool write, uint64_t off, uint64_t *len)
{
	enum place p = place_of(s, off / s->cluster);

	if (write && place_for(s, off / s->cluster) != p)
		return NULL;
	*len = run_end(s, write, off, off + *len) - off;
	return file_of(s, p);
}

static uint8_t cow[SNAP_MAX_CLUSTER] __attribute__((aligned(IMAGE_MAX_ALIGN)));

/* Read [off, off + len) of @f into cow[]. -EIO if it has become shorter. */
static int read_old(struct image_file *f, uint64_t off, size_t len)
{
	size_t have = 0;

	while (have < len) {
		struct iovec v = { cow + have, len - have };
		ssize_t got;

		if (image_aligned(f, &v, 1, off + have))
			got = io_wait(f, false, &v, 1, off + have, false);
		else
			got = io_bounce(f, false, &v, 1, off + have, v.iov_len, false);
		if (got <= 0)
			return got ? (int)got : -EIO;
		have += (size_t)got;
	}
	return 0;
}

static int write_delta(struct image_file *f, const uint8_t *from, uint64_t off, size_t len)
{
	while (len) {
		struct iovec v = { (uint8_t *)(uintptr_t)from, len };
		ssize_t put = io_wait(f, true, &v, 1, off, false);

		if (put <= 0)
			return put ? (int)put : -EIO;
		from += put;
		off += (uint64_t)put;
		len -= (size_t)put;
	}
	return 0;
}

/*
 * Write into an absent or kept cluster: read it, replace the part that begins at
 * @off, and write all of it to its new place in the delta. @iov NULL: write zeroes. Returns the bytes of the
 * part, or -errno.
 */
static ssize_t fill_up(struct snapshot *s, const struct iovec *iov, unsigned n, uint64_t off, uint64_t len)
{
	uint64_t c = off / s->cluster, start = c * s->cluster;
	size_t whole = (size_t)MIN((uint64_t)s->cluster, s->capacity - start);
	size_t skip = (size_t)(off - start), part = (size_t)MIN(len, (uint64_t)whole - skip);
	enum place to = place_for(s, c);
	int r = read_old(file_of(s, place_of(s, c)), start, whole);

	if (r)
		return r;
	if (iov)
		iov_to_buf(iov, n, 0, cow + skip, part);
	else
		memset(cow + skip, 0, part);
	r = write_delta(file_of(s, to), cow, start, whole);
	if (r)
		return r;
	mark(s, c, to);
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
	enum place to = place_for(s, off / s->cluster);
	uint64_t whole;
	ssize_t put;
	int cnt;

	len = run_end(s, true, off, off + len) - off;
	whole = whole_part(s, off, len);

	if (!whole)
		return fill_up(s, iov, n, off, len);
	cnt = iov_slice(iov, n, 0, (size_t)whole, part, ARRAY_SIZE(part));
	if (cnt <= 0)
		return -EIO;
	put = io_wait(file_of(s, to), true, part, (unsigned)cnt, off, false);
	if (put <= 0)
		return put ? put : -EIO;
	/* Less than one cluster was written, so it is not present: write it by copying. */
	if (!whole_part(s, off, (uint64_t)put))
		return fill_up(s, iov, n, off, len);
	put = (ssize_t)whole_part(s, off, (uint64_t)put);
	for (uint64_t at = off; at < off + (uint64_t)put; at += s->cluster)
		mark(s, at / s->cluster, to);
	return put;
}

static int zero_partial(struct snapshot *s, uint64_t off, uint64_t len)
{
	enum place p = place_of(s, off / s->cluster);
	ssize_t r;

	if (p != BASE && place_for(s, off / s->cluster) == p)
		return io_zero(file_of(s, p), off, len, true);
	r = fill_up(s, NULL, 0, off, len);
	return r < 0 ? (int)r : 0;
}

int snapshot_zero(struct snapshot *s, uint64_t off, uint64_t len, bool discard)
{
	while (len) {
		uint64_t part = whole_part(s, off, run_end(s, true, off, off + len) - off);
		enum place to = place_for(s, off / s->cluster);
		int r = 0;

		if (part) {
			/* Zero the delta even for absent clusters: an earlier write may have left data there. */
			r = io_zero(file_of(s, to), off, part, true);
			for (uint64_t at = off; !r && at < off + part; at += s->cluster)
				mark(s, at / s->cluster, to);
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
