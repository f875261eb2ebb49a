/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The file system device for the loop of common/backend.h. Runs in fsd. The work of one turn is bounded, so that no
 * queue starves the other.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "common/fdstat.h"
#include "common/fmt.h"
#include "fsd/begin.h"
#include "fsd/device.h"
#include "fsd/past.h"
#include "fsd/quota.h"
#include "fsd/request.h"
#include "fsd/saved.h"

/* Most bytes of replies in one turn. */
#define TURN_BYTES (4u << 20)
/*
 * For how long a reply may wait for its interrupt while more requests are executed, in microseconds: some times what an
 * interrupt costs. The driver sees each reply in its ring at once. Beside 20 and 200 this brought the most requests a
 * second, and the shortest median, at each depth (docs/performance.md).
 */
#define CALL_AFTER_US 60
/* After a request that took this long because the host had to wait, the next replies do not wait for each other. */
#define SLOW_US	   500
#define SLOW_TURNS 64

static struct fs_req request;

/* A reply is there: its request took @took microseconds, and the first reply without a call has waited for @waited. */
static bool call_now(struct fsd *d, uint64_t took, uint64_t waited)
{
	if (took >= SLOW_US)
		d->slow = SLOW_TURNS;
	else if (d->slow)
		d->slow--;
	return d->slow || waited >= CALL_AFTER_US;
}

static bool queue_work(struct backend *be, struct vq *vq, unsigned budget)
{
	struct fsd *d = be->c.device;
	uint64_t bytes = 0, first = now_us(), before = first, now;

	d->stats = &be->stats;
	request.queue = vq->index;
	for (; budget && bytes < TURN_BYTES; budget--, before = now) {
		enum guest_fault f;
		uint32_t len;

		if (vq_pop(vq, request.iov, ARRAY_SIZE(request.iov), &request.chain) != VQ_POP_CHAIN) {
			backend_flush(be, vq);
			return false;
		}
		f = fsd_judge(&request);
		if (f != FAULT_NONE) {
			/* Afterwards the queue has stopped, and its driver gets no call. */
			backend_flush(be, vq);
			guest_fault(vq, f, request.chain.head);
			return false;
		}
		/* The replies before it need not wait with it. */
		if (fsd_may_wait(&request))
			backend_flush(be, vq);
		len = fsd_execute(d, &request);
		vq_wrote(vq, request.iov + request.chain.nout, request.chain.nin, 0, len);
		vq_push(vq, request.chain.head, len);
		/* At once: if this process dies, its successor must not execute the request again. */
		vq_publish(vq);
		bytes += len;
		now = now_us();
		if (call_now(d, now - before, now - first)) {
			backend_flush(be, vq);
			first = now;
		}
	}
	backend_flush(be, vq);
	return true;
}

/* A new driver mounts again: nothing of the previous one remains open. */
static void reset(struct backend *be)
{
	struct fsd *d = be->c.device;

	fsd_load_over(d);
	nodes_clear(&d->nodes);
	fsd_set_ready(d, false);
	d->restarted = false;
	memset(d->replay, 0, sizeof(d->replay));
}

/* Requests are executed one after the other, so none is under way. */
static bool checkpoint(struct backend *be, bool back)
{
	struct fsd *d = be->c.device;

	fsd_load_over(d);
	/* A reset comes with another process. */
	if (d->cfg.fresh)
		return true;
	if (!back)
		past_keep(&d->nodes, d->ready);
	return !back || past_return(&d->nodes, &d->ready);
}

static bool saved(struct backend *be, bool load, struct vhu_saved *m)
{
	struct fsd *d = be->c.device;

	if (!d->cfg.saved)
		return false;
	if (load)
		fsd_load(d, HFD_FROM, m);
	else
		fsd_save(d, HFD_SAVE, m);
	return true;
}

static void queue_start(struct backend *be, struct vq *vq)
{
	(void)vq;
	fsd_load_over(be->c.device);
}

static const struct backend_ops ops = {
	.name = "fs",
	.queue_start = queue_start,
	.queue_work = queue_work,
	.reset = reset,
	.checkpoint = checkpoint,
	.saved = saved,
};

int fsd_init(struct fsd *d, const struct fs_config *c, uint32_t generation, char *why, size_t why_size)
{
	struct stat st;
	int root;

	memset(d, 0, sizeof(*d));
	d->cfg = *c;
	if (c->begins && nodes_begin(HFD_KEPT_NODES, HFD_NODES, c->inodes) < 0) {
		fmt_line(why, why_size, "cannot copy the tables of the checkpoint: %m");
		return -1;
	}
	/* A guest shall not see in the numbers of files how often it went back. */
	generation = c->begins ? 1 : generation;
	if (nodes_make(&d->nodes, c->inodes, c->checkpoint, generation, c->tables_lent ? HFD_NODES : -1) < 0) {
		fmt_line(why, why_size, "cannot map the tables for %u files: %m", c->inodes);
		return -1;
	}
	d->restarted = generation != 0;
	d->ready = d->restarted && (!c->fresh || d->nodes.kept->past.ready);
	if (c->saved && fsd_saved_map(d) < 0) {
		fmt_line(why, why_size, "cannot map the marks for %u files: %m", c->inodes);
		return -1;
	}
	if (c->read_write && fsd_quota_map(d) < 0) {
		fmt_line(why, why_size, "cannot map the count of what the guest has added: %m");
		return -1;
	}
	root = fcntl(HFD_ROOT, F_DUPFD_CLOEXEC, FSD_FD0);
	if (root < 0 || fd_stat(root, &st) < 0 || !S_ISDIR(st.st_mode)) {
		fmt_line(why, why_size, "the shared directory's descriptor: %m");
		return -1;
	}
	nodes_set_root(&d->nodes, root, st.st_dev, st.st_ino);
	return 0;
}

void fsd_backend(struct fsd *d, const char *name, struct backend_config *bc)
{
	bc->ops = &ops;
	bc->device = d;
	bc->device_name = name;
	bc->max_queues = FS_ALL_QUEUES(&d->cfg);
}
