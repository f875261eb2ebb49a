/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Moves frames from the guest to the tap. Runs in netd, confined, on rings in guest memory.
 * The header and the first bytes of each frame are copied once. The copy is checked, and
 * the tap gets the copy, so the guest cannot change it after the check. Frames that are
 * copied whole wait until many can be sent with one system call (batch.h). The kernel reads
 * the rest of a larger frame directly from guest memory. An invalid frame is dropped and
 * counted; an invalid chain is a ring fault (guest_fault()).
 */
#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "common/iov.h"
#include "netd/batch.h"
#include "netd/claims.h"
#include "netd/dhcp.h"
#include "netd/netd.h"
#include "netd/ra.h"
#include "netd/tap.h"
#include "netd/tx.h"

/* Bytes of a large frame that are copied and checked. */
#define TX_PEEK 128
/* Chains after which finished ones are published: the driver can then reuse them during the rest. */
#define TX_FLUSH BATCH_MAX

/* Buffers of a chain, after one entry for the copy. */
static struct iovec tx_iov[1 + VQ_MAX_SIZE];
/* The copy of the frame that is being dealt with: up to TX_WHOLE bytes, because write() costs less than writev(). */
static struct frame_copy *tx_copy;
_Static_assert(TX_PEEK >= DHCP_PEEK && TX_PEEK >= RA_PEEK, "the copy must show that netd answers a frame itself");
_Static_assert(sizeof(*tx_copy) == TAP_HDR_LEN + TX_WHOLE, "header and frame must be adjacent");
/* Private copy of a frame that is captured, or has more pieces than writev() accepts. */
static uint8_t tx_flat[FRAME_MAX];

enum tx_result { TX_SENT, TX_EMPTY, TX_WAIT, TX_FAULT };

/* Copy the header and the first bytes of a frame of @len bytes. Returns the bytes copied without header. */
static size_t copy_front(const struct netd *n, const struct iovec *iov, unsigned niov, uint64_t len)
{
	size_t peek = len <= TX_WHOLE ? (size_t)len : TX_PEEK;

	if (n->hdr_len == TAP_HDR_LEN) {
		iov_to_buf(iov, niov, 0, tx_copy, TAP_HDR_LEN + peek);
		return peek;
	}
	memset(&tx_copy->hdr, 0, sizeof(tx_copy->hdr));
	iov_to_buf(iov, niov, 0, &tx_copy->hdr, n->hdr_len);
	return iov_to_buf(iov, niov, n->hdr_len, tx_copy->frame, peek);
}

/* What goes before the frame, and @peeked bytes of it: the tap's header, or room for the length that passt wants. */
static struct iovec front_of_frame(const struct netd *n, size_t peeked)
{
	size_t front = n->c.user.on ? STREAM_PREFIX : n->tap_hdr;

	/* Both are at most as long as the header before the frame. */
	return (struct iovec){ (uint8_t *)tx_copy + TAP_HDR_LEN - front, front + peeked };
}

/*
 * Build the list for writev() in place: the copy of @peeked bytes, then the @rest bytes of
 * the chain after its first @skip. @iov has a spare entry before it. Returns the first
 * entry; *@count: number of entries, at most IOV_MAX.
 */
static struct iovec *join(const struct netd *n, struct iovec *iov, unsigned niov, size_t skip, size_t peeked,
			  size_t rest, int *count)
{
	struct iovec *first;
	unsigned i = 0;

	for (; i < niov && skip >= iov[i].iov_len; i++)
		skip -= iov[i].iov_len;
	if (niov - i + 1 > IOV_MAX) {
		rest = iov_to_buf(iov + i, niov - i, skip, tx_flat, MIN(rest, sizeof(tx_flat)));
		iov[i] = (struct iovec){ tx_flat, rest };
		niov = i + 1;
	} else if (i < niov) {
		iov[i].iov_base = (uint8_t *)iov[i].iov_base + skip;
		iov[i].iov_len -= skip;
	}
	first = iov + i - 1;
	*first = front_of_frame(n, peeked);
	*count = (int)(niov - i) + 1;
	return first;
}

