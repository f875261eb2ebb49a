/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The tables of nodes.h. Runs in fsd. After nodes_make() nothing here allocates; the only system calls are close(2)
 * and, for files that the guest made, fstat(2).
 */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/ctl.h"
#include "common/fdstat.h"
#include "fsd/nodes.h"
#include "fsd/places.h"

_Static_assert(sizeof(struct node) <= FSD_NODE_BYTES && sizeof(struct handle) <= FSD_HANDLE_BYTES,
	       "the supervisor makes memory for them");
_Static_assert(sizeof(struct nodes_kept) <= FSD_KEPT_BYTES && sizeof(struct past_entry) <= FSD_PAST_ENTRY_BYTES &&
		       sizeof(struct past_node) <= FSD_PAST_NODE_BYTES,
	       "the same");
/* How many entries are reused before their numbers meet those of the next process. */
#define COUNTS_PER_PROCESS (1u << 20)
/* Number of buckets at first, a page of them. Most guests need far fewer nodes than the table has. */
#define FIRST_BUCKETS 1024u

static void *map(size_t bytes, int fd)
{
	int flags = fd < 0 ? MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE : MAP_SHARED;
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, flags, fd, 0);

	return p == MAP_FAILED ? NULL : p;
}

/* Tables of a first process, or of one whose predecessor was killed before it had made them. */
static void make_empty(struct nodes *t)
{
	struct nodes_kept *k = t->kept;

	k->made_for = 0;
	nodes_step();
	memset(k, 0, sizeof(*k));
	k->fresh = NODE_ROOT + 1;
	k->handles_fresh = 1;
	k->names_fresh = 1;
	nodes_step();
	k->made_for = t->limit;
}

/* Memory for a checkpoint, behind all others. Nothing is known of one yet, so everything may have changed. */
static bool make_past(struct nodes *t, uint8_t *base)
{
	t->past_node = (void *)base;
	base += (t->limit + 1ull) * FSD_PAST_NODE_BYTES;
	t->past = (void *)base;
	t->past_handle = (void *)(base + (t->limit + 1ull) * FSD_PAST_ENTRY_BYTES);
	t->changed = map((t->limit + 1ull) * sizeof(t->changed[0]), -1);
	t->is_changed = map(t->limit / 8 + 1ull, -1);
	return t->changed && t->is_changed;
}

int nodes_make(struct nodes *t, uint32_t limit, bool checkpoint, uint32_t generation, int fd)
{
	uint8_t *base;

	if (limit < 2 || limit > FSD_MAX_INODES) {
		errno = EINVAL;
		return -1;
	}
	memset(t, 0, sizeof(*t));
	t->limit = limit;
	t->most_buckets = FIRST_BUCKETS;
	while (t->most_buckets < limit)
		t->most_buckets *= 2;
	t->buckets = FIRST_BUCKETS;
	t->first_count = generation * COUNTS_PER_PROCESS;
	t->bucket = map(t->most_buckets * sizeof(t->bucket[0]), -1);
	t->claimed = map(places_bitmap_bytes(limit), -1);
	base = map(fs_tables_bytes(limit, checkpoint), fd);
	if (!t->bucket || !t->claimed || !base)
		return -1;
	t->kept = (void *)base;
	base += FSD_KEPT_BYTES;
	/* Not in struct nodes, so that handles which the guest never uses take no memory. */
	t->handle = (void *)base;
	base += (FSD_HANDLES + 1ull) * FSD_HANDLE_BYTES;
	t->node = (void *)base;
	t->names = base + (limit + 1ull) * FSD_NODE_BYTES;
	t->all_changed = true;
	if (checkpoint && !make_past(t, t->names + (limit + 1ull) * FSD_NAME_BYTES))
		return -1;
	if (!generation || t->kept->made_for != limit)
		make_empty(t);
	if (!checkpoint)
		t->kept->past.fresh = t->kept->past.handles_fresh = 0;
	return 0;
}

