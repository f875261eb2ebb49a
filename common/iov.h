/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copies between a list of guest buffers (from vq_pop()) and a contiguous buffer. */
#ifndef COMMON_IOV_H
#define COMMON_IOV_H

#include <stddef.h>
#include <sys/uio.h>

/*
 * Copy up to @len bytes between @buf and the @n entries of @iov, from byte @off of the
 * list on. Returns the number of bytes copied, less than @len if the list ends.
 */
size_t iov_to_buf(const struct iovec *iov, unsigned n, size_t off, void *buf, size_t len);
size_t iov_from_buf(const struct iovec *iov, unsigned n, size_t off, const void *buf, size_t len);

/*
 * Store bytes [off, off + len) of @iov as a new list in @to, with at most @cap entries.
 * Returns the number of entries, or -1 if that is too few or @iov is shorter.
 */
int iov_slice(const struct iovec *iov, unsigned n, size_t off, size_t len, struct iovec *to, unsigned cap);

#endif
