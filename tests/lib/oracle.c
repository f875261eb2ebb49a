/* SPDX-License-Identifier: GPL-2.0-or-later */
/* An oracle for the log of written pages: see oracle.h. Runs in test programs only. */
#include <linux/vhost_types.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/dirty.h"
#include "tests/lib/oracle.h"

/* Descriptors and available ring of a window: see front_ring.c. */
#define DRIVER_BYTES 0x6000
#define FIRST	     600

bool oracle_set_base(struct front *f, int fd, uint64_t bytes, uint64_t offset)
{
	const struct vhu_log l = { .mmap_size = bytes, .mmap_offset = offset };
	struct vhu_msg m;

	return front_send(f, VHU_SET_LOG_BASE, 0, &l, sizeof(l), &fd, 1) && front_recv(f, &m, PATIENCE_MS) &&
	       m.request == VHU_SET_LOG_BASE;
}

bool oracle_begin(struct oracle *o, struct front *f)
{
	uint64_t pages = (f->gpa + f->mem_size + DIRTY_PAGE - 1) / DIRTY_PAGE;
	uint64_t features = f->features | 1ull << VHOST_F_LOG_ALL;
	int fd;

	o->f = f;
	o->bytes = (pages + 7) / 8;
	o->before = malloc(f->mem_size);
	fd = front_memfd(o->bytes, true);
	o->bits = mmap(NULL, o->bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (!o->before || o->bits == MAP_FAILED || !oracle_set_base(f, fd, o->bytes, 0))
		return false;
	close(fd);
	return front_send(f, VHU_SET_FEATURES, 0, &features, sizeof(features), NULL, 0);
}

void oracle_end(struct oracle *o)
{
	munmap(o->bits, o->bytes);
	free(o->before);
}

bool oracle_ring(struct front_queue *q, bool on)
{
	const struct vhu_vring_addr a = {
		.index = q->index,
		.flags = on ? 1u << VHOST_VRING_F_LOG : 0,
		.desc = (uintptr_t)q->desc,
		.avail = (uintptr_t)q->avail,
		.used = (uintptr_t)q->used,
		.log = on ? q->f->gpa + (uint64_t)((uint8_t *)q->used - q->f->mem) : 0,
	};

	return front_ack(q->f, VHU_SET_VRING_ADDR, &a, sizeof(a), NULL, 0) == 0;
}

struct front_queue *oracle_queue(struct front *f, unsigned index, uint64_t gpa)
{
	struct front_queue *q = front_queue(f, index, 1024, gpa);

	q->avail_idx = q->used_seen = FIRST;
	q->used->idx = q->avail->idx = FIRST;
	return q;
}

bool oracle_start(struct front_queue *q)
{
	return front_queue_setup(q, FIRST) && oracle_ring(q, true) && front_queue_fds(q) && front_queue_enable(q, true);
}

void oracle_remember(struct oracle *o)
{
	memcpy(o->before, o->f->mem, o->f->mem_size);
	for (uint64_t i = 0; i < o->bytes; i++)
		__atomic_store_n(&o->bits[i], 0, __ATOMIC_SEQ_CST);
}

static bool is_drivers(const struct front *f, uint64_t gpa)
{
	for (unsigned q = 0; q < FRONT_MAX_QUEUES; q++)
		if (f->q[q].f && gpa >= f->q[q].gpa && gpa - f->q[q].gpa < DRIVER_BYTES)
			return true;
	return false;
}

uint64_t oracle_missed(const struct oracle *o)
{
	for (uint64_t at = 0; at < o->f->mem_size; at += DIRTY_PAGE) {
		uint64_t gpa = o->f->gpa + at, page = gpa / DIRTY_PAGE;

		if (memcmp(o->before + at, o->f->mem + at, DIRTY_PAGE) == 0 || is_drivers(o->f, gpa))
			continue;
		if (!(o->bits[page / 8] & 1u << page % 8))
			return gpa;
	}
	return ORACLE_ALL_LOGGED;
}

unsigned oracle_bits(const struct oracle *o)
{
	unsigned n = 0;

	for (uint64_t i = 0; i < o->bytes; i++)
		n += (unsigned)__builtin_popcount(o->bits[i]);
	return n;
}
