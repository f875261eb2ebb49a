/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A driver of the file system device: reads the file "file" of the share, writes others. Runs in ring 0 of a guest. */
#include <linux/fuse.h>

#include "tests/guest/guest.h"

#define FS    0x105a1af4u
#define NEXT  1
#define WRITE 2

static struct vdev fs;
static struct vqueue urgent, q;
static uint64_t unique;
static struct {
	struct fuse_in_header h;
	uint8_t args[128];
} in __attribute__((aligned(16)));
static struct {
	struct fuse_out_header h;
	union {
		struct fuse_entry_out entry;
		struct fuse_open_out open;
		struct {
			struct fuse_entry_out entry;
			struct fuse_open_out open;
		} created;
		char data[64];
	};
} out __attribute__((aligned(16)));

static bool same(const char *a, const char *b, unsigned n)
{
	while (n && *a == *b) {
		a++;
		b++;
		n--;
	}
	return !n;
}

/* Send one request with @len bytes of arguments, which are in @in. Returns its error, 0 or negative. */
static int ask(uint32_t opcode, uint64_t nodeid, uint32_t len)
{
	uint32_t got;

	memset(&out, 0, sizeof(out));
	in.h = (struct fuse_in_header){ .len = (uint32_t)sizeof(in.h) + len, .opcode = opcode, .nodeid = nodeid };
	in.h.unique = ++unique;
	q.desc[0] = (struct desc){ (uintptr_t)&in, in.h.len, NEXT, 1 };
	q.desc[1] = (struct desc){ (uintptr_t)&out, sizeof(out), WRITE, 0 };
	vq_offer(&q, 0);
	vq_kick(&q);
	if (!vq_wait(&q, &got))
		fail("no reply");
	return out.h.error;
}

/* Look "file" up and open it. */
static void open_file(uint64_t *node, uint64_t *fh)
{
	memcpy(in.args, "file", 5);
	if (ask(FUSE_LOOKUP, FUSE_ROOT_ID, 5))
		fail("LOOKUP");
	*node = out.entry.nodeid;
	memset(in.args, 0, sizeof(in.args));
	if (ask(FUSE_OPEN, *node, sizeof(struct fuse_open_in)))
		fail("OPEN");
	*fh = out.open.fh;
}

static int read_file(uint64_t node, uint64_t fh)
{
	const struct fuse_read_in r = { .fh = fh, .size = sizeof(out.data) - 1 };

	memcpy(in.args, &r, sizeof(r));
	return ask(FUSE_READ, node, sizeof(r));
}

/* Drop the reference to @node. */
static void forget(uint64_t node)
{
	uint32_t got;

	in.h = (struct fuse_in_header){ .len = sizeof(in.h) + 8, .opcode = FUSE_FORGET, .nodeid = node };
	memset(in.args, 0, 8);
	in.args[0] = 1;
	q.desc[0] = (struct desc){ (uintptr_t)&in, in.h.len, 0, 0 };
	vq_offer(&q, 0);
	vq_kick(&q);
	if (!vq_wait(&q, &got))
		fail("FORGET");
}

/* A change of names in the root: @fixed and then names, which may contain NULs. */
static void change(uint32_t opcode, const char *what, const void *fixed, uint32_t len, const char *names, uint32_t more)
{
	memcpy(in.args, fixed, len);
	memcpy(in.args + len, names, more);
	if (ask(opcode, FUSE_ROOT_ID, len + more)) {
		say_num("error ", (uint32_t)-out.h.error);
		fail(what);
	}
}

/* Write 8 digits of @round to a new file, which then replaces the one of ten rounds before. */
static void write_round(uint32_t round)
{
	const struct fuse_create_in create = { .flags = 02 | 0200, .mode = 0600 }; /* O_RDWR | O_EXCL */
	const struct fuse_rename2_in rename = { .newdir = FUSE_ROOT_ID };
	const struct fuse_mkdir_in mkdir = { .mode = 0700 };
	struct fuse_write_in put = { .size = 8 };
	struct fuse_release_in release = { 0 };
	char names[] = { 'n', (char)('0' + round % 10), 0, 'm', (char)('0' + round % 10), 0 }, text[8];
	uint64_t node;

	for (unsigned i = 0, v = round; i < 8; i++, v /= 10)
		text[7 - i] = (char)('0' + v % 10);
	change(FUSE_CREATE, "CREATE", &create, sizeof(create), names, 3);
	node = out.created.entry.nodeid;
	put.fh = release.fh = out.created.open.fh;
	memcpy(in.args, &put, sizeof(put));
	memcpy(in.args + sizeof(put), text, sizeof(text));
	if (ask(FUSE_WRITE, node, sizeof(put) + sizeof(text)))
		fail("WRITE");
	change(FUSE_RENAME2, "RENAME2", &rename, sizeof(rename), names, 6);
	if (read_file(node, put.fh) || !same(out.data, text, sizeof(text)))
		fail("READ of what was written");
	memcpy(in.args, &release, sizeof(release));
	if (ask(FUSE_RELEASE, node, sizeof(release)))
		fail("RELEASE");
	forget(node);
	change(FUSE_MKDIR, "MKDIR", &mkdir, sizeof(mkdir), "d", 2);
	node = out.entry.nodeid;
	change(FUSE_RMDIR, "RMDIR", NULL, 0, "d", 2);
	forget(node);
}

