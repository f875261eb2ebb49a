/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Changes content and attributes of files in a share that the guest may write to. Runs in fsd, confined. What is
 * added is counted (quota.h) before it is written, and no file is written to beyond max= bytes, which is also
 * RLIMIT_FSIZE.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "common/fdstat.h"
#include "common/iov.h"
#include "fsd/files.h"
#include "fsd/idle.h"
#include "fsd/quota.h"
#include "fsd/write.h"

/* The headers of Debian 12 do not define it. Linux 6.6. */
#define NR_FCHMODAT2 452

/* ---- what a change adds ---- */

struct added {
	uint64_t growth; /* Bytes by which the file becomes longer */
	uint64_t filled; /* Most bytes of holes that are filled, in a file that the guest has not made */
};

/* What is added if bytes [@off, @end) of @n, open at @fd with the length @size, get content. */
static struct added what_adds(const struct node *n, int fd, uint64_t size, uint64_t off, uint64_t end)
{
	struct added a = { .growth = end > size ? end - size : 0 };
	uint64_t until = MIN(end, size);
	off_t hole;

	/* The holes of a file that the guest made count as its content does. */
	if (n->made || off >= until)
		return a;
	hole = lseek(fd, (off_t)off, SEEK_HOLE);
	if (hole < 0)
		a.filled = until - off;
	else if ((uint64_t)hole < until)
		a.filled = until - (uint64_t)hole;
	return a;
}

/* The length of the file at @fd. Returns 0 or a negative error number. */
static int length_of(int fd, uint64_t *size)
{
	struct stat st;

	*size = 0;
	if (fd_stat(fd, &st) < 0)
		return -errno;
	*size = (uint64_t)st.st_size;
	return 0;
}

int fsd_set_size(struct fsd *d, const struct node *n, int fd, uint64_t size)
{
	uint64_t before;
	int err = length_of(fd, &before);

	if (err)
		return err;
	if (size > d->cfg.max && size > before)
		return -EFBIG;
	if (size > before && !fsd_quota_allows(d, size - before))
		return -ENOSPC;
	if (ftruncate(fd, (off_t)size) < 0)
		return -errno;
	if (size > before)
		fsd_quota_add(d, size - before);
	else if (n->made)
		fsd_quota_release(d, before - size);
	return 0;
}

/* ---- content ---- */

/*
 * How many of @len bytes may be written at @off of @n, open at @fd with the length @size. Near the limit these are the
 * bytes that still fit. Returns their number, 0 if there is no room.
 */
static uint32_t may_write(struct fsd *d, const struct node *n, int fd, uint64_t size, uint64_t off, uint32_t len)
{
	struct added a = what_adds(n, fd, size, off, off + len);
	uint64_t end;

	if (fsd_quota_allows(d, a.growth + a.filled))
		return len;
	end = size + fsd_quota_left(d);
	return a.filled || end <= off ? 0 : (uint32_t)MIN(len, end - off);
}

int fsd_do_write(struct fsd *d, struct fs_req *r, struct node *n)
{
	static struct iovec from[VQ_MAX_SIZE];
	const struct fuse_write_in *in = (const void *)r->args;
	struct handle *h = handle_get(&d->nodes, in->fh, n);
	struct added a;
	uint64_t size;
	uint32_t len;
	ssize_t put;
	int count, err;

	if (!h)
		return no_handle(d);
	if (n->type != S_IFREG || h->fd < 0 || in->size > FSD_READ_MAX || in->size > r->args_len - sizeof(*in))
		return -EINVAL;
	if (in->offset > d->cfg.max || in->size > d->cfg.max - in->offset)
		return -EFBIG;
	err = length_of(h->fd, &size);
	if (err)
		return err;
	len = may_write(d, n, h->fd, size, in->offset, in->size);
	if (!len && in->size)
		return -ENOSPC;
	a = what_adds(n, h->fd, size, in->offset, in->offset + len);
	count = iov_slice(r->iov, r->chain.nout, sizeof(r->h) + sizeof(*in), len, from, ARRAY_SIZE(from));
	if (count < 0)
		return -EINVAL;
	do
		put = pwritev(h->fd, from, count, (off_t)in->offset);
	while (put < 0 && errno == EINTR);
	if (put < 0) {
		d->stats->io_errors++;
		return -errno;
	}
	a.filled = MIN(a.filled, (uint64_t)put);
	a.growth = in->offset + (uint64_t)put > size ? in->offset + (uint64_t)put - size : 0;
	fsd_quota_add(d, a.growth + a.filled);
	d->stats->bytes_written += (uint64_t)put;
	*(struct fuse_write_out *)r->reply = (struct fuse_write_out){ .size = (uint32_t)put };
	return sizeof(struct fuse_write_out);
}

