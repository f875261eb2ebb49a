/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Closes descriptors of nodes and opens them again (idle.h). Runs in fsd, confined; allocates nothing. Which ones are
 * closed is decided by a clock hand that goes around the table of nodes: a node that was used since the hand passed
 * it last is spared once. The work for one request is bounded, whatever the guest does.
 */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "common/fdstat.h"
#include "fsd/idle.h"
#include "fsd/open.h"
#include "fsd/places.h"

/* An open takes about as long as looking at this many nodes. */
#define OPEN_WORK 1024
/* Most work for one request: opens that find idle nodes and check names, and nodes that the clock hand passes. */
#define WORK_MAX (4096 * OPEN_WORK)
/* How many descriptors are closed together: nodes that are next to each other often have the same parent. */
#define BATCH 32u

/* A directory that names are checked in: one that is idle is opened for a whole batch. */
struct checked {
	const struct node *dir; /* NULL: none */
	int fd;
};

/* Find @n in the directory at @dir, as one of the opens of this request. */
static int find_counted(struct fsd *d, int dir, const struct node *n)
{
	if (d->work >= WORK_MAX)
		return -ENFILE;
	d->work += OPEN_WORK;
	return fsd_find_at(d, dir, node_name(&d->nodes, n), n);
}

/*
 * Open the idle node @n, from the closest directory above it that is open. Changes no node. Returns a descriptor that
 * the caller owns, or a negative error number.
 */
static int walk_to(struct fsd *d, const struct node *n)
{
	struct nodes *t = &d->nodes;
	uint32_t at = node_climb(t, (uint32_t)(n - t->node), NODE_IDLE);
	int fd = node_parent(t, &t->node[at])->fd;
	bool own = false;

	if (fd < 0)
		fd = -ESTALE;
	while (at) {
		const struct node *step = &t->node[at];
		int next = fd < 0 ? fd : find_counted(d, fd, step);

		if (own)
			close(fd);
		own = next >= 0;
		fd = next;
		at = node_descend(t, at, NODE_IDLE);
	}
	/* What is in its place now is another file. */
	return fd == -ENOENT || fd == -ENOTDIR || fd == -EXDEV || fd == -ELOOP ? -ESTALE : fd;
}

static int wake(struct fsd *d, struct node *n)
{
	int fd;

	if (n->fd != NODE_IDLE)
		return n->fd >= 0 ? 0 : -ESTALE;
	if (!fsd_make_room(d))
		return -ENFILE;
	fd = walk_to(d, n);
	if (fd < 0)
		return fd == -EMFILE ? -ENFILE : fd;
	node_set_fd(&d->nodes, n, fd);
	n->state |= NODE_USED;
	return 0;
}

int fsd_fd(struct fsd *d, struct node *n)
{
	struct nodes *t = &d->nodes;
	struct node *parent = node_parent(t, n);
	int err;

	if (n->fd < 0) {
		/* The files next to it will be asked for, too. If this fails, so does the next. */
		if (parent->fd == NODE_IDLE)
			(void)wake(d, parent);
		err = wake(d, n);
		if (err)
			return err;
	}
	node_hold(t, n);
	return n->fd;
}

/* ---- closing ---- */

static void forget_checked(struct checked *c)
{
	if (c->dir && c->fd >= 0)
		close(c->fd);
	c->dir = NULL;
}

/* Returns 0 if @n still has its name, otherwise a negative error number. */
static int check_name(struct fsd *d, struct checked *c, const struct node *n)
{
	const struct node *dir = node_parent(&d->nodes, n);
	int at = dir->fd, fd;

	if (at == NODE_IDLE && c->dir != dir) {
		forget_checked(c);
		c->fd = walk_to(d, dir);
		c->dir = dir;
	}
	if (at < 0)
		at = at == NODE_IDLE ? c->fd : -ESTALE;
	fd = at < 0 ? at : find_counted(d, at, n);
	if (fd >= 0)
		close(fd);
	return fd < 0 ? fd : 0;
}

/* True if the error is that of this process or of the host, and says nothing about the file. */
static bool is_shortage(int err)
{
	return err == -ENFILE || err == -EMFILE || err == -ENOMEM || err == -EIO;
}

/* The next node at the clock hand, if its descriptor may be closed, or NULL. */
static struct node *at_hand(struct fsd *d)
{
	struct nodes *t = &d->nodes;
	struct node *n;

	d->work++;
	t->hand = t->hand + 1 < t->kept->fresh ? t->hand + 1 : NODE_ROOT + 1;
	n = &t->node[t->hand];
	return t->hand < t->kept->fresh && n->type && n->fd >= 0 && !n->handles && !node_held(t, n) ? n : NULL;
}

/* Close up to @most descriptors of nodes that can be found again. Returns how many. */
static uint32_t close_named(struct fsd *d, uint32_t most)
{
	struct nodes *t = &d->nodes;
	struct checked c = { 0 };
	uint32_t closed = 0;
	int err = 0;

	/* Twice around: the first time may only find nodes that were used. */
	for (uint64_t i = 0; i < 2ull * t->kept->fresh && closed < most && !is_shortage(err) && d->work < WORK_MAX;
	     i++) {
		struct node *n = at_hand(d);

		if (!n || n->state & NODE_NAMELESS)
			continue;
		if (n->state & NODE_USED) {
			n->state &= (uint8_t)~NODE_USED;
			continue;
		}
		err = check_name(d, &c, n);
		if (!err) {
			node_close_fd(t, n);
			closed++;
		} else if (!is_shortage(err)) {
			n->state |= NODE_NAMELESS;
		}
	}
	forget_checked(&c);
	return closed;
}

/*
 * Close the descriptor of any node. The guest then gets ESTALE, until it finds the file under another name. A file that
 * has no name at all is lost: its inode number may become that of another file.
 */
static bool close_nameless(struct fsd *d)
{
	struct nodes *t = &d->nodes;
	struct stat st;

	for (uint32_t i = 0; i < t->kept->fresh && d->work < WORK_MAX; i++) {
		struct node *n = at_hand(d);

		if (!n)
			continue;
		if (fd_stat(n->fd, &st) == 0 && st.st_nlink > 0)
			node_close_fd(t, n);
		else
			node_gone(t, n);
		return true;
	}
	return false;
}

bool fsd_make_room(struct fsd *d)
{
	struct nodes *t = &d->nodes;

	if (t->open < d->cfg.open)
		return true;
	return close_named(d, MIN(BATCH, MAX(d->cfg.open / 8, 1))) || close_nameless(d);
}

void fsd_before_removal(struct fsd *d, int dir, const char *name)
{
	struct node *n = NULL;
	struct stat st;
	int fd;

	if (!d->nodes.idle)
		return;
	fd = fsd_open_at(d, dir, name, O_PATH, 0, FSD_SAME_MOUNT);
	if (fd < 0)
		return;
	if (fd_stat(fd, &st) == 0)
		n = node_find(&d->nodes, st.st_dev, st.st_ino);
	if (n && n->fd == NODE_IDLE && node_is(n, &st) && fsd_make_room(d))
		node_set_fd(&d->nodes, n, fd);
	else
		close(fd);
}
