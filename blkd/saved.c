/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Changes of a snapshot in the files of --save and --from: see saved.h. Runs in blkd. */
#include <errno.h>
#include <string.h>
#include <zlib.h>

#include "blkd/io_sync.h"
#include "blkd/saved.h"

/* Most runs in one call: 4 MiB, so that the front-end gets its reply in time. */
#define CALL_RUNS 64

static uint8_t data[SNAP_MAX_CLUSTER] __attribute__((aligned(IMAGE_MAX_ALIGN)));

/* Transfer all @len bytes. Returns 0, -errno, or 1 if the file ends before. */
static int move_all(struct image_file *f, bool write, void *p, uint64_t off, size_t len)
{
	uint8_t *at = p;

	while (len) {
		struct iovec v = { at, len };
		ssize_t n = io_wait(f, write, &v, 1, off, false);

		if (n < 0)
			return (int)n;
		if (n == 0)
			return write ? -EIO : 1;
		at += n;
		off += (uint64_t)n;
		len -= (size_t)n;
	}
	return 0;
}

/* Set the reply for a @result of move_all() that is not 0. */
static void failed(struct vhu_saved *m, int result)
{
	m->state = VHU_SAVED_FAILED;
	m->error = result < 0 ? (uint32_t)-result : 0;
}

static bool only_zeros(const uint8_t *p, size_t len)
{
	return !*p && !memcmp(p, p + 1, len - 1);
}

static uint32_t sum(const void *p, size_t len)
{
	return (uint32_t)crc32_z(0, p, len);
}

/* Describe the file at @fd for move_all(). Returns false if @m lies so far behind that offsets could overflow. */
static bool use_file(struct image_file *f, int fd, const struct vhu_saved *m)
{
	*f = (struct image_file){ .fd = fd, .mem_align = 1, .off_align = 1, .limit = INT64_MAX };
	return m->at <= INT64_MAX / 2;
}

/* ---- writing ---- */

static int put_run(struct image_file *f, struct saved_run *run, struct vhu_saved *m)
{
	size_t len = run->zeros ? 0 : run->bytes;
	int r = move_all(f, true, run, m->at, sizeof(*run));

	if (!r)
		r = move_all(f, true, data, m->at + sizeof(*run), len);
	m->at += sizeof(*run) + len;
	return r;
}

static int put_end(struct image_file *f, struct vhu_saved *m)
{
	struct saved_run end = { .cluster = m->count, .crc = sum(&m->count, sizeof(m->count)) };

	m->state = VHU_SAVED_DONE;
	return put_run(f, &end, m);
}

void saved_write(struct snapshot *s, int fd, struct vhu_saved *m)
{
	struct image_file f, *from;
	int r = use_file(&f, fd, m) ? 0 : -EFBIG;

	for (unsigned i = 0; !r && m->state == VHU_SAVED_MORE && i < CALL_RUNS; i++) {
		struct saved_run run = { .cluster = m->cluster };
		uint64_t n = snapshot_next(s, &run.cluster, sizeof(data), &from);

		if (!n) {
			r = put_end(&f, m);
			break;
		}
		run.bytes = (uint32_t)MIN(n * s->cluster, s->capacity - run.cluster * s->cluster);
		r = move_all(from, false, data, run.cluster * s->cluster, run.bytes);
		if (r)
			break;
		run.zeros = only_zeros(data, run.bytes);
		run.crc = sum(data, run.bytes);
		m->cluster = run.cluster + n;
		m->count += n;
		r = put_run(&f, &run, m);
	}
	/* A snapshot's second file is never shorter than the disk, so its early end is an error of the host. */
	if (r)
		failed(m, r > 0 ? -EIO : r);
}

/* ---- reading ---- */

/* True if @run lies behind all runs so far, and on the disk. */
static bool run_ok(const struct snapshot *s, const struct saved_run *run, const struct vhu_saved *m)
{
	uint64_t clusters = (s->capacity + s->cluster - 1) / s->cluster;

	if (run->cluster < m->cluster || run->cluster >= clusters || run->bytes > sizeof(data) || run->zeros > 1 ||
	    run->zero)
		return false;
	if (run->bytes > s->capacity - run->cluster * s->cluster)
		return false;
	return is_aligned(run->bytes, s->cluster) || run->bytes == s->capacity - run->cluster * s->cluster;
}

/* Put the clusters of @run into the snapshot. Returns 0, -errno, or 1 if the file is damaged. */
static int get_run(struct snapshot *s, struct image_file *f, const struct saved_run *run, struct vhu_saved *m)
{
	uint64_t n = (run->bytes + s->cluster - 1) / s->cluster, off = run->cluster * s->cluster;
	int r = 0;

	if (run->zeros)
		memset(data, 0, run->bytes);
	else
		r = move_all(f, false, data, m->at, run->bytes);
	if (!r && sum(data, run->bytes) != run->crc)
		r = 1;
	if (!r)
		r = run->zeros ? io_zero(s->delta, off, run->bytes, true)
			       : move_all(s->delta, true, data, off, run->bytes);
	if (r)
		return r;
	snapshot_have(s, run->cluster, n);
	m->at += run->zeros ? 0 : run->bytes;
	m->cluster = run->cluster + n;
	m->count += n;
	return 0;
}

void saved_read(struct snapshot *s, int fd, struct vhu_saved *m)
{
	struct saved_run run;
	struct image_file f;
	int r = use_file(&f, fd, m) ? 0 : 1;

	if (!m->count)
		snapshot_clear(s);
	for (unsigned i = 0; !r && m->state == VHU_SAVED_MORE && i < CALL_RUNS; i++) {
		r = move_all(&f, false, &run, m->at, sizeof(run));
		if (r)
			break;
		m->at += sizeof(run);
		if (run.bytes) {
			r = run_ok(s, &run, m) ? get_run(s, &f, &run, m) : 1;
		} else {
			m->state = VHU_SAVED_DONE;
			r = run.cluster != m->count || run.zeros || run.zero ||
			    run.crc != sum(&m->count, sizeof(m->count));
		}
	}
	if (r)
		failed(m, r);
}
