/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One virtio-blk request (virtio 1.2, 5.2.6), and the check that turns a chain into one.
 * The check does no I/O.
 */
#ifndef BLKD_REQUEST_H
#define BLKD_REQUEST_H

#include <linux/virtio_blk.h>

#include "blkd/image.h"
#include "common/vring.h"

/* Most segments of one discard request; a write-zeroes request has one. */
#define BLK_MAX_SEGS 16
/* Most sectors of one segment: 2 GiB to discard; 32 MiB to zero, because zeroes may have to be written. */
#define BLK_MAX_DISCARD (1u << 22)
#define BLK_MAX_ZEROES	(1u << 16)
/* Most bytes of data of one request: limits the time that one chain can take. */
#define BLK_MAX_DATA (64u << 20)
#define BLK_ID_LEN   VIRTIO_BLK_ID_BYTES
/* A verdict that is not a status of virtio-blk: the request is valid and needs I/O. */
#define BLK_GO 0xff

struct blk_range {
	uint64_t off, len; /* In bytes, inside the disk */
	bool unmap;	   /* Free the space, if possible */
};

/* Properties of the disk that requests are checked against. They are constant while rings run. */
struct blk_shape {
	uint64_t capacity; /* In bytes */
	bool read_only;
	bool discard, write_zeroes; /* The driver may send these requests */
};

struct blk_req {
	struct blk_req *next; /* Next in the list of free slots */
	struct vq *vq;
	uint64_t off;		 /* Offset in the image of the data still to move, in bytes */
	uint32_t left;		 /* Bytes of data still to move */
	uint32_t data_len;	 /* Bytes of data of the whole request */
	uint32_t type;		 /* VIRTIO_BLK_T_* */
	uint16_t head;		 /* Head of its chain */
	uint16_t first, n;	 /* Buffers of the data still to move: iov[first .. first + n) */
	uint8_t nranges;	 /* Segments of a discard or write-zeroes request */
	uint8_t range_at;	 /* Next segment to process */
	uint8_t verdict;	 /* VIRTIO_BLK_S_*: finished; BLK_GO: needs I/O */
	bool must_wait;		 /* The io_uring refused the operation: do it synchronously */
	bool flushing;		 /* The data is written and is now being made durable */
	bool only_status;	 /* The status byte is the only writable byte of the chain */
	uint8_t *status_at;	 /* Address of the status byte in guest memory */
	struct image_file *file; /* File of the operation in the io_uring */
	struct blk_range range[BLK_MAX_SEGS];
	struct iovec iov[VQ_MAX_SIZE];
};

/*
 * Check the request in chain @c, whose buffers vq_pop() has stored in r->iov, and fill in
 * @r. Returns FAULT_NONE with the result in r->verdict; or, if the chain has no valid
 * form, the reason for guest_fault().
 */
enum guest_fault blk_judge(const struct blk_shape *s, const struct vq_chain *c, struct blk_req *r);

/*
 * The length for the used ring: bytes written without a gap from the first writable byte on
 * (2.7.8.2). @moved: bytes of data that were written into the chain.
 */
uint32_t blk_written(const struct blk_req *r, uint32_t moved);

/*
 * Answer a GET_ID request: write the string @serial, padded with zeroes to 20 bytes, into
 * the chain. Returns the number of bytes written.
 */
uint32_t blk_get_id(const struct blk_req *r, const char *serial);

#endif
