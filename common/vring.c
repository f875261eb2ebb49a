/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The device side of split virtqueues (virtio 1.2, clause 2.7). Runs in netd, blkd and
 * the vCPU process. It does no I/O, logs nothing and allocates nothing. Each field in
 * guest memory is read once, into a local variable, and only that copy is used: the guest
 * can change its memory between a check and the use.
 */
#include <string.h>

#include "common/inflight.h"
#include "common/vring.h"

/* An indirect table may begin at any byte of guest memory, so loads must not assume alignment. */
struct unaligned_u64 {
	uint64_t v;
} __attribute__((packed, may_alias));

/* Copy one descriptor with two loads of eight bytes, each done once. */
static struct vring_desc load_desc(const void *at)
{
	const volatile struct unaligned_u64 *p = at;
	struct vring_desc d;
	uint64_t rest;

	d.addr = le64toh(p[0].v);
	rest = le64toh(p[1].v);
	d.len = (uint32_t)rest;
	d.flags = (uint16_t)(rest >> 32);
	d.next = (uint16_t)(rest >> 48);
	return d;
}

static uint16_t load16(const uint16_t *p)
{
	return le16toh(READ_ONCE(*p));
}

static void store16(uint16_t *p, uint16_t v)
{
	WRITE_ONCE(*p, htole16(v));
}

/* The @len bytes at @at in the used ring were written. */
static __attribute__((noinline, cold)) void log_used(struct vq *vq, const volatile void *at, size_t len)
{
	uint64_t gpa = vq->used_gpa + ((uintptr_t)at - (uintptr_t)vq->used);

	if (!dirty_mark(vq->used_log, gpa, len))
		guest_fault(vq, FAULT_LOG_RANGE, gpa);
}

static inline void wrote_used(struct vq *vq, const volatile void *at, size_t len)
{
	if (__builtin_expect(vq->used_log != NULL, 0))
		log_used(vq, at, len);
}

/* Store to a field of the used ring: flags, index or event index. */
static void put16(struct vq *vq, uint16_t *p, uint16_t v)
{
	store16(p, v);
	wrote_used(vq, p, sizeof(*p));
}

static void *ring_part(const struct guest_mem *mem, const struct vq_setup *s, uint64_t addr, uint64_t len,
		       uint64_t align)
{
	void *p = s->addresses_are_uva ? shm_ptr_uva(mem, addr, len) : shm_ptr(mem, addr, len);

	return p && is_aligned((uintptr_t)p, align) ? p : NULL;
}

enum vq_start_error vq_start(struct vq *vq, const struct guest_mem *mem, const struct vq_setup *s)
{
	vq_stop(vq);
	/* 2.7: the queue size is a power of two. VQ_MAX_SIZE is our own limit. */
	if (!is_power_of_two(s->size) || s->size > VQ_MAX_SIZE)
		return VQ_START_SIZE;
	/* 2.7: length and alignment of each of the three parts. */
	vq->desc = ring_part(mem, s, s->desc, 16ull * s->size, VRING_DESC_ALIGN_SIZE);
	if (!vq->desc)
		return VQ_START_DESC;
	vq->avail = ring_part(mem, s, s->avail, 6 + 2ull * s->size, VRING_AVAIL_ALIGN_SIZE);
	if (!vq->avail)
		return VQ_START_AVAIL;
	vq->used = ring_part(mem, s, s->used, 6 + 8ull * s->size, VRING_USED_ALIGN_SIZE);
	if (!vq->used)
		return VQ_START_USED;

	vq->mem = mem;
	vq->size = s->size;
	vq->event_idx = s->event_idx;
	vq->indirect = s->indirect;
	vq->last_avail = vq->avail_seen = s->last_avail;
	vq->next_used = vq->published = vq->signalled = load16(&vq->used->idx);
	vq->signalled_valid = false;
	vq->n_new = 0;
	vq->kicks_off = false;
	vq->quiet = false;
	vq->broken = false;
	vq->running = true;
	return VQ_START_OK;
}

