/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Makes, renames and removes names in a share that the guest may write to. Runs in fsd, confined. Every change is to
 * one name in a directory that fsd holds, and follows no symbolic link. Only regular files, directories and symbolic
 * links are made. The owner of all of them is the user as which fsd runs, whatever the user in the guest.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/fdstat.h"
#include "fsd/files.h"
#include "fsd/idle.h"
#include "fsd/name.h"
#include "fsd/names.h"
#include "fsd/places.h"
#include "fsd/quota.h"
#include "fsd/write.h"

/* Longest target of a symbolic link, without its NUL. */
#define TARGET_MAX 4095

/* Read the one name from byte @at of the arguments to their end. Returns 0 or a negative error number. */
static int only_name(const struct fs_req *r, uint32_t at, const char **name)
{
	int err = fsd_name(r, &at, name);

	return err ? err : at == r->args_len ? 0 : -EINVAL;
}

/* Returns 0 if names can be made in @dir, which then has its descriptor, otherwise a negative error number. */
static int writable_dir(struct fsd *d, struct node *dir)
{
	int fd;

	if (dir->type != S_IFDIR)
		return -ENOTDIR;
	fd = node_is_mount(dir) ? -EROFS : fsd_fd(d, dir);
	return fd < 0 ? fd : 0;
}

/*
 * Before something new is made in @dir: check the name, the room in the reply for @reply bytes, and that @more bytes
 * may be added. Returns 0 or a negative error number.
 */
static int may_make(struct fsd *d, const struct fs_req *r, struct node *dir, uint32_t reply, uint64_t more)
{
	int err = writable_dir(d, dir);

	if (err)
		return err;
	if (r->room < reply)
		return -ERANGE;
	return fsd_quota_allows(d, more) ? 0 : -ENOSPC;
}

/* Find what was just made as @name in @dir and fill in the reply's entry. Returns its node, or NULL with *@err set. */
static struct node *new_node(struct fsd *d, struct fs_req *r, struct node *dir, const char *name, int *err)
{
	struct fuse_entry_out *out = (void *)r->reply;

	*err = fsd_lookup(d, dir, name, out);
	return *err ? NULL : node_get(&d->nodes, out->nodeid);
}

/*
 * Something of @type was made as @name in @dir, with @cost; with d->again, possibly by the process before this one.
 * Returns the length of the reply or a negative error number.
 */
static int made(struct fsd *d, struct fs_req *r, struct node *dir, const char *name, mode_t type, uint64_t cost)
{
	struct node *n;
	int err;

	fsd_quota_add(d, cost);
	n = new_node(d, r, dir, name, &err);
	if (!n)
		return err;
	if (d->again && n->type != type) {
		fsd_unlookup(d, node_id(&d->nodes, n));
		return -EEXIST;
	}
	/* Unless the host has put another file there meanwhile. */
	n->made = n->type == type;
	return sizeof(struct fuse_entry_out);
}

/* ---- regular files ---- */

/*
 * Make a file and open it with @flags. Returns its node, with its entry in the reply and the descriptor in *@fd; or
 * NULL with a negative error number in *@fd.
 */
static struct node *make_file(struct fsd *d, struct fs_req *r, struct node *dir, const char *name, mode_t mode,
			      int flags, int *fd)
{
	struct stat st;
	struct node *n;
	int err;

	*fd = fsd_make_file(d, dir, name, mode & 01777, flags);
	if (*fd < 0)
		return NULL;
	fsd_quota_add(d, FSD_FILE_COST);
	n = new_node(d, r, dir, name, &err);
	if (n && fd_stat(*fd, &st) == 0 && node_is(n, &st)) {
		n->made = true;
		return n;
	}
	/* The table is full, or the host has put another file in its place. */
	if (n)
		fsd_unlookup(d, node_id(&d->nodes, n));
	close(*fd);
	*fd = n ? -ESTALE : err;
	return NULL;
}

/* CREATE of a file that exists is an OPEN, unless it has O_EXCL. The same results as make_file(). */
static struct node *open_existing(struct fsd *d, struct fs_req *r, struct node *dir, const char *name, uint32_t flags,
				  int *fd)
{
	struct node *n = new_node(d, r, dir, name, fd);
	int err;

	if (!n)
		return NULL;
	*fd = fsd_fd(d, n);
	if (*fd >= 0)
		*fd = n->type == S_IFREG   ? fsd_open(d, n, (int)(flags & O_ACCMODE))
		      : n->type == S_IFDIR ? -EISDIR
					   : -EOPNOTSUPP;
	err = *fd >= 0 && flags & O_TRUNC ? fsd_set_size(d, n, *fd, 0) : 0;
	if (err) {
		close(*fd);
		*fd = err;
	}
	if (*fd >= 0)
		return n;
	fsd_unlookup(d, node_id(&d->nodes, n));
	return NULL;
}

