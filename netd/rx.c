/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Moves frames from the tap to the guest. Runs in netd, confined, on rings in guest
 * memory. readv() writes each frame directly into receive buffers of the guest; only the
 * header goes through a local copy, which is checked and then written to the guest once.
 * Many small frames are read with one call (batch.h) into private memory, and copied.
 *
 * With mergeable buffers (VIRTIO_NET_F_MRG_RXBUF) a frame may span several chains. Before a
 * read, enough chains for the largest possible frame are popped into a pool. The pool is
 * used for all frames of one call; what is left is given back to the ring (vq_unpop()), so
 * that no buffer is held between calls.
 */
#include <errno.h>
#include <string.h>
#include <sys/uio.h>

#include "common/iov.h"
#include "netd/batch.h"
#include "netd/netd.h"
#include "netd/rx.h"
#include "netd/rx_pool.h"

/* Frames up to this size are small, in bytes. */
#define RX_SMALL 2048
/*
 * Most frames that rx_forget() drops. Frames leave a tap in the order in which they came, and its queue is shorter (the
 * interface's txqueuelen, 1,000 by default), so none of those that were there first is left.
 */
#define RX_FORGET_MAX 65536
/* After this many small frames in a row, expect the next one to be small: see read_held(). */
#define RX_SMALL_ROW 16
/* Finished chains after which they are published: the driver can then take them during the rest. */
#define RX_FLUSH BATCH_MAX
/* Of one call of rx_work(). */
static struct rx_pool pool;

enum rx_result { RX_DONE, RX_DRY, RX_STARVED, RX_FAULT };

/* Reading has failed with errno: the tap is empty, or never readable again. */
static void tap_ended(struct net_pair *p)
{
	p->tap_readable = false;
	p->burst = 0;
	if (errno != EAGAIN && !p->tap_dead) {
		p->tap_dead = true;
		log_line(LOG_ERROR, "cannot read from the tap; the guest receives no more frames: %m");
	}
}

static ssize_t tap_read(struct net_pair *p, const struct iovec *iov, int n)
{
	ssize_t got;

	do
		got = readv(p->tap, iov, n);
	while (got < 0 && errno == EINTR);
	if (got < 0)
		tap_ended(p);
	else
		p->burst = (uint8_t)MIN(p->burst + 1u, (unsigned)BATCH_MAX);
	return got;
}

/* A frame of passt's into the side buffer: its length; 0: a part of one; -1: none, or never again. */
static ssize_t passt_read(struct backend *be, struct net_pair *p)
{
	struct netd *n = netd_of(be);
	ssize_t got = stream_read(&n->stream, p->tap, p->held.data);

	if (got > 0 && n->stream_late) {
		n->stream_late = false;
		return 0;
	}
	if (got > 0)
		user_learn(&n->user, &n->c.user, p->held.data, (size_t)got, now_ms());
	if (got >= 0)
		return got;
	if (errno == EINPROGRESS)
		return 0;
	p->tap_readable = false;
	if (errno == EAGAIN || p->tap_dead)
		return -1;
	/* The supervisor starts passt and this process again, as a pair. */
	p->tap_dead = true;
	if (errno == EPROTO)
		log_line(LOG_ERROR, "passt sent what is no frame; its connection is over");
	else if (errno != EPIPE)
		log_line(LOG_ERROR, "the connection to passt cannot be read: %m");
	be->gone = true;
	be->exit_status = 1;
	return -1;
}

/* Captured frames are always read into private memory (the held frame): see rx_one(). */
static void record(struct netd *n, const struct net_pair *p, uint32_t len, const char *why)
{
	capture_frame(&n->capture, CAPTURE_TO_GUEST, p->held.data, FRAME_MAX, len, why);
}

/*
 * Check a frame for which readv() returned @got bytes. @room: bytes that the buffers could
 * hold. Sets *@len to its length without header. Returns false after counting it as
 * dropped.
 */
static bool judge(struct backend *be, struct net_pair *p, struct virtio_net_hdr_mrg_rxbuf *h, ssize_t got,
		  uint64_t room, uint32_t *len)
{
	struct netd *n = netd_of(be);
	enum frame_verdict v;

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
		if (n->capture.on)
			record(n, p, *len, "dropped: longer than any frame");
		return false;
	}
	v = frame_judge_rx(h, *len, n->features);
	if (v != FRAME_OK) {
		be->stats.dropped_bad++;
		if (n->capture.on)
			record(n, p, *len, frame_drop_text(v));
		return false;
	}
	return true;
}