static uint32_t *bucket_of(const struct nodes *t, uint64_t dev, uint64_t ino)
{
	uint64_t h = (ino ^ dev << 32 ^ dev >> 32) * 0x9e3779b97f4a7c15ull;

	return &t->bucket[(h >> 32) & (t->buckets - 1)];
}

static uint32_t index_of(const struct nodes *t, const struct node *n)
{
	return (uint32_t)(n - t->node);
}

/* What past.h has to know of @n changes. */
static void touch(struct nodes *t, const struct node *n)
{
	uint32_t i = index_of(t, n);

	if (t->all_changed || i == NODE_ROOT || t->is_changed[i / 8] & 1u << i % 8)
		return;
	t->is_changed[i / 8] |= (uint8_t)(1u << i % 8);
	t->changed[t->changes++] = i;
}

static void put_into_bucket(struct nodes *t, struct node *n)
{
	uint32_t *b = bucket_of(t, n->dev, n->ino);

	n->next = *b;
	*b = index_of(t, n);
}

/* Link the node @n, which is counted already. Twice as many buckets are used as soon as there are more nodes. */
static void link_node(struct nodes *t, struct node *n)
{
	if (t->used <= t->buckets || t->buckets == t->most_buckets) {
		put_into_bucket(t, n);
		return;
	}
	t->buckets *= 2;
	memset(t->bucket, 0, t->buckets * sizeof(t->bucket[0]));
	for (uint32_t i = NODE_ROOT; i < t->kept->fresh; i++)
		/* Not those that are lost, and not those that have yet to be found. */
		if (t->node[i].type && t->node[i].fd > NODE_GONE)
			put_into_bucket(t, &t->node[i]);
}

static void unlink_node(struct nodes *t, const struct node *n)
{
	uint32_t *at = bucket_of(t, n->dev, n->ino), index = index_of(t, n);

	while (*at && *at != index)
		at = &t->node[*at].next;
	if (*at)
		*at = n->next;
}

void nodes_set_root(struct nodes *t, int fd, uint64_t dev, uint64_t ino)
{
	struct node *root = &t->node[NODE_ROOT];

	*root = (struct node){ .dev = dev, .ino = ino, .lookups = 1, .fd = fd, .parent = NODE_ROOT, .type = S_IFDIR };
	t->used = t->open = 1;
	link_node(t, root);
}

/* ---- nodes ---- */

uint64_t node_id(const struct nodes *t, const struct node *n)
{
	return (uint64_t)n->count << 32 | index_of(t, n);
}

struct node *node_get(struct nodes *t, uint64_t id)
{
	uint32_t index = (uint32_t)id;
	/* Entries behind those in use may be an earlier guest's. */
	struct node *n = &t->node[index < t->kept->fresh ? index : 0];

	return n->type && n->count == id >> 32 ? n : NULL;
}

struct node *node_parent(struct nodes *t, const struct node *n)
{
	return &t->node[n->parent];
}

struct node *node_find(const struct nodes *t, uint64_t dev, uint64_t ino)
{
	for (uint32_t i = *bucket_of(t, dev, ino); i; i = t->node[i].next)
		if (t->node[i].dev == dev && t->node[i].ino == ino)
			return &t->node[i];
	return NULL;
}

static struct node *take_entry(struct nodes *t)
{
	struct node *n;

	if (t->used >= t->limit)
		return NULL;
	if (t->free) {
		n = &t->node[t->free];
		t->free = n->next;
	} else {
		n = &t->node[t->kept->fresh];
		n->type = 0;
		n->count = t->first_count;
		nodes_step();
		t->kept->fresh++;
	}
	t->used++;
	touch(t, n);
	return n;
}

