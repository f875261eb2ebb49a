/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Fuzz: rings and descriptor chains, while another CPU of the guest changes
 * them. The second CPU is a model: before each read of guest memory it may
 * store eight bytes anywhere, as the input says, so that a run can be repeated.
 */
#include <endian.h>
#include <linux/virtio_ring.h>

#include "common/util.h"

static void second_cpu(void);

/* Each read of guest memory goes through one of these two. */
#undef le16toh
#undef le64toh
#define le16toh(x) (second_cpu(), (uint16_t)(x))
#define le64toh(x) (second_cpu(), (uint64_t)(x))
#include "common/vring.c"

#include "tests/fuzz/fuzz.h"
#include "tests/lib/world.h"

#define CAP 12

static struct world *w;
static struct input in;

static void second_cpu(void)
{
	uint8_t what = left(&in) ? take8(&in) : 0;
	uint64_t v;
	size_t at;

	if (!(what & 1))
		return;
	/* The rings, the indirect table, or anywhere in the first region. */
	at = what & 2 ? 0x400 : what & 4 ? 0x1000 : what & 8 ? take16(&in) % (A_LEN - 256) : 0;
	at += (size_t)(what >> 4) * 8;
	v = take64(&in);
	memcpy(w->room[0] + at, &v, sizeof(v));
}

static bool inside(const struct iovec *v)
{
	const uint8_t *p = v->iov_base;

	for (unsigned i = 0; i < w->mem.nregions; i++) {
		const struct shm_region *r = &w->mem.r[i];

		if (p >= r->hva && p < r->hva + r->size && v->iov_len <= (size_t)(r->hva + r->size - p))
			return true;
	}
	return false;
}

static void check(const struct iovec *iov, unsigned cap, const struct vq_chain *c)
{
	uint64_t out = 0, inward = 0;

	PROMISE(c->head < WORLD_SIZE);
	PROMISE((unsigned)c->nout + c->nin <= cap && c->nout + c->nin > 0);
	for (unsigned i = 0; i < (unsigned)c->nout + c->nin; i++) {
		PROMISE(iov[i].iov_len > 0 && inside(&iov[i]));
		if (i < c->nout)
			out += iov[i].iov_len;
		else
			inward += iov[i].iov_len;
	}
	PROMISE(out == c->out_len && inward == c->in_len);
}

static void pop(unsigned cap, uint16_t *heads, unsigned *n)
{
	struct iovec iov[CAP + 1] = { 0 };
	struct vq_chain c;
	unsigned faults = w->faults;
	enum vq_pop r;

	iov[cap].iov_len = 4711;
	r = vq_pop(&w->vq, iov, cap, &c);
	PROMISE(iov[cap].iov_len == 4711);
	PROMISE((r == VQ_POP_FAULT) == (w->faults > faults));
	PROMISE(r != VQ_POP_FAULT || !w->vq.running);
	if (r != VQ_POP_CHAIN)
		return;
	check(iov, cap, &c);
	PROMISE(*n < WORLD_SIZE);
	heads[(*n)++] = c.head;
	PROMISE(w->vq.in_flight == *n);
}

static void step(uint16_t *heads, unsigned *n)
{
	uint8_t what = take8(&in);

	switch (what & 7) {
	case 0:
	case 1:
	case 2:
		pop(what >> 4 > CAP ? CAP : what >> 4, heads, n);
		break;
	case 3:
		if (*n)
			vq_push(&w->vq, heads[--*n], take32(&in));
		break;
	case 4:
		vq_publish(&w->vq);
		vq_wants_call(&w->vq);
		break;
	case 5:
		vq_enable_kicks(&w->vq);
		PROMISE((uint16_t)(w->vq.avail_seen - w->vq.last_avail) <= WORLD_SIZE);
		break;
	case 6:
		vq_disable_kicks(&w->vq);
		if (*n && what & 0x80 && w->vq.running) {
			vq_unpop(&w->vq, 1);
			--*n;
		}
		break;
	default:
		/* The driver starts the queue again. */
		if (!(what & 0xf0)) {
			*n = 0;
			PROMISE(world_start(w, what & 8, true));
		}
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint16_t heads[WORLD_SIZE];
	unsigned n = 0;
	uint8_t how;

	in = (struct input){ data, data + size };
	if (!w)
		w = world_new();
	how = take8(&in);
	memset(w->room[0], 0, A_LEN);
	take(&in, w->room[0], 16 * WORLD_SIZE);		   /* the table */
	take(&in, w->room[0] + 0x400, 6 + 2 * WORLD_SIZE); /* the available ring */
	take(&in, w->room[0] + 0x1000, 16 * 4);		   /* an indirect one */
	memset(&w->vq, 0, sizeof(w->vq));
	w->faults = 0;
	PROMISE(world_start(w, how & 1, how & 2));
	while (left(&in))
		step(heads, &n);
	PROMISE(w->vq.in_flight <= WORLD_SIZE);
	return 0;
}
