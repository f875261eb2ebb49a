/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The whole file system device behind a socket, for tests: a directory tree, the queues, and a front-end that sends
 * FUSE requests and waits for the replies.
 */
#ifndef TESTS_FSD_RIG_H
#define TESTS_FSD_RIG_H

#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "fsd/device.h"
#include "fsd/restore.h"
#include "tests/lib/front.h"

#define MEM	 (8u << 20)
#define IN_AT	 0x80000u  /* Header and arguments */
#define OUT_AT	 0x200000u /* Header of the reply */
#define RINGS_AT 0x600000u /* Rings of further request queues */
#define ALL	 (~0ull & ~(1ull << 40))
#ifndef INODES
#define INODES 64
#endif
/* Most files with a descriptor, unless a test sets another number. */
#define NODE_FDS 64

struct world {
	struct front f;
	char dir[40];
	uint32_t generation; /* Of the process */
	bool own_front;
	bool checkpoint;    /* The guest can go back to an earlier state */
	bool fresh, begins; /* --reset=fresh */
	int kept_nodes;	    /* With @begins: the tables of the checkpoint */
	enum fs_cache cache;
	unsigned queues; /* Request queues; 0: one */
	uint32_t open;	 /* Most files with a descriptor; 0: NODE_FDS */
	unsigned on;	 /* Index of the queue that requests go to; 0: the first request queue */
	uint64_t max;	 /* Not 0: the guest may write, and add this many bytes */
	int added;	 /* For that: the count, which outlives the process */
	int file;	 /* File of --save and --from; 0: none */
	int nodes;	 /* Memory for the tables, which outlives the process; 0: none */
	int ctl[2];	 /* Supervisor's end, child's end */
	uint32_t got;	 /* Length in the used ring */
};

static struct world w;
static struct fsd device;
static struct backend loop;

static inline int move_high(int fd)
{
	return fcntl(fd, F_DUPFD_CLOEXEC, 400);
}

/* In the child: do what main() of fsd does, without confinement. */
static inline void serve(int sock)
{
	const struct fs_config c = {
		.cache = w.cache,
		.request_queues = (uint8_t)MAX(w.queues, 1),
		.inodes = INODES,
		.open = w.open ? w.open : NODE_FDS,
		.others_are_root = true,
		.tables_lent = w.nodes,
		.checkpoint = w.checkpoint,
		.fresh = w.fresh,
		.begins = w.begins,
		.saved = w.file,
		.read_write = w.max,
		.max = w.max,
	};
	struct backend_config bc = { .generation = w.generation, .log_pages = true, .checkpoint = w.checkpoint };
	int root = move_high(open(w.dir, O_PATH)), front = move_high(sock), ctl = move_high(w.ctl[1]);
	int added = w.max ? move_high(w.added) : -1, nodes = w.nodes ? move_high(w.nodes) : -1;
	int file = w.file ? move_high(w.file) : -1, kept = w.begins ? move_high(w.kept_nodes) : -1;
	char why[LOG_LINE_MAX];

	log_to_fd(2, "fsd", LOG_ERROR);
	for (int fd = 3; fd < HFD_LIMIT; fd++)
		close(fd);
	dup2(root, HFD_ROOT);
	dup2(front, HFD_FRONT);
	dup2(ctl, HFD_CTL);
	if (w.max)
		dup2(added, HFD_ADDED);
	if (w.nodes)
		dup2(nodes, HFD_NODES);
	if (w.begins)
		dup2(kept, HFD_KEPT_NODES);
	if (w.file) {
		dup2(file, HFD_SAVE);
		dup2(file, HFD_FROM);
	}
	umask(0);
	close(root);
	close(front);
	close(ctl);
	if (fsd_init(&device, &c, w.generation, why, sizeof(why)) < 0)
		_exit(7);
	fsd_restore(&device);
	fsd_backend(&device, "fs0", &bc);
	if (backend_prepare(&loop, &bc))
		_exit(8);
	if (w.generation)
		loop.awaiting_resume = false;
	_exit(backend_run(&loop));
}

