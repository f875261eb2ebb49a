/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * From the tap to the guest. Runs in netd, confined, on rings that the guest
 * owns. The kernel writes frames straight into receive buffers; only the header
 * passes through a local copy, which is written to the guest once.
 *
 * With mergeable buffers enough chains for the largest possible frame are
 * gathered before a read, kept over the frames of one wake-up, and what is left
 * goes back to the ring at its end: between wake-ups no guest buffer is held.
 */
#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/uio.h>

#include "netd.h"

/* A frame up to this is small, */
#define RX_SMALL 2048
/* and after so many of them in a row the next one is expected to be: see read_held(). */
#define RX_SMALL_ROW 16
/* Entries that one readv() may take beside the header's and the sentinel's. */
#define RX_IOV_USE (IOV_MAX - 2)
/* A chain has at most VQ_MAX_SIZE pieces, and one may begin at the last entry in use. */
#define RX_IOV_ALL (1 + 2 * RX_IOV_USE + VQ_MAX_SIZE)

struct rx_chain {
	uint16_t head, pieces;
	uint32_t len;
};

/* Chains taken from the ring and not yet given back, oldest first; their pieces lie in a row. */
static struct {
	struct rx_chain chain[VQ_MAX_SIZE];
	unsigned first, last;		  /* chain[first..last) */
	struct iovec iov[RX_IOV_ALL + 1]; /* iov[begin..end); begin >= 1; the last is the sentinel's */
	unsigned begin, end;
	uint64_t bytes;		       /* in all those chains */
	struct iovec hdr[TAP_HDR_LEN]; /* where the first chain's header goes, cut off its pieces */
	unsigned hdr_pieces;	       /* 0: not cut off yet */
} pool;

enum rx_result { RX_DONE, RX_DRY, RX_STARVED, RX_FAULT };

static void pool_clear(void)
{
	pool.first = pool.last = 0;
	pool.begin = pool.end = 1;
	pool.bytes = 0;
	pool.hdr_pieces = 0;
}

/* Makes room at the end of both arrays; what is in use moves to their beginning. */
static void pool_compact(void)
{
	unsigned n = pool.end - pool.begin, c = pool.last - pool.first;

	memmove(&pool.iov[1], &pool.iov[pool.begin], n * sizeof(pool.iov[0]));
	memmove(&pool.chain[0], &pool.chain[pool.first], c * sizeof(pool.chain[0]));
	pool.begin = 1;
	pool.end = 1 + n;
	pool.first = 0;
	pool.last = c;
}

/* Takes one chain. False: the ring is empty, or a fault (then vq->broken). */
static bool pool_take(struct vq *vq, unsigned hdr_len)
{
	struct vq_chain ch;

	if (RX_IOV_ALL - pool.end < VQ_MAX_SIZE || pool.last == VQ_MAX_SIZE)
		pool_compact();
	if (pool.last == VQ_MAX_SIZE)
		return false;
	if (vq_pop(vq, &pool.iov[pool.end], VQ_MAX_SIZE, &ch) != VQ_POP_CHAIN)
		return false;
	/* 5.1.6.3.1: receive buffers are the device's to write and hold at least the header. */
	if (ch.nout || ch.in_len < hdr_len) {
		guest_fault(vq, ch.nout ? FAULT_BAD_LAYOUT : FAULT_NO_WRITABLE, ch.head);
		return false;
	}
	pool.chain[pool.last++] = (struct rx_chain){ ch.head, ch.nin, ch.in_len };
	pool.end += ch.nin;
	pool.bytes += ch.in_len;
	return true;
}

/* Gathers chains until they hold @bytes (one chain is enough unless they may be merged). */
static void pool_fill(struct vq *vq, uint64_t bytes, bool merge, unsigned hdr_len)
{
	while (pool.first == pool.last || (merge && pool.bytes < bytes && pool.end - pool.begin < RX_IOV_USE))
		if (!pool_take(vq, hdr_len))
			return;
}

