/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Executes checked requests. Each one first tries the page cache, then the io_uring, then a
 * system call that waits. Runs in blkd. Each request finishes exactly once, whatever the
 * host does: after a short transfer the rest is transferred, an operation that the io_uring
 * refuses is done without it, and any other error becomes VIRTIO_BLK_S_IOERR.
 */
#include <errno.h>
#include <fcntl.h>

#include "blkd/device.h"
#include "blkd/io_sync.h"
#include "blkd/transfer.h"
#include "common/iov.h"
#include "common/log.h"

/* Results that are not errno values: the operation is in the io_uring; call the step again. */
#define QUEUED (-4096)
#define RETRY  (-4097)

static struct log_limit error_lines = LOG_LIMIT_INIT(5, 1000);

/* Apart from finish(), so that a request without a log does not pay for it. */
static __attribute__((noinline, cold)) void log_status(const struct blk_req *r)
{
	const struct iovec answer = { r->status_at, 1 };

	vq_log(r->vq, &answer, 1, 0, 1);
}

static void finish(struct blkd *d, struct blk_req *r, uint8_t status)
{
	uint32_t moved = r->type == VIRTIO_BLK_T_IN ? r->data_len - r->left : 0;

	if (status == VIRTIO_BLK_S_OK && r->type == VIRTIO_BLK_T_GET_ID) {
		moved = blk_get_id(r, d->cfg.serial);
		vq_wrote(r->vq, r->iov + r->first, r->n, 0, moved);
	}
	if (status == VIRTIO_BLK_S_OK && r->type == VIRTIO_BLK_T_IN)
		d->stats->bytes_read += r->data_len;
	if (status == VIRTIO_BLK_S_OK && r->type == VIRTIO_BLK_T_OUT)
		d->stats->bytes_written += r->data_len;
	d->stats->requests++;
	WRITE_ONCE(*r->status_at, status);
	if (__builtin_expect(r->vq->log != NULL, 0))
		log_status(r);
	vq_push(r->vq, r->head, blk_written(r, moved));
	d->dirty |= 1u << r->vq->index;
	r->next = d->free;
	d->free = r;
}

/* The next @len bytes of the data of @r were moved. */
static void advance(struct blk_req *r, uint32_t len)
{
	unsigned used;

	if (r->type == VIRTIO_BLK_T_IN)
		vq_wrote(r->vq, r->iov + r->first, r->n, 0, len);
	used = iov_skip(r->iov + r->first, r->n, len);
	r->first += used;
	r->n -= used;
	r->off += len;
	r->left -= MIN(r->left, len);
}

/* Finish @r with an I/O error and log it. @err: -errno, or 0 if the image has become shorter. */
static void fail(struct blkd *d, struct blk_req *r, int err)
{
	d->stats->io_errors++;
	/* A read that fails may have stored a part of its data. */
	if (r->type == VIRTIO_BLK_T_IN)
		vq_wrote(r->vq, r->iov + r->first, r->n, 0, r->left);
	if (log_allowed(&error_lines)) {
		errno = err ? -err : ENODATA;
		log_line(LOG_WARN, "request of type %u failed at byte %llu: %m%s", r->type, (unsigned long long)r->off,
			 err ? "" : " (the image has become shorter)");
		error_lines.suppressed = 0;
	}
	finish(d, r, VIRTIO_BLK_S_IOERR);
}

/* True if @res means that the io_uring or its worker threads refused the operation, not an error of the disk. */
static bool refused(int res)
{
	return res == -EAGAIN || res == -ECANCELED || res == -EINTR || res == -EOPNOTSUPP || res == -EINVAL ||
	       res == -EACCES;
}

static struct io_uring_sqe *push(struct blkd *d, struct blk_req *r, uint8_t op, struct image_file *f)
{
	struct io_uring_sqe *sqe;

	if (r->must_wait || d->ring_broken)
		return NULL;
	sqe = ring_push(&d->ring, op, f->slot, r);
	if (sqe) {
		r->file = f;
		d->busy[r->vq->index]++;
	}
	return sqe;
}

