/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Opening and probing the disk image, and arithmetic on its offsets. image_open(),
 * image_delta() and their helpers run in stand-alone blkd before confinement; the rest
 * runs in every blkd. It never maps an image, and its size is read only at the start.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#include "blkd/image.h"
#include "common/fmt.h"
#include "common/image_format.h"
#include "common/log.h"

unsigned iov_skip(struct iovec *iov, unsigned n, size_t len)
{
	unsigned i = 0;

	while (i < n && len >= iov[i].iov_len)
		len -= iov[i++].iov_len;
	if (i < n) {
		iov[i].iov_base = (uint8_t *)iov[i].iov_base + len;
		iov[i].iov_len -= len;
	}
	return i;
}

bool image_aligned(const struct image_file *f, const struct iovec *iov, unsigned n, uint64_t off)
{
	if (!f->direct)
		return true;
	if (!is_aligned(off, f->off_align))
		return false;
	for (unsigned i = 0; i < n; i++)
		if (!is_aligned((uintptr_t)iov[i].iov_base, f->mem_align) || !is_aligned(iov[i].iov_len, f->off_align))
			return false;
	return true;
}

static unsigned sane_align(uint64_t align, unsigned otherwise)
{
	return is_power_of_two(align) && align <= IMAGE_MAX_ALIGN ? align : otherwise;
}

void image_probe(struct image_file *f, int fd, unsigned slot, bool direct, uint64_t align, uint64_t limit)
{
	struct statfs fs;

	memset(f, 0, sizeof(*f));
	f->fd = fd;
	f->slot = slot;
	f->direct = direct;
	f->off_align = f->mem_align = sane_align(align, IMAGE_MAX_ALIGN);
	f->limit = limit;
#ifdef STATX_DIOALIGN
	struct statx sx;

	if (direct && statx(fd, "", AT_EMPTY_PATH, STATX_DIOALIGN, &sx) == 0 && (sx.stx_mask & STATX_DIOALIGN) &&
	    sx.stx_dio_offset_align) {
		f->off_align = sane_align(sx.stx_dio_offset_align, f->off_align);
		f->mem_align = sane_align(sx.stx_dio_mem_align, f->mem_align);
	}
#endif
	if (fstatfs(fd, &fs) == 0)
		f->memory = (uint32_t)fs.f_type == TMPFS_MAGIC || (uint32_t)fs.f_type == RAMFS_MAGIC;
	f->nowait_read = f->nowait_write = !f->memory;
}

/* Format the reason into @why, close @fd unless it is -1, and return -1. */
static PRINTF_LIKE(4, 5) int refuse(int fd, char *why, size_t size, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fmt_vline(why, size, fmt, ap);
	va_end(ap);
	if (fd >= 0)
		close(fd);
	return -1;
}

/*
 * Lock the image, for reading (@shared) or writing. If another process has it locked, try
 * for one second: the lock is released when the last descriptor of the file is closed, and
 * the io_uring of a process that was just killed keeps one until its I/O has finished.
 */
static int lock_image(int fd, bool shared)
{
	struct flock lk = { .l_type = shared ? F_RDLCK : F_WRLCK, .l_whence = SEEK_SET };
	static const struct timespec nap = { .tv_nsec = 10 * 1000 * 1000 };

	for (unsigned tries = 0; tries < 100; tries++) {
		if (fcntl(fd, F_OFD_SETLK, &lk) == 0)
			return 0;
		if (errno != EAGAIN && errno != EACCES)
			return -1;
		nanosleep(&nap, NULL);
	}
	errno = EAGAIN;
	return -1;
}

static bool size_block_device(int fd, struct blk_config *bc)
{
	uint64_t bytes;
	unsigned phys, opt;
	int lbs;

	if (ioctl(fd, BLKGETSIZE64, &bytes) || ioctl(fd, BLKSSZGET, &lbs))
		return false;
	bc->capacity = bytes;
	bc->blk_size = lbs;
	if (ioctl(fd, BLKPBSZGET, &phys) == 0)
		bc->phys_size = phys;
	if (ioctl(fd, BLKIOOPT, &opt) == 0)
		bc->opt_io = opt;
	bc->is_block_device = true;
	bc->discard = true;
	return true;
}

bool image_can_punch(int fd, uint64_t end)
{
	return fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)end, SECTOR_SIZE) == 0;
}

static uint8_t head[IMAGE_HEAD] __attribute__((aligned(IMAGE_MAX_ALIGN)));