/* Write and read until the test makes the file "stop"; the file that is open all the time stays so. */
static void write_on(uint64_t node, uint64_t fh)
{
	uint32_t round = 0;

	say("writing\n");
	for (;;) {
		write_round(++round);
		if (read_file(node, fh) || !same(out.data, "shared text", 11))
			fail("READ of the open file");
		memcpy(in.args, "stop", 5);
		if (ask(FUSE_LOOKUP, FUSE_ROOT_ID, 5))
			fail("LOOKUP");
		if (out.entry.nodeid)
			break;
	}
	say_num("last round: ", round);
}

/* Set up the share with its queues. */
static void set_up(void)
{
	const struct fuse_init_in init = { .major = 7, .minor = 31 };

	if (!vdev_find(&fs, FS) || !vdev_begin(&fs, 0))
		fail("no share");
	vdev_queue(&fs, &urgent, 0, 0);
	/* The last request queue. */
	vdev_queue(&fs, &q, MMIO(uint32_t, fs.config + 36), 0);
	vdev_ready(&fs);
	memcpy(in.args, &init, sizeof(init));
	if (ask(FUSE_INIT, 0, sizeof(init)))
		fail("INIT");
}

/* ---- --checkpoint ---- */

#define EXIT_PORT 0xf4
#define COUNT	  (1ull << 32) /* What the next number of an entry has more */
#define EBADF	  9
#define ESTALE	  116

static uint64_t rdtsc(void)
{
	uint32_t lo, hi;

	__asm__ volatile("rdtsc" : "=a"(lo), "=d"(hi));
	return (uint64_t)hi << 32 | lo;
}

static uint64_t look(const char *name, uint32_t len)
{
	memcpy(in.args, name, len);
	if (ask(FUSE_LOOKUP, FUSE_ROOT_ID, len) || !out.entry.nodeid)
		fail("LOOKUP");
	return out.entry.nodeid;
}

static uint64_t open_node(uint32_t opcode, uint64_t node)
{
	memset(in.args, 0, sizeof(in.args));
	if (ask(opcode, node, sizeof(struct fuse_open_in)))
		fail("OPEN");
	return out.open.fh;
}

static int release(uint32_t opcode, uint64_t node, uint64_t fh)
{
	const struct fuse_release_in r = { .fh = fh };

	memcpy(in.args, &r, sizeof(r));
	return ask(opcode, node, sizeof(r));
}

/* Read one entry of a directory at @at. Returns where it goes on. */
static uint64_t read_dir(uint64_t node, uint64_t fh, uint64_t at)
{
	const struct fuse_read_in r = { .fh = fh, .offset = at, .size = 40 };

	memcpy(in.args, &r, sizeof(r));
	if (ask(FUSE_READDIR, node, sizeof(r)))
		fail("READDIR");
	return ((const struct fuse_dirent *)out.data)->off;
}

static bool is_gone(int error)
{
	return error == -EBADF || error == -ESTALE;
}