static bool push_rw(struct blkd *d, struct blk_req *r, struct image_file *f, bool write)
{
	const struct iovec *iov = r->iov + r->first;
	struct io_uring_sqe *sqe;

	if (r->n == 1) {
		sqe = push(d, r, write ? IORING_OP_WRITE : IORING_OP_READ, f);
		if (!sqe)
			return false;
		sqe->addr = (uintptr_t)iov->iov_base;
		sqe->len = (uint32_t)iov->iov_len;
	} else {
		sqe = push(d, r, write ? IORING_OP_WRITEV : IORING_OP_READV, f);
		if (!sqe)
			return false;
		sqe->addr = (uintptr_t)iov;
		sqe->len = r->n;
	}
	sqe->off = f->shift + r->off;
	sqe->rw_flags = write && d->dsync ? RWF_DSYNC : 0;
	return true;
}

/* Before a call on @f that waits for the disk: what is pushed is submitted, so that the disk works at it, too. */
static void will_wait(struct blkd *d, const struct image_file *f, bool write)
{
	/* A read without RWF_NOWAIT, which some file systems lack, may also be of the cache. */
	d->waited |= f->direct || f->nowait_read || write;
	if (d->ring.ok && !d->ring_broken && ring_unsubmitted(&d->ring))
		(void)ring_submit(&d->ring, 0); /* What it does not take is blkd_pump()'s. */
}

/* Do the next step of a read or write. Returns bytes moved, 0 at the end of the file, -errno, QUEUED or RETRY. */
static ssize_t step_rw(struct blkd *d, struct blk_req *r, bool write)
{
	struct iovec *iov = r->iov + r->first;
	struct image_file *f = &d->base;
	uint64_t len = r->left;
	unsigned n = r->n;
	ssize_t got;

	if (d->snap.on) {
		f = snapshot_map(&d->snap, write, r->off, &len);
		if (!f)
			return snapshot_write(&d->snap, iov, n, r->off, r->left);
		if (len < r->left) {
			int cnt = iov_slice(iov, n, 0, (size_t)len, d->part, ARRAY_SIZE(d->part));

			if (cnt <= 0)
				return -EIO;
			iov = d->part;
			n = (unsigned)cnt;
		}
	}
	if (!image_aligned(f, iov, n, r->off)) {
		will_wait(d, f, write);
		return io_bounce(f, write, iov, n, r->off, len, d->dsync);
	}
	if (!r->must_wait) {
		got = io_try(f, write, iov, n, r->off, d->dsync);
		if (got != -EAGAIN)
			return got;
		if (len == r->left && push_rw(d, r, f, write))
			return QUEUED;
	}
	will_wait(d, f, write);
	got = io_wait(f, write, iov, n, r->off, d->dsync);
	if (got == -EINVAL && f->direct && f->off_align < IMAGE_MAX_ALIGN) {
		/* The file system needs a larger alignment than it reported. */
		f->off_align = f->mem_align = IMAGE_MAX_ALIGN;
		return RETRY;
	}
	return got;
}

static void run_rw(struct blkd *d, struct blk_req *r)
{
	bool write = r->type == VIRTIO_BLK_T_OUT;

	while (r->left) {
		ssize_t got;

		/* io_bounce() will read, change and write back a block: finish other operations first. */
		if (d->base.direct && !d->snap.on && d->ring.in_flight &&
		    io_bounce_shares(&d->base, write, r->off, r->left))
			blkd_pump(d, 0);
		got = step_rw(d, r, write);
		if (got == QUEUED)
			return;
		if (got == RETRY)
			continue;
		if (got <= 0) {
			fail(d, r, (int)got);
			return;
		}
		advance(r, (uint32_t)got);
	}
	finish(d, r, VIRTIO_BLK_S_OK);
}

static void run_flush(struct blkd *d, struct blk_req *r)
{
	int err;

	r->flushing = true;
	/* The data of a snapshot is discarded in the end, so it need not be durable. */
	if (d->snap.on || d->cfg.cache == BLK_CACHE_UNSAFE || d->shape.read_only) {
		finish(d, r, VIRTIO_BLK_S_OK);
		return;
	}
	if (!d->no_workers && !d->base.memory) {
		struct io_uring_sqe *sqe = push(d, r, IORING_OP_FSYNC, &d->base);

		if (sqe) {
			sqe->fsync_flags = IORING_FSYNC_DATASYNC;
			return;
		}
	}
	err = io_flush(&d->base);
	if (err)
		fail(d, r, err);
	else
		finish(d, r, VIRTIO_BLK_S_OK);
}

