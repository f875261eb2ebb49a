/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The part of the tests' vhost-user front-end that handles rings: the driver's side of
 * virtio 1.2, clause 2.7. Runs in test programs only; breaks any rule on demand.
 */
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "tests/lib/front.h"

#define AVAIL_AT 0x4000 /* behind 1024 descriptors */
#define USED_AT	 0x6000
#define WINDOW	 0x10000

struct front_queue *front_queue(struct front *f, unsigned index, uint16_t size, uint64_t gpa)
{
	struct front_queue *q = &f->q[index];
	uint8_t *at = front_ptr(f, gpa);

	if (!q->f) {
		q->kick = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		q->call = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		q->err = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	}
	memset(at, 0, WINDOW);
	q->f = f;
	q->index = index;
	q->size = size;
	q->gpa = gpa;
	q->desc = (struct vring_desc *)at;
	q->avail = (struct vring_avail *)(at + AVAIL_AT);
	q->used = (struct vring_used *)(at + USED_AT);
	q->avail_idx = q->used_seen = q->next_desc = 0;
	q->event_idx = f->features & (1ull << VIRTIO_RING_F_EVENT_IDX);
	return q;
}

void front_desc(struct front_queue *q, uint16_t i, uint64_t addr, uint32_t len, uint16_t flags, uint16_t next)
{
	volatile struct vring_desc *d = &q->desc[i];

	d->addr = addr;
	d->len = len;
	d->flags = flags;
	d->next = next;
}

uint16_t front_chain(struct front_queue *q, const struct front_buf *b, unsigned n)
{
	uint16_t head = q->next_desc;

	for (unsigned i = 0; i < n; i++) {
		uint16_t at = q->next_desc;
		uint16_t next = (uint16_t)((at + 1) % q->size);

		front_desc(q, at, b[i].gpa, b[i].len,
			   (uint16_t)((b[i].writable ? VRING_DESC_F_WRITE : 0) | (i + 1 < n ? VRING_DESC_F_NEXT : 0)),
			   next);
		q->next_desc = next;
	}
	return head;
}

void front_set_avail(struct front_queue *q, uint16_t idx)
{
	__atomic_store_n(&q->avail->idx, idx, __ATOMIC_SEQ_CST);
}

void front_offer(struct front_queue *q, uint16_t head)
{
	q->avail->ring[q->avail_idx % q->size] = head;
	q->avail_idx++;
	front_set_avail(q, q->avail_idx);
}

void front_kick(struct front_queue *q)
{
	const uint64_t one = 1;

	if (write(q->kick, &one, sizeof(one)) < 0)
		return;
}

void front_notify(struct front_queue *q, uint16_t added)
{
	const uint16_t *event = (const uint16_t *)&q->used->ring[q->size];
	bool wanted;

	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (q->event_idx)
		wanted = vring_need_event(__atomic_load_n(event, __ATOMIC_SEQ_CST), q->avail_idx,
					  (uint16_t)(q->avail_idx - added));
	else
		wanted = !(__atomic_load_n(&q->used->flags, __ATOMIC_SEQ_CST) & VRING_USED_F_NO_NOTIFY);
	if (wanted)
		front_kick(q);
}

static bool wait_event(int fd, int ms)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	uint64_t v;

	return poll(&p, 1, ms) == 1 && read(fd, &v, sizeof(v)) == (ssize_t)sizeof(v);
}

bool front_wait_call(struct front_queue *q, int ms)
{
	return wait_event(q->call, ms);
}

bool front_wait_err(struct front_queue *q, int ms)
{
	return wait_event(q->err, ms);
}

bool front_used(struct front_queue *q, uint32_t *id, uint32_t *len)
{
	uint16_t idx = __atomic_load_n(&q->used->idx, __ATOMIC_SEQ_CST);
	const volatile struct vring_used_elem *e = &q->used->ring[q->used_seen % q->size];

	if (idx == q->used_seen)
		return false;
	*id = e->id;
	*len = e->len;
	q->used_seen++;
	/* used_event: call for the next one. */
	if (q->event_idx)
		__atomic_store_n(&q->avail->ring[q->size], q->used_seen, __ATOMIC_SEQ_CST);
	return true;
}

static int64_t clock_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

bool front_wait_used(struct front_queue *q, uint32_t *id, uint32_t *len, int ms)
{
	int64_t until = clock_ms() + ms;

	while (!front_used(q, id, len)) {
		int64_t left = until - clock_ms();

		if (left <= 0)
			return false;
		front_wait_call(q, (int)left);
	}
	return true;
}