struct node *node_add(struct nodes *t, struct node *parent, const char *name, int fd, uint64_t dev, uint64_t ino,
		      mode_t type)
{
	uint32_t place = place_take(t, name);
	struct node *n = place ? take_entry(t) : NULL;

	if (!n) {
		place_drop(t, place);
		return NULL;
	}
	*n = (struct node){ .dev = dev, .ino = ino, .fd = fd, .count = n->count, .name = place };
	n->parent = index_of(t, parent);
	nodes_step();
	n->type = type & S_IFMT;
	parent->uses++;
	t->open += fd >= 0;
	link_node(t, n);
	return n;
}

/* Count the descriptor of @n, or that it is idle, no more; and close the descriptor. */
static void drop_fd(struct nodes *t, const struct node *n)
{
	if (n->fd >= 0) {
		close(n->fd);
		t->open--;
	}
	t->idle -= n->fd == NODE_IDLE;
}

/* Nothing refers to @n any more, so if the guest made this file and removed its last name, its space is free. */
static void count_freed(struct nodes *t, const struct node *n)
{
	struct stat st;

	if (n->made && n->fd >= 0 && fd_stat(n->fd, &st) == 0 && st.st_nlink == 0)
		t->freed += (uint64_t)st.st_size * (n->type == S_IFREG || n->type == S_IFLNK) + NODE_COST;
}

/* Free the entry of @n if nothing refers to it. Returns its parent, which then has one use less, or NULL. */
static struct node *free_entry(struct nodes *t, struct node *n)
{
	struct node *parent = &t->node[n->parent];

	if (n->lookups || n->uses || index_of(t, n) == NODE_ROOT || !n->type || node_is_past(t, index_of(t, n)))
		return NULL;
	touch(t, n);
	unlink_node(t, n);
	count_freed(t, n);
	drop_fd(t, n);
	node_lose(t, n);
	t->used--;
	/* If this was the last use of one that the guest has forgotten, the next checkpoint frees it. */
	touch(t, parent);
	parent->uses--;
	return parent;
}

void node_lose(struct nodes *t, struct node *n)
{
	uint32_t name = n->name;
	bool was_used = n->type;

	n->type = 0;
	nodes_step();
	*n = (struct node){ .count = n->count + was_used, .next = t->free };
	nodes_step();
	if (was_used)
		place_drop(t, name);
	t->free = index_of(t, n);
}

void node_keep(struct nodes *t, struct node *n, int fd)
{
	n->fd = fd;
	t->open += fd >= 0;
	t->idle += fd == NODE_IDLE;
	t->used++;
	t->node[n->parent].uses++;
	link_node(t, n);
}

/* ---- descriptors of nodes ---- */

void node_set_fd(struct nodes *t, struct node *n, int fd)
{
	drop_fd(t, n);
	n->fd = fd;
	t->open++;
}

void node_close_fd(struct nodes *t, struct node *n)
{
	drop_fd(t, n);
	n->fd = NODE_IDLE;
	n->state = 0;
	t->idle++;
}

void node_gone(struct nodes *t, struct node *n)
{
	unlink_node(t, n);
	drop_fd(t, n);
	n->fd = NODE_GONE;
}

void node_hold(struct nodes *t, struct node *n)
{
	n->state |= NODE_USED;
	t->held[t->held_next++ % NODES_HELD] = index_of(t, n);
}

bool node_held(const struct nodes *t, const struct node *n)
{
	uint32_t index = index_of(t, n);

	for (unsigned i = 0; i < NODES_HELD; i++)
		if (t->held[i] == index)
			return true;
	return index == NODE_ROOT;
}

uint32_t node_climb(struct nodes *t, uint32_t index, int state)
{
	uint32_t below = 0;

	for (; t->node[index].type && t->node[index].fd == state; index = t->node[index].parent) {
		t->node[index].fd = NODE_WAY - (int)below;
		below = index;
	}
	return below;
}

uint32_t node_descend(struct nodes *t, uint32_t index, int state)
{
	uint32_t below = (uint32_t)(NODE_WAY - t->node[index].fd);

	t->node[index].fd = state;
	return below;
}