int fsd_do_create(struct fsd *d, struct fs_req *r, struct node *n)
{
	const struct fuse_create_in *in = (const void *)r->args;
	struct fuse_open_out *out = (void *)(r->reply + sizeof(struct fuse_entry_out));
	int fd, err, access = (int)(in->flags & O_ACCMODE);
	const char *name;
	struct node *file;

	err = only_name(r, sizeof(*in), &name);
	if (!err)
		err = may_make(d, r, n, sizeof(struct fuse_entry_out) + sizeof(*out), FSD_FILE_COST);
	if (err)
		return err;
	if (fsd_has_set_id(in->mode))
		return -EPERM;
	if (access == O_ACCMODE)
		return -EINVAL;
	file = make_file(d, r, n, name, in->mode, access, &fd);
	if (!file && fd == -EEXIST && (!(in->flags & O_EXCL) || d->again))
		file = open_existing(d, r, n, name, in->flags, &fd);
	if (!file)
		return fd == -EMFILE ? -ENFILE : fd;
	*out = (struct fuse_open_out){ .fh = handle_add(&d->nodes, file, fd, access), .open_flags = fsd_open_flags(d) };
	if (out->fh)
		return (int)(sizeof(struct fuse_entry_out) + sizeof(*out));
	close(fd);
	fsd_unlookup(d, node_id(&d->nodes, file));
	return -ENFILE;
}

int fsd_do_mknod(struct fsd *d, struct fs_req *r, struct node *n)
{
	const struct fuse_mknod_in *in = (const void *)r->args;
	mode_t type = in->mode & S_IFMT;
	const char *name;
	int fd, err;

	err = only_name(r, sizeof(*in), &name);
	if (!err)
		err = may_make(d, r, n, sizeof(struct fuse_entry_out), FSD_FILE_COST);
	if (err)
		return err;
	/* Devices would be the host's, and a FIFO or socket would connect the guest to the host's processes. */
	if ((type && type != S_IFREG) || fsd_has_set_id(in->mode))
		return -EPERM;
	if (!make_file(d, r, n, name, in->mode, O_WRONLY, &fd)) {
		if (fd == -EEXIST && d->again)
			return made(d, r, n, name, S_IFREG, FSD_FILE_COST);
		return fd == -EMFILE ? -ENFILE : fd;
	}
	close(fd);
	return sizeof(struct fuse_entry_out);
}

/* ---- directories and links ---- */

int fsd_do_mkdir(struct fsd *d, struct fs_req *r, struct node *n)
{
	const struct fuse_mkdir_in *in = (const void *)r->args;
	const char *name;
	int err;

	err = only_name(r, sizeof(*in), &name);
	if (!err)
		err = may_make(d, r, n, sizeof(struct fuse_entry_out), FSD_FILE_COST);
	if (err)
		return err;
	if (fsd_has_set_id(in->mode))
		return -EPERM;
	if (mkdirat(n->fd, name, in->mode & 01777) < 0 && !(errno == EEXIST && d->again))
		return -errno;
	return made(d, r, n, name, S_IFDIR, FSD_FILE_COST);
}

int fsd_do_symlink(struct fsd *d, struct fs_req *r, struct node *n)
{
	const char *name, *target;
	uint32_t at = 0;
	size_t len;
	int err;

	err = fsd_name(r, &at, &name);
	if (err)
		return err;
	target = (const char *)r->args + at;
	len = at < r->have ? strnlen(target, r->have - at) : 0;
	if (len > TARGET_MAX)
		return -ENAMETOOLONG;
	if (!len || at + len + 1 != r->args_len)
		return -EINVAL;
	err = may_make(d, r, n, sizeof(struct fuse_entry_out), FSD_FILE_COST + len);
	if (err)
		return err;
	if (symlinkat(target, n->fd, name) < 0 && !(errno == EEXIST && d->again))
		return -errno;
	return made(d, r, n, name, S_IFLNK, FSD_FILE_COST + len);
}

/* Returns the length of the reply if @file has the @name in @dir, otherwise a negative error number. */
static int linked_before(struct fsd *d, struct fs_req *r, struct node *dir, const char *name, const struct node *file)
{
	int err;
	struct node *found = new_node(d, r, dir, name, &err);

	if (found == file)
		return sizeof(struct fuse_entry_out);
	if (found)
		fsd_unlookup(d, node_id(&d->nodes, found));
	return found ? -EEXIST : err;
}

