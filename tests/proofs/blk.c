/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Proof: blkd's bounds. For a disk of any capacity and a request of any header,
 * any segments and any lengths, what is let through lies inside the disk, writes
 * nothing to a read-only one, and its status byte lies in the last writable buffer.
 */
#include "common/vring.h"

#define BUFFERS 3

/* Make the list of pieces as long as the proof's chains. (walker.c proves the bounds of its length.) */
#undef VQ_MAX_SIZE
#define VQ_MAX_SIZE (2 * BUFFERS)

#include "blkd/request.h"

/* Segments are checked one by one, so two are enough to represent sixteen. */
#undef BLK_MAX_SEGS
#define BLK_MAX_SEGS 2

#include "blkd/request.c"

#include "tests/proofs/proof.h"

static struct blk_req r;
static uint8_t last_buffer[16];

/* Replaces the copy from guest memory: returns any bytes. */
size_t iov_to_buf(const struct iovec *iov, unsigned n, size_t off, void *buf, size_t len)
{
	(void)iov;
	(void)n;
	(void)off;
	__CPROVER_havoc_object(buf);
	return len;
}

size_t iov_from_buf(const struct iovec *iov, unsigned n, size_t off, const void *buf, size_t len)
{
	(void)iov;
	(void)n;
	(void)off;
	(void)buf;
	return len;
}

unsigned iov_skip(struct iovec *iov, unsigned n, size_t len)
{
	unsigned first = nondet_u32();

	(void)iov;
	(void)len;
	ASSUME(first <= n);
	return first;
}

int main(void)
{
	struct blk_shape s = { .capacity = nondet_u64(),
			       .read_only = nondet_bool(),
			       .discard = nondet_bool(),
			       .write_zeroes = nondet_bool() };
	struct vq_chain c = {
		.nout = nondet_u16(), .nin = nondet_u16(), .out_len = nondet_u32(), .in_len = nondet_u32()
	};
	enum guest_fault f;

	ASSUME(c.nout <= BUFFERS && c.nin <= BUFFERS && (c.nin || c.nout));
	/* walker.c proves this: no piece is empty, and the lengths are sums. */
	ASSUME((c.nin == 0) == (c.in_len == 0) && c.in_len >= c.nin && c.out_len >= c.nout);
	if (c.nin) {
		size_t len = nondet_size();

		ASSUME(len >= 1 && len <= sizeof(last_buffer) && len <= c.in_len);
		r.iov[c.nout + c.nin - 1] = (struct iovec){ last_buffer, len };
	}
	f = blk_judge(&s, &c, &r);
	PROVE(f == FAULT_NONE || f == FAULT_NO_WRITABLE || f == FAULT_SHORT_HEADER, "fault codes");
	PROVE(f != FAULT_NONE || (c.nin && c.out_len >= 16), "a status byte and a whole header");
	if (f != FAULT_NONE)
		return 0;
	PROVE(__CPROVER_same_object(r.status_at, last_buffer) &&
		      __CPROVER_POINTER_OFFSET(r.status_at) < sizeof(last_buffer),
	      "the status byte lies in the last writable buffer");
	PROVE((unsigned)r.first + r.n <= (unsigned)c.nout + c.nin, "the data lies in the chain");
	if (r.verdict != BLK_GO)
		return 0;
	if (r.type == VIRTIO_BLK_T_IN || r.type == VIRTIO_BLK_T_OUT) {
		PROVE(r.off <= s.capacity && r.left <= s.capacity - r.off, "I/O inside the disk");
		PROVE(r.off % 512 == 0 && r.left % 512 == 0, "whole sectors");
		PROVE(r.left <= BLK_MAX_DATA, "bounded work");
	}
	if (r.type == VIRTIO_BLK_T_OUT || r.type == VIRTIO_BLK_T_DISCARD || r.type == VIRTIO_BLK_T_WRITE_ZEROES)
		PROVE(!s.read_only, "nothing is written to a read-only disk");
	PROVE(r.nranges <= BLK_MAX_SEGS, "not more ranges than there is room for");
	for (unsigned i = 0; i < BLK_MAX_SEGS; i++)
		if (i < r.nranges)
			PROVE(r.range[i].off <= s.capacity && r.range[i].len <= s.capacity - r.range[i].off,
			      "discarded and zeroed ranges lie inside the disk");
	return 0;
}