/* Write a file below the shared directory. */
static inline void put_file(const char *name, const char *text)
{
	char path[400];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", w.dir, name);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
	assert_true(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
	close(fd);
}

static inline char *path_of(const char *name)
{
	static char path[2][400];
	static unsigned turn;

	turn = !turn;
	snprintf(path[turn], sizeof(path[turn]), "%s/%s", w.dir, name);
	return path[turn];
}

static inline void make_tree(void)
{
	memcpy(w.dir, "/tmp/fsd.XXXXXX", 16);
	assert_non_null(mkdtemp(w.dir));
	put_file("file", "hello");
	assert_int_equal(mkdir(path_of("dir"), 0755), 0);
	put_file("dir/inner", "inner text");
	assert_int_equal(symlink("../../../etc/passwd", path_of("link")), 0);
	assert_int_equal(mkfifo(path_of("fifo"), 0644), 0);
}

static inline struct stats stats(void)
{
	struct ctl_msg m = { .type = CTL_GET_STATS };

	assert_true(send(w.ctl[0], &m, sizeof(m), 0) == (ssize_t)sizeof(m));
	do
		assert_true(recv(w.ctl[0], &m, sizeof(m), 0) == (ssize_t)sizeof(m));
	while (m.type != CTL_STATS);
	return m.stats;
}

/* A chain of one buffer to read and, unless @room is 0, one to write. Returns false if the queue has stopped. */
static inline bool send_chain(unsigned q, uint32_t out, uint32_t room)
{
	struct front_buf b[2] = { { IN_AT, out, false }, { OUT_AT, room, true } };
	uint32_t id;

	memset(front_ptr(&w.f, OUT_AT), 0xee, room + 64);
	front_offer(&w.f.q[q], front_chain(&w.f.q[q], b, room ? 2 : 1));
	front_kick(&w.f.q[q]);
	for (unsigned i = 0; i < PATIENCE_MS; i++) {
		if (front_wait_used(&w.f.q[q], &id, &w.got, 1))
			return true;
		if (front_wait_err(&w.f.q[q], 0))
			return false;
	}
	fail_msg("no reply");
	return false;
}

/* Send a request. Returns its error (0 or negative); the reply's data is at reply(). */
static inline int ask(uint32_t opcode, uint64_t nodeid, const void *args, uint32_t len, uint32_t room)
{
	struct fuse_in_header h = {
		.len = (uint32_t)sizeof(h) + len, .opcode = opcode, .unique = 77, .nodeid = nodeid
	};
	const struct fuse_out_header *out = front_ptr(&w.f, OUT_AT);

	memcpy(front_ptr(&w.f, IN_AT), &h, sizeof(h));
	if (len)
		memcpy(front_ptr(&w.f, IN_AT + sizeof(h)), args, len);
	assert_true(send_chain(MAX(w.on, 1), h.len, (uint32_t)sizeof(*out) + room));
	assert_int_equal(out->unique, 77);
	assert_int_equal(out->len, w.got);
	return out->error;
}

static inline const void *reply(void)
{
	return (const uint8_t *)front_ptr(&w.f, OUT_AT) + sizeof(struct fuse_out_header);
}

static inline uint32_t reply_len(void)
{
	return w.got - (uint32_t)sizeof(struct fuse_out_header);
}

static inline void forget(uint64_t nodeid, uint64_t n)
{
	struct fuse_forget_in in = { .nlookup = n };
	struct fuse_in_header h = { .len = sizeof(h) + sizeof(in), .opcode = FUSE_FORGET, .nodeid = nodeid };

	memcpy(front_ptr(&w.f, IN_AT), &h, sizeof(h));
	memcpy(front_ptr(&w.f, IN_AT + sizeof(h)), &in, sizeof(in));
	assert_true(send_chain(0, h.len, 0));
	assert_int_equal(w.got, 0);
}

static inline int init(void)
{
	const struct fuse_init_in in = { .major = 7, .minor = 31, .max_readahead = 65536, .flags = ~0u };

	return ask(FUSE_INIT, 0, &in, sizeof(in), 256);
}

/* Look @name up in @parent. Returns its number; 0 if there is no such file; or a negative error. */
static inline int64_t look(uint64_t parent, const char *name)
{
	int err = ask(FUSE_LOOKUP, parent, name, (uint32_t)strlen(name) + 1, sizeof(struct fuse_entry_out));

	return err ? err : (int64_t)((const struct fuse_entry_out *)reply())->nodeid;
}

/* Open a file or directory. Returns its handle or a negative error. */
static inline int64_t open_node(uint32_t opcode, uint64_t nodeid, uint32_t flags)
{
	const struct fuse_open_in in = { .flags = flags };
	int err = ask(opcode, nodeid, &in, sizeof(in), sizeof(struct fuse_open_out));

	return err ? err : (int64_t)((const struct fuse_open_out *)reply())->fh;
}

static inline int read_node(uint32_t opcode, uint64_t nodeid, uint64_t fh, uint64_t off, uint32_t size)
{
	const struct fuse_read_in in = { .fh = fh, .offset = off, .size = size };

	return ask(opcode, nodeid, &in, sizeof(in), size);
}

static inline int release(uint32_t opcode, uint64_t nodeid, uint64_t fh)
{
	const struct fuse_release_in in = { .fh = fh };

	return ask(opcode, nodeid, &in, sizeof(in), 0);
}

static inline void start_queue(unsigned q)
{
	assert_true(front_queue_start(front_queue(&w.f, q, 128, (q < FS_QUEUES ? 0x10000u : RINGS_AT) + q * 0x10000u)));
}

/* The share is an empty directory on a memory file system, which removes a deep tree much faster than others. */
static inline void share_in_memory(void)
{
	memcpy(w.dir, "/dev/shm/fsd.XXXXXX", 20);
	assert_non_null(mkdtemp(w.dir));
}

static inline void begin(void)
{
	int pair[2];

	if (!w.dir[0])
		make_tree();
	if (w.max && w.added <= 0) {
		w.added = memfd_create("added", MFD_CLOEXEC);
		assert_true(w.added > 0 && ftruncate(w.added, 4096) == 0);
	}
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, w.ctl), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	w.f.pid = fork();
	if (!w.f.pid) {
		close(pair[0]);
		serve(pair[1]);
	}
	close(pair[1]);
	close(w.ctl[1]);
	w.f.sock = pair[0];
	assert_true(front_memory(&w.f, MEM, 0, true));
	assert_true(front_negotiate(&w.f, ALL, ALL));
	assert_true(front_send_memory(&w.f));
	for (unsigned q = 0; q < FS_URGENT_QUEUES + MAX(w.queues, 1); q++)
		start_queue(q);
}

static inline int fresh(void **state)
{
	(void)state;
	memset(&w, 0, sizeof(w));
	return 0;
}

static inline int finish(void **state)
{
	char command[80];
	int status = front_close(&w.f);

	(void)state;
	close(w.ctl[0]);
	snprintf(command, sizeof(command), "rm -rf %s", w.dir);
	/* Fails if the device's process did not exit in order. */
	return system(command) || status ? -1 : 0;
}

#define T(f) cmocka_unit_test_setup_teardown(f, fresh, finish)

#endif
