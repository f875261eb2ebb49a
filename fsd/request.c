/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Requests of the guest's FUSE client: judges their form and executes them. Runs in fsd, confined. A chain holds a
 * header and arguments to read, and room for a header and the reply's data to write.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/statfs.h>
#include <sys/uio.h>
#include <unistd.h>

#include "common/fdstat.h"
#include "common/iov.h"
#include "fsd/dir.h"
#include "fsd/files.h"
#include "fsd/idle.h"
#include "fsd/name.h"
#include "fsd/names.h"
#include "fsd/places.h"
#include "fsd/quota.h"
#include "fsd/request.h"
#include "fsd/write.h"

/* Most entries of one BATCH_FORGET that count. Linux sends none over virtio-fs, otherwise at most a page of them. */
#define FORGETS_MAX 256
_Static_assert(FORGETS_MAX * sizeof(struct fuse_forget_one) <= FSD_REPLY_MAX, "they are copied to the reply's buffer");

/* Requests that are never answered. */
static bool is_silent(uint32_t opcode)
{
	return opcode == FUSE_FORGET || opcode == FUSE_BATCH_FORGET || opcode == FUSE_INTERRUPT;
}

enum guest_fault fsd_judge(struct fs_req *r)
{
	const struct vq_chain *c = &r->chain;
	uint32_t most;

	if (c->out_len < sizeof(r->h))
		return FAULT_SHORT_HEADER;
	iov_to_buf(r->iov, c->nout, 0, &r->h, sizeof(r->h));
	if (r->h.len < sizeof(r->h) || r->h.len > c->out_len)
		return FAULT_BAD_LAYOUT;
	if (c->in_len < sizeof(struct fuse_out_header) && !is_silent(r->h.opcode))
		return FAULT_NO_WRITABLE;
	r->args_len = r->h.len - (uint32_t)sizeof(r->h);
	r->room = is_silent(r->h.opcode) ? 0 : c->in_len - (uint32_t)sizeof(struct fuse_out_header);
	r->in_place = false;
	most = r->h.opcode == FUSE_SYMLINK ? FSD_SYMLINK_MAX : FSD_ARGS_MAX;
	memset(r->args, 0, most + 1);
	r->have = MIN(r->args_len, most);
	iov_to_buf(r->iov, c->nout, sizeof(r->h), r->args, r->have);
	return FAULT_NONE;
}

/* ---- session ---- */

static int do_init(struct fsd *d, struct fs_req *r, struct node *n)
{
	const struct fuse_init_in *in = (const void *)r->args;
	struct fuse_init_out *out = (void *)r->reply;
	uint32_t wanted = FUSE_ASYNC_READ | FUSE_DO_READDIRPLUS | FUSE_READDIRPLUS_AUTO | FUSE_PARALLEL_DIROPS |
			  FUSE_AUTO_INVAL_DATA | FUSE_CACHE_SYMLINKS | FUSE_MAX_PAGES;

	(void)n;
	*out = (struct fuse_init_out){ .major = FUSE_KERNEL_VERSION, .minor = 31 };
	/* A newer client begins again with our version; an older one cannot be served. */
	if (in->major > FUSE_KERNEL_VERSION)
		return sizeof(*out);
	if (in->major < FUSE_KERNEL_VERSION || in->minor < 31)
		return -EPROTO;
	/* A new mount: the previous one's numbers are not valid any more. */
	nodes_clear(&d->nodes);
	fsd_set_ready(d, true);
	/* Writes of more than a page. */
	if (d->cfg.read_write)
		wanted |= FUSE_BIG_WRITES;
	out->flags = in->flags & wanted;
	out->max_readahead = in->max_readahead;
	out->max_background = 64;
	out->congestion_threshold = 48;
	out->max_write = d->cfg.read_write ? FSD_READ_MAX : 4096;
	out->time_gran = 1;
	out->max_pages = FSD_PAGES_MAX;
	return sizeof(*out);
}

static int do_destroy(struct fsd *d, struct fs_req *r, struct node *n)
{
	(void)r;
	(void)n;
	nodes_clear(&d->nodes);
	fsd_set_ready(d, false);
	return 0;
}

/* ---- names and attributes ---- */

static int do_lookup(struct fsd *d, struct fs_req *r, struct node *n)
{
	struct fuse_entry_out *out = (void *)r->reply;
	const char *name;
	uint32_t end = 0;
	int err = fsd_name(r, &end, &name);

	if (err)
		return err;
	if (end != r->args_len)
		return -EINVAL;
	err = fsd_lookup(d, n, name, out);
	/* Let the guest remember that there is no such file, as long as it remembers one that exists. */
	if (err == -ENOENT) {
		*out = (struct fuse_entry_out){ .entry_valid = fsd_valid_s(d) };
		err = 0;
	}
	if (err == 0 && r->room < sizeof(*out))
		fsd_unlookup(d, out->nodeid);
	return err < 0 ? err : (int)sizeof(*out);
}

