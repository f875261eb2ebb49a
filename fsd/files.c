/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Finds and opens files of the share. Runs in fsd, confined. A file is first opened with O_PATH, which has no effect on
 * it, and only a regular file is opened again: a FIFO, socket or device never is.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "common/fdstat.h"
#include "fsd/files.h"
#include "fsd/idle.h"
#include "fsd/open.h"
#include "fsd/places.h"

/* The user ID that the kernel shows for owners who are not in fsd's user namespace (overflowuid). */
#define OVERFLOW_ID 65534
static void set_attributes(const struct fsd *d, const struct stat *st, struct fuse_attr *a)
{
	*a = (struct fuse_attr){
		.ino = st->st_ino,
		.size = (uint64_t)st->st_size,
		.blocks = (uint64_t)st->st_blocks,
		.atime = (uint64_t)st->st_atim.tv_sec,
		.mtime = (uint64_t)st->st_mtim.tv_sec,
		.ctime = (uint64_t)st->st_ctim.tv_sec,
		.atimensec = (uint32_t)st->st_atim.tv_nsec,
		.mtimensec = (uint32_t)st->st_mtim.tv_nsec,
		.ctimensec = (uint32_t)st->st_ctim.tv_nsec,
		.mode = st->st_mode,
		.nlink = (uint32_t)st->st_nlink,
		.uid = st->st_uid,
		.gid = st->st_gid,
		.rdev = (uint32_t)st->st_rdev,
		.blksize = (uint32_t)st->st_blksize,
	};
	if (d->cfg.mapped && a->uid == d->cfg.uid)
		a->uid = d->cfg.owner;
	if (d->cfg.mapped && a->gid == d->cfg.gid)
		a->gid = d->cfg.group;
	if (d->cfg.others_are_root && a->uid == OVERFLOW_ID)
		a->uid = 0;
	if (d->cfg.others_are_root && a->gid == OVERFLOW_ID)
		a->gid = 0;
}

int fsd_attributes(struct fsd *d, struct node *n, struct fuse_attr *a)
{
	struct stat st;
	int fd;

	if (node_is_mount(n)) {
		*a = (struct fuse_attr){ .ino = n->ino, .nlink = 2, .mode = n->type | 0555, .blksize = 4096 };
		if (n->type != S_IFDIR) {
			a->nlink = 1;
			a->mode = n->type | 0444;
		}
		return 0;
	}
	fd = fsd_fd(d, n);
	if (fd < 0)
		return fd;
	if (fd_stat(fd, &st) < 0)
		return -errno;
	set_attributes(d, &st, a);
	return 0;
}

static void fill_entry(struct fsd *d, struct node *n, struct fuse_entry_out *e)
{
	node_ref(&d->nodes, n);
	e->nodeid = node_id(&d->nodes, n);
	e->entry_valid = e->attr_valid = fsd_valid_s(d);
}

/* A key for the mount point @name in @dir, which has no inode number that fsd may ask for. */
static uint64_t key_of(uint64_t dir, const char *name)
{
	uint64_t h = 0xcbf29ce484222325ull ^ dir;

	for (; *name; name++)
		h = (h ^ (uint8_t)*name) * 0x100000001b3ull;
	return h;
}

/* Another mount covers @name in @dir: what is below it is not shared. Show an empty directory or file in its place. */
static int lookup_mount(struct fsd *d, struct node *dir, int at, const char *name, struct fuse_entry_out *e)
{
	/* Asks what it is without fstat(2), for which a file server that has died would never answer. */
	int fd = fsd_open_at(d, at, name, O_PATH | O_DIRECTORY, 0, FSD_BENEATH);
	mode_t type = fd == -ENOTDIR ? S_IFREG : S_IFDIR;
	struct node *n;

	if (fd < 0 && fd != -ENOTDIR)
		return fd;
	if (fd >= 0)
		close(fd);
	n = node_find(&d->nodes, UINT64_MAX, key_of(node_id(&d->nodes, dir), name));
	if (!n)
		n = node_add(&d->nodes, dir, name, NODE_MOUNT, UINT64_MAX, key_of(node_id(&d->nodes, dir), name), type);
	if (!n)
		return -ENFILE;
	fill_entry(d, n, e);
	return fsd_attributes(d, n, &e->attr);
}

/*
 * The node of the file @name in @dir, which is open at @fd and has the attributes @st. Takes over @fd. Returns
 * NULL if there is no room.
 */
static struct node *node_of(struct fsd *d, struct node *dir, const char *name, int fd, const struct stat *st)
{
	struct node *n = node_find(&d->nodes, st->st_dev, st->st_ino);

