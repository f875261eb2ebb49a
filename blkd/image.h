/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The disk image: a file or block device that was opened before confinement, its size and
 * its abilities; and arithmetic on offsets and buffer lists. An image is never mapped: if
 * another program shrinks it, reads are short instead of killing blkd by SIGBUS.
 */
#ifndef BLKD_IMAGE_H
#define BLKD_IMAGE_H

#include <sys/types.h>
#include <sys/uio.h>

#include "common/ctl.h"
#include "common/util.h"

#define SECTOR_SHIFT 9
#define SECTOR_SIZE  (1u << SECTOR_SHIFT)

/* Largest supported alignment for O_DIRECT, and size of the buffer for misaligned requests, in bytes. */
#define IMAGE_MAX_ALIGN 4096u
#define BOUNCE_SIZE	(256u * 1024)

struct image_file {
	int fd;
	unsigned slot;			/* Index among the files registered with the io_uring */
	bool direct;			/* Opened with O_DIRECT: transfers must keep the two alignments */
	unsigned mem_align, off_align;	/* Of buffers, of offsets and lengths; bytes, powers of two */
	bool memory;			/* On tmpfs or ramfs: I/O never waits for a disk */
	bool nowait_read, nowait_write; /* Try RWF_NOWAIT; cleared when the file does not support it */
	unsigned misses;		/* RWF_NOWAIT reads in a row that would have waited */
	uint64_t limit;			/* No operation may go beyond this offset, in bytes */
	uint64_t shift; /* Where offset 0 is in the file, in bytes: 0, but for the other place of a snapshot */
};

/*
 * Fill @f for the open file @fd, which stays the caller's. @align: logical block size in
 * bytes, 0 if unknown.
 */
void image_probe(struct image_file *f, int fd, unsigned slot, bool direct, uint64_t align, uint64_t limit);

/* Advance the list @iov by @len bytes, in place. Returns the number of entries that are used up. */
unsigned iov_skip(struct iovec *iov, unsigned n, size_t len);

/* True if these buffers may be transferred at @off: they are aligned, or O_DIRECT is not used. */
bool image_aligned(const struct image_file *f, const struct iovec *iov, unsigned n, uint64_t off);

/* Parameters of image_open(), for stand-alone blkd. A role gets an image that the parent has opened. */
struct image_open {
	const char *path;
	bool read_only, snapshot, direct;
	bool format_raw; /* Accept it as raw, whatever its first bytes are */
	bool no_lock;
};
/*
 * Open the image and, unless o->no_lock, lock it (an OFD lock, see fcntl(2): shared for readers,
 * exclusive for a writer). Refuses files that are not raw images. Sets capacity, topology and kind in @bc.
 * Returns the descriptor, which the caller owns, or -1 with the reason in @why.
 */
int image_open(const struct image_open *o, struct blk_config *bc, char *why, size_t why_size);
/* True if @fd supports holes. Tries to punch one sector at @end, the end of the file: no data changes. */
bool image_can_punch(int fd, uint64_t end);
/*
 * Create an unlinked sparse file of @bytes, in $TMPDIR or /var/tmp. Returns its descriptor,
 * or -1 with errno set.
 */
int image_delta(uint64_t bytes);

#endif