static void forget(struct fsd *d, uint64_t nodeid, uint64_t count)
{
	struct node *n = node_get(&d->nodes, nodeid);

	if (n)
		node_put(&d->nodes, n, count);
}

static int do_forget(struct fsd *d, struct fs_req *r, struct node *n)
{
	const struct fuse_forget_in *in = (const void *)r->args;

	(void)n;
	forget(d, r->h.nodeid, in->nlookup);
	return 0;
}

static int do_batch_forget(struct fsd *d, struct fs_req *r, struct node *n)
{
	const struct fuse_batch_forget_in *in = (const void *)r->args;
	struct fuse_forget_one *one = (void *)r->reply;
	uint64_t count = MIN(in->count, (r->args_len - sizeof(*in)) / sizeof(*one));

	(void)n;
	count = MIN(count, FORGETS_MAX);
	iov_to_buf(r->iov, r->chain.nout, sizeof(r->h) + sizeof(*in), one, count * sizeof(*one));
	for (uint64_t i = 0; i < count; i++)
		forget(d, one[i].nodeid, one[i].nlookup);
	return 0;
}

static int do_interrupt(struct fsd *d, struct fs_req *r, struct node *n)
{
	/* Requests are executed one after the other, so the request to interrupt has ended. */
	(void)d;
	(void)r;
	(void)n;
	return 0;
}

static int do_getattr(struct fsd *d, struct fs_req *r, struct node *n)
{
	struct fuse_attr_out *out = (void *)r->reply;
	int err;

	*out = (struct fuse_attr_out){ .attr_valid = fsd_valid_s(d) };
	err = fsd_attributes(d, n, &out->attr);
	return err < 0 ? err : (int)sizeof(*out);
}

static int do_readlink(struct fsd *d, struct fs_req *r, struct node *n)
{
	ssize_t len;
	int fd;

	if (n->type != S_IFLNK)
		return -EINVAL;
	fd = fsd_fd(d, n);
	if (fd < 0)
		return fd;
	len = readlinkat(fd, "", (char *)r->reply, 4096);
	return len < 0 ? -errno : (int)len;
}

/* The guest's part of the host's file system. */
static void show_quota(const struct fsd *d, struct statfs *s)
{
	uint64_t block = s->f_frsize ? (uint64_t)s->f_frsize : 4096, left = fsd_quota_left(d);

	s->f_blocks = MIN((uint64_t)s->f_blocks, d->cfg.max / block);
	s->f_bfree = MIN((uint64_t)s->f_bfree, left / block);
	s->f_bavail = MIN((uint64_t)s->f_bavail, left / block);
	s->f_ffree = MIN((uint64_t)s->f_ffree, left / FSD_FILE_COST);
}

static int do_statfs(struct fsd *d, struct fs_req *r, struct node *n)
{
	struct fuse_statfs_out *out = (void *)r->reply;
	struct statfs s;
	int fd = fsd_fd(d, node_is_mount(n) ? &d->nodes.node[NODE_ROOT] : n);

	if (fd < 0)
		return fd;
	if (fstatfs(fd, &s) < 0)
		return -errno;
	if (d->cfg.read_write)
		show_quota(d, &s);
	*out = (struct fuse_statfs_out){ .st = { .blocks = s.f_blocks,
						 .bfree = s.f_bfree,
						 .bavail = s.f_bavail,
						 .files = s.f_files,
						 .ffree = s.f_ffree,
						 .bsize = (uint32_t)s.f_bsize,
						 .namelen = NODE_NAME_MAX,
						 .frsize = (uint32_t)s.f_frsize } };
	return sizeof(*out);
}

/* ---- open files ---- */

/*
 * Open the node with @access (O_ACCMODE): the descriptor of a mount point's content is -1. Returns 0 or a negative
 * error number.
 */
static int open_handle(struct fsd *d, struct fs_req *r, struct node *n, int access, uint32_t flags)
{
	struct fuse_open_out *out = (void *)r->reply;
	int fd = -1;

	if (!node_is_mount(n)) {
		/* Its own descriptor is not closed from now on, even if it was idle. */
		fd = fsd_fd(d, n);
		if (fd >= 0)
			fd = fsd_open(d, n, access);
		if (fd < 0)
			return fd == -EMFILE ? -ENFILE : fd;
	}
	*out = (struct fuse_open_out){ .fh = handle_add(&d->nodes, n, fd, access), .open_flags = flags };
	if (!out->fh) {
		if (fd >= 0)
			close(fd);
		return -ENFILE;
	}
	if (r->room < sizeof(*out))
		handle_close(&d->nodes, handle_get(&d->nodes, out->fh, n));
	return sizeof(*out);
}