void vq_stop(struct vq *vq)
{
	vq->running = false;
	vq->in_flight = 0;
	vq->desc = NULL;
	vq->avail = NULL;
	vq->used = NULL;
	vq->mem = NULL;
	vq->inflight = NULL;
	vq->log = vq->used_log = NULL;
}

/* State of walking one descriptor chain. */
struct walk {
	const struct vq *vq;
	struct iovec *iov;
	unsigned cap, niov, buffers;
	uint64_t out_len, in_len;
	unsigned nout;
	bool writable_seen;
	uint64_t detail;
};

static enum guest_fault fault(struct walk *w, enum guest_fault f, uint64_t detail)
{
	w->detail = detail;
	return f;
}

/* Add one buffer to the list; a buffer that crosses regions of guest memory becomes several entries. */
static enum guest_fault add_buffer(struct walk *w, const struct vring_desc *d)
{
	bool in = d->flags & VRING_DESC_F_WRITE;
	uint64_t addr = d->addr;
	uint32_t left = d->len;

	/* CVE-2016-6490, CVE-2023-5158: an empty buffer makes no progress. */
	if (!left)
		return fault(w, FAULT_ZERO_LEN, addr);
	/* 2.7.4.2: all writable buffers come after all readable ones. */
	if (!in && w->writable_seen)
		return fault(w, FAULT_WRITE_ORDER, addr);
	/* 2.7.5.1: at most 2^32 bytes in one chain. */
	if (w->out_len + w->in_len + left > UINT32_MAX)
		return fault(w, FAULT_TOTAL_LEN, w->out_len + w->in_len + left);
	while (left) {
		void *p;
		uint64_t span = shm_span(w->vq->mem, addr, &p);
		uint32_t piece = (uint32_t)MIN(span, left);

		/* CVE-2016-7422, CVE-2018-1059: each byte must lie in guest memory. */
		if (!piece)
			return fault(w, FAULT_ADDR_RANGE, d->addr);
		if (w->niov >= w->cap)
			return fault(w, FAULT_IOV_FULL, w->niov);
		w->iov[w->niov++] = (struct iovec){ .iov_base = p, .iov_len = piece };
		addr += piece;
		left -= piece;
	}
	if (in) {
		w->writable_seen = true;
		w->in_len += d->len;
	} else {
		w->nout = w->niov;
		w->out_len += d->len;
	}
	return FAULT_NONE;
}

/*
 * Walk one table (the queue's, or an indirect one) from entry @i on, to the end of the
 * chain. @top: this is the queue's table, and a descriptor with VRING_DESC_F_INDIRECT
 * ends the walk and is stored in *@table.
 */
static enum guest_fault walk_table(struct walk *w, const uint8_t *desc, uint32_t entries, uint16_t i, bool top,
				   struct vring_desc *table)
{
	/* Cleared for a second entry only, also by the compiler: that takes as long as the rest of a walk. */
	uint64_t seen[VQ_MAX_SIZE / 64] __attribute__((uninitialized));

	for (bool first = true;; first = false) {
		struct vring_desc d;
		enum guest_fault f;

		/* 2.7.5.1, CVE-2019-9547: a chain is not longer than the queue. */
		if (w->buffers >= w->vq->size)
			return fault(w, FAULT_CHAIN_LONG, w->buffers);
		/* Stop a loop before any descriptor is read twice: the guest may have changed it since. */
		if (!first && (seen[i / 64] & (1ull << (i % 64))))
			return fault(w, FAULT_CHAIN_LONG, i);
		d = load_desc(desc + 16ul * i);
		if (d.flags & VRING_DESC_F_INDIRECT) {
			*table = d;
			/* 2.7.5.3.1: no indirect table inside an indirect table. */
			return top ? FAULT_NONE : fault(w, FAULT_INDIRECT_NESTED, i);
		}
		w->buffers++;
		f = add_buffer(w, &d);
		if (f != FAULT_NONE)
			return f;
		if (!(d.flags & VRING_DESC_F_NEXT))
			return FAULT_NONE;
		if (d.next >= entries)
			return fault(w, FAULT_NEXT_RANGE, d.next);
		if (first)
			memset(seen, 0, sizeof(seen));
		seen[i / 64] |= 1ull << (i % 64);
		i = d.next;
	}
}