/* Copy the frame to private memory, so that the same bytes are checked, captured and sent. */
static struct iovec *copy_all(const struct netd *n, struct iovec *iov, unsigned niov, size_t peeked, uint64_t len,
			      int *count)
{
	size_t all = (size_t)MIN(len, sizeof(tx_flat));

	memcpy(tx_flat, tx_copy->frame, peeked);
	all = peeked + iov_to_buf(iov, niov, n->hdr_len + peeked, tx_flat + peeked, all - peeked);
	tx_iov[0] = front_of_frame(n, 0);
	tx_iov[1] = (struct iovec){ tx_flat, all };
	*count = tx_iov[0].iov_len ? 2 : 1;
	return tx_iov[0].iov_len ? &tx_iov[0] : &tx_iov[1];
}

static bool tx_allowed(struct netd *n)
{
	uint64_t now;

	if (!n->limited)
		return true;
	now = now_us();
	return bucket_open(&n->tx_packets, now) && bucket_open(&n->tx_bytes, now);
}

static ssize_t put_frame(struct netd *n, const struct net_pair *p, const struct iovec *iov, int count, uint64_t len)
{
	if (!n->c.user.on)
		return count == 1 ? write(p->tap, iov->iov_base, iov->iov_len) : writev(p->tap, iov, count);
	return stream_write(&n->stream, p->tap, iov, count, (uint32_t)len) < 0 ? -1 : (ssize_t)len;
}

/* Write a checked frame to the tap. TX_WAIT: the tap is full, and the chain was given back. *@why: the error. */
static enum tx_result tx_write(struct backend *be, struct net_pair *p, struct vq *vq, const struct iovec *iov,
			       int count, uint64_t len, const char **why)
{
	ssize_t sent;

	do
		sent = put_frame(netd_of(be), p, iov, count, len);
	while (sent < 0 && errno == EINTR);
	if (sent >= 0) {
		be->stats.frames_out++;
		be->stats.bytes_written += (uint64_t)sent;
		return TX_SENT;
	}
	if (errno == EAGAIN) {
		vq_unpop(vq, 1);
		p->tap_full = true;
		return TX_WAIT;
	}
	/* Drop this frame. EINVAL: the kernel refuses its header. Another error: the interface is down. */
	if (errno == EINVAL)
		be->stats.dropped_bad++;
	else
		be->stats.io_errors++;
	*why = errno == EINVAL ? "not sent: the tap refuses its header" : "not sent: the tap is down";
	return TX_SENT;
}

static void count_drop(struct backend *be, enum frame_verdict v)
{
	if (v == FRAME_SPOOF || v == FRAME_CLAIM)
		be->stats.dropped_spoof++;
	else if (v == FRAME_REACH)
		be->stats.dropped_reach++;
	else
		be->stats.dropped_bad++;
}

/* The frame of @len bytes whose first @have are in the copy. *@why: the reason, unless it is FRAME_OK. */
static enum frame_verdict judge(struct netd *n, uint64_t len, size_t have, const char **why)
{
	enum frame_verdict v =
		frame_judge_tx(&tx_copy->hdr, tx_copy->frame, len, n->features, n->c.spoof_check ? n->c.mac : NULL);

	if (v == FRAME_OK && claims_limited(&n->c) && !claims_allowed(&n->c, tx_copy->frame, have))
		v = FRAME_CLAIM;
	*why = v == FRAME_OK ? NULL : frame_drop_text(v);
	if (v != FRAME_OK || !n->c.user.on)
		return v;
	*why = user_judge(&n->user, &n->c.user, tx_copy->frame, have, len, now_ms());
	return *why ? FRAME_REACH : FRAME_OK;
}