/* Cuts the header's @len bytes off the first chain's pieces, once. */
static void pool_cut_header(unsigned len)
{
	unsigned n = 0;

	if (pool.hdr_pieces)
		return;
	while (len) {
		struct iovec *v = &pool.iov[pool.begin];
		size_t take = MIN(len, v->iov_len);

		pool.hdr[n++] = (struct iovec){ v->iov_base, take };
		v->iov_base = (uint8_t *)v->iov_base + take;
		v->iov_len -= take;
		len -= take;
		pool.chain[pool.first].pieces -= !v->iov_len;
		pool.begin += !v->iov_len;
	}
	pool.hdr_pieces = n;
}

/* The first chain's header and @len bytes are in place: onto the used ring with what it took. */
static void pool_use(struct backend *be, struct vq *vq, struct virtio_net_hdr_mrg_rxbuf *h, unsigned hdr_len,
		     uint32_t len)
{
	uint64_t left = (uint64_t)hdr_len + len;
	unsigned k = pool.first;
	uint16_t used = 0;

	for (uint64_t sum = 0; sum < left; sum += pool.chain[k++].len)
		used++;
	h->num_buffers = used; /* 5.1.6.4.1: 1 without mergeable buffers */
	iov_from_buf(pool.hdr, pool.hdr_pieces, 0, h, hdr_len);
	while (used--) {
		struct rx_chain *c = &pool.chain[pool.first++];
		uint32_t part = (uint32_t)MIN(left, c->len);

		vq_push(vq, c->head, part);
		left -= part;
		pool.begin += c->pieces;
		pool.bytes -= c->len;
	}
	pool.hdr_pieces = 0;
	be->stats.frames_in++;
	be->stats.bytes_read += len;
}

/* Bytes of a frame that the chain or chains at hand can take, after the header. */
static uint64_t pool_room(bool merge, unsigned hdr_len)
{
	uint64_t all = merge ? pool.bytes : pool.chain[pool.first].len;

	return all - hdr_len;
}

static ssize_t tap_read(struct net_pair *p, const struct iovec *iov, int n)
{
	ssize_t got;

	do
		got = readv(p->tap, iov, n);
	while (got < 0 && errno == EINTR);
	if (got >= 0)
		return got;
	p->tap_readable = false;
	if (errno != EAGAIN && !p->tap_dead) {
		p->tap_dead = true;
		log_line(LOG_ERROR, "the tap cannot be read any more: %m");
	}
	return -1;
}

/*
 * Strips the tap's header length from what was read and judges the frame.
 * False: it is dropped and counted.
 */
static bool judge(struct backend *be, struct net_pair *p, struct virtio_net_hdr_mrg_rxbuf *h, ssize_t got,
		  uint64_t room, uint32_t *len)
{
	struct netd *n = netd_of(be);

	if ((size_t)got < n->tap_hdr) {
		be->stats.dropped_bad++;
		return false;
	}
	*len = (uint32_t)got - n->tap_hdr;
	p->small_row = *len > RX_SMALL ? 0 : (uint8_t)MIN(p->small_row + 1, RX_SMALL_ROW);
	bucket_take(&n->rx_packets, 1);
	bucket_take(&n->rx_bytes, *len);
	if (*len > room) {
		be->stats.dropped_full++;
		return false;
	}
	if (frame_judge_rx(h, *len, n->features) != FRAME_OK) {
		be->stats.dropped_bad++;
		return false;
	}
	return true;
}

/* Read one frame into the pool's first chains. A byte past their end shows a frame that was cut. */
static enum rx_result read_direct(struct backend *be, struct net_pair *p, struct vq *vq, bool merge)
{
	struct netd *n = netd_of(be);
	struct virtio_net_hdr_mrg_rxbuf h = { 0 };
	uint8_t sentinel;
	unsigned pieces;
	struct iovec *first, *after, saved;
	uint64_t room;
	uint32_t len;
	ssize_t got;

	pool_cut_header(n->hdr_len);
	pieces = merge ? pool.end - pool.begin : pool.chain[pool.first].pieces;
	room = pool_room(merge, n->hdr_len);
	if (pieces > RX_IOV_USE) {
		pieces = RX_IOV_USE;
		room = 0;
		for (unsigned k = 0; k < pieces; k++)
			room += pool.iov[pool.begin + k].iov_len;
	}
	first = &pool.iov[pool.begin - 1];
	after = &pool.iov[pool.begin + pieces];
	*first = (struct iovec){ &h, n->tap_hdr };
	saved = *after;
	*after = (struct iovec){ &sentinel, 1 };
	got = tap_read(p, first, (int)pieces + 2);
	*after = saved;
	if (got < 0)
		return RX_DRY;
	if (judge(be, p, &h, got, room, &len))
		pool_use(be, vq, &h, n->hdr_len, len);
	return RX_DONE;
}

