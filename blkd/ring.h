/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The io_uring data plane. The ring is made and restricted before the filter is
 * on: only reads, writes, fsync and fallocate, only on the image's registered
 * files. Afterwards io_uring_enter() on HFD_RING is all that is called. Every
 * function is called by the one thread of blkd.
 */
#ifndef BLKD_RING_H
#define BLKD_RING_H

#include <linux/io_uring.h>

#include "common/util.h"

/* Operations that may be in the ring at once; no more are ever pushed. */
#define RING_ENTRIES 256

struct ring {
	bool ok;       /* there is a ring, and it works */
	bool deferred; /* completions are worked off in io_uring_enter() alone */
	int fd, event;
	unsigned *sq_head, *sq_tail, *sq_flags, *cq_head, *cq_tail, *cq_flags;
	unsigned sq_mask, cq_mask;
	struct io_uring_sqe *sqes;
	struct io_uring_cqe *cqes;
	unsigned queued;    /* pushed, not yet submitted */
	unsigned in_flight; /* submitted, not yet reaped */
	uint64_t enters;    /* system calls made */
	void *map;	    /* both rings */
	size_t map_len, sqes_len;
};

/*
 * Make a ring at descriptor number @at, with @files registered in order and the
 * restrictions on, and an eventfd at @event that it counts up when operations
 * finish (to be watched edge-triggered and never read: a ring whose completions
 * are deferred does not wake those who poll it). 0, or -errno: nothing is left
 * behind then.
 */
int ring_open(struct ring *r, int at, int event, const int *files, unsigned nfiles);
void ring_close(struct ring *r);

/* One empty submission for the registered file @slot; the caller keeps what it points to until ring_submit(). */
struct io_uring_sqe *ring_push(struct ring *r, uint8_t opcode, unsigned slot, void *user);
/* How many operations the kernel has not taken yet. */
unsigned ring_unsubmitted(const struct ring *r);
/*
 * Is it time to submit what was pushed, though more will be pushed soon? True as soon
 * as it is more than half of what the device has: an idle one begins with the first
 * operation, a busy one is not asked for each.
 */
bool ring_batch_due(const struct ring *r);
/*
 * Submit what was pushed and work off completions, waiting for @wait of them. 0 or -errno.
 * The eventfd does not count what ends meanwhile: reap, then ring_listen().
 */
int ring_submit(struct ring *r, unsigned wait);
/* Has an operation finished that was not reaped? Reads shared memory alone. */
bool ring_has_news(const struct ring *r);
/* One completion, if there is one. */
bool ring_reap(struct ring *r, void **user, int *res);
/* From now on the eventfd counts again. True if something ended meanwhile: reap, and call it again. */
bool ring_listen(struct ring *r);
/* After ring_submit() failed for good: give back one operation that the kernel has not taken; NULL: none left. */
void *ring_take_back(struct ring *r);

#endif