/* Queue a frame of ours for the guest. Returns false if it takes none now: there is room for one frame. */
static bool give_guest(struct backend *be, const uint8_t *frame, size_t len)
{
	struct netd *n = netd_of(be);
	struct held_frame *f = &n->pair[0].held;

	if (f->full || !be->vq[0].running)
		return false;
	memset(&f->hdr, 0, sizeof(f->hdr));
	memcpy(f->data, frame, len);
	f->len = (uint32_t)len;
	f->chains = 0;
	f->full = true;
	bucket_take(&n->rx_packets, 1);
	bucket_take(&n->rx_bytes, len);
	backend_wake(be, &be->vq[0]);
	return true;
}

/* Queue the answer to a DHCP request for the guest. Returns what became of the request, for a capture. */
static const char *dhcp_reply(struct backend *be, const uint8_t *frame, size_t len)
{
	static struct dhcp_reply r;
	struct netd *n = netd_of(be);

	dhcp_answer(&n->c.dhcp, n->c.mac, n->c.mtu, frame, len, &r);
	if (r.declined && !n->declined) {
		n->declined = true;
		log_line(
			LOG_WARN,
			"the guest declined the address that dhcp gave it: it found that address in use, or could not set it");
	}
	/* A client that gets no answer asks again. */
	return !r.len || give_guest(be, r.frame, r.len) ? r.why : "dropped: the guest takes no DHCP answer now";
}

/* Queue a router advertisement. Returns as give_guest(). */
static bool advertise(struct backend *be)
{
	const struct netd *n = netd_of(be);
	uint8_t ra[RA_MAX];
	size_t len = ra_write(&n->c.ra, n->c.mtu, ra);

	return give_guest(be, ra, len);
}

/* Answer a router solicitation. Returns what became of it, for a capture. */
static const char *ra_reply(struct backend *be, const uint8_t *frame, size_t len)
{
	const char *why = ra_check(netd_of(be)->c.mac, frame, len);

	if (why)
		return why;
	return advertise(be) ? "not sent: lguest-sep advertises the router"
			     : "dropped: the guest takes no advertisement now";
}

void tx_advertise(struct backend *be)
{
	(void)advertise(be);
}

/* Which frames netd answers itself. */
enum request { REQUEST_NONE, REQUEST_DHCP, REQUEST_RA };

/*
 * What the checked frame is, of which @have bytes are in the copy. Not inlined, because that would slow down all other
 * frames.
 */
static __attribute__((noinline)) enum request request_in(const struct netd *n, size_t have)
{
	if (n->c.dhcp.on && dhcp_is_request(&n->c.dhcp, tx_copy->frame, have))
		return REQUEST_DHCP;
	return n->c.ra.on && ra_is_solicitation(&n->c.ra, tx_copy->frame, have) ? REQUEST_RA : REQUEST_NONE;
}

/* Answer a request of @len bytes, of which @have are in the copy. Returns what became of it, for a capture. */
static __attribute__((noinline)) const char *serve(struct backend *be, enum request what, uint64_t len, size_t have)
{
	struct netd *n = netd_of(be);
	bool dhcp = what == REQUEST_DHCP;

	be->stats.frames_out++;
	be->stats.bytes_written += len;
	if (have < len)
		return dhcp ? "dropped: a DHCP message that is too long"
			    : "dropped: a router solicitation that is too long";
	if (!bucket_open(&n->dhcp, now_us()))
		return dhcp ? "dropped: too many DHCP requests" : "dropped: too many router solicitations";
	bucket_take(&n->dhcp, 1);
	return dhcp ? dhcp_reply(be, tx_copy->frame, have) : ra_reply(be, tx_copy->frame, have);
}

/* Rate limits count each frame when it is sent; a capture and passt need each by itself. */
static bool batches(const struct netd *n)
{
	return batch_works() && !n->limited && !n->capture.on && !n->c.user.on;
}

