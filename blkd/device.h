/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The block device behind common/backend.h: everything of blkd but its start.
 * One instance per process, static, of fixed size.
 */
#ifndef BLKD_DEVICE_H
#define BLKD_DEVICE_H

#include "blkd/limit.h"
#include "blkd/request.h"
#include "blkd/ring.h"
#include "blkd/snapshot.h"
#include "common/backend.h"

/* Data that one wake-up moves for one queue before the next has its turn. */
#define BLK_TURN_BYTES (8u << 20)
/*
 * Completions that are published together, with one call: enough to share its
 * price, few enough that the driver fills the ring again while we work.
 */
#define BLK_BATCH 16
/* 128-entry rings (QEMU's) less header and status. */
#define BLK_SEG_MAX 126

/* No request is larger than one slot, and what is in the ring at once is bounded by the slots. */
struct blkd {
	struct blk_config cfg;
	struct blk_shape shape;
	struct image_file base, delta;
	struct snapshot snap;
	struct ring ring;
	struct limit limit;
	uint64_t features; /* of virtio-blk, as offered */
	uint64_t driver_features;
	bool wce;	 /* the driver's wish: write-back */
	bool dsync;	 /* each write is durable before it completes */
	bool no_workers; /* the kernel has no worker threads for us: fsync is ours */
	bool ring_broken;
	uint32_t dirty;		   /* queues with completions that are not published */
	uint32_t waiting;	   /* queues that have chains and wait for a slot or the rate limit */
	unsigned busy[MAX_QUEUES]; /* requests in the ring */
	uint64_t *note;		   /* 1: the driver chose write-through; survives this process. NULL: nowhere */
	struct stats *stats;
	struct blk_req *free; /* slots that have been used, */
	unsigned fresh;	      /* and the first that never was: its page is not there yet */
	struct iovec part[VQ_MAX_SIZE];
	struct blk_req req[RING_ENTRIES];
};

/*
 * Before confinement: image (and delta) are open at @disk and @delta, the
 * configuration is judged, the ring is made at HFD_RING and the timer at
 * HFD_TIMER. Returns missing layers (LAYER_BIT); -1 with a line in @why.
 */
int blkd_init(struct blkd *d, const struct blk_config *c, int disk, int delta, char *why, size_t why_size);
/* The mappings that never change again, for good (where the kernel has mseal). */
void blkd_mseal(const struct blkd *d);
/* Fill what backend_run() needs to know of this device; the caller adds memory policy and phases. */
void blkd_backend(struct blkd *d, const char *name, struct backend_config *bc);
/* After backend_prepare(): watch the ring and the timer. 0 or -1 with errno. */
int blkd_watch(struct blkd *d, struct backend *be);
/* From now on the driver's wish for write-through is kept at @note; it may be there already. */
void blkd_keep_note(struct blkd *d, uint64_t *note);
/* Make everything that was written durable (at the end of the process). 0 or -errno. */
int blkd_sync(struct blkd *d);

/* ---- between device.c and transfer.c ---- */

/* Begin a judged request: it is finished, or in the ring, when this returns. */
void blkd_begin(struct blkd *d, struct blk_req *r);
/* Submit, work off completions, and wait until at most @leave requests are in the ring. */
void blkd_pump(struct blkd *d, unsigned leave);

#endif
