/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Files of the guest in the files of --save and --from: see saved.h. Runs in fsd, confined. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>
#include <zlib.h>

#include "common/fdstat.h"
#include "fsd/files.h"
#include "fsd/idle.h"
#include "fsd/open.h"
#include "fsd/places.h"
#include "fsd/saved.h"

/* Most entries of the tables that one call looks at: opens on a slow file system take some time. */
#define CALL_ENTRIES 256u
/* Most bytes of an entry with its name, and of the last one, for which there is room behind it. */
#define ENTRY_MAX (sizeof(struct saved_entry) + NODE_NAME_MAX + 1)

/* What is known of a node; other values are the next node on the way down, when writing. */
enum mark {
	MARK_NONE = 0,		    /* Nothing */
	MARK_LAST = UINT32_MAX,	    /* It is the last one on the way down */
	MARK_LOST = UINT32_MAX - 1, /* Its file is lost, or that of a directory above it */
	MARK_DONE = UINT32_MAX - 2, /* It is written or read */
};

static struct {
	struct saved_block head;
	uint8_t bytes[SAVED_BLOCK_MAX];
} block __attribute__((aligned(8)));
_Static_assert(sizeof(block.head) == 8, "entries are aligned");

int fsd_saved_map(struct fsd *d)
{
	size_t bytes = (d->nodes.limit + 1ull) * sizeof(d->file.mark[0]);
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (p == MAP_FAILED)
		return -1;
	d->file.mark = p;
	return 0;
}

/* Transfer all @len bytes. Returns 0, -errno, or 1 if the file ends before. */
static int move_all(int fd, bool write, void *p, uint64_t off, size_t len)
{
	uint8_t *at = p;

	while (len) {
		/* For READ, the filter allows this call already. */
		struct iovec v = { at, len };
		ssize_t n = write ? pwrite(fd, at, len, (off_t)off) : preadv(fd, &v, 1, (off_t)off);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			return write ? -EIO : 1;
		at += n;
		off += (uint64_t)n;
		len -= (size_t)n;
	}
	return 0;
}

/* Set the reply for a @result of move_all() that is not 0. */
static void failed(struct vhu_saved *m, int result)
{
	m->state = VHU_SAVED_FAILED;
	m->error = result < 0 ? (uint32_t)-result : 0;
}

static uint32_t sum(uint32_t bytes)
{
	return (uint32_t)crc32_z(0, block.bytes, bytes);
}

/* Bytes that a name takes in the file. */
static uint32_t padded(uint32_t name_len)
{
	return (name_len + 7) & ~7u;
}

/* Begin with the first call, or check that @m comes after the call before. */
static bool in_order(struct fsd *d, const struct vhu_saved *m)
{
	if (m->at > INT64_MAX / 2)
		return false;
	if (m->cluster)
		return m->cluster == d->file.done;
	memset(d->file.mark, 0, (d->nodes.limit + 1ull) * sizeof(d->file.mark[0]));
	d->file.mark[NODE_ROOT] = MARK_DONE;
	d->file.way = MARK_LAST;
	d->file.next = NODE_ROOT + 1;
	d->file.next_handle = 1;
	d->file.done = 0;
	return true;
}

/* ---- writing ---- */

static void put(struct vhu_saved *m, struct saved_entry e, const char *name)
{
	uint8_t *to = block.bytes + block.head.bytes;

	e.name_len = (uint8_t)strlen(name);
	memcpy(to, &e, sizeof(e));
	memset(to + sizeof(e), 0, padded(e.name_len));
	memcpy(to + sizeof(e), name, e.name_len);
	block.head.bytes += (uint32_t)sizeof(e) + padded(e.name_len);
	m->count++;
}

/* An upper half that no number of the guest has. */
static uint32_t unused_count(const struct nodes *t)
{
	uint32_t most = 0;

	for (uint32_t i = NODE_ROOT + 1; i < t->kept->fresh; i++)
		most = MAX(most, t->node[i].count);
	for (uint32_t i = 1; i < t->kept->handles_fresh; i++)
		most = MAX(most, t->handle[i].count);
	return most + 1;
}