static void add_to_batch(const struct netd *n, uint16_t head, size_t len)
{
	struct iovec all = front_of_frame(n, len);

	batch_add(head, all.iov_base, all.iov_len);
}

static enum tx_result tx_one(struct backend *be, struct net_pair *p, struct vq *vq)
{
	struct netd *n = netd_of(be);
	struct iovec *iov = tx_iov + 1, *first;
	const char *why;
	struct vq_chain ch;
	enum request what = REQUEST_NONE;
	enum frame_verdict v;
	uint64_t len;
	size_t peeked;
	int count = 0;

	switch (vq_pop(vq, iov, VQ_MAX_SIZE, &ch)) {
	case VQ_POP_EMPTY:
		return TX_EMPTY;
	case VQ_POP_FAULT:
		return TX_FAULT;
	case VQ_POP_CHAIN:
		break;
	}
	/* 5.1.6.2: transmit buffers must not be writable and must contain the whole header (5.1.6.2.2). */
	if (ch.nin || ch.out_len < n->hdr_len) {
		guest_fault(vq, ch.nin ? FAULT_BAD_LAYOUT : FAULT_SHORT_HEADER, ch.head);
		return TX_FAULT;
	}
	len = ch.out_len - n->hdr_len;
	tx_copy = batch_next();
	peeked = copy_front(n, iov, ch.nout, len);
	first = n->capture.on ? copy_all(n, iov, ch.nout, peeked, len, &count) : NULL;
	v = judge(n, len, peeked, &why);
	if (v == FRAME_OK && (n->c.dhcp.on || n->c.ra.on))
		what = request_in(n, peeked);
	if (v == FRAME_OK && !what && peeked == len && batches(n)) {
		add_to_batch(n, ch.head, peeked);
		return TX_SENT;
	}
	/* Every other chain ends the batch, because only the chains that were popped last can be given back. */
	if (!batch_send(be, p, vq, 1))
		return TX_WAIT;
	if (v != FRAME_OK) {
		count_drop(be, v);
	} else if (what) {
		why = serve(be, what, len, peeked);
	} else {
		if (!first)
			first = join(n, iov, ch.nout, n->hdr_len + peeked, peeked, len - peeked, &count);
		if (tx_write(be, p, vq, first, count, len, &why) == TX_WAIT)
			return TX_WAIT;
		if (n->limited) {
			bucket_take(&n->tx_packets, 1);
			bucket_take(&n->tx_bytes, len);
		}
	}
	if (n->capture.on)
		capture_frame(&n->capture, CAPTURE_FROM_GUEST, tx_flat, sizeof(tx_flat), len, why);
	vq_push(vq, ch.head, 0);
	return TX_SENT;
}

/* A frame that passt took in part comes first; until all of it is sent, the connection counts as full. */
static void finish_frame(struct netd *n, struct net_pair *p)
{
	if (n->c.user.on && !p->tap_full)
		p->tap_full = !stream_flush(&n->stream, p->tap);
}

bool tx_work(struct backend *be, struct net_pair *p, struct vq *vq, unsigned budget)
{
	struct netd *n = netd_of(be);
	enum tx_result r = TX_SENT;
	unsigned done = 0;

	p->tx_throttled = false;
	finish_frame(n, p);
	while (done < budget && !p->tap_full) {
		if (!tx_allowed(n)) {
			p->tx_throttled = true;
			be->stats.throttled++;
			rate_timer_again();
			break;
		}
		r = tx_one(be, p, vq);
		if (r != TX_SENT)
			break;
		finish_frame(n, p);
		if (++done % TX_FLUSH == 0 && batch_send(be, p, vq, 0))
			backend_flush(be, vq);
	}
	(void)batch_send(be, p, vq, 0);
	if (done && r != TX_FAULT)
		backend_flush(be, vq);
	return done == budget;
}