/* Put the held frame into the guest's buffers. False: there is no room yet. */
static bool deliver_held(struct backend *be, struct net_pair *p, struct vq *vq)
{
	struct netd *n = netd_of(be);
	struct held_frame *f = &p->held;

	pool_fill(vq, (uint64_t)f->len + n->hdr_len, true, n->hdr_len);
	if (vq->broken)
		return false;
	if (pool.first != pool.last && pool_room(true, n->hdr_len) >= f->len) {
		pool_cut_header(n->hdr_len);
		iov_from_buf(&pool.iov[pool.begin], pool.end - pool.begin, 0, f->data, f->len);
		pool_use(be, vq, &f->hdr, n->hdr_len, f->len);
		f->full = false;
		return true;
	}
	/* The guest has given more since, and still too little: it may never be enough. */
	if (f->chains && pool.last - pool.first > f->chains) {
		be->stats.dropped_full++;
		f->full = false;
		return true;
	}
	f->chains = (uint16_t)MAX(pool.last - pool.first, 1u);
	return false;
}

/*
 * Into the side buffer first, to see how long the frame is: because there is too little
 * room for the largest one; or because it will be a small one, whose copy costs less than
 * gathering dozens of chains for the largest.
 */
static enum rx_result read_held(struct backend *be, struct net_pair *p, struct vq *vq)
{
	struct netd *n = netd_of(be);
	struct held_frame *f = &p->held;
	struct iovec iov[2] = { { &f->hdr, n->tap_hdr }, { f->data, sizeof(f->data) } };
	ssize_t got;

	memset(&f->hdr, 0, sizeof(f->hdr));
	got = tap_read(p, iov, ARRAY_SIZE(iov));
	if (got < 0)
		return RX_DRY;
	if (!judge(be, p, &f->hdr, got, FRAME_MAX, &f->len))
		return RX_DONE;
	f->full = true;
	f->chains = 0;
	return deliver_held(be, p, vq) ? RX_DONE : RX_STARVED;
}

static enum rx_result rx_one(struct backend *be, struct net_pair *p, struct vq *vq)
{
	struct netd *n = netd_of(be);
	bool merge = n->features & BIT(VIRTIO_NET_F_MRG_RXBUF);
	bool small = merge && p->small_row == RX_SMALL_ROW;
	uint64_t want = (uint64_t)n->rx_max + n->hdr_len;
	enum rx_result r;

	if (p->held.full) {
		r = deliver_held(be, p, vq) ? RX_DONE : RX_STARVED;
	} else if (!p->tap_readable) {
		return RX_DRY;
	} else {
		pool_fill(vq, small ? 1 : want, merge, n->hdr_len);
		if (vq->broken)
			return RX_FAULT;
		if (pool.first == pool.last)
			return RX_STARVED;
		r = !merge || (!small && pool.bytes >= want) ? read_direct(be, p, vq, merge) : read_held(be, p, vq);
	}
	return vq->broken ? RX_FAULT : r;
}

static bool rx_allowed(struct netd *n)
{
	uint64_t now;

	if (!n->limited)
		return true;
	now = now_us();
	return bucket_open(&n->rx_packets, now) && bucket_open(&n->rx_bytes, now);
}

bool rx_work(struct backend *be, struct net_pair *p, struct vq *vq, unsigned budget)
{
	enum rx_result r = RX_DONE;
	unsigned done = 0;

	p->rx_starved = false;
	if (!p->tap_readable && !p->held.full)
		return false;
	pool_clear();
	while (done < budget) {
		if (!rx_allowed(netd_of(be))) {
			be->stats.throttled++;
			rate_timer_again();
			break;
		}
		r = rx_one(be, p, vq);
		if (r != RX_DONE)
			break;
		done++;
	}
	if (r == RX_FAULT)
		return false;
	p->rx_starved = r == RX_STARVED;
	vq_unpop(vq, pool.last - pool.first);
	if (done)
		backend_flush(be, vq);
	return done == budget;
}
