/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The inflight area of vhost-user for split virtqueues: see inflight.h. Runs in netd and
 * blkd. Values read from the area only select which heads are taken again and in which
 * order; vq_pop() then checks each of these chains like a new one.
 */
#include <sys/mman.h>

#include "common/inflight.h"

#define INFLIGHT_VERSION 1

uint64_t inflight_queue_bytes(uint16_t queue_size)
{
	uint64_t bytes = sizeof(struct inflight_region) + queue_size * sizeof(struct inflight_desc);

	return (bytes + 63) & ~63ull;
}

static bool shape_ok(uint16_t nqueues, uint16_t queue_size)
{
	return nqueues && nqueues <= MAX_QUEUES && queue_size && queue_size <= INFLIGHT_MAX_SIZE;
}

bool inflight_bytes(uint16_t nqueues, uint16_t queue_size, uint64_t *bytes)
{
	*bytes = (nqueues * inflight_queue_bytes(queue_size) + 4095) & ~4095ull;
	return shape_ok(nqueues, queue_size);
}

int inflight_create(uint16_t nqueues, uint16_t queue_size, uint64_t *bytes)
{
	bool sealed;

	if (!inflight_bytes(nqueues, queue_size, bytes))
		return -1;
	return shm_create_named("notes", *bytes, &sealed);
}

bool inflight_map(struct inflight_area *a, int fd, uint64_t offset, uint64_t size, uint16_t nqueues,
		  uint16_t queue_size)
{
	struct shm_policy any = { 0 };
	struct inflight_area new = { .nqueues = nqueues, .queue_size = queue_size };
	struct stat st;

	if (!shape_ok(nqueues, queue_size) || size < nqueues * inflight_queue_bytes(queue_size))
		return false;
	if (!is_aligned(offset, 4096) || shm_judge(&any, fd, &st) != SHM_OK ||
	    !range_ok(offset, size, (uint64_t)st.st_size))
		return false;
	new.base = shm_map(fd, &st, offset, size, &new.map, &new.map_len);
	if (!new.base)
		return false;
	inflight_unmap(a);
	*a = new;
	return true;
}

void inflight_unmap(struct inflight_area *a)
{
	if (a->map)
		munmap(a->map, a->map_len);
	*a = (struct inflight_area){ 0 };
}

static struct inflight_region *region(const struct inflight_area *a, unsigned index)
{
	return (struct inflight_region *)(a->base + index * inflight_queue_bytes(a->queue_size));
}

static void clear(struct inflight_region *r, uint16_t queue_size)
{
	for (uint16_t head = 0; head < queue_size; head++)
		WRITE_ONCE(r->desc[head].inflight, 0);
	smp_wmb();
	WRITE_ONCE(r->version, 0);
}

void inflight_forget(const struct inflight_area *a, unsigned index)
{
	if (a->base && index < a->nqueues)
		clear(region(a, index), a->queue_size);
}

void inflight_end(struct inflight_queue *q)
{
	if (q->shared)
		clear(q->shared, q->size);
	q->shared = NULL;
}

/*
 * Handle a previous process that died after it stored used->idx and before it cleared
 * the inflight flags of these chains: they are finished, so clear the flags now. The
 * chains of that batch form a list that begins at last_batch_head.
 */
static void settle_batch(struct inflight_queue *q, uint16_t used_idx)
{
	struct inflight_region *r = q->shared;
	uint16_t n = (uint16_t)(used_idx - READ_ONCE(r->used_idx));
	uint16_t head = READ_ONCE(r->last_batch_head);

	/* One store can cover at most q->size chains, so the area describes another ring. */
	if (n > q->size) {
		clear(r, q->size);
		n = 0;
	}
	for (; n && head < q->size; n--) {
		WRITE_ONCE(r->desc[head].inflight, 0);
		head = READ_ONCE(r->desc[head].next);
	}
	WRITE_ONCE(r->used_idx, used_idx);
}

/* List unfinished heads, sorted by counter. Insertion sort: lists are short and nearly sorted. */
static void list_unfinished(struct inflight_queue *q)
{
	uint64_t counter[INFLIGHT_MAX_SIZE];

	for (uint16_t head = 0; head < q->size; head++) {
		uint64_t c;
		unsigned at;

		if (READ_ONCE(q->shared->desc[head].inflight) != 1)
			continue;
		c = READ_ONCE(q->shared->desc[head].counter);
		for (at = q->nresubmit; at > 0 && counter[at - 1] > c; at--) {
			counter[at] = counter[at - 1];
			q->resubmit[at] = q->resubmit[at - 1];
		}
		counter[at] = c;
		q->resubmit[at] = head;
		q->nresubmit++;
		q->counter = MAX(q->counter, c + 1);
	}
}

int inflight_start(struct inflight_queue *q, const struct inflight_area *a, unsigned index, uint16_t size,
		   uint16_t used_idx, uint16_t avail_idx)
{
	struct inflight_region *r;

	q->shared = NULL;
	q->counter = 0;
	q->nresubmit = q->resubmitted = 0;
	if (index >= a->nqueues || size > a->queue_size)
		return -1;
	r = region(a, index);
	if (READ_ONCE(r->version) == 0) {
		WRITE_ONCE(r->desc_num, a->queue_size);
		WRITE_ONCE(r->used_idx, used_idx);
		WRITE_ONCE(r->version, INFLIGHT_VERSION);
	}
	if (READ_ONCE(r->version) != INFLIGHT_VERSION || READ_ONCE(r->desc_num) != a->queue_size)
		return -1;
	q->shared = r;
	q->size = size;
	settle_batch(q, used_idx);
	q->batch_head = READ_ONCE(r->last_batch_head);
	list_unfinished(q);
	if (q->nresubmit > (uint16_t)(avail_idx - used_idx)) {
		clear(r, size);
		q->nresubmit = 0;
	}
	WRITE_ONCE(r->version, INFLIGHT_VERSION);
	return q->nresubmit;
}

bool inflight_resubmit(struct inflight_queue *q, uint16_t *head)
{
	if (!q || q->resubmitted == q->nresubmit)
		return false;
	*head = q->resubmit[q->resubmitted++];
	return true;
}

void inflight_unresubmit(struct inflight_queue *q)
{
	if (q && q->resubmitted)
		q->resubmitted--;
}

void inflight_take(struct inflight_queue *q, uint16_t head)
{
	if (!q || !q->shared)
		return;
	WRITE_ONCE(q->shared->desc[head].counter, q->counter);
	q->counter++;
	smp_wmb();
	WRITE_ONCE(q->shared->desc[head].inflight, 1);
}

void inflight_untake(struct inflight_queue *q, uint16_t head)
{
	if (q && q->shared && head < q->size)
		WRITE_ONCE(q->shared->desc[head].inflight, 0);
}

void inflight_put(struct inflight_queue *q, uint16_t head)
{
	if (!q || !q->shared || head >= q->size)
		return;
	WRITE_ONCE(q->shared->desc[head].next, q->batch_head);
	WRITE_ONCE(q->shared->last_batch_head, head);
	q->batch_head = head;
	smp_wmb();
}

void inflight_published(struct inflight_queue *q, uint16_t used_idx, uint16_t n)
{
	uint16_t head;

	if (!q || !q->shared)
		return;
	for (head = q->batch_head; n && head < q->size; n--) {
		WRITE_ONCE(q->shared->desc[head].inflight, 0);
		head = READ_ONCE(q->shared->desc[head].next);
	}
	smp_wmb();
	WRITE_ONCE(q->shared->used_idx, used_idx);
}