int fsd_do_fallocate(struct fsd *d, struct fs_req *r, struct node *n)
{
	const struct fuse_fallocate_in *in = (const void *)r->args;
	struct handle *h = handle_get(&d->nodes, in->fh, n);
	bool punch = in->mode == (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE);
	struct added a = { 0 };
	uint64_t size;
	int err;

	if (!h)
		return no_handle(d);
	if (in->mode & ~(uint32_t)(FALLOC_FL_KEEP_SIZE | FALLOC_FL_ZERO_RANGE) && !punch)
		return -EOPNOTSUPP;
	if (n->type != S_IFREG || h->fd < 0)
		return -EINVAL;
	err = length_of(h->fd, &size);
	if (err)
		return err;
	if (in->offset > FSD_MAX_MAX || in->length > FSD_MAX_MAX || (!punch && in->offset + in->length > d->cfg.max))
		return -EFBIG;
	/* Space behind the end of a file would not count. */
	if (!punch && in->mode & FALLOC_FL_KEEP_SIZE && in->offset + in->length > size)
		return -EOPNOTSUPP;
	if (!punch)
		a = what_adds(n, h->fd, size, in->offset, in->offset + in->length);
	if (!fsd_quota_allows(d, a.growth + a.filled))
		return -ENOSPC;
	if (fallocate(h->fd, (int)in->mode, (off_t)in->offset, (off_t)in->length) < 0)
		return -errno;
	fsd_quota_add(d, a.growth + a.filled);
	return 0;
}

int fsd_do_fsync(struct fsd *d, struct fs_req *r, struct node *n)
{
	const struct fuse_fsync_in *in = (const void *)r->args;
	struct handle *h = handle_get(&d->nodes, in->fh, n);

	if (!h)
		return no_handle(d);
	d->stats->flushes++;
	if (h->fd >= 0 && fsync(h->fd) < 0) {
		d->stats->io_errors++;
		return -errno;
	}
	return 0;
}

/* ---- attributes ---- */

static int set_size(struct fsd *d, const struct fuse_setattr_in *in, struct node *n)
{
	struct handle *h = in->valid & FATTR_FH ? handle_get(&d->nodes, in->fh, n) : NULL;
	int fd, err;

	if (in->valid & FATTR_FH && !h)
		return no_handle(d);
	if (n->type != S_IFREG)
		return n->type == S_IFDIR ? -EISDIR : -EINVAL;
	if (h && h->fd >= 0)
		return fsd_set_size(d, n, h->fd, in->size);
	fd = fsd_open(d, n, O_WRONLY);
	if (fd < 0)
		return fd == -EMFILE ? -ENFILE : fd;
	err = fsd_set_size(d, n, fd, in->size);
	close(fd);
	return err;
}

static int set_mode(struct fsd *d, struct node *n, mode_t mode)
{
	int fd, err;

	if (n->type == S_IFLNK)
		return -EOPNOTSUPP;
	mode &= 01777;
	fd = n->type == S_IFREG || n->type == S_IFDIR ? fsd_open(d, n, O_RDONLY) : -EACCES;
	if (fd >= 0) {
		err = fchmod(fd, mode) < 0 ? -errno : 0;
		close(fd);
		return err;
	}
	/* Its owner may not read it, or it has no name any more. Hosts before Linux 6.6 cannot do this. */
	fd = fsd_fd(d, n);
	if (fd < 0)
		return fd;
	if (syscall(NR_FCHMODAT2, fd, "", mode, AT_EMPTY_PATH) == 0)
		return 0;
	return errno == ENOSYS ? -EACCES : -errno;
}

static long nanoseconds(uint32_t valid, uint32_t set, uint32_t now, uint32_t value)
{
	return !(valid & set) ? UTIME_OMIT : valid & now ? UTIME_NOW : (long)value;
}

static int set_times(struct fsd *d, const struct fuse_setattr_in *in, struct node *n)
{
	const struct timespec to[2] = {
		{ (time_t)in->atime, nanoseconds(in->valid, FATTR_ATIME, FATTR_ATIME_NOW, in->atimensec) },
		{ (time_t)in->mtime, nanoseconds(in->valid, FATTR_MTIME, FATTR_MTIME_NOW, in->mtimensec) },
	};
	int fd;

	if (in->atimensec > 999999999 || in->mtimensec > 999999999)
		return -EINVAL;
	fd = fsd_fd(d, n);
	return fd < 0 ? fd : utimensat(fd, "", to, AT_EMPTY_PATH) < 0 ? -errno : 0;
}

/*
 * fsd has one user, so it cannot give files away. Changing the owner to what it is already, as tar and cp -p do with
 * root's files, succeeds.
 */
static int check_owner(const struct fuse_setattr_in *in, const struct fuse_attr *a)
{
	if (in->valid & FATTR_UID && in->uid != a->uid)
		return -EPERM;
	return in->valid & FATTR_GID && in->gid != a->gid ? -EPERM : 0;
}

int fsd_do_setattr(struct fsd *d, struct fs_req *r, struct node *n)
{
	const struct fuse_setattr_in *in = (const void *)r->args;
	struct fuse_attr_out *out = (void *)r->reply;
	int err;

	if (node_is_mount(n))
		return -EROFS;
	memset(out, 0, sizeof(*out));
	err = fsd_attributes(d, n, &out->attr);
	if (!err)
		err = check_owner(in, &out->attr);
	if (!err && in->valid & FATTR_MODE && fsd_has_set_id(in->mode))
		err = -EPERM;
	if (!err && in->valid & FATTR_SIZE)
		err = set_size(d, in, n);
	if (!err && in->valid & FATTR_MODE)
		err = set_mode(d, n, in->mode);
	if (!err && in->valid & (FATTR_ATIME | FATTR_MTIME))
		err = set_times(d, in, n);
	if (!err)
		err = fsd_attributes(d, n, &out->attr);
	out->attr_valid = fsd_valid_s(d);
	return err ? err : (int)sizeof(*out);
}
