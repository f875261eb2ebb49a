/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copies between a list of guest buffers (from vq_pop()) and a contiguous buffer. Runs
 * in every process that reads rings. It never writes past the length of a list entry.
 */
#include <string.h>

#include "common/iov.h"
#include "common/util.h"

/* Loop over bytes [off, off + len) of @iov: in each round, @guest and @piece are one contiguous part. */
#define FOR_PIECES(iov, n, off, len, done, guest, piece)                  \
	for (unsigned i_ = 0; i_ < (n) && (done) < (len); i_++)           \
		if ((off) >= (iov)[i_].iov_len) {                         \
			(off) -= (iov)[i_].iov_len;                       \
		} else if (guest = (uint8_t *)(iov)[i_].iov_base + (off), \
			   piece = MIN((iov)[i_].iov_len - (off), (len) - (done)), (off) = 0, true)

size_t iov_to_buf(const struct iovec *iov, unsigned n, size_t off, void *buf, size_t len)
{
	size_t done = 0, piece;
	uint8_t *guest;

	FOR_PIECES(iov, n, off, len, done, guest, piece)
	{
		memcpy((uint8_t *)buf + done, guest, piece);
		done += piece;
	}
	return done;
}

size_t iov_from_buf(const struct iovec *iov, unsigned n, size_t off, const void *buf, size_t len)
{
	size_t done = 0, piece;
	uint8_t *guest;

	FOR_PIECES(iov, n, off, len, done, guest, piece)
	{
		memcpy(guest, (const uint8_t *)buf + done, piece);
		done += piece;
	}
	return done;
}

int iov_slice(const struct iovec *iov, unsigned n, size_t off, size_t len, struct iovec *to, unsigned cap)
{
	size_t done = 0, piece;
	unsigned count = 0;
	uint8_t *guest;

	FOR_PIECES(iov, n, off, len, done, guest, piece)
	{
		if (count >= cap)
			return -1;
		to[count++] = (struct iovec){ .iov_base = guest, .iov_len = piece };
		done += piece;
	}
	return done == len ? (int)count : -1;
}
