/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One virtio-blk request (virtio 1.2, 5.2.6), from the chain to the verdict. Judging
 * is pure: it reads a chain that vq_pop() has already copied, and does no I/O.
 */
#ifndef BLKD_REQUEST_H
#define BLKD_REQUEST_H

#include <linux/virtio_blk.h>

#include "blkd/image.h"
#include "common/vring.h"

/* Segments of one discard request; write-zeroes takes one. */
#define BLK_MAX_SEGS 16
/* 2 GiB of discard and 32 MiB of zeroes in one segment: the latter may have to be written. */
#define BLK_MAX_DISCARD (1u << 22)
#define BLK_MAX_ZEROES	(1u << 16)
/* Most data of one request: bounds the time that one chain can take. */
#define BLK_MAX_DATA (64u << 20)
#define BLK_ID_LEN   VIRTIO_BLK_ID_BYTES
/* Not a status of the wire: the request needs I/O. */
#define BLK_GO 0xff

struct blk_range {
	uint64_t off, len; /* bytes, inside the disk */
	bool unmap;
};

/* What requests are judged by: fixed while the rings run. */
struct blk_shape {
	uint64_t capacity; /* bytes */
	bool read_only, discard, write_zeroes;
};

struct blk_req {
	struct blk_req *next; /* free list */
	struct vq *vq;
	uint64_t off;	   /* of the image: where the rest begins */
	uint32_t left;	   /* data bytes still to move */
	uint32_t data_len; /* data bytes of the request */
	uint32_t type;	   /* VIRTIO_BLK_T_* */
	uint16_t head;
	uint16_t first, n; /* the rest of the data: iov[first .. first + n) */
	uint8_t nranges, range_at;
	uint8_t verdict;	 /* VIRTIO_BLK_S_*, or BLK_GO */
	bool must_wait;		 /* the ring refused: do it synchronously */
	bool flushing;		 /* data is written, durability is not there yet */
	bool only_status;	 /* the status byte is the only writable one */
	uint8_t *status_at;	 /* guest memory */
	struct image_file *file; /* of the operation that is in the ring */
	struct blk_range range[BLK_MAX_SEGS];
	struct iovec iov[VQ_MAX_SIZE];
};

/*
 * Judge the chain @c, whose buffers vq_pop() put into r->iov. FAULT_NONE: the
 * verdict is final, or BLK_GO. Otherwise the reason for guest_fault().
 */
enum guest_fault blk_judge(const struct blk_shape *s, const struct vq_chain *c, struct blk_req *r);

/*
 * Bytes for the used ring: what was really written, counted from the first
 * writable byte (2.7.8.2). @moved: data bytes that were written into the chain.
 */
uint32_t blk_written(const struct blk_req *r, uint32_t moved);

/* What GET_ID gives: at most 20 bytes of the string @serial, padded with NULs. Returns bytes written. */
uint32_t blk_get_id(const struct blk_req *r, const char *serial);

#endif