/* ---- references ---- */

void node_ref(struct nodes *t, struct node *n)
{
	touch(t, n);
	n->lookups++;
}

void node_put(struct nodes *t, struct node *n, uint64_t count)
{
	touch(t, n);
	n->lookups -= MIN(count, n->lookups);
	/* The root always keeps its reference. */
	if (index_of(t, n) == NODE_ROOT)
		n->lookups = MAX(n->lookups, 1);
	while (n)
		n = free_entry(t, n);
}

void node_found(struct nodes *t, struct node *n, struct node *parent, const char *name)
{
	struct node *before = &t->node[n->parent];

	if (strlen(name) > NODE_NAME_MAX)
		return;
	if (index_of(t, n) == NODE_ROOT || (before == parent && !strcmp(node_name(t, n), name)))
		return;
	/* A directory cannot be found below itself, unless the host moves directories meanwhile: keep the tree one. */
	for (struct node *up = parent; index_of(t, up) != NODE_ROOT; up = &t->node[up->parent])
		if (up == n)
			return;
	if (!node_rename(t, n, parent, name))
		return;
	parent->uses++;
	before->uses--;
	node_put(t, before, 0);
}

bool node_rename(struct nodes *t, struct node *n, const struct node *parent, const char *name)
{
	uint32_t place = place_take(t, name), before = n->name;

	if (!place)
		return false;
	touch(t, n);
	n->name = place;
	n->parent = index_of(t, parent);
	nodes_step();
	if (!node_is_past(t, index_of(t, n)) || t->past_node[index_of(t, n)].name != before)
		place_drop(t, before);
	return true;
}

void nodes_clear(struct nodes *t)
{
	for (uint32_t i = 1; i < t->kept->handles_fresh; i++)
		if (t->handle[i].node)
			handle_close(t, &t->handle[i]);
	for (uint32_t i = NODE_ROOT + 1; i < t->kept->fresh; i++)
		if (t->node[i].type)
			node_put(t, &t->node[i], UINT64_MAX);
	/* The root has no name, so all places are free. */
	if (t->used == 1)
		places_forget(t);
}

/* ---- handles ---- */

uint64_t handle_add(struct nodes *t, struct node *n, int fd, int access)
{
	uint32_t i = t->handles_free;

	if (i) {
		t->handles_free = t->handle[i].next;
	} else if (t->kept->handles_fresh <= FSD_HANDLES) {
		i = t->kept->handles_fresh;
		t->handle[i] = (struct handle){ .fd = -1, .count = t->first_count };
		nodes_step();
		t->kept->handles_fresh++;
	} else {
		return 0;
	}
	t->handle[i] = (struct handle){ .fd = fd, .count = t->handle[i].count, .access = access };
	nodes_step();
	t->handle[i].node = index_of(t, n);
	n->uses++;
	n->handles++;
	return (uint64_t)t->handle[i].count << 32 | i;
}

struct handle *handle_get(struct nodes *t, uint64_t fh, const struct node *n)
{
	uint32_t i = (uint32_t)fh;
	struct handle *h = &t->handle[i < t->kept->handles_fresh ? i : 0];

	return h->node && !h->closed && h->node == index_of(t, n) && h->count == fh >> 32 ? h : NULL;
}

void handle_close(struct nodes *t, struct handle *h)
{
	struct node *n = &t->node[h->node];

	if (handle_is_past(t, (uint32_t)(h - t->handle))) {
		h->closed = 1;
		return;
	}
	if (h->fd >= 0)
		close(h->fd);
	n->uses--;
	n->handles--;
	node_put(t, n, 0);
	handle_lose(t, h);
}

void handle_lose(struct nodes *t, struct handle *h)
{
	bool was_used = h->node;

	h->node = 0;
	nodes_step();
	*h = (struct handle){ .fd = -1, .count = h->count + was_used, .next = t->handles_free };
	t->handles_free = (uint32_t)(h - t->handle);
}
