/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Frames over a stream socket. Runs in netd, confined. No read or write waits. A length is
 * copied once, and the copy is checked before any byte of its frame is used. One call makes at
 * most one read and takes one frame, however the other side splits or floods its stream.
 */
#include <endian.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "common/iov.h"
#include "netd/stream.h"

/* Returns the length of the first received frame; 0 if it is not complete; -1 if no frame can have that length. */
static int64_t next_len(const struct stream *s)
{
	uint32_t have = s->end - s->first, len;

	if (have < STREAM_PREFIX)
		return 0;
	memcpy(&len, s->in + s->first, sizeof(len));
	len = be32toh(len);
	if (len < ETH_HLEN || len > FRAME_MAX)
		return -1;
	return have - STREAM_PREFIX >= len ? (int64_t)len : 0;
}

/* Receive as many bytes as the buffer has room for. Returns 0, or -1 with errno set. */
static int receive(struct stream *s, int fd)
{
	struct iovec iov;
	ssize_t n;

	memmove(s->in, s->in + s->first, s->end - s->first);
	s->end -= s->first;
	s->first = 0;
	iov = (struct iovec){ s->in + s->end, sizeof(s->in) - s->end };
	do
		n = readv(fd, &iov, 1);
	while (n < 0 && errno == EINTR);
	if (n == 0)
		errno = EPIPE;
	if (n <= 0)
		return -1;
	s->end += (uint32_t)n;
	return 0;
}

ssize_t stream_read(struct stream *s, int fd, uint8_t *frame)
{
	int64_t len = next_len(s);

	if (len == 0) {
		if (receive(s, fd) != 0)
			return -1;
		len = next_len(s);
	}
	if (len == 0) {
		/* Only a part of a frame. If the rest is already in the socket, epoll reports no new edge. */
		errno = EINPROGRESS;
		return -1;
	}
	if (len < 0) {
		errno = EPROTO;
		return -1;
	}
	memcpy(frame, s->in + s->first + STREAM_PREFIX, (size_t)len);
	s->first += STREAM_PREFIX + (uint32_t)len;
	return (ssize_t)len;
}

int stream_write(struct stream *s, int fd, const struct iovec *iov, int count, uint32_t len)
{
	uint32_t prefix = htobe32(len);
	size_t all = STREAM_PREFIX + len;
	ssize_t n;

	memcpy(iov[0].iov_base, &prefix, sizeof(prefix));
	do
		n = count == 1 ? write(fd, iov->iov_base, iov->iov_len) : writev(fd, iov, count);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -1;
	if ((size_t)n < all) {
		/* The guest may change these bytes meanwhile; they are copied once, and their length is fixed. */
		s->out_first = 0;
		s->out_end = (uint32_t)iov_to_buf(iov, (unsigned)count, (size_t)n, s->out,
						  MIN(all - (size_t)n, sizeof(s->out)));
	}
	return 0;
}

bool stream_flush(struct stream *s, int fd)
{
	ssize_t n;

	if (s->out_first == s->out_end)
		return true;
	do
		n = write(fd, s->out + s->out_first, s->out_end - s->out_first);
	while (n < 0 && errno == EINTR);
	if (n > 0)
		s->out_first += (uint32_t)n;
	/* Any error except a full socket ends the connection; the next read reports that too. */
	if (n < 0 && errno != EAGAIN)
		s->out_first = s->out_end;
	return s->out_first == s->out_end;
}
