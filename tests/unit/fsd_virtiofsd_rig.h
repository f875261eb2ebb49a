/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A client of two file servers, fsd and virtiofsd: it sends each request to both, compares the answers, and knows which
 * files and names there must be. For fsd_virtiofsd.c, which says what may differ.
 */
#ifndef TESTS_FSD_VIRTIOFSD_RIG_H
#define TESTS_FSD_VIRTIOFSD_RIG_H

#include <sys/prctl.h>
#include <sys/time.h>

#define INODES 8192
#include "tests/unit/fsd_write_rig.h"

#define VIRTIOFSD "/usr/lib/qemu/virtiofsd"
#define NODES	  512
#define NAMES	  8 /* Few names, so that requests meet */
#define OPEN	  12
/* Most files of fsd with a descriptor: those that are open, those that were used last, and a few. */
#define FEW_NODE_FDS (OPEN + 8)
#define SIZE	     20000u /* Most bytes of a file */

enum side { FSD, OTHER, SIDES };
static const char *const side_name[SIDES] = { "fsd", "virtiofsd" };

/* A file or directory that the client knows. Entry 0 is the root. */
static struct {
	uint64_t id[SIDES];
	uint64_t lookups;
	mode_t type; /* 0: forgotten */
} nodes[NODES];
/* An open file or directory. */
static struct {
	uint64_t fh[SIDES];
	unsigned node;
	bool used;
} handles[OPEN];
/* The names that the client has made or looked up: what the tree is, if both are right. */
static struct {
	unsigned dir, node;
	char name[8];
	bool used;
} names[NODES];

static struct world worlds[SIDES];
static unsigned nnodes, step;
static uint64_t seed, state;
static uint32_t node_fds; /* Most files of fsd with a descriptor; 0: as many as it knows */
static int err[SIDES];
static uint8_t answer[SIDES][65536];
static uint32_t answer_len[SIDES];

static inline unsigned any(unsigned n)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (unsigned)(state >> 20) % n;
}

#define SAME(ok, ...)                                                                        \
	do {                                                                                 \
		if (!(ok)) {                                                                 \
			print_error("seed %llu, step %u: ", (unsigned long long)seed, step); \
			print_error(__VA_ARGS__);                                            \
			fail_msg("the answers differ");                                      \
		}                                                                            \
	} while (0)

/* ---- one request to both ---- */

/* Arguments, with the places of a node number and of a handle in them (-1: none), which differ between the two. */
struct args {
	uint8_t bytes[sizeof(struct fuse_write_in) + SIZE];
	uint32_t len, room;
	int node_at, fh_at;
	unsigned node, handle;
};

static inline struct args args_of(const void *fixed, size_t len, const char *a, const char *b, uint32_t room)
{
	static struct args x;

	x.len = (uint32_t)len;
	x.room = room;
	x.node_at = x.fh_at = -1;
	if (len)
		memcpy(x.bytes, fixed, len);
	for (unsigned i = 0; i < 2; i++) {
		const char *text = i ? b : a;

		if (text)
			memcpy(x.bytes + x.len, text, strlen(text) + 1);
		x.len += text ? (uint32_t)strlen(text) + 1 : 0;
	}
	return x;
}

static inline void ask_side(enum side s, uint32_t opcode, unsigned node, struct args *x)
{
	if (x->node_at >= 0)
		memcpy(x->bytes + x->node_at, &nodes[x->node].id[s], 8);
	if (x->fh_at >= 0)
		memcpy(x->bytes + x->fh_at, &handles[x->handle].fh[s], 8);
	w = worlds[s];
	err[s] = ask(opcode, nodes[node].id[s], x->bytes, x->len, x->room);
	answer_len[s] = err[s] ? 0 : reply_len();
	assert_true(answer_len[s] <= sizeof(answer[s]));
	memcpy(answer[s], reply(), answer_len[s]);
	worlds[s] = w;
	if (opcode == FUSE_LOOKUP && !err[s] && !((const struct fuse_entry_out *)answer[s])->nodeid)
		err[s] = -ENOENT;
}

static inline bool same_attributes(const struct fuse_attr *a, const struct fuse_attr *b)
{
	return a->mode == b->mode && a->nlink == b->nlink && a->size == b->size && a->uid == b->uid &&
	       a->gid == b->gid && a->rdev == b->rdev && a->blksize == b->blksize;
}

static inline void both(uint32_t opcode, unsigned node, struct args *x);

static inline bool has_name(unsigned node)
{
	for (unsigned i = 0; i < NODES; i++)
		if (names[i].used && names[i].node == node)
			return true;
	return node == 0;
}

