/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * From the guest to the tap. Runs in netd, confined, on rings that the guest
 * owns: the header and the first bytes of each frame are copied once, judged on
 * the copy, and that copy is what the tap gets; the rest goes from guest memory
 * to the kernel unread. A frame that breaks a rule is dropped and counted; a
 * chain that breaks one goes through guest_fault().
 */
#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "netd.h"

/* Bytes of a large frame in the copy: what is judged. */
#define TX_PEEK 128
/* A frame up to this is copied whole: one plain write() costs less than a gathered one. */
#define TX_WHOLE 1600
/* Chains between two looks at whether the driver wants a call: it refills while the rest goes out. */
#define TX_FLUSH 32

/* One entry of room before the chain's own for the copy. */
static struct iovec tx_iov[1 + VQ_MAX_SIZE];
static struct {
	struct virtio_net_hdr_mrg_rxbuf hdr;
	uint8_t frame[TX_WHOLE];
} tx_copy;
_Static_assert(sizeof(tx_copy) == TAP_HDR_LEN + TX_WHOLE, "header and frame must be adjacent");
/* For a chain in more pieces than one writev() takes. */
static uint8_t tx_flat[FRAME_MAX];

enum tx_result { TX_SENT, TX_EMPTY, TX_WAIT, TX_FAULT };

/* Copies header and first bytes of the chain's @len bytes of frame; returns how many of them. */
static size_t copy_front(const struct netd *n, const struct iovec *iov, unsigned niov, uint64_t len)
{
	size_t peek = len <= TX_WHOLE ? (size_t)len : TX_PEEK;

	if (n->hdr_len == TAP_HDR_LEN) {
		iov_to_buf(iov, niov, 0, &tx_copy, TAP_HDR_LEN + peek);
		return peek;
	}
	memset(&tx_copy.hdr, 0, sizeof(tx_copy.hdr));
	iov_to_buf(iov, niov, 0, &tx_copy.hdr, n->hdr_len);
	return iov_to_buf(iov, niov, n->hdr_len, tx_copy.frame, peek);
}

/*
 * Turns @iov (with a spare entry before it) into the copy followed by the @rest
 * bytes of the chain that lie after its first @skip. Returns the first entry;
 * *@count of them, at most IOV_MAX.
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
	first->iov_base = n->tap_hdr ? (void *)&tx_copy : (void *)tx_copy.frame;
	first->iov_len = n->tap_hdr + peeked;
	*count = (int)(niov - i) + 1;
	return first;
}

static bool tx_allowed(struct netd *n)
{
	uint64_t now;

	if (!n->limited)
		return true;
	now = now_us();
	return bucket_open(&n->tx_packets, now) && bucket_open(&n->tx_bytes, now);
}

/* The frame is judged and joined: give it to the tap. */
static enum tx_result tx_write(struct backend *be, struct net_pair *p, struct vq *vq, const struct iovec *iov,
			       int count)
{
	ssize_t sent;

	do
		sent = count == 1 ? write(p->tap, iov->iov_base, iov->iov_len) : writev(p->tap, iov, count);
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
	/* This frame alone: EINVAL, the kernel's own judgement of the header; else the link is down. */
	if (errno == EINVAL)
		be->stats.dropped_bad++;
	else
		be->stats.io_errors++;
	return TX_SENT;
}

static enum tx_result tx_one(struct backend *be, struct net_pair *p, struct vq *vq)
{
	struct netd *n = netd_of(be);
	struct iovec *iov = tx_iov + 1, *first;
	struct vq_chain ch;
	enum frame_verdict v;
	enum tx_result r;
	uint64_t len;
	size_t peeked;
	int count;

	switch (vq_pop(vq, iov, VQ_MAX_SIZE, &ch)) {
	case VQ_POP_EMPTY:
		return TX_EMPTY;
	case VQ_POP_FAULT:
		return TX_FAULT;
	case VQ_POP_CHAIN:
		break;
	}
	/* 5.1.6.2: transmit buffers are the device's to read; the header is whole (5.1.6.2.2). */
	if (ch.nin || ch.out_len < n->hdr_len) {
		guest_fault(vq, ch.nin ? FAULT_BAD_LAYOUT : FAULT_SHORT_HEADER, ch.head);
		return TX_FAULT;
	}
	len = ch.out_len - n->hdr_len;
	peeked = copy_front(n, iov, ch.nout, len);
	v = frame_judge_tx(&tx_copy.hdr, tx_copy.frame, len, n->features, n->c.spoof_check ? n->c.mac : NULL);
	if (v == FRAME_OK) {
		first = join(n, iov, ch.nout, n->hdr_len + peeked, peeked, len - peeked, &count);
		r = tx_write(be, p, vq, first, count);
		if (r == TX_WAIT)
			return r;
		if (n->limited) {
			bucket_take(&n->tx_packets, 1);
			bucket_take(&n->tx_bytes, len);
		}
	} else if (v == FRAME_SPOOF) {
		be->stats.dropped_spoof++;
	} else {
		be->stats.dropped_bad++;
	}
	vq_push(vq, ch.head, 0);
	return TX_SENT;
}

bool tx_work(struct backend *be, struct net_pair *p, struct vq *vq, unsigned budget)
{
	struct netd *n = netd_of(be);
	enum tx_result r = TX_SENT;
	unsigned done = 0;

	p->tx_throttled = false;
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
		if (++done % TX_FLUSH == 0)
			backend_flush(be, vq);
	}
	if (done && r != TX_FAULT)
		backend_flush(be, vq);
	return done == budget;
}