static int do_open(struct fsd *d, struct fs_req *r, struct node *n)
{
	const struct fuse_open_in *in = (const void *)r->args;
	int access = (int)(in->flags & O_ACCMODE);

	if (n->type != S_IFREG)
		return n->type == S_IFDIR ? -EISDIR : -EOPNOTSUPP;
	if (!d->cfg.read_write && (access != O_RDONLY || in->flags & O_TRUNC))
		return -EROFS;
	/* The client truncates with SETATTR, because FUSE_ATOMIC_O_TRUNC is not negotiated. */
	if (access == O_ACCMODE || in->flags & O_TRUNC)
		return -EINVAL;
	return open_handle(d, r, n, access, fsd_open_flags(d));
}

static int do_opendir(struct fsd *d, struct fs_req *r, struct node *n)
{
	return n->type == S_IFDIR ? open_handle(d, r, n, O_RDONLY, 0) : -ENOTDIR;
}

static int do_release(struct fsd *d, struct fs_req *r, struct node *n)
{
	const struct fuse_release_in *in = (const void *)r->args;
	struct handle *h = handle_get(&d->nodes, in->fh, n);

	if (!h)
		return no_handle(d);
	handle_close(&d->nodes, h);
	return 0;
}

static int do_read(struct fsd *d, struct fs_req *r, struct node *n)
{
	static struct iovec to[VQ_MAX_SIZE];
	const struct fuse_read_in *in = (const void *)r->args;
	struct handle *h = handle_get(&d->nodes, in->fh, n);
	uint32_t want = MIN(MIN(in->size, r->room), FSD_READ_MAX);
	ssize_t got;
	int count;

	if (!h)
		return no_handle(d);
	if (n->type != S_IFREG || in->offset > INT64_MAX - FSD_READ_MAX)
		return -EINVAL;
	r->in_place = true;
	if (h->fd < 0 || !want)
		return 0;
	count = iov_slice(r->iov + r->chain.nout, r->chain.nin, sizeof(struct fuse_out_header), want, to,
			  ARRAY_SIZE(to));
	if (count < 0)
		return -EINVAL;
	do
		got = preadv(h->fd, to, count, (off_t)in->offset);
	while (got < 0 && errno == EINTR);
	if (got < 0) {
		d->stats->io_errors++;
		return -errno;
	}
	d->stats->bytes_read += (uint64_t)got;
	return (int)got;
}

static int do_lseek(struct fsd *d, struct fs_req *r, struct node *n)
{
	const struct fuse_lseek_in *in = (const void *)r->args;
	struct fuse_lseek_out *out = (void *)r->reply;
	struct handle *h = handle_get(&d->nodes, in->fh, n);
	off_t at;

	if (!h)
		return no_handle(d);
	if (n->type != S_IFREG || h->fd < 0 || (in->whence != SEEK_DATA && in->whence != SEEK_HOLE))
		return -EINVAL;
	at = lseek(h->fd, (off_t)in->offset, (int)in->whence);
	if (at < 0)
		return -errno;
	out->offset = (uint64_t)at;
	return sizeof(*out);
}

static int do_readdir(struct fsd *d, struct fs_req *r, struct node *n)
{
	return fsd_readdir(d, r, n, false);
}

static int do_readdirplus(struct fsd *d, struct fs_req *r, struct node *n)
{
	return fsd_readdir(d, r, n, true);
}

/* The client then reads and writes. */
static int do_not_known(struct fsd *d, struct fs_req *r, struct node *n)
{
	(void)d;
	(void)r;
	(void)n;
	return -ENOSYS;
}

/* ---- all of them ---- */