/* As Linux does after ESTALE: look the file up by a name that it has. Returns false if it has none. */
static inline bool look_again(unsigned node)
{
	int before[SIDES] = { err[FSD], err[OTHER] };

	for (unsigned i = 0; i < NODES; i++)
		if (names[i].used && names[i].node == node) {
			struct args x = args_of(NULL, 0, names[i].name, NULL, sizeof(struct fuse_entry_out));

			both(FUSE_LOOKUP, names[i].dir, &x);
			SAME(!err[FSD], "a file that has the name %s is not found", names[i].name);
			nodes[node].lookups++;
			err[FSD] = before[FSD];
			err[OTHER] = before[OTHER];
			return true;
		}
	return false;
}

/* What the head of fsd_virtiofsd.c explains. */
static inline bool explained(uint32_t opcode)
{
	bool removes = opcode == FUSE_UNLINK || opcode == FUSE_RMDIR || opcode == FUSE_RENAME2;

	if (opcode == FUSE_READDIR && err[FSD] == -ENOENT && !err[OTHER])
		return true;
	if (opcode == FUSE_CREATE && err[FSD] == -EOPNOTSUPP)
		return err[OTHER] < 0;
	return removes && err[OTHER] == -EIO && err[FSD] < 0;
}

/* Send to both and compare whether they succeed. */
static inline void both(uint32_t opcode, unsigned node, struct args *x)
{
	ask_side(FSD, opcode, node, x);
	if (err[FSD] == -ESTALE && opcode != FUSE_LOOKUP && look_again(opcode == FUSE_LINK ? x->node : node))
		ask_side(FSD, opcode, node, x);
	else if (err[FSD] == -ESTALE)
		return;
	/* The other directory or file of the request may have no name any more. */
	if (err[FSD] == -ESTALE && node_fds && (!has_name(node) || (x->node_at >= 0 && !has_name(x->node))))
		return;
	ask_side(OTHER, opcode, node, x);
	SAME(err[FSD] == err[OTHER] || explained(opcode), "request %u of a node of type %o: fsd %d, virtiofsd %d",
	     opcode, nodes[node].type, err[FSD], err[OTHER]);
	SAME(answer_len[FSD] == answer_len[OTHER] || err[FSD] || opcode == FUSE_READDIR,
	     "request %u: %u and %u bytes of answer", opcode, answer_len[FSD], answer_len[OTHER]);
}

/* ---- the client's picture ---- */

static inline int find_name(unsigned dir, const char *name)
{
	for (int i = 0; i < NODES; i++)
		if (names[i].used && names[i].dir == dir && !strcmp(names[i].name, name))
			return i;
	return -1;
}

static inline void drop_name(unsigned dir, const char *name)
{
	int i = find_name(dir, name);

	if (i >= 0)
		names[i].used = false;
}

static inline void set_name(unsigned dir, const char *name, unsigned node)
{
	unsigned i = 0;

	drop_name(dir, name);
	while (names[i].used)
		assert_true(++i < NODES);
	names[i].used = true;
	names[i].dir = dir;
	names[i].node = node;
	snprintf(names[i].name, sizeof(names[i].name), "%s", name);
}

/* Both have answered with an entry for @name in @dir. */
static inline void got_entry(unsigned dir, const char *name)
{
	const struct fuse_entry_out *a = (const void *)answer[FSD], *b = (const void *)answer[OTHER];
	int known[SIDES] = { -1, -1 }, old = find_name(dir, name);

	SAME(same_attributes(&a->attr, &b->attr), "entry %s: mode %o %o, links %u %u, size %llu %llu, owner %u %u",
	     name, a->attr.mode, b->attr.mode, a->attr.nlink, b->attr.nlink, (unsigned long long)a->attr.size,
	     (unsigned long long)b->attr.size, a->attr.uid, b->attr.uid);
	SAME(a->entry_valid == b->entry_valid && a->attr_valid == b->attr_valid, "times for which %s is valid", name);
	for (unsigned i = 0; i < nnodes; i++) {
		if (!nodes[i].type)
			continue;
		if (nodes[i].id[FSD] == a->nodeid)
			known[FSD] = (int)i;
		if (nodes[i].id[OTHER] == b->nodeid)
			known[OTHER] = (int)i;
	}
	SAME(known[FSD] == known[OTHER], "%s is known as %d and %d", name, known[FSD], known[OTHER]);
	if (known[FSD] < 0) {
		for (known[FSD] = 0; nodes[known[FSD]].type; known[FSD]++)
			assert_true(known[FSD] + 1 < NODES);
		nnodes = MAX(nnodes, (unsigned)known[FSD] + 1);
		nodes[known[FSD]].id[FSD] = a->nodeid;
		nodes[known[FSD]].id[OTHER] = b->nodeid;
		nodes[known[FSD]].type = a->attr.mode & S_IFMT;
	}
	nodes[known[FSD]].lookups++;
	SAME(old < 0 || names[old].node == (unsigned)known[FSD], "%s is another file than before", name);
	set_name(dir, name, (unsigned)known[FSD]);
}