/* Execute a discard or write-zeroes request without the io_uring, which refuses them (restrict_ring()). */
static void run_ranges(struct blkd *d, struct blk_req *r)
{
	bool discard = r->type == VIRTIO_BLK_T_DISCARD;

	for (; r->range_at < r->nranges; r->range_at++) {
		const struct blk_range *g = &r->range[r->range_at];
		int err;

		if (!g->len)
			continue;
		if (d->base.direct)
			blkd_pump(d, 0);
		will_wait(d, &d->base, true);
		if (d->snap.on)
			err = snapshot_zero(&d->snap, g->off, g->len, discard);
		else if (discard)
			err = io_discard(&d->base, g->off, g->len);
		else
			err = io_zero(&d->base, g->off, g->len, g->unmap);
		if (err) {
			fail(d, r, err);
			return;
		}
		r->must_wait = false;
	}
	if (d->dsync)
		run_flush(d, r);
	else
		finish(d, r, VIRTIO_BLK_S_OK);
}

static void run(struct blkd *d, struct blk_req *r)
{
	if (r->flushing || r->type == VIRTIO_BLK_T_FLUSH)
		run_flush(d, r);
	else if (r->nranges)
		run_ranges(d, r);
	else
		run_rw(d, r);
}

void blkd_begin(struct blkd *d, struct blk_req *r)
{
	if (r->type == VIRTIO_BLK_T_FLUSH)
		d->stats->flushes++;
	if (r->verdict != BLK_GO) {
		if (r->verdict == VIRTIO_BLK_S_IOERR)
			d->stats->io_errors++;
		finish(d, r, r->verdict);
	} else if (r->type == VIRTIO_BLK_T_GET_ID) {
		finish(d, r, VIRTIO_BLK_S_OK);
	} else {
		run(d, r);
	}
}

/* The io_uring has finished an operation of @r with the result @res. */
static void completed(struct blkd *d, struct blk_req *r, int res)
{
	bool rw = !r->flushing && !r->nranges && r->type != VIRTIO_BLK_T_FLUSH;

	d->busy[r->vq->index]--;
	if (refused(res)) {
		if (res == -ECANCELED && !rw)
			d->no_workers = true;
		r->must_wait = true;
		run(d, r);
	} else if (res < 0 || (rw && !res)) {
		fail(d, r, res);
	} else if (rw) {
		advance(r, (uint32_t)res);
		run_rw(d, r);
	} else {
		finish(d, r, VIRTIO_BLK_S_OK);
	}
}

/* The io_uring accepts no more operations: execute those that it has not taken without it. */
static void give_up_ring(struct blkd *d, int err)
{
	struct blk_req *r;

	errno = -err;
	if (!d->ring_broken)
		log_line(LOG_WARN, "io_uring stopped working (%m): continuing without it");
	d->ring_broken = true;
	while ((r = ring_take_back(&d->ring)))
		completed(d, r, -ECANCELED);
}

static void reap(struct blkd *d)
{
	void *user;
	int res;

	while (ring_reap(&d->ring, &user, &res))
		completed(d, user, res);
}

void blkd_pump(struct blkd *d, unsigned leave)
{
	unsigned tries = 0;

	if (!d->ring.ok)
		return;
	do {
		unsigned wait = d->ring.in_flight > leave && !ring_unsubmitted(&d->ring);
		int err = 0;

		if (wait || ring_unsubmitted(&d->ring) || (d->ring.deferred && d->ring.in_flight))
			err = ring_submit(&d->ring, wait);
		reap(d);
		if (!err)
			tries = 0;
		else if (++tries > 64 || (err != -EAGAIN && err != -EBUSY && err != -EINTR))
			give_up_ring(d, err);
	} while (ring_unsubmitted(&d->ring) || (d->ring.in_flight > leave && !(d->ring_broken && tries)) ||
		 (!d->ring_broken && ring_listen(&d->ring)));
}