/* True if the name of @n leads to its file, so that a guest from the file finds the same. */
static bool still_there(struct fsd *d, const struct node *n)
{
	int fd;

	if (!n->type || node_is_mount(n) || n->fd == NODE_GONE)
		return false;
	d->work = 0;
	fd = fsd_find(d, node_parent(&d->nodes, n), node_name(&d->nodes, n), n);
	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

/* Write the node @i, after its directory, unless it is lost. */
static void put_node(struct fsd *d, struct vhu_saved *m, uint32_t i)
{
	const struct node *n = &d->nodes.node[i];
	bool there = d->file.mark[n->parent] == MARK_DONE && still_there(d, n);

	d->file.mark[i] = there ? MARK_DONE : MARK_LOST;
	if (there)
		put(m,
		    (struct saved_entry){ .lookups = n->lookups,
					  .index = i,
					  .count = n->count,
					  .parent = n->parent,
					  .type = (uint16_t)n->type,
					  .kind = SAVED_NODE },
		    node_name(&d->nodes, n));
}

/* Find the uppermost node above the node @i that has yet to be written; from there, marks lead down to @i. */
static uint32_t way_to(struct fsd *d, uint32_t i)
{
	uint32_t below = MARK_LAST;

	for (; d->nodes.node[i].type && d->file.mark[i] == MARK_NONE; i = d->nodes.node[i].parent) {
		d->file.mark[i] = below;
		below = i;
	}
	return below;
}

/* Write the next node or handle. Returns false if there are no more. */
static bool put_next(struct fsd *d, struct vhu_saved *m)
{
	const struct nodes *t = &d->nodes;

	while (d->file.way == MARK_LAST && d->file.next < t->kept->fresh)
		d->file.way = way_to(d, d->file.next++);
	if (d->file.way != MARK_LAST) {
		uint32_t i = d->file.way;

		d->file.way = d->file.mark[i];
		put_node(d, m, i);
		return true;
	}
	while (d->file.next_handle < t->kept->handles_fresh) {
		uint32_t i = d->file.next_handle++;
		const struct handle *h = &t->handle[i];

		if (!h->node || h->closed || d->file.mark[h->node] != MARK_DONE)
			continue;
		put(m, (struct saved_entry){ .index = i, .count = h->count, .parent = h->node, .kind = SAVED_HANDLE },
		    "");
		return true;
	}
	return false;
}

void fsd_save(struct fsd *d, int fd, struct vhu_saved *m)
{
	bool more = true;
	int r;

	fsd_load_over(d); /* Both use the marks. */
	if (!in_order(d, m)) {
		failed(m, -EFBIG);
		return;
	}
	block.head.bytes = 0;
	if (!m->cluster)
		put(m, (struct saved_entry){ .index = d->ready, .count = unused_count(&d->nodes), .kind = SAVED_BEGIN },
		    "");
	d->file.done++;
	for (unsigned i = 0; more && i < CALL_ENTRIES && block.head.bytes <= SAVED_BLOCK_MAX - 2 * ENTRY_MAX; i++) {
		more = put_next(d, m);
		d->file.done++;
	}
	if (!more)
		put(m, (struct saved_entry){ .lookups = m->count, .kind = SAVED_END }, "");
	m->cluster = d->file.done;
	/* All that this call has looked at may be lost. */
	if (!block.head.bytes)
		return;
	block.head.crc = sum(block.head.bytes);
	r = move_all(fd, true, &block, m->at, sizeof(block.head) + block.head.bytes);
	if (r) {
		failed(m, r);
		return;
	}
	m->at += sizeof(block.head) + block.head.bytes;
	if (!more)
		m->state = VHU_SAVED_DONE;
}

/* ---- reading ---- */

/* Empty the tables, those of a checkpoint as well. */
static void forget_all(struct fsd *d)
{
	struct nodes *t = &d->nodes;
	struct nodes_kept *k = t->kept;

	k->past.fresh = k->past.handles_fresh = 0;
	t->all_changed = true;
	nodes_clear(t);
	k->fresh = NODE_ROOT + 1;
	k->handles_fresh = 1;
	t->free = t->handles_free = 0;
	memset(d->replay, 0, sizeof(d->replay));
	d->ready = d->restarted = false;
}

static bool begin(struct fsd *d, const struct saved_entry *e)
{
	if (e->index > 1)
		return false;
	d->file.ready = e->index;
	d->file.count = d->nodes.first_count = e->count;
	return true;
}

static bool is_type(uint32_t type)
{
	return type == S_IFREG || type == S_IFDIR || type == S_IFLNK || type == S_IFIFO || type == S_IFSOCK ||
	       type == S_IFCHR || type == S_IFBLK;
}

/* Accept only an entry that the tables can have, whose name is the one at @name. */
static bool judge_node(const struct fsd *d, const struct saved_entry *e, const char *name)
{
	const struct nodes *t = &d->nodes;
	const uint32_t *mark = d->file.mark;

	if (e->index <= NODE_ROOT || e->index > t->limit || mark[e->index] != MARK_NONE)
		return false;
	if (e->parent > t->limit || mark[e->parent] == MARK_NONE)
		return false;
	if (mark[e->parent] == MARK_DONE && t->node[e->parent].type != S_IFDIR)
		return false;
	return e->lookups <= INT64_MAX && is_type(e->type) && strlen(name) == e->name_len &&
	       name_valid(name, NODE_NAME_MAX + 1);
}

/* The entries up to @index exist from now on. What is in between was not in use. */
static void reach(struct fsd *d, uint32_t index)
{
	struct nodes *t = &d->nodes;

	for (; t->kept->fresh <= index; t->kept->fresh++)
		t->node[t->kept->fresh] = (struct node){ .count = d->file.count };
}

/* Open the file @name in @dir, of the type @type, as a LOOKUP does. Returns a descriptor, or a negative number. */
static int find_again(struct fsd *d, struct node *dir, const char *name, mode_t type, struct stat *st)
{
	int at, fd;

	d->work = 0;
	at = fsd_fd(d, dir);
	fd = at < 0 ? at : fsd_open_at(d, at, name, O_PATH, 0, FSD_SAME_MOUNT);
	if (fd < 0)
		return fd;
	/* A file has one node. */
	if (fd_stat(fd, st) == 0 && (st->st_mode & S_IFMT) == type && !node_find(&d->nodes, st->st_dev, st->st_ino))
		return fd;
	close(fd);
	return -ESTALE;
}

/* Make the node of an entry that was judged. */
static void make_node(struct fsd *d, const struct saved_entry *e, const char *name)
{
	struct nodes *t = &d->nodes;
	struct node *n = &t->node[e->index];
	struct stat st = { 0 };
	uint32_t place = 0;
	int fd = -1;

	reach(d, e->index);
	n->count = e->count + 1;
	d->file.mark[e->index] = MARK_LOST;
	if (d->file.mark[e->parent] == MARK_DONE)
		fd = find_again(d, &t->node[e->parent], name, e->type, &st);
	if (fd >= 0)
		place = place_take(t, name);
	if (!place) {
		if (fd >= 0)
			close(fd);
		return;
	}
	*n = (struct node){ .dev = st.st_dev,
			    .ino = st.st_ino,
			    .lookups = e->lookups,
			    .parent = e->parent,
			    .name = place,
			    .count = e->count };
	nodes_step();
	n->type = e->type;
	/* Further ones are opened when the guest needs them. */
	if (t->open >= d->cfg.open) {
		close(fd);
		fd = NODE_IDLE;
	}
	node_keep(t, n, fd);
	d->file.mark[e->index] = MARK_DONE;
}

/* Accept only a handle behind all others, of a file that can be open. */
static bool judge_handle(const struct fsd *d, const struct saved_entry *e)
{
	const struct node *n = &d->nodes.node[MIN(e->parent, d->nodes.limit)];

	if (e->index < d->nodes.kept->handles_fresh || e->index > FSD_HANDLES || e->name_len)
		return false;
	if (e->parent > d->nodes.limit || d->file.mark[e->parent] == MARK_NONE)
		return false;
	return d->file.mark[e->parent] == MARK_LOST || n->type == S_IFREG || n->type == S_IFDIR;
}

static void make_handle(struct fsd *d, const struct saved_entry *e)
{
	struct nodes *t = &d->nodes;
	struct node *n = &t->node[e->parent];
	struct handle *h;
	int fd = -1;

	while (t->kept->handles_fresh <= e->index) {
		h = &t->handle[t->kept->handles_fresh++];
		*h = (struct handle){ .fd = -1, .count = d->file.count };
		if (t->kept->handles_fresh <= e->index)
			handle_lose(t, h);
	}
	h = &t->handle[e->index];
	d->work = 0;
	/* As when the guest opened it, the node has its descriptor from now on. */
	if (d->file.mark[e->parent] == MARK_DONE && fsd_fd(d, n) >= 0)
		fd = fsd_open(d, n, O_RDONLY);
	if (fd < 0) {
		h->count = e->count + 1;
		handle_lose(t, h);
		return;
	}
	*h = (struct handle){ .fd = fd, .count = e->count, .at = -1, .access = O_RDONLY };
	nodes_step();
	h->node = e->parent;
	n->uses++;
	n->handles++;
}

/* All entries are there. */
static void complete(struct fsd *d)
{
	struct nodes *t = &d->nodes;

	for (uint32_t i = t->kept->fresh - 1; i > NODE_ROOT; i--)
		if (!t->node[i].type) {
			t->node[i].next = t->free;
			t->free = i;
		}
	/* A directory may only be known because of a file below it that is lost. */
	for (uint32_t i = NODE_ROOT + 1; i < t->kept->fresh; i++)
		if (t->node[i].type)
			node_put(t, &t->node[i], 0);
	d->ready = d->file.ready;
	/* Files that are lost get ESTALE. */
	d->restarted = true;
}

/* Execute one entry, with its name at @name. Returns false if it is not acceptable. */
static bool execute(struct fsd *d, const struct saved_entry *e, const char *name, struct vhu_saved *m)
{
	if ((e->kind == SAVED_BEGIN) != !m->count)
		return false;
	switch (e->kind) {
	case SAVED_BEGIN:
		return begin(d, e);
	case SAVED_NODE:
		if (!judge_node(d, e, name))
			return false;
		make_node(d, e, name);
		return true;
	case SAVED_HANDLE:
		if (!judge_handle(d, e))
			return false;
		make_handle(d, e);
		return true;
	case SAVED_END:
		if (e->lookups != m->count)
			return false;
		complete(d);
		m->state = VHU_SAVED_DONE;
		return true;
	default:
		return false;
	}
}

/* Execute the entries of the block. Returns false if one is not acceptable. */
static bool execute_all(struct fsd *d, struct vhu_saved *m)
{
	uint32_t at = 0, bytes = block.head.bytes;

	while (at < bytes) {
		char name[NODE_NAME_MAX + 1] = "";
		struct saved_entry e;

		if (bytes - at < sizeof(e) || m->state != VHU_SAVED_MORE)
			return false;
		memcpy(&e, block.bytes + at, sizeof(e));
		at += (uint32_t)sizeof(e);
		if (bytes - at < padded(e.name_len))
			return false;
		memcpy(name, block.bytes + at, e.name_len);
		at += padded(e.name_len);
		if (!execute(d, &e, name, m))
			return false;
		m->count++;
	}
	return true;
}

void fsd_load(struct fsd *d, int fd, struct vhu_saved *m)
{
	int r = in_order(d, m) ? 0 : 1;

	m->count = m->cluster;
	if (!r && !m->cluster) {
		forget_all(d);
		d->file.loading = true;
	}
	if (!r)
		r = move_all(fd, false, &block.head, m->at, sizeof(block.head));
	if (!r && (!d->file.loading || !block.head.bytes || block.head.bytes > SAVED_BLOCK_MAX))
		r = 1;
	if (!r)
		r = move_all(fd, false, block.bytes, m->at + sizeof(block.head), block.head.bytes);
	if (!r && (sum(block.head.bytes) != block.head.crc || !execute_all(d, m)))
		r = 1;
	if (r) {
		failed(m, r);
		fsd_load_over(d);
		return;
	}
	m->at += sizeof(block.head) + block.head.bytes;
	m->cluster = d->file.done = m->count;
	d->file.loading = m->state == VHU_SAVED_MORE;
}

void fsd_load_over(struct fsd *d)
{
	if (d->file.loading)
		forget_all(d);
	d->file.loading = false;
}
