/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The inflight area of vhost-user (docs/interop/vhost-user.rst, "Inflight I/O
 * tracking", split virtqueues): memory that outlives the back-end, in which it
 * notes which requests it has taken and not finished, so that its successor
 * takes them again.
 *
 * The area is shared with the front-end, so what is read from it is judged like
 * guest memory: heads are checked, and a lie only costs the liar its own requests.
 */
#ifndef COMMON_INFLIGHT_H
#define COMMON_INFLIGHT_H

#include "fdtab.h"
#include "shm.h"
#include "util.h"

#define INFLIGHT_MAX_SIZE 1024 /* VQ_MAX_SIZE */

/* The layout of the specification. */
struct inflight_desc {
	uint8_t inflight;
	uint8_t padding[5];
	uint16_t next;
	uint64_t counter;
};
struct inflight_region {
	uint64_t features;
	uint16_t version, desc_num, last_batch_head, used_idx;
	struct inflight_desc desc[];
};

/* One queue's part, and what is kept of it here. */
struct inflight_queue {
	struct inflight_region *shared; /* NULL: not tracked */
	uint16_t size;
	uint16_t batch_head; /* ours; last_batch_head is only written */
	uint64_t counter;
	uint16_t nresubmit, resubmitted; /* resubmit[resubmitted .. nresubmit) is still to come */
	uint16_t resubmit[INFLIGHT_MAX_SIZE];
};

/* The whole area, mapped. */
struct inflight_area {
	void *map;
	size_t map_len;
	uint8_t *base;
	uint16_t nqueues, queue_size;
};

/* Bytes that one queue takes: a multiple of 64. */
uint64_t inflight_queue_bytes(uint16_t queue_size);
/* Make a sealed, zeroed area; returns its descriptor (the caller's) or -1. @a is left alone. */
int inflight_create(uint16_t nqueues, uint16_t queue_size, uint64_t *bytes);
/* Map [offset, offset + size) of @fd, which stays the caller's. False if it is not fit. */
bool inflight_map(struct inflight_area *a, int fd, uint64_t offset, uint64_t size, uint16_t nqueues,
		  uint16_t queue_size);
void inflight_unmap(struct inflight_area *a);

/*
 * Queue @index starts with @size entries and this @used_idx in its used ring:
 * settle the batch that was being published, and list what is to be taken
 * again in the order in which it was first taken. Returns how many that are, or
 * -1 if the area does not fit the queue. Notes that cannot be of a ring with
 * these two indices are of an earlier one, and dropped.
 */
int inflight_start(struct inflight_queue *q, const struct inflight_area *a, unsigned index, uint16_t size,
		   uint16_t used_idx, uint16_t avail_idx);

/*
 * The queue has stopped, and nothing of it is in flight: what the area says of
 * it is of no more use. @q or @a say which; both forms do the same.
 */
void inflight_end(struct inflight_queue *q);
void inflight_forget(const struct inflight_area *a, unsigned index);

/* The rest is called by vring.c; @q may be NULL. */
bool inflight_resubmit(struct inflight_queue *q, uint16_t *head);
void inflight_unresubmit(struct inflight_queue *q); /* the last one is to come again */
void inflight_take(struct inflight_queue *q, uint16_t head);
void inflight_untake(struct inflight_queue *q, uint16_t head);
void inflight_put(struct inflight_queue *q, uint16_t head);
/* @n chains that were put are covered by used->idx now, which is @used_idx. */
void inflight_published(struct inflight_queue *q, uint16_t used_idx, uint16_t n);

#endif
