/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Frames over a stream socket to passt, instead of a tap. Each frame follows its length,
 * four bytes in network order, as in QEMU's stream back-end. The stream is hostile: a passt
 * that was taken over can write anything.
 */
#ifndef NETD_STREAM_H
#define NETD_STREAM_H

#include <stdbool.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "netd/frames.h"

/* Bytes of the length before each frame. */
#define STREAM_PREFIX 4u

struct stream {
	uint32_t first, end;	     /* in[first..end) was received and not yet taken */
	uint32_t out_first, out_end; /* out[out_first..out_end): the rest of a frame that was sent in part */
	uint8_t in[4 * (STREAM_PREFIX + FRAME_MAX)];
	uint8_t out[STREAM_PREFIX + FRAME_MAX];
};

/*
 * Copy the next complete frame to @frame of FRAME_MAX bytes. Returns its length, or -1 with errno set: EAGAIN if there
 * is none yet, EINPROGRESS if only a part arrived (call it again), EPROTO for a length that no frame can have, EPIPE if
 * passt has closed the connection, others if reading failed. After all except the first two nothing more can be read.
 */
ssize_t stream_read(struct stream *s, int fd, uint8_t *frame);

/*
 * Send a frame of @len bytes that is in @iov (@count entries, of which the first begins with STREAM_PREFIX
 * bytes of room for the length). Returns 0 if it was sent or its rest is kept for stream_flush(), or -1 with errno set;
 * EAGAIN if nothing of it was sent.
 */
int stream_write(struct stream *s, int fd, const struct iovec *iov, int count, uint32_t len);

/* Send the rest of the last frame. Returns false if the socket has no room for all of it yet. */
bool stream_flush(struct stream *s, int fd);

#endif
