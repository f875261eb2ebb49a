/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The inflight area of vhost-user (QEMU's docs/interop/vhost-user.rst, "Inflight I/O
 * tracking", split virtqueues). If a back-end crashes, requests that it had taken would
 * be lost, and the driver would wait for them for ever. So the back-end records in shared
 * memory, which outlives it, the head of each request that it has taken and not
 * finished. The process that replaces it takes these requests again.
 *
 * The front-end can write to the area too, so values read from it are untrusted, like
 * guest memory. Wrong values can only harm the requests of that front-end's own guest.
 */
#ifndef COMMON_INFLIGHT_H
#define COMMON_INFLIGHT_H

#include "common/fdtab.h"
#include "common/shm.h"
#include "common/util.h"

#define INFLIGHT_MAX_SIZE 1024 /* VQ_MAX_SIZE */

/* Memory layout as the specification defines it. */
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

/* The part of the area for one queue, with private copies of what must not be read back. */
struct inflight_queue {
	struct inflight_region *shared; /* NULL: not tracked */
	uint16_t size;
	uint16_t batch_head;		 /* Private copy of shared->last_batch_head */
	uint64_t counter;		 /* Order number of the next request taken */
	uint16_t nresubmit, resubmitted; /* resubmit[resubmitted .. nresubmit) are still to be taken again */
	uint16_t resubmit[INFLIGHT_MAX_SIZE];
};

/* The whole mapped area. */
struct inflight_area {
	void *map;
	size_t map_len;
	uint8_t *base;
	uint16_t nqueues, queue_size;
};

/* Bytes for one queue of @queue_size entries: a multiple of 64. */
uint64_t inflight_queue_bytes(uint16_t queue_size);
/*
 * Set *@bytes to the size of an area for @nqueues queues, in whole pages of 4096 bytes.
 * False if a number is 0 or too large.
 */
bool inflight_bytes(uint16_t nqueues, uint16_t queue_size, uint64_t *bytes);
/*
 * Create a zeroed memfd for an area, with its size sealed. Returns its descriptor, which
 * the caller closes, and its size in *@bytes; or -1.
 */
int inflight_create(uint16_t nqueues, uint16_t queue_size, uint64_t *bytes);
/*
 * Map bytes [offset, offset + size) of @fd as an area, in place of the one in @a. @fd
 * stays open. False, with @a unchanged, if it is too small, misaligned or not sealed.
 */
bool inflight_map(struct inflight_area *a, int fd, uint64_t offset, uint64_t size, uint16_t nqueues,
		  uint16_t queue_size);
void inflight_unmap(struct inflight_area *a);

/*
 * Start tracking queue @index, which has @size entries. First finishes what a previous
 * process was publishing when it died, then lists its unfinished requests in the order
 * in which they were taken. Returns their number, or -1 if the area does not fit the
 * queue. @used_idx, @avail_idx: indices in the rings now. If there are more requests
 * than these indices allow, they belong to an earlier ring and are dropped.
 */
int inflight_start(struct inflight_queue *q, const struct inflight_area *a, unsigned index, uint16_t size,
		   uint16_t used_idx, uint16_t avail_idx);

/*
 * The queue has stopped with no request in flight: clear its part of the area. The queue
 * is given by @q, or by @a and @index.
 */
void inflight_end(struct inflight_queue *q);
void inflight_forget(const struct inflight_area *a, unsigned index);

/* The functions below are for vring.c; all do nothing if @q is NULL. @head: head of a chain. */

/* Next head to take again, in *@head. False if there is none. */
bool inflight_resubmit(struct inflight_queue *q, uint16_t *head);
/* Undo the last inflight_resubmit(). */
void inflight_unresubmit(struct inflight_queue *q);
/* Record that the chain was taken; that it was given back; that it was put on the used ring. */
void inflight_take(struct inflight_queue *q, uint16_t head);
void inflight_untake(struct inflight_queue *q, uint16_t head);
void inflight_put(struct inflight_queue *q, uint16_t head);
/* Record that the last @n chains put are finished: used->idx, now @used_idx, covers them. */
void inflight_published(struct inflight_queue *q, uint16_t used_idx, uint16_t n);

#endif