/* A frame of @len bytes is in the pool's first chains: let the guest have it. */
static void use(struct backend *be, struct vq *vq, struct virtio_net_hdr_mrg_rxbuf *h, unsigned hdr_len, uint32_t len)
{
	rx_pool_use(&pool, vq, h, hdr_len, len);
	be->stats.frames_in++;
	be->stats.bytes_read += len;
}

/*
 * Read one frame directly into the pool's first chains. One byte behind them, the
 * sentinel, is read too if the frame is longer than the chains; it is then dropped.
 */
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

	rx_pool_cut_header(&pool, n->hdr_len);
	pieces = merge ? pool.end - pool.begin : pool.chain[pool.first].pieces;
	room = rx_pool_room(&pool, merge, n->hdr_len);
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
	/* Also the bytes of a frame that judge() will drop. */
	if ((size_t)got > n->tap_hdr)
		vq_wrote(vq, first + 1, pieces, 0, (size_t)got - n->tap_hdr);
	if (judge(be, p, &h, got, room, &len))
		use(be, vq, &h, n->hdr_len, len);
	return RX_DONE;
}

/* The frame @f was delivered (@why is NULL) or dropped: record it in the capture file. Returns true. */
static bool let_go_of(struct backend *be, struct net_pair *p, struct held_frame *f, const char *why)
{
	struct netd *n = netd_of(be);

	f->full = false;
	be->stats.dropped_full += why != NULL;
	if (n->capture.on)
		record(n, p, f->len, why);
	return true;
}

/* Copy the frame @f into guest buffers, or drop it. False if it has to wait for more buffers. */
static bool deliver(struct backend *be, struct net_pair *p, struct vq *vq, struct held_frame *f)
{
	struct netd *n = netd_of(be);
	bool merge = n->features & BIT64(VIRTIO_NET_F_MRG_RXBUF);

	rx_pool_fill(&pool, vq, (uint64_t)f->len + n->hdr_len, merge, n->hdr_len);
	if (vq->broken)
		return false;
	if (rx_pool_chains(&pool) && rx_pool_room(&pool, merge, n->hdr_len) >= f->len) {
		rx_pool_cut_header(&pool, n->hdr_len);
		iov_from_buf(&pool.iov[pool.begin], pool.end - pool.begin, 0, f->data, f->len);
		vq_wrote(vq, &pool.iov[pool.begin], pool.end - pool.begin, 0, f->len);
		use(be, vq, &f->hdr, n->hdr_len, f->len);
		return let_go_of(be, p, f, NULL);
	}
	/* The guest has added buffers, but not enough. Drop the frame: more may never come. */
	if ((!merge && rx_pool_chains(&pool)) || (f->chains && rx_pool_chains(&pool) > f->chains))
		return let_go_of(be, p, f, "dropped: the guest's receive buffers have no room for it");
	f->chains = (uint16_t)MAX(rx_pool_chains(&pool), 1u);
	return false;
}

/*
 * Read one frame into private memory, then copy it to the guest. Used if the pool has too
 * little room for the largest frame, because the real length is known only after the read.
 * Used if a small frame is expected: copying it costs less than popping dozens of chains.
 * Used if frames are captured: the guest could change a frame in its own memory before it
 * is recorded.
 */
static enum rx_result read_held(struct backend *be, struct net_pair *p, struct vq *vq)
{
	struct netd *n = netd_of(be);
	struct held_frame *f = &p->held;
	struct iovec iov[2] = { { &f->hdr, n->tap_hdr }, { f->data, sizeof(f->data) } };
	ssize_t got;

	memset(&f->hdr, 0, sizeof(f->hdr));
	got = n->c.user.on ? passt_read(be, p) : tap_read(p, iov, ARRAY_SIZE(iov));
	if (got == 0)
		return RX_DONE;
	if (got < 0)
		return RX_DRY;
	if (!judge(be, p, &f->hdr, got, FRAME_MAX, &f->len))
		return RX_DONE;
	f->full = true;
	f->chains = 0;
	return deliver(be, p, vq, f) ? RX_DONE : RX_STARVED;
}

/*
 * Read frames into private memory with one call, for rx_one() to deliver: as many as came in a row before, but no more
 * than the guest has buffers for, and than are delivered before rx_work() returns: @left turns of its loop, with this
 * one. False if that is too few, or the io_uring cannot.
 */