/* Change what the device keeps for the guest, otherwise each time, and leave requests in the queue. */
static void change_share(uint64_t nonce, uint64_t node, uint64_t fh, uint64_t dir, uint64_t dir_fh)
{
	for (uint64_t n = 1 + nonce % 7; n; n--) {
		uint64_t late = look("new", 4);

		if (release(FUSE_RELEASE, late, open_node(FUSE_OPEN, late)))
			fail("RELEASE");
		forget(late);
	}
	open_node(FUSE_OPEN, look("new", 4));
	open_node(FUSE_OPENDIR, dir);
	if (nonce & 8 && (release(FUSE_RELEASE, node, fh) || release(FUSE_RELEASEDIR, dir, dir_fh)))
		fail("RELEASE");
	if (nonce & 16) {
		forget(node);
		forget(dir);
	}
	if ((nonce & 0x60) == 0x20)
		(void)ask(FUSE_DESTROY, 0, 0);
	if ((nonce & 0x60) == 0x40)
		set_up();
	if ((nonce & 0x60) == 0x60) {
		vdev_reset(&fs);
		return;
	}
	for (unsigned i = 0; i < 4; i++)
		vq_offer(&q, 0);
	vq_kick(&q);
}

void test_checkpoint_share(void)
{
	uint64_t node, fh, dir, dir_fh, late, late_fh, at, next, nonce;

	set_up();
	open_file(&node, &fh);
	dir = look("dir", 4);
	dir_fh = open_node(FUSE_OPENDIR, dir);
	at = read_dir(dir, dir_fh, 0);
	next = read_dir(dir, dir_fh, at);
	/* The entries that the next file and its handle get. */
	late = look("new", 4);
	late_fh = open_node(FUSE_OPEN, late);
	if (release(FUSE_RELEASE, late, late_fh))
		fail("RELEASE");
	forget(late);
	outb(EXIT_PORT, 'C');
	if (read_file(node, fh) || !same(out.data, "shared text", 11))
		fail("READ of the open file");
	if (read_dir(dir, dir_fh, at) != next)
		fail("the directory goes on elsewhere");
	for (uint64_t i = 0; i < 8; i++) {
		if (!is_gone(read_file(node, late_fh + i * COUNT)) || !is_gone(read_file(node, dir_fh + 1 + i * COUNT)))
			fail("a handle is left");
		if (ask(FUSE_STATFS, late + i * COUNT, 0) != -ESTALE)
			fail("a file is left");
	}
	if (look("file", 5) != node || look("dir", 4) != dir)
		fail("the numbers are others");
	say_num("number ", look("new", 4));
	say_num("handle ", open_node(FUSE_OPEN, out.entry.nodeid));
	nonce = rdtsc() * 0x9e3779b97f4a7c15ull >> 20;
	change_share(nonce, node, fh, dir, dir_fh);
	if (nonce & 1ull << 40)
		__asm__ volatile("pause");
	outb(EXIT_PORT, 'R');
	fail("no reset");
}

/* Read @size bytes of the file at @at. Returns how many there were. */
static uint32_t read_at(uint64_t node, uint64_t fh, uint64_t at, uint32_t size)
{
	const struct fuse_read_in r = { .fh = fh, .offset = at, .size = size };

	memcpy(in.args, &r, sizeof(r));
	if (ask(FUSE_READ, node, sizeof(r)))
		fail("READ");
	return out.h.len - (uint32_t)sizeof(out.h);
}

/* A program that reads the file in small pieces is in the middle of it at the checkpoint. */
void test_checkpoint_reader(void)
{
	uint64_t node, fh, at = 0;
	uint32_t n;

	set_up();
	open_file(&node, &fh);
	while (at < 7)
		at += read_at(node, fh, at, 7);
	outb(EXIT_PORT, 'C');
	say("goes on: ");
	while ((n = read_at(node, fh, at, 2))) {
		out.data[n] = '\0';
		say(out.data);
		at += n;
	}
	if (release(FUSE_RELEASE, node, fh))
		fail("RELEASE");
	outb(EXIT_PORT, 'R');
	fail("no reset");
}

/*
 * Print the tag and the file, which is read through the last request queue. SHARE_KILLED: then read on until the test has changed the file, which it does after it
 * has killed fsd. SHARE_WRITE: write on.
 */
void test_share(enum share_test test)
{
	uint64_t node, fh;
	char tag[37];

	set_up();
	for (unsigned i = 0; i < 36; i++)
		tag[i] = (char)MMIO(uint8_t, fs.config + i);
	tag[36] = '\0';
	say(tag);
	say_num(" has request queues: ", MMIO(uint32_t, fs.config + 36));
	open_file(&node, &fh);
	if (read_file(node, fh))
		fail("READ");
	say(out.data);
	if (test == SHARE_WRITE)
		write_on(node, fh);
	if (test != SHARE_KILLED)
		return;
	say("reading\n");
	do {
		if (read_file(node, fh))
			fail("READ again");
	} while (same(out.data, "shared text", 11));
	say("again: ");
	say(out.data);
}