/* Walk the indirect table that @d points to (2.7.5.3). */
static enum guest_fault walk_indirect(struct walk *w, const struct vring_desc *d)
{
	struct vring_desc none;
	const void *table;

	if (!w->vq->indirect)
		return fault(w, FAULT_INDIRECT_OFF, d->addr);
	if (d->flags & VRING_DESC_F_NEXT)
		return fault(w, FAULT_INDIRECT_NEXT, d->next);
	if (!d->len || d->len % 16 || d->len / 16 > w->vq->size)
		return fault(w, FAULT_INDIRECT_LEN, d->len);
	table = shm_ptr(w->vq->mem, d->addr, d->len);
	if (!table)
		return fault(w, FAULT_INDIRECT_ADDR, d->addr);
	return walk_table(w, table, d->len / 16, 0, false, &none);
}

enum guest_fault vq_walk(const struct vq *vq, uint16_t head, struct iovec *iov, unsigned cap, struct vq_chain *out,
			 uint64_t *detail)
{
	struct walk w = { .vq = vq, .iov = iov, .cap = cap };
	struct vring_desc last = { 0 };
	enum guest_fault f;

	if (head >= vq->size) {
		*detail = head;
		return FAULT_HEAD_RANGE;
	}
	f = walk_table(&w, (const uint8_t *)vq->desc, vq->size, head, true, &last);
	if (f == FAULT_NONE && (last.flags & VRING_DESC_F_INDIRECT))
		f = walk_indirect(&w, &last);
	*detail = w.detail;
	*out = (struct vq_chain){
		.head = head,
		.nout = (uint16_t)w.nout,
		.nin = (uint16_t)(w.niov - w.nout),
		.out_len = (uint32_t)w.out_len,
		.in_len = (uint32_t)w.in_len,
	};
	return f;
}

/* Read avail->idx and judge it. False after a fault. */
static bool look(struct vq *vq)
{
	uint16_t idx = load16(&vq->avail->idx);

	/* 2.7.13.3, CVE-2016-5403: at most as many chains as the queue has entries. */
	if ((uint16_t)(idx - vq->last_avail) > vq->size) {
		guest_fault(vq, FAULT_AVAIL_IDX, idx);
		return false;
	}
	vq->avail_seen = idx;
	smp_rmb();
	return true;
}

enum vq_pop vq_pop(struct vq *vq, struct iovec *iov, unsigned cap, struct vq_chain *out)
{
	uint64_t detail = 0;
	enum guest_fault f;
	bool again;
	uint16_t head;

	if (!vq->running)
		return VQ_POP_EMPTY;
	again = inflight_resubmit(vq->inflight, &head);
	if (!again) {
		if (vq->avail_seen == vq->last_avail && !look(vq))
			return VQ_POP_FAULT;
		if (vq->avail_seen == vq->last_avail)
			return VQ_POP_EMPTY;
		head = load16(&vq->avail->ring[vq->last_avail & (vq->size - 1)]);
	}
	/* 2.7.8: a driver must not reuse a descriptor before the device has returned it. */
	f = vq->in_flight >= vq->size ? FAULT_USED_FULL : vq_walk(vq, head, iov, cap, out, &detail);
	if (f != FAULT_NONE) {
		guest_fault(vq, f, detail);
		return VQ_POP_FAULT;
	}
	if (!again) {
		vq->last_avail++;
		vq->n_new++;
	}
	vq->in_flight++;
	vq->n_chains++;
	inflight_take(vq->inflight, head);
	return VQ_POP_CHAIN;
}