static inline unsigned pick(mode_t type)
{
	unsigned n = any(nnodes);

	/* Mostly one of that type. */
	for (unsigned i = 0; i < 2 * nnodes; i++, n = (n + 1) % nnodes)
		if (nodes[n].type == type || (nodes[n].type && !any(50)))
			return n;
	return 0;
}

static inline unsigned pick_dir(void)
{
	return any(3) ? 0 : pick(S_IFDIR);
}

static inline const char *pick_name(void)
{
	static char text[4][8];
	static unsigned turn;
	char *t = text[turn++ % 4];

	snprintf(t, 8, "n%u", any(NAMES));
	return t;
}

static inline void remember_handle(unsigned node, uint64_t a, uint64_t b)
{
	for (unsigned i = 0; i < OPEN; i++)
		if (!handles[i].used) {
			handles[i].used = true;
			handles[i].node = node;
			handles[i].fh[FSD] = a;
			handles[i].fh[OTHER] = b;
			return;
		}
	fail_msg("too many open files");
}

static inline int pick_handle(mode_t type)
{
	unsigned from = any(OPEN);

	for (unsigned i = 0; i < OPEN; i++) {
		unsigned h = (from + i) % OPEN;

		if (handles[h].used && nodes[handles[h].node].type == type)
			return (int)h;
	}
	return -1;
}

static inline unsigned open_files(void)
{
	unsigned n = 0;

	for (unsigned i = 0; i < OPEN; i++)
		n += handles[i].used;
	return n;
}

/* ---- both of them ---- */

static inline void remove_tree(const char *dir)
{
	char command[80];

	snprintf(command, sizeof(command), "rm -rf %s", dir);
	assert_int_equal(system(command), 0);
}

static inline void start_virtiofsd(void)
{
	char path[64], socket[96], source[96];

	make_tree();
	snprintf(path, sizeof(path), "%s.sock", w.dir);
	snprintf(socket, sizeof(socket), "--socket-path=%s", path);
	snprintf(source, sizeof(source), "source=%s,sandbox=chroot,log_level=err", w.dir);
	w.f.pid = fork();
	if (!w.f.pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		/* Also the other one's connection, which it would keep open. */
		close_range(3, ~0u, 0);
		execl(VIRTIOFSD, "virtiofsd", socket, "-f", "-o", source, "--rlimit-nofile=0", NULL);
		_exit(9);
	}
	for (unsigned i = 0; !front_connect(&w.f, path); i++) {
		assert_true(i < PATIENCE_MS / 10);
		if (waitpid(w.f.pid, NULL, WNOHANG) != 0) {
			print_message("skipped: virtiofsd does not start here\n");
			remove_tree(w.dir);
			remove_tree(worlds[FSD].dir);
			skip();
		}
		usleep(10000);
	}
	unlink(path);
	assert_true(front_memory(&w.f, MEM, 0, true));
	assert_true(front_negotiate(&w.f, 1ull << 32 | 1ull << VHU_F_PROTOCOL_FEATURES | 1ull << 29,
				    1ull << VHU_PF_MQ | 1ull << VHU_PF_REPLY_ACK));
	assert_true(front_send_table(&w.f));
	for (unsigned q = 0; q < FS_QUEUES; q++)
		start_queue(q);
}

static inline void start_both(void)
{
	memset(nodes, 0, sizeof(nodes));
	memset(handles, 0, sizeof(handles));
	memset(names, 0, sizeof(names));
	for (enum side s = FSD; s < SIDES; s++) {
		memset(&w, 0, sizeof(w));
		if (s == FSD) {
			w.open = node_fds ? node_fds : INODES;
			w.max = 1u << 30;
			begin();
		} else {
			start_virtiofsd();
		}
		assert_int_equal(init(), 0);
		worlds[s] = w;
		nodes[0].id[s] = FUSE_ROOT_ID;
	}
	nodes[0].type = S_IFDIR;
	nnodes = 1;
}

static inline void stop_both(void)
{
	void *none = NULL;

	for (enum side s = FSD; s < SIDES; s++) {
		w = worlds[s];
		/* It has no supervisor. */
		if (s == OTHER)
			w.ctl[0] = -1;
		assert_int_equal(finish(&none), 0);
	}
}

#endif
