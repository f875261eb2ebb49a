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

/*
 * Print the tag and the file, which is read through the last request queue. SHARE_KILLED: then read on until the test has changed the file, which it does after it
 * has killed fsd. SHARE_WRITE: write on.
 */
void test_share(enum share_test test)
{
	const struct fuse_init_in init = { .major = 7, .minor = 31 };
	uint64_t node, fh;
	char tag[37];

	if (!vdev_find(&fs, FS) || !vdev_begin(&fs, 0))
		fail("no share");
	vdev_queue(&fs, &urgent, 0, 0);
	/* The last request queue. */
	vdev_queue(&fs, &q, MMIO(uint32_t, fs.config + 36), 0);
	vdev_ready(&fs);
	for (unsigned i = 0; i < 36; i++)
		tag[i] = (char)MMIO(uint8_t, fs.config + i);
	tag[36] = '\0';
	say(tag);
	say_num(" has request queues: ", MMIO(uint32_t, fs.config + 36));
	memcpy(in.args, &init, sizeof(init));
	if (ask(FUSE_INIT, 0, sizeof(init)))
		fail("INIT");
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