void vq_unpop(struct vq *vq, unsigned n)
{
	if (!vq->running || n > vq->in_flight)
		return;
	for (; n; n--) {
		vq->in_flight--;
		vq->n_chains--;
		if (!vq->n_new) {
			inflight_unresubmit(vq->inflight);
			continue;
		}
		vq->n_new--;
		vq->last_avail--;
		inflight_untake(vq->inflight, load16(&vq->avail->ring[vq->last_avail & (vq->size - 1)]));
	}
}

void vq_log(struct vq *vq, const struct iovec *iov, unsigned n, size_t off, size_t len)
{
	for (unsigned i = 0; i < n && len; i++) {
		size_t skip = MIN(off, iov[i].iov_len), piece = MIN(iov[i].iov_len - skip, len);
		uint64_t gpa = 0;

		off -= skip;
		len -= piece;
		if (!piece)
			continue;
		/* An entry never crosses regions of guest memory: see add_buffer(). */
		if (!shm_gpa(vq->mem, (const uint8_t *)iov[i].iov_base + skip, &gpa) ||
		    !dirty_mark(vq->log, gpa, piece)) {
			guest_fault(vq, FAULT_LOG_RANGE, gpa);
			return;
		}
	}
}

void vq_push(struct vq *vq, uint16_t head, uint32_t written)
{
	struct vring_used_elem *e;

	if (!vq->in_flight)
		return;
	vq->in_flight--;
	if (!vq->running)
		return;
	e = &vq->used->ring[vq->next_used & (vq->size - 1)];
	WRITE_ONCE(e->id, htole32(head));
	WRITE_ONCE(e->len, htole32(written));
	wrote_used(vq, e, sizeof(*e));
	vq->next_used++;
	inflight_put(vq->inflight, head);
}

bool vq_publish(struct vq *vq)
{
	uint16_t n = (uint16_t)(vq->next_used - vq->published);

	if (!vq->running || !n)
		return false;
	/* 2.7.8.2: the entries must be visible before the index that covers them. */
	smp_wmb();
	put16(vq, &vq->used->idx, vq->next_used);
	vq->published = vq->next_used;
	inflight_published(vq->inflight, vq->next_used, n);
	return true;
}

bool vq_wants_call(struct vq *vq)
{
	uint16_t old = vq->signalled, now = vq->published;
	bool wants;

	if (!vq->running)
		return false;
	/* Publish the used index before reading whether the driver wants an interrupt. */
	smp_mb();
	if (vq->event_idx) {
		uint16_t event = load16(&vq->avail->ring[vq->size]);

		wants = !vq->signalled_valid || vring_need_event(event, now, old);
	} else {
		wants = !(load16(&vq->avail->flags) & VRING_AVAIL_F_NO_INTERRUPT);
	}
	vq->signalled = now;
	vq->signalled_valid = true;
	if (wants)
		vq->n_calls++;
	else
		vq->n_calls_suppressed++;
	return wants;
}

bool vq_has_news(const struct vq *vq)
{
	return vq->running && load16(&vq->avail->idx) != vq->avail_seen;
}

bool vq_enable_kicks(struct vq *vq)
{
	if (!vq->running)
		return false;
	/* avail_event follows the last entry of the used ring (2.7.8). */
	if (vq->event_idx)
		put16(vq, (uint16_t *)&vq->used->ring[vq->size], vq->avail_seen);
	else if (vq->kicks_off)
		put16(vq, &vq->used->flags, 0);
	vq->kicks_off = false;
	smp_mb();
	return vq_has_news(vq);
}

void vq_disable_kicks(struct vq *vq)
{
	if (!vq->running || vq->kicks_off)
		return;
	vq->kicks_off = true;
	if (!vq->event_idx)
		put16(vq, &vq->used->flags, VRING_USED_F_NO_NOTIFY);
	else if (!vq_has_news(vq))
		/* A driver that has passed avail_event does not kick; otherwise put avail_event behind it. */
		put16(vq, (uint16_t *)&vq->used->ring[vq->size], (uint16_t)(vq->avail_seen - 1));
}
