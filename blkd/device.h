/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The block device for the loop of common/backend.h. Each process has one static instance
 * of fixed size.
 */
#ifndef BLKD_DEVICE_H
#define BLKD_DEVICE_H

#include "blkd/request.h"
#include "blkd/snapshot.h"
#include "common/backend.h"
#include "common/bucket.h"
#include "common/ring.h"

/* Bytes of data that one turn moves for one queue before the next queue is served. */
#define BLK_TURN_BYTES (8u << 20)
/*
 * Finished requests are published after every BLK_PUBLISH chains, for a driver that is awake. An interrupt costs as
 * much as several cached requests. While chains are left, the driver is interrupted only after BLK_BATCH requests,
 * after BLK_BATCH_BYTES of data, or when at least BLK_AHEAD requests are finished and at most BLK_AHEAD chains are
 * left: these keep blkd busy until the driver has woken up and added more.
 */
#define BLK_PUBLISH	4
#define BLK_AHEAD	8
#define BLK_BATCH	32
#define BLK_BATCH_BYTES (512u << 10)
/* Most data segments of a request: the 128 entries of QEMU's rings minus header and status. */
#define BLK_SEG_MAX 126

/* The operations that the io_uring does. */
#define BLK_RING_OPS 5
extern const uint8_t blk_ring_ops[BLK_RING_OPS];

/* The device. Each request in progress occupies one slot (a struct blk_req), and there are RING_ENTRIES slots. */
struct blkd {
	struct blk_config cfg;
	struct blk_shape shape;
	struct image_file base, delta;
	struct snapshot snap;
	struct ring ring;
	struct limit limit;
	uint64_t features;	   /* virtio-blk features that are offered */
	uint64_t driver_features;  /* Those that the driver accepted */
	bool wce;		   /* The driver wants a write-back cache (otherwise write-through) */
	bool dsync;		   /* Each write must be durable before it completes */
	bool no_workers;	   /* The kernel cannot run fsync for the ring in a worker thread: call fdatasync() */
	bool ring_broken;	   /* io_uring_enter() failed: continue without the ring */
	bool waited;		   /* A request has waited for the disk since the driver was last interrupted */
	uint32_t dirty;		   /* Bit q: queue q has finished requests that are not published */
	uint32_t slot_waiters;	   /* Bit q: queue q has chains and waits for a free slot */
	uint32_t rate_waiters;	   /* Bit q: queue q has chains and waits for the rate limit */
	unsigned busy[MAX_QUEUES]; /* Requests in the io_uring, for each queue */
	uint64_t *note;		   /* 1: the driver chose write-through. Outlives this process; NULL: not kept */
	struct stats *stats;
	struct blk_req *free; /* List of free slots that were used before */
	unsigned fresh;	      /* First slot that was never used: its memory is not allocated yet */
	struct iovec part[VQ_MAX_SIZE];
	struct blk_req req[RING_ENTRIES];
};

/*
 * Initialise @d before confinement. The image is open at descriptor @disk and, for a
 * snapshot, the file of changes at @delta. Validates and copies @c, creates the io_uring at
 * HFD_RING and the timer at HFD_TIMER. Returns 0 or the LAYER_BIT()s of layers that the
 * host lacks; or -1 with the reason in @why.
 */
int blkd_init(struct blkd *d, const struct blk_config *c, int disk, int delta, char *why, size_t why_size);
/* Place of HFD_LOWER among the files of the io_uring. */
#define BLKD_LOWER_SLOT 2
/* Seal the mappings of the ring and the snapshot's map with mseal(2), if the kernel has it. */
void blkd_mseal(const struct blkd *d);
/* Fill in the parts of @bc that describe this device. @name is kept, not copied. */
void blkd_backend(struct blkd *d, const char *name, struct backend_config *bc);
/* Register the ring's eventfd and the timer with the loop, after backend_prepare(). Returns 0, or -1 with errno set. */
int blkd_watch(struct blkd *d, struct backend *be);
/*
 * Keep the driver's choice of write-through in *@note (backend_note()), and restore the
 * choice that a previous process left there.
 */
void blkd_keep_note(struct blkd *d, uint64_t *note);
/* Make everything written so far durable; called when the process ends. Returns 0 or -errno. */
int blkd_sync(struct blkd *d);

#endif