	/* An inode number can be reused while no descriptor keeps it. */
	if (n && n->fd == NODE_IDLE && !node_is(n, st)) {
		node_gone(&d->nodes, n);
		n = NULL;
	}
	if (n) {
		/* One that is idle stays so, because the guest may only have listed the directory. */
		close(fd);
		n->state = NODE_USED;
		return n;
	}
	n = fsd_make_room(d) ? node_add(&d->nodes, dir, name, fd, st->st_dev, st->st_ino, st->st_mode) : NULL;
	if (!n)
		close(fd);
	return n;
}

int fsd_lookup(struct fsd *d, struct node *dir, const char *name, struct fuse_entry_out *e)
{
	struct node *n;
	struct stat st;
	int at, fd;

	memset(e, 0, sizeof(*e));
	if (dir->type != S_IFDIR)
		return -ENOTDIR;
	/* The host's file system may have longer ones (FUSE: up to 1024 bytes); the tables do not. */
	if (strlen(name) > NODE_NAME_MAX)
		return -ENAMETOOLONG;
	if (node_is_mount(dir))
		return -ENOENT;
	at = fsd_fd(d, dir);
	if (at < 0)
		return at;
	fd = fsd_open_at(d, at, name, O_PATH, 0, FSD_SAME_MOUNT);
	if (fd == -EXDEV)
		return lookup_mount(d, dir, at, name, e);
	if (fd < 0)
		return fd == -EMFILE ? -ENFILE : fd;
	if (fd_stat(fd, &st) < 0) {
		int err = -errno;

		close(fd);
		return err;
	}
	n = node_of(d, dir, name, fd, &st);
	if (!n)
		return -ENFILE;
	/* Before node_found(), which may free the previous parent. */
	fill_entry(d, n, e);
	node_found(&d->nodes, n, dir, name);
	set_attributes(d, &st, &e->attr);
	return 0;
}

void fsd_unlookup(struct fsd *d, uint64_t nodeid)
{
	struct node *n = node_get(&d->nodes, nodeid);

	if (n)
		node_put(&d->nodes, n, 1);
}

int fsd_find(struct fsd *d, struct node *dir, const char *name, const struct node *n)
{
	int at = fsd_fd(d, dir);

	return at < 0 ? at : fsd_find_at(d, at, name, n);
}

bool fsd_has_name(struct fsd *d, const struct node *n)
{
	int fd = fsd_find(d, node_parent(&d->nodes, n), node_name(&d->nodes, n), n);

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

int fsd_open(struct fsd *d, struct node *n, int flags)
{
	struct stat st;
	int at = fsd_fd(d, n->type == S_IFDIR ? n : node_parent(&d->nodes, n)), fd;

	if (at < 0)
		return at;
	if (n->type == S_IFDIR)
		return fsd_open_at(d, at, ".", O_RDONLY | O_DIRECTORY, 0, FSD_SAME_MOUNT);
	/* O_NONBLOCK: if the host puts a FIFO in the file's place now, this does not wait. */
	fd = fsd_open_at(d, at, node_name(&d->nodes, n), (uint64_t)flags | O_NONBLOCK | O_NOCTTY, 0, FSD_SAME_MOUNT);
	/* The error may be that of another file, which has the name now: then the guest has to look it up again. */
	if (fd < 0)
		return fd == -EMFILE || fsd_has_name(d, n) ? fd : -ESTALE;
	/* The host may have renamed another file to this name: then the guest has to look it up again. */
	if (fd_stat(fd, &st) == 0 && node_is(n, &st))
		return fd;
	close(fd);
	return -ESTALE;
}

int fsd_make_file(struct fsd *d, struct node *dir, const char *name, mode_t mode, int flags)
{
	int at = fsd_fd(d, dir);

	return at < 0 ? at
		      : fsd_open_at(d, at, name, (uint64_t)flags | O_CREAT | O_EXCL | O_NOCTTY, mode, FSD_SAME_MOUNT);
}

void fsd_moved(struct fsd *d, struct node *dir, const char *name)
{
	int at = fsd_fd(d, dir), fd = at < 0 ? at : fsd_open_at(d, at, name, O_PATH, 0, FSD_SAME_MOUNT);
	struct node *n = NULL;
	struct stat st;

	if (fd < 0)
		return;
	if (fd_stat(fd, &st) == 0)
		n = node_find(&d->nodes, st.st_dev, st.st_ino);
	close(fd);
	if (n)
		node_found(&d->nodes, n, dir, name);
}