int fsd_do_link(struct fsd *d, struct fs_req *r, struct node *n)
{
	const struct fuse_link_in *in = (const void *)r->args;
	struct node *file = node_get(&d->nodes, in->oldnodeid), *got;
	const char *name;
	int err, from;

	err = only_name(r, sizeof(*in), &name);
	if (!err)
		err = may_make(d, r, n, sizeof(struct fuse_entry_out), FSD_LINK_COST);
	if (err)
		return err;
	if (!file || node_is_mount(file))
		return -ESTALE;
	if (file->type == S_IFDIR)
		return -EPERM;
	from = fsd_fd(d, node_parent(&d->nodes, file));
	if (from < 0)
		return from;
	if (linkat(from, node_name(&d->nodes, file), n->fd, name, 0) < 0) {
		err = -errno;
		if (err == -EEXIST && d->again)
			return linked_before(d, r, n, name, file);
		/* The error may be that of another file, which has the name now. */
		return fsd_has_name(d, file) ? err : -ESTALE;
	}
	fsd_quota_add(d, FSD_LINK_COST);
	got = new_node(d, r, n, name, &err);
	if (got == file)
		return sizeof(struct fuse_entry_out);
	/* The host has put another file in the place of this one, so the link leads to that. */
	if (got)
		fsd_unlookup(d, node_id(&d->nodes, got));
	(void)unlinkat(n->fd, name, 0);
	return got ? -ESTALE : err;
}

/* ---- removing and renaming ---- */

static int remove_name(struct fsd *d, struct fs_req *r, struct node *n, int flags)
{
	const char *name;
	int err;

	err = only_name(r, 0, &name);
	if (!err)
		err = writable_dir(d, n);
	if (err)
		return err;
	fsd_before_removal(d, n->fd, name);
	if (unlinkat(n->fd, name, flags) < 0 && !(errno == ENOENT && d->again))
		return -errno;
	return 0;
}

int fsd_do_unlink(struct fsd *d, struct fs_req *r, struct node *n)
{
	return remove_name(d, r, n, 0);
}

int fsd_do_rmdir(struct fsd *d, struct fs_req *r, struct node *n)
{
	return remove_name(d, r, n, AT_REMOVEDIR);
}

/* Store what is about to be renamed, for a successor that finds only one of the two names (restore.h). */
static void begin_move(struct fsd *d, const struct fs_req *r, const struct node *from, const char *name,
		       const struct node *to, const char *new_name)
{
	struct moving *m = &d->nodes.kept->moving;

	m->from = m->to = 0;
	nodes_step();
	m->unique = r->h.unique;
	m->queue = r->queue;
	memcpy(m->name, name, strlen(name) + 1);
	memcpy(m->new_name, new_name, strlen(new_name) + 1);
	m->to = (uint32_t)node_id(&d->nodes, to);
	m->from = (uint32_t)node_id(&d->nodes, from);
	nodes_step();
}

/* Rename with the two names from byte @at of the arguments on. */
static int rename_names(struct fsd *d, struct fs_req *r, struct node *n, uint64_t newdir, uint32_t flags, uint32_t at)
{
	struct node *to = node_get(&d->nodes, newdir);
	const char *name, *new_name;
	int err;

	err = fsd_name(r, &at, &name);
	if (!err)
		err = only_name(r, at, &new_name);
	if (!err)
		err = !to ? -ESTALE : writable_dir(d, n);
	if (!err)
		err = writable_dir(d, to);
	if (err)
		return err;
	if (flags & ~(uint32_t)(RENAME_NOREPLACE | RENAME_EXCHANGE))
		return -EINVAL;
	/* The process before this one was killed after it had renamed them. */
	if (d->again && d->nodes.kept->moved[r->queue] == r->h.unique)
		return 0;
	/* A file that has the new name loses it. */
	if (!flags)
		fsd_before_removal(d, to->fd, new_name);
	begin_move(d, r, n, name, to, new_name);
	if (syscall(SYS_renameat2, n->fd, name, to->fd, new_name, flags) < 0)
		return -errno;
	/* Before the tables have it: until then restore.h finds files that were moved, and then stores this itself. */
	d->nodes.kept->moved[r->queue] = r->h.unique;
	nodes_step();
	fsd_moved(d, to, new_name);
	if (flags & RENAME_EXCHANGE)
		fsd_moved(d, n, name);
	return 0;
}

int fsd_do_rename(struct fsd *d, struct fs_req *r, struct node *n)
{
	const struct fuse_rename_in *in = (const void *)r->args;

	return rename_names(d, r, n, in->newdir, 0, sizeof(*in));
}

int fsd_do_rename2(struct fsd *d, struct fs_req *r, struct node *n)
{
	const struct fuse_rename2_in *in = (const void *)r->args;

	return rename_names(d, r, n, in->newdir, in->flags, sizeof(*in));
}
