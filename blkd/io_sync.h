/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Transfers by preadv2(2) and pwritev2(2). Offsets and lengths are in bytes. */
#ifndef BLKD_IO_SYNC_H
#define BLKD_IO_SYNC_H

#include "blkd/image.h"

/*
 * Try a transfer without waiting for the disk. Returns the bytes moved, 0 at the end of the
 * file, -EAGAIN if it would wait (use the io_uring then), or -errno. A buffered write goes
 * into the page cache. @dsync: the write must be durable on return, which may wait.
 */
ssize_t io_try(struct image_file *f, bool write, const struct iovec *iov, unsigned n, uint64_t off, bool dsync);

/* The same, but wait for the disk. With O_DIRECT, the transfer must be aligned (image_aligned()). */
ssize_t io_wait(struct image_file *f, bool write, const struct iovec *iov, unsigned n, uint64_t off, bool dsync);

/*
 * True if io_bounce() would read a block, change part of it and write it back. No other
 * write to that block may be in progress then.
 */
bool io_bounce_shares(const struct image_file *f, bool write, uint64_t off, uint64_t len);

/*
 * Transfer with O_DIRECT and any alignment, through a static buffer. Moves at most
 * BOUNCE_SIZE bytes. Returns as io_wait().
 */
ssize_t io_bounce(struct image_file *f, bool write, const struct iovec *iov, unsigned n, uint64_t off, uint64_t len,
		  bool dsync);

/* Make all completed writes durable (fdatasync(2)). Returns 0 or -errno. */
int io_flush(struct image_file *f);

/* Free the space of [off, off + len), if the file system can. Returns 0 or -errno. */
int io_discard(struct image_file *f, uint64_t off, uint64_t len);

/* Zero [off, off + len). @unmap: preferably by freeing its space. Waits. Returns 0 or -errno. */
int io_zero(struct image_file *f, uint64_t off, uint64_t len, bool unmap);

#endif
