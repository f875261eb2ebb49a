/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Receive chains that were popped from a queue and not yet pushed or given back. Runs in netd, confined, on rings in
 * guest memory: each chain is checked when it is popped (common/vring.c), and only those copies are used here.
 */
#include <string.h>

#include "common/iov.h"
#include "netd/rx_pool.h"

void rx_pool_clear(struct rx_pool *p)
{
	p->first = p->last = 0;
	p->begin = p->end = 1;
	p->bytes = 0;
	p->hdr_pieces = 0;
}

/* Move the used entries of both arrays to their start, to make room at the end. */
static void compact(struct rx_pool *p)
{
	unsigned n = p->end - p->begin, c = p->last - p->first;

	memmove(&p->iov[1], &p->iov[p->begin], n * sizeof(p->iov[0]));
	memmove(&p->chain[0], &p->chain[p->first], c * sizeof(p->chain[0]));
	p->begin = 1;
	p->end = 1 + n;
	p->first = 0;
	p->last = c;
}

/* Pop one chain into the pool. False if the ring is empty, the pool full, or after a fault (vq->broken). */
static bool take(struct rx_pool *p, struct vq *vq, unsigned hdr_len)
{
	struct vq_chain ch;

	if (RX_IOV_ALL - p->end < VQ_MAX_SIZE || p->last == VQ_MAX_SIZE)
		compact(p);
	if (p->last == VQ_MAX_SIZE)
		return false;
	if (vq_pop(vq, &p->iov[p->end], VQ_MAX_SIZE, &ch) != VQ_POP_CHAIN)
		return false;
	/* 5.1.6.3.1: receive buffers must be writable and have room for the header. */
	if (ch.nout || ch.in_len < hdr_len) {
		guest_fault(vq, ch.nout ? FAULT_BAD_LAYOUT : FAULT_NO_WRITABLE, ch.head);
		return false;
	}
	p->chain[p->last++] = (struct rx_chain){ ch.head, ch.nin, ch.in_len };
	p->end += ch.nin;
	p->bytes += ch.in_len;
	return true;
}

void rx_pool_fill(struct rx_pool *p, struct vq *vq, uint64_t bytes, bool merge, unsigned hdr_len)
{
	while (!rx_pool_chains(p) || (merge && p->bytes < bytes && p->end - p->begin < RX_IOV_USE))
		if (!take(p, vq, hdr_len))
			return;
}

void rx_pool_cut_header(struct rx_pool *p, unsigned len)
{
	unsigned n = 0;

	if (p->hdr_pieces)
		return;
	while (len) {
		struct iovec *v = &p->iov[p->begin];
		size_t piece = MIN(len, v->iov_len);

		p->hdr[n++] = (struct iovec){ v->iov_base, piece };
		v->iov_base = (uint8_t *)v->iov_base + piece;
		v->iov_len -= piece;
		len -= piece;
		p->chain[p->first].pieces -= !v->iov_len;
		p->begin += !v->iov_len;
	}
	p->hdr_pieces = n;
}

void rx_pool_use(struct rx_pool *p, struct vq *vq, struct virtio_net_hdr_mrg_rxbuf *h, unsigned hdr_len, uint32_t len)
{
	uint64_t left = (uint64_t)hdr_len + len;
	unsigned k = p->first;
	uint16_t used = 0;

	for (uint64_t sum = 0; sum < left; sum += p->chain[k++].len)
		used++;
	h->num_buffers = used; /* 5.1.6.4.1: must be 1 without mergeable buffers */
	iov_from_buf(p->hdr, p->hdr_pieces, 0, h, hdr_len);
	vq_wrote(vq, p->hdr, p->hdr_pieces, 0, hdr_len);
	while (used--) {
		struct rx_chain *c = &p->chain[p->first++];
		uint32_t part = (uint32_t)MIN(left, c->len);

		vq_push(vq, c->head, part);
		left -= part;
		p->begin += c->pieces;
		p->bytes -= c->len;
	}
	p->hdr_pieces = 0;
}

uint64_t rx_pool_room(const struct rx_pool *p, bool merge, unsigned hdr_len)
{
	uint64_t all = merge ? p->bytes : p->chain[p->first].len;

	return all - hdr_len;
}