/* Refuse a file that is not a raw image. Returns 0, or -1 with the reason in @why. */
static int check_format(const struct image_open *o, int fd, char *why, size_t why_size)
{
	const struct image_format *f;
	ssize_t got;

	if (o->format_raw)
		return 0;
	got = pread(fd, head, sizeof(head), 0);
	f = got < 0 ? NULL : image_format(head, (size_t)got);
	if (got < 0)
		fmt_line(why, why_size, "cannot read %s: %m", o->path);
	else if (f)
		fmt_line(why, why_size, "%s is %s; %s%s, or use --format=raw if it is a raw disk all the same", o->path,
			 f->name, f->unpack ? "unpack it with " : "convert it with ",
			 f->unpack ? f->unpack : "qemu-img convert -O raw");
	return got < 0 || f ? -1 : 0;
}

/*
 * Check the end of a regular file. Bytes after the last whole sector are not served. With
 * direct I/O, try to read one sector at the end: if that works, the file system allows
 * transfers of single sectors, which it may not report otherwise (image_probe()).
 */
static void check_tail(const struct image_open *o, int fd, uint64_t size, struct blk_config *bc)
{
	uint64_t capacity = size & ~(uint64_t)(SECTOR_SIZE - 1);

	if (size != capacity)
		log_line(LOG_WARN, "the size of %s is not a multiple of 512 bytes; the guest does not see the last %u",
			 o->path, (unsigned)(size - capacity));
	if (o->direct && capacity && !is_aligned(capacity, IMAGE_MAX_ALIGN) &&
	    pread(fd, head, SECTOR_SIZE, (off_t)(capacity - SECTOR_SIZE)) == SECTOR_SIZE)
		bc->blk_size = SECTOR_SIZE;
}

int image_open(const struct image_open *o, struct blk_config *bc, char *why, size_t why_size)
{
	bool ro = o->read_only || o->snapshot;
	int flags = (ro ? O_RDONLY : O_RDWR) | (o->direct ? O_DIRECT : 0) | O_CLOEXEC | O_NOCTTY;
	struct stat st;
	int fd;

	/* O_EXCL without O_CREAT on a block device: fail if the host has it mounted. */
	if (stat(o->path, &st) == 0 && S_ISBLK(st.st_mode) && !ro)
		flags |= O_EXCL;
	fd = open(o->path, flags | O_NONBLOCK);
	if (fd < 0 && errno == EBUSY)
		return refuse(-1, why, why_size,
			      "%s: the host uses this device (mounted?); unmount it, or use --read-only or --snapshot",
			      o->path);
	if (fd < 0)
		return refuse(-1, why, why_size, "cannot open %s: %m", o->path);
	if (fstat(fd, &st))
		return refuse(fd, why, why_size, "cannot stat %s: %m", o->path);
	if (S_ISBLK(st.st_mode)) {
		if (!size_block_device(fd, bc))
			return refuse(fd, why, why_size, "cannot read the size of %s: %m", o->path);
	} else if (S_ISREG(st.st_mode)) {
		bc->capacity = st.st_size;
		bc->phys_size = (uint64_t)st.st_blksize;
		bc->discard = ro || image_can_punch(fd, (uint64_t)st.st_size);
	} else {
		return refuse(fd, why, why_size, "%s is neither a file nor a block device", o->path);
	}
	if (check_format(o, fd, why, why_size)) {
		close(fd);
		return -1;
	}
	if (S_ISREG(st.st_mode))
		check_tail(o, fd, bc->capacity, bc);
	bc->capacity &= ~(uint64_t)(SECTOR_SIZE - 1);
	if (!bc->capacity)
		return refuse(fd, why, why_size, "%s is smaller than one sector (512 bytes)", o->path);
	if (!o->no_lock && lock_image(fd, ro)) {
		if (errno == EAGAIN)
			return refuse(fd, why, why_size, "%s is in use: another guest or back-end has it locked",
				      o->path);
		return refuse(fd, why, why_size, "cannot lock %s: %m", o->path);
	}
	return fd;
}

int image_delta(uint64_t bytes)
{
	const char *dir = getenv("TMPDIR");
	int fd = open(dir && *dir ? dir : "/var/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	if (fd < 0)
		return -1;
	if (ftruncate(fd, (off_t)bytes)) {
		int err = errno;

		close(fd);
		errno = err;
		return -1;
	}
	return fd;
}
