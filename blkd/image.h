/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The disk image as blkd sees it: one file or block device that was opened
 * before confinement, its size and what it can do; and the arithmetic on
 * offsets and iovecs. An image is never mapped: one that shrinks behind our
 * back gives short reads, not SIGBUS.
 */
#ifndef BLKD_IMAGE_H
#define BLKD_IMAGE_H

#include <sys/types.h>
#include <sys/uio.h>

#include "common/ctl.h"
#include "common/util.h"

#define SECTOR_SHIFT 9
#define SECTOR_SIZE  (1u << SECTOR_SHIFT)

/* Largest O_DIRECT alignment that is served, and the buffer that misaligned requests go through. */
#define IMAGE_MAX_ALIGN 4096u
#define BOUNCE_SIZE	(256u * 1024)

struct image_file {
	int fd;
	unsigned slot;			/* index among the ring's registered files */
	bool direct;			/* opened with O_DIRECT: the two alignments hold */
	unsigned mem_align, off_align;	/* bytes, powers of two */
	bool memory;			/* tmpfs: nothing here ever waits for a disk */
	bool nowait_read, nowait_write; /* RWF_NOWAIT is worth asking; cleared when refused */
	unsigned misses;		/* RWF_NOWAIT reads in a row that found nothing */
	uint64_t limit;			/* bytes; no operation ends beyond */
};

/* Find out what @fd can do. @align: what is known of the logical block size, 0 if nothing. */
void image_probe(struct image_file *f, int fd, unsigned slot, bool direct, uint64_t align, uint64_t limit);

/* Drop the first @len bytes of @iov in place; returns how many entries are used up. */
unsigned iov_skip(struct iovec *iov, unsigned n, size_t len);

/* True if an O_DIRECT transfer of these buffers at @off is allowed as it is. */
bool image_aligned(const struct image_file *f, const struct iovec *iov, unsigned n, uint64_t off);

/* What stand-alone blkd finds out for itself; under the supervisor the parent has done it. */
struct image_open {
	const char *path;
	bool read_only, snapshot, direct;
};
/*
 * Open and lock the image (OFD lock: shared for readers, exclusive for a
 * writer) and fill the capacity, topology and kind of @bc. Returns the
 * descriptor, or -1 with a line in @why.
 */
int image_open(const struct image_open *o, struct blk_config *bc, char *why, size_t why_size);
/* Can @fd make holes? Asked for one sector at its very @end, which changes nothing. */
bool image_can_punch(int fd, uint64_t end);
/* An unlinked sparse file of @bytes, in $TMPDIR or /var/tmp; -1 with errno. */
int image_delta(uint64_t bytes);

/* ---- io_sync.c: transfers by preadv2 and pwritev2 ---- */

/*
 * One attempt that waits for no disk: the bytes that were moved, 0 at the end of
 * the file, -EAGAIN if it would wait (give it to the ring), or -errno. Buffered
 * writes go into the page cache at once. @dsync: durable when it returns.
 */
ssize_t io_try(struct image_file *f, bool write, const struct iovec *iov, unsigned n, uint64_t off, bool dsync);
/* The same, waiting. O_DIRECT transfers must be aligned. */
ssize_t io_wait(struct image_file *f, bool write, const struct iovec *iov, unsigned n, uint64_t off, bool dsync);
/* True if io_bounce() would read, change and write back a block that others may be writing. */
bool io_bounce_shares(const struct image_file *f, bool write, uint64_t off, uint64_t len);
/* O_DIRECT with any alignment, by way of one static buffer: at most BOUNCE_SIZE bytes of it at once. */
ssize_t io_bounce(struct image_file *f, bool write, const struct iovec *iov, unsigned n, uint64_t off, uint64_t len,
		  bool dsync);
/* Make everything durable. 0 or -errno. */
int io_flush(struct image_file *f);
/* Give the space of a range back; a file system that cannot is no error. 0 or -errno. */
int io_discard(struct image_file *f, uint64_t off, uint64_t len);
/* Zero [off, off + len) without waiting for the ring. 0 or -errno. */
int io_zero(struct image_file *f, uint64_t off, uint64_t len, bool unmap);

#endif
