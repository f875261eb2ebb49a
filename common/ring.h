/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * I/O through an io_uring, for blkd and netd. The io_uring is created and restricted before
 * the seccomp filter is installed: from then on it accepts only the operations that the role
 * has named, and only on the registered files (an image, a snapshot's file of changes, taps).
 * After that the only system call is io_uring_enter() on HFD_RING. These roles have one
 * thread, so nothing here takes locks.
 */
#ifndef COMMON_RING_H
#define COMMON_RING_H

#include <linux/io_uring.h>

#include "common/util.h"

/* Most operations in an io_uring at once: a power of two. */
#define RING_ENTRIES 256
/* Most operations that an io_uring can be restricted to. */
#define RING_OPS_MAX 8

struct ring {
	bool ok;       /* ring_open() succeeded */
	bool deferred; /* The kernel completes operations only inside io_uring_enter() (DEFER_TASKRUN) */
	int fd, event; /* Descriptors of the io_uring and of its eventfd */
	unsigned entries;
	unsigned *sq_head, *sq_tail, *sq_flags, *cq_head, *cq_tail, *cq_flags;
	unsigned sq_mask, cq_mask;
	struct io_uring_sqe *sqes;
	struct io_uring_cqe *cqes;
	unsigned queued;    /* Operations pushed and not yet submitted */
	unsigned in_flight; /* Operations submitted and not yet reaped */
	uint64_t enters;    /* Number of calls of io_uring_enter() */
	void *map;	    /* Mapping of the submission and the completion ring */
	size_t map_len, sqes_len;
};

struct ring_setup {
	int at;		    /* Descriptor number of the io_uring */
	int event;	    /* Descriptor number of the eventfd that counts finished operations; -1: none */
	unsigned entries;   /* Operations at once: a power of two, at most RING_ENTRIES */
	const uint8_t *ops; /* The only operations that it will do, at most RING_OPS_MAX */
	unsigned nops;
	const int *files; /* The only files, which have the slots 0, 1, … */
	unsigned nfiles;
};

/*
 * Create an io_uring, register its files and apply the restrictions. Watch the eventfd edge-triggered and do not read
 * it; watching the io_uring itself would not work, because with DEFER_TASKRUN it does not wake epoll. Returns 0, or
 * -errno with both descriptors closed.
 */
int ring_open(struct ring *r, const struct ring_setup *s);

/*
 * Add an operation on the registered file @slot, for the caller to fill in. Buffers that it
 * points to must stay valid until it is reaped; a list of buffers until ring_submit().
 * ring_reap() returns @user. Returns NULL if the io_uring is full.
 */
struct io_uring_sqe *ring_push(struct ring *r, uint8_t opcode, unsigned slot, void *user);
/* Number of operations that the kernel has not taken yet. */
unsigned ring_unsubmitted(const struct ring *r);
/*
 * True if pushed operations should be submitted before more are pushed. @bytes: data of the operations pushed since the
 * last submission; @left: operations that follow at once. Small operations are submitted once they are RING_BATCH, and
 * more than half as many as those in flight, so that they do not cause a system call each. If at least RING_BATCH come
 * together, an idle disk gets the first RING_FIRST of them, and does not wait while the kernel prepares the others.
 * RING_BATCH_BYTES are always enough: the kernel joins adjacent operations that are submitted together, and these would
 * complete together and leave the disk idle.
 */
#define RING_FIRST	 4
#define RING_BATCH	 16
#define RING_BATCH_BYTES (128u << 10)
bool ring_batch_due(const struct ring *r, uint64_t bytes, unsigned left);
/*
 * Submit pushed operations and wait until at least @wait operations have finished. Stops the
 * eventfd: reap, then call ring_listen(). Returns 0 or -errno.
 */
int ring_submit(struct ring *r, unsigned wait);
/* True if an operation has finished that was not reaped. Only reads memory. */
bool ring_has_news(const struct ring *r);
/* Take one finished operation: its @user and result (as of read(2), or -errno). False if there is none. */
bool ring_reap(struct ring *r, void **user, int *res);
/* Let the eventfd count again. True if an operation has finished before: reap it and call this again. */
bool ring_listen(struct ring *r);
/* After ring_submit() has failed: remove one operation that the kernel has not taken. Returns its @user, or NULL. */
void *ring_take_back(struct ring *r);

#endif