static bool read_many(struct backend *be, struct net_pair *p, const struct vq *vq, unsigned left)
{
	struct netd *n = netd_of(be);
	unsigned count = MIN(p->burst, rx_pool_chains(&pool) + vq_known(vq)), some = 0;
	int got[BATCH_MAX];

	count = MIN(count, left - 1);
	if (count < BATCH_WORTH || n->limited || n->capture.on || !batch_can_read())
		return false;
	batch_read(p, n->tap_hdr, count, got);
	for (unsigned i = 0; i < count; i++) {
		struct held_frame *f = batch_frame(i);

		if (!n->tap_hdr)
			memset(&f->hdr, 0, sizeof(f->hdr));
		some += got[i] >= 0;
		f->full = got[i] >= 0 && judge(be, p, &f->hdr, got[i], FRAME_MAX, &f->len);
		f->chains = 0;
	}
	p->burst = (uint8_t)MIN(p->burst + some, (unsigned)BATCH_MAX);
	/* Only an empty tap after the last read means an event for the next frame. */
	errno = -MIN(got[count - 1], 0);
	if (errno && errno != ECANCELED)
		tap_ended(p);
	return true;
}

/* The oldest frame that waits for buffers of the guest, or NULL. */
static struct held_frame *waiting(struct net_pair *p)
{
	return p->held.full ? &p->held : batch_waiting(p);
}

void rx_drop_waiting(struct net_pair *p)
{
	p->held.full = false;
	batch_forget(p);
}

void rx_forget(struct backend *be, struct net_pair *p)
{
	struct netd *n = netd_of(be);
	struct held_frame *f = &p->held;
	/* A tap drops the rest of a frame that is longer than the buffers. */
	struct iovec iov[2] = { { &f->hdr, n->tap_hdr }, { f->data, n->capture.on ? sizeof(f->data) : 1 } };

	rx_drop_waiting(p);
	p->small_row = 0;
	p->tap_readable = !p->tap_dead;
	for (unsigned i = 0; i < RX_FORGET_MAX && p->tap_readable; i++) {
		ssize_t got = n->c.user.on ? passt_read(be, p) : tap_read(p, iov, ARRAY_SIZE(iov));
		unsigned front = n->c.user.on ? 0 : n->tap_hdr;

		if (n->capture.on && got > (ssize_t)front)
			record(n, p, (uint32_t)got - front, "dropped: it came before a reset");
	}
	n->stream_late = n->c.user.on && n->stream.first != n->stream.end;
}

/* Move one frame, or read many: one of @left turns. */
static enum rx_result rx_one(struct backend *be, struct net_pair *p, struct vq *vq, unsigned left)
{
	struct netd *n = netd_of(be);
	bool merge = n->features & BIT64(VIRTIO_NET_F_MRG_RXBUF);
	bool copy = n->capture.on || n->c.user.on;
	bool small = copy || (merge && p->small_row == RX_SMALL_ROW);
	uint64_t want = (uint64_t)n->rx_max + n->hdr_len;
	struct held_frame *f = waiting(p);
	enum rx_result r;

	if (f) {
		r = deliver(be, p, vq, f) ? RX_DONE : RX_STARVED;
	} else if (!p->tap_readable) {
		return RX_DRY;
	} else {
		rx_pool_fill(&pool, vq, small ? 1 : want, merge, n->hdr_len);
		if (vq->broken)
			return RX_FAULT;
		if (!rx_pool_chains(&pool))
			return RX_STARVED;
		if (small && !copy && read_many(be, p, vq, left))
			return RX_DONE;
		r = !copy && (!merge || (!small && pool.bytes >= want)) ? read_direct(be, p, vq, merge)
									: read_held(be, p, vq);
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
	if (!p->tap_readable && !waiting(p))
		return false;
	rx_pool_clear(&pool);
	while (done < budget) {
		if (!rx_allowed(netd_of(be))) {
			be->stats.throttled++;
			rate_timer_again();
			break;
		}
		r = rx_one(be, p, vq, budget - done);
		if (r != RX_DONE)
			break;
		done++;
		if ((uint16_t)(vq->next_used - vq->published) >= RX_FLUSH)
			backend_flush(be, vq);
	}
	if (r == RX_FAULT)
		return false;
	p->rx_starved = r == RX_STARVED;
	vq_unpop(vq, rx_pool_chains(&pool));
	if (done)
		backend_flush(be, vq);
	return done == budget;
}
