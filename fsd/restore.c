/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Takes over the tables of a process that was killed (nodes.h). Runs in fsd, confined. The guest may have written
 * anything to them, so every index and name is checked here; from then on they are as trusted as this process. A wrong
 * entry can lead to no file that the guest could not look up, because files are opened as for a LOOKUP.
 */
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "fsd/files.h"
#include "fsd/idle.h"
#include "fsd/past.h"
#include "fsd/places.h"
#include "fsd/restore.h"

static bool is_dir(const struct nodes *t, uint32_t index)
{
	return index >= NODE_ROOT && index < t->kept->fresh && t->node[index].type == S_IFDIR;
}

/*
 * If the predecessor was killed while it renamed, @n may have its old or its new name. Try the one that the table does
 * not have. Returns a descriptor or a negative error number.
 */
static int find_moved(struct fsd *d, struct node *n)
{
	struct nodes *t = &d->nodes;
	struct moving *m = &t->kept->moving;
	const char *name = node_name(t, n);
	bool old = name_valid(m->name, sizeof(m->name)) && !strcmp(name, m->name),
	     new = name_valid(m->new_name, sizeof(m->new_name)) && !strcmp(name, m->new_name);
	int fd = -1;

	/* Of the pair, the directory may have been stored or not. */
	if (!is_dir(t, m->from) || !is_dir(t, m->to) || (n->parent != m->from && n->parent != m->to) || (!old && !new))
		return -1;
	if (name_valid(m->new_name, sizeof(m->new_name)))
		fd = fsd_find(d, &t->node[m->to], m->new_name, n);
	if (fd >= 0 && node_rename(t, n, &t->node[m->to], m->new_name)) {
		if (m->queue < MAX_QUEUES)
			t->kept->moved[m->queue] = m->unique;
		return fd;
	}
	if (fd < 0 && name_valid(m->name, sizeof(m->name)))
		fd = fsd_find(d, &t->node[m->from], m->name, n);
	if (fd >= 0 && !node_rename(t, n, &t->node[m->from], m->name)) {
		close(fd);
		fd = -1;
	}
	return fd;
}

/* Find @n, whose directory is found already if it can be. */
static void find_one(struct fsd *d, struct node *n)
{
	struct nodes *t = &d->nodes;
	struct node *dir = &t->node[n->parent];
	int fd = -1;

	d->work = 0;
	if (dir->type == S_IFDIR)
		fd = fsd_find(d, dir, node_name(t, n), n);
	if (fd < 0)
		fd = find_moved(d, n);
	if (fd < 0 || node_find(t, n->dev, n->ino)) {
		if (fd >= 0)
			close(fd);
		node_lose(t, n);
		return;
	}
	/* Further ones are opened when the guest needs them. */
	if (t->open >= d->cfg.open) {
		close(fd);
		fd = NODE_IDLE;
	}
	node_keep(t, n, fd);
}

/*
 * Find the entry @index after all directories on the way to it. Each entry is climbed from once, however deep the tree
 * is. A directory that is below itself is not found, because the one above it has not been found before.
 */
static void find_with_parents(struct fsd *d, uint32_t index)
{
	struct nodes *t = &d->nodes;
	uint32_t from = node_climb(t, index, NODE_PENDING);

	while (from) {
		struct node *n = &t->node[from];

		from = node_descend(t, from, NODE_PENDING);
		find_one(d, n);
	}
}

static void restore_nodes(struct fsd *d)
{
	struct nodes *t = &d->nodes;

	places_forget(t);
	for (uint32_t i = NODE_ROOT + 1; i < t->kept->fresh; i++) {
		struct node *n = &t->node[i];

		n->uses = n->next = 0;
		n->handles = n->state = 0;
		n->fd = NODE_PENDING;
		if (n->type && !place_claim(t, n))
			n->name = 0;
	}
	past_claim(t);
	places_free_rest(t);
	for (uint32_t i = NODE_ROOT + 1; i < t->kept->fresh; i++) {
		struct node *n = &t->node[i];

		/* Mount points are not kept: the guest finds them again. */
		if (!n->type || !n->name || !is_dir(t, n->parent) || n->parent == i || n->dev == UINT64_MAX)
			node_lose(t, n);
	}
	if (is_dir(t, t->kept->moving.from))
		find_with_parents(d, t->kept->moving.from);
	if (is_dir(t, t->kept->moving.to))
		find_with_parents(d, t->kept->moving.to);
	for (uint32_t i = NODE_ROOT + 1; i < t->kept->fresh; i++)
		find_with_parents(d, i);
}

static void restore_handles(struct fsd *d)
{
	struct nodes *t = &d->nodes;

	for (uint32_t i = 1; i < t->kept->handles_fresh; i++) {
		struct handle *h = &t->handle[i];
		struct node *n = h->node && h->node < t->kept->fresh ? &t->node[h->node] : NULL;
		int access = d->cfg.read_write ? h->access & O_ACCMODE : O_RDONLY;

		h->fd = -1;
		h->at = -1;
		h->next = 0;
		d->work = 0;
		/* As when the guest opened it, the node has its descriptor from now on. */
		if (n && (n->type == S_IFREG || n->type == S_IFDIR) && access != O_ACCMODE && fsd_fd(d, n) >= 0)
			h->fd = fsd_open(d, n, access);
		if (h->fd < 0) {
			handle_lose(t, h);
			continue;
		}
		n->uses++;
		n->handles++;
	}
}

void fsd_restore(struct fsd *d)
{
	struct nodes *t = &d->nodes;
	struct nodes_kept *k = t->kept;

	if (!d->restarted)
		return;
	k->fresh = MAX(MIN(k->fresh, t->limit + 1), NODE_ROOT + 1);
	k->handles_fresh = MAX(MIN(k->handles_fresh, FSD_HANDLES + 1), 1);
	memcpy(d->replay, k->changing, sizeof(d->replay));
	restore_nodes(d);
	restore_handles(d);
	past_check(t);
	for (uint32_t i = NODE_ROOT + 1; i < k->fresh; i++)
		if (t->node[i].type)
			node_put(t, &t->node[i], 0);
}