/* Requests that are not here get ENOSYS: the client then does without (xattr, ioctl, locks, flush, access). */
static const struct op {
	int (*handle)(struct fsd *d, struct fs_req *r, struct node *n);
	uint16_t args; /* Least bytes of arguments */
	bool no_node;  /* Its node is not looked up */
	bool any_time; /* Also before INIT */
	bool writes;   /* Only if the guest may write */
} ops[] = {
	[FUSE_INIT] = { do_init, offsetof(struct fuse_init_in, flags) + 4, true, true, false },
	[FUSE_DESTROY] = { do_destroy, 0, true, true, false },
	[FUSE_LOOKUP] = { do_lookup, 1, false, false, false },
	[FUSE_FORGET] = { do_forget, sizeof(struct fuse_forget_in), true, true, false },
	[FUSE_BATCH_FORGET] = { do_batch_forget, sizeof(struct fuse_batch_forget_in), true, true, false },
	[FUSE_INTERRUPT] = { do_interrupt, 0, true, true, false },
	[FUSE_GETATTR] = { do_getattr, sizeof(struct fuse_getattr_in), false, false, false },
	[FUSE_READLINK] = { do_readlink, 0, false, false, false },
	[FUSE_STATFS] = { do_statfs, 0, false, false, false },
	[FUSE_OPEN] = { do_open, sizeof(struct fuse_open_in), false, false, false },
	[FUSE_READ] = { do_read, sizeof(struct fuse_read_in), false, false, false },
	[FUSE_RELEASE] = { do_release, sizeof(struct fuse_release_in), false, false, false },
	[FUSE_LSEEK] = { do_lseek, sizeof(struct fuse_lseek_in), false, false, false },
	[FUSE_OPENDIR] = { do_opendir, sizeof(struct fuse_open_in), false, false, false },
	[FUSE_READDIR] = { do_readdir, sizeof(struct fuse_read_in), false, false, false },
	[FUSE_READDIRPLUS] = { do_readdirplus, sizeof(struct fuse_read_in), false, false, false },
	[FUSE_RELEASEDIR] = { do_release, sizeof(struct fuse_release_in), false, false, false },
	[FUSE_SETATTR] = { fsd_do_setattr, sizeof(struct fuse_setattr_in), .writes = true },
	[FUSE_SYMLINK] = { fsd_do_symlink, 4, .writes = true },
	[FUSE_MKNOD] = { fsd_do_mknod, sizeof(struct fuse_mknod_in), .writes = true },
	[FUSE_MKDIR] = { fsd_do_mkdir, sizeof(struct fuse_mkdir_in), .writes = true },
	[FUSE_UNLINK] = { fsd_do_unlink, 1, .writes = true },
	[FUSE_RMDIR] = { fsd_do_rmdir, 1, .writes = true },
	[FUSE_RENAME] = { fsd_do_rename, sizeof(struct fuse_rename_in), .writes = true },
	[FUSE_RENAME2] = { fsd_do_rename2, sizeof(struct fuse_rename2_in), .writes = true },
	[FUSE_LINK] = { fsd_do_link, sizeof(struct fuse_link_in), .writes = true },
	[FUSE_WRITE] = { fsd_do_write, sizeof(struct fuse_write_in), .writes = true },
	[FUSE_CREATE] = { fsd_do_create, sizeof(struct fuse_create_in), .writes = true },
	[FUSE_FALLOCATE] = { fsd_do_fallocate, sizeof(struct fuse_fallocate_in), .writes = true },
	[FUSE_FSYNC] = { fsd_do_fsync, sizeof(struct fuse_fsync_in), .writes = true },
	[FUSE_FSYNCDIR] = { fsd_do_fsync, sizeof(struct fuse_fsync_in), .writes = true },
	[FUSE_COPY_FILE_RANGE] = { do_not_known, 0, .writes = true },
};

bool fsd_may_wait(const struct fs_req *r)
{
	return r->h.opcode < ARRAY_SIZE(ops) && ops[r->h.opcode].writes;
}

static int run(struct fsd *d, struct fs_req *r)
{
	const struct op *op = r->h.opcode < ARRAY_SIZE(ops) ? &ops[r->h.opcode] : NULL;
	struct node *n = NULL;

	if (!op || !op->handle)
		return -ENOSYS;
	if (op->writes && !d->cfg.read_write)
		return op->handle == fsd_do_fsync ? -ENOSYS : -EROFS;
	if (r->args_len < op->args)
		return -EINVAL;
	if (!d->ready && !op->any_time)
		return -EIO;
	d->work = 0;
	if (!op->no_node && !(n = node_get(&d->nodes, r->h.nodeid)))
		return -ESTALE;
	if (op->writes) {
		/* The first of them in its queue after a restart is the one that was under way. */
		d->again = d->replay[r->queue] && d->replay[r->queue] == r->h.unique;
		d->replay[r->queue] = 0;
		if (!d->again)
			d->nodes.kept->moved[r->queue] = 0;
		nodes_step();
		d->nodes.kept->changing[r->queue] = r->h.unique;
	}
	return op->handle(d, r, n);
}

uint32_t fsd_execute(struct fsd *d, struct fs_req *r)
{
	struct fuse_out_header out = { .len = sizeof(out), .unique = r->h.unique };
	const struct iovec *to = r->iov + r->chain.nout;
	int got = run(d, r);

	/* Also what RELEASE and FORGET have freed. */
	if (d->nodes.freed)
		fsd_quota_release(d, d->nodes.freed);
	d->nodes.freed = 0;
	d->stats->requests++;
	if (is_silent(r->h.opcode))
		return 0;
	if (got > 0 && (uint32_t)got > r->room)
		got = -ERANGE;
	if (got < 0)
		out.error = got;
	else
		out.len += (uint32_t)got;
	iov_from_buf(to, r->chain.nin, 0, &out, sizeof(out));
	if (got > 0 && !r->in_place)
		iov_from_buf(to, r->chain.nin, sizeof(out), r->reply, (size_t)got);
	return out.len;
}
