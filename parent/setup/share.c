/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Shared directories. Runs in the parent, inside the privileged window. The directory is not opened here: the child
 * that becomes fsd's spawner clones its mounts in its own namespace (parent/room/child.c), and sends their root.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "common/share.h"
#include "common/shm.h"
#include "parent/options/util.h"
#include "parent/setup/files.h"
#include "parent/setup/share.h"

/* Most request queues of a guest whose user asks for no number: one for each of its processors, up to this many. */
#define AUTO_REQUEST_QUEUES 4

/*
 * Choose how many files the guest may know at a time, and how many of these may have a descriptor. Only root can raise
 * the hard limit of open files. Returns 0, or -1 after logging the reason.
 */
static int choose_inodes(const struct share_option *o, struct fs_config *f)
{
	struct rlimit l, more;

	f->inodes = o->inodes ? o->inodes : FSD_DEFAULT_INODES;
	if (getrlimit(RLIMIT_NOFILE, &l) < 0)
		return complain(-1, "cannot read the limit of open files: %m");
	more = l;
	more.rlim_max = MAX(l.rlim_max, fs_descriptors(MIN(f->inodes, FSD_MAX_OPEN)));
	if (setrlimit(RLIMIT_NOFILE, &more) == 0)
		l = more;
	f->open = fs_open_files(f->inodes, l.rlim_max);
	if (!f->open)
		return complain(-1, "%s%s: the hard limit of open files is %llu; at least %llu are needed (ulimit -Hn)",
				o->option, o->path, (unsigned long long)l.rlim_max,
				(unsigned long long)fs_descriptors(FSD_MIN_OPEN));
	return 0;
}

/* ---- shares that the guest may write to ---- */

/*
 * What fsd writes belongs to the owner of the directory: as an ordinary user it is that user's own process, and from
 * root its mount maps the owner to the target user. Returns 0, or -1 after logging the reason.
 */
static int choose_owner(const struct host *h, const struct share_option *o, const struct stat *st, struct share_host *s)
{
	struct fs_config *f = &s->config;

	if (!h->c->change_user)
		return access(s->path, W_OK | X_OK) == 0
			       ? 0
			       : complain(-1, "%s%s: you may not write there: %m", o->option, o->path);
	if ((st->st_mode & 0300) != 0300)
		return complain(-1, "%s%s: its owner may not write there (chmod u+wx)", o->option, o->path);
	if (st->st_uid == h->c->uid)
		return 0;
	f->owner = st->st_uid;
	f->group = st->st_gid;
	f->uid = h->c->uid;
	f->gid = h->c->gid;
	f->mapped = true;
	s->userns = share_owner_namespace(f->owner, f->group, f->uid, f->gid);
	return s->userns >= 0
		       ? 0
		       : complain(
				 -1,
				 "%s%s: it belongs to user %u, and user %u, who writes there (--drop-to), cannot be mapped to "
				 "that user: a user namespace cannot be made: %m; name the owner with --drop-to, or give the "
				 "directory to user %u (chown)",
				 o->option, o->path, f->owner, f->uid, f->uid);
}

/*
 * As root, make the view that fsd gets once, to name what is wrong with it. Returns 0, or -1 after logging the
 * reason.
 */
static int try_view(const struct share_option *o, const struct share_host *s)
{
	int fd = share_clone_writable(s->path, s->userns);

	if (fd >= 0) {
		close(fd);
		return 0;
	}
	if (errno == EINVAL && s->config.mapped)
		return complain(
			-1,
			"%s%s: it belongs to user %u, and its file system cannot map that user to user %u, who "
			"writes there (no ID-mapped mounts); give it to that user (chown %u), or use a directory "
			"on another file system",
			o->option, o->path, s->config.owner, s->config.uid, s->config.uid);
	return complain(-1, "%s%s: cannot make a writable view of it, which needs Linux 5.12: %m", o->option, o->path);
}

static int open_writable(const struct host *h, const struct share_option *o, const struct stat *st,
			 struct share_host *s)
{
	struct statvfs v;
	bool sealed;

	s->config.read_write = true;
	s->config.max = o->max ? o->max : FSD_DEFAULT_MAX;
	if (statvfs(s->path, &v) == 0 && v.f_flag & ST_RDONLY)
		return complain(-1, "%s%s: its file system is mounted read-only", o->option, o->path);
	if (choose_owner(h, o, st, s) < 0 || (geteuid() == 0 && try_view(o, s) < 0))
		return -1;
	s->added = shm_create_named("share", (uint64_t)sysconf(_SC_PAGESIZE), &sealed);
	if (s->added < 0)
		return complain(-1, "%s%s: cannot make its memory: %m", o->option, o->path);
	/* A page whose size fsd can change could end the supervisor when it reads the page. */
	if (sealed) {
		void *page = mmap(NULL, (size_t)sysconf(_SC_PAGESIZE), PROT_READ, MAP_SHARED, s->added, 0);

		if (page == MAP_FAILED)
			return complain(-1, "%s%s: cannot map its memory: %m", o->option, o->path);
		s->added_now = page;
	}
	return 0;
}

/* ---- all of them ---- */

static int open_share(struct host *h, unsigned i)
{
	const struct share_option *o = &h->c->share[i];
	struct share_host *s = &h->share[i];
	struct stat st;
	uint64_t bytes;
	bool sealed;

	if (h->engine == ENGINE_LGUEST)
		return complain(-1,
				"%s%s: guests of the lguest engine have no driver for shared directories (virtio-fs); "
				"use --engine=kvm or --engine=qemu",
				o->option, o->path);
	if (!realpath(o->path, s->path) || stat(s->path, &st) < 0)
		return complain(-1, "%s%s: cannot open it: %m", o->option, o->path);
	if (!S_ISDIR(st.st_mode))
		return complain(-1, "%s%s: this is %s, not a directory", o->option, o->path, file_kind(st.st_mode));
	s->config.others_are_root = geteuid() != 0;
	s->config.cache = o->cache;
	s->config.request_queues = (uint8_t)(o->queues ? o->queues : MIN(h->c->smp, AUTO_REQUEST_QUEUES));
	if (o->read_write && open_writable(h, o, &st, s) < 0)
		return -1;
	if (choose_inodes(o, &s->config) < 0)
		return -1;
	s->config.tables_lent = true;
	s->config.checkpoint = h->c->checkpoint && !h->c->fresh;
	s->config.fresh = h->c->fresh;
	s->config.saved = h->c->save || h->c->from;
	bytes = fs_tables_bytes(s->config.inodes, s->config.checkpoint);
	s->nodes = h->c->fresh ? shm_create_to_freeze("files", bytes) : shm_create_named("files", bytes, &sealed);
	return s->nodes < 0 ? complain(-1, "%s%s: cannot make memory for its tables: %m", o->option, o->path) : 0;
}

int shares_open(struct host *h)
{
	for (unsigned i = 0; i < h->c->nshares; i++)
		if (!h->c->share[i].vhost_user && open_share(h, i) < 0)
			return -1;
	return 0;
}

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

void share_take(struct host *h, unsigned i, struct spawner *s)
{
	h->share[i].root = s->listen_fd[0];
	close_fd(&h->share[i].userns);
}

void share_clear(struct share_host *s)
{
	s->root = s->userns = s->added = s->nodes = s->kept_nodes = -1;
}

void share_close(struct share_host *s)
{
	close_fd(&s->root);
	close_fd(&s->userns);
	close_fd(&s->added);
	close_fd(&s->nodes);
	close_fd(&s->kept_nodes);
	/* @added_now stays mapped until the supervisor exits, which may not call munmap(2). */
}
