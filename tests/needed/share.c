/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Everything that a guest can ask of a share. Part of tests/needed/work. */
#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <linux/virtio_config.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/needed/work.h"

#define REPLY (DATA + sizeof(struct fuse_out_header))

static char dir_name[] = "/var/tmp/needed.XXXXXX";

static int ask(struct front_queue *q, uint32_t opcode, uint64_t nodeid, const void *args, uint32_t len)
{
	struct fuse_in_header *h = front_ptr(&f, HDR);
	const struct fuse_out_header *out = front_ptr(&f, DATA);
	struct front_buf b[2] = { { HDR, (uint32_t)sizeof(*h) + len, false }, { DATA, 65536, true } };
	uint32_t id, got;

	*h = (struct fuse_in_header){ .len = (uint32_t)sizeof(*h) + len, .opcode = opcode, .nodeid = nodeid };
	if (len)
		memcpy(h + 1, args, len);
	front_offer(q, front_chain(q, b, 2));
	front_kick(q);
	MUST(front_wait_used(q, &id, &got, WAIT_MS));
	return out->error;
}

static uint64_t look(struct front_queue *q, const char *name)
{
	MUST(ask(q, FUSE_LOOKUP, 1, name, (uint32_t)strlen(name) + 1) == 0);
	return ((const struct fuse_entry_out *)front_ptr(&f, REPLY))->nodeid;
}

static void files(struct front_queue *q)
{
	const struct fuse_open_in open_in = { 0 };
	struct fuse_read_in in = { .size = 4096 };
	struct fuse_lseek_in seek = { .whence = SEEK_HOLE };
	struct fuse_release_in release = { 0 };
	uint64_t node = look(q, "file"), link = look(q, "link");

	MUST(node && link);
	MUST(ask(q, FUSE_READLINK, link, NULL, 0) == 0);
	MUST(memcmp(front_ptr(&f, REPLY), "nowhere", 7) == 0);
	MUST(ask(q, FUSE_OPEN, node, &open_in, sizeof(open_in)) == 0);
	in.fh = release.fh = seek.fh = ((const struct fuse_open_out *)front_ptr(&f, REPLY))->fh;
	MUST(ask(q, FUSE_READ, node, &in, sizeof(in)) == 0);
	MUST(memcmp(front_ptr(&f, REPLY), "content", 7) == 0);
	MUST(ask(q, FUSE_LSEEK, node, &seek, sizeof(seek)) == 0);
	MUST(ask(q, FUSE_RELEASE, node, &release, sizeof(release)) == 0);
	MUST(ask(q, FUSE_STATFS, 1, NULL, 0) == 0);
}

static void directories(struct front_queue *q)
{
	const struct fuse_open_in open_in = { 0 };
	struct fuse_read_in in = { .size = 4096 };

	MUST(ask(q, FUSE_OPENDIR, 1, &open_in, sizeof(open_in)) == 0);
	in.fh = ((const struct fuse_open_out *)front_ptr(&f, REPLY))->fh;
	MUST(ask(q, FUSE_READDIRPLUS, 1, &in, sizeof(in)) == 0);
}

static void make_tree(void)
{
	int fd;

	MUST(mkdtemp(dir_name));
	shared = open(dir_name, O_PATH | O_DIRECTORY | O_CLOEXEC);
	fd = openat(shared, "file", O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	MUST(shared >= 0 && fd >= 0 && write(fd, "content", 7) == 7);
	MUST(symlinkat("nowhere", shared, "link") == 0);
	close(fd);
}

static void remove_tree(void)
{
	unlinkat(shared, "file", 0);
	unlinkat(shared, "link", 0);
	rmdir(dir_name);
}

/* Send the arguments @fixed and then the names @a and @b (NULL: none). The request must succeed. */
static void change(struct front_queue *q, uint32_t opcode, uint64_t dir, const void *fixed, uint32_t len, const char *a,
		   const char *b)
{
	static uint8_t args[512];

	memcpy(args, fixed, len);
	for (unsigned i = 0; i < 2; i++) {
		const char *name = i ? b : a;

		if (name)
			memcpy(args + len, name, strlen(name) + 1);
		len += name ? (uint32_t)strlen(name) + 1 : 0;
	}
	MUST(ask(q, opcode, dir, args, len) == 0);
}

/* The file @node is open as @fh. */
static void content(struct front_queue *q, uint64_t node, uint64_t fh)
{
	const struct fuse_fallocate_in allocate = { .fh = fh, .length = 100 };
	const struct fuse_fsync_in sync = { .fh = fh };
	const struct fuse_setattr_in attr = { .valid = FATTR_SIZE | FATTR_FH | FATTR_MODE | FATTR_MTIME,
					      .fh = fh,
					      .size = 50,
					      .mode = 0600,
					      .mtime = 1000 };
	struct {
		struct fuse_write_in in;
		char data[8];
	} w = { { .fh = fh, .size = 8 }, "written" };

	MUST(ask(q, FUSE_WRITE, node, &w, sizeof(w)) == 0);
	MUST(ask(q, FUSE_FALLOCATE, node, &allocate, sizeof(allocate)) == 0);
	MUST(ask(q, FUSE_FSYNC, node, &sync, sizeof(sync)) == 0);
	MUST(ask(q, FUSE_SETATTR, node, &attr, sizeof(attr)) == 0);
}

/* Make everything that can be made, and remove it. */
static void changes(struct front_queue *q)
{
	const struct fuse_create_in create = { .flags = O_RDWR, .mode = 0644 };
	const struct fuse_mkdir_in dir = { .mode = 0755 };
	const struct fuse_rename2_in move = { .newdir = 1 };
	struct fuse_setattr_in mode = { .valid = FATTR_MODE, .mode = 0644 };
	struct fuse_link_in link;
	uint64_t node;
	int err;

	change(q, FUSE_CREATE, 1, &create, sizeof(create), "new", NULL);
	node = ((const struct fuse_entry_out *)front_ptr(&f, REPLY))->nodeid;
	content(q, node, ((const struct fuse_open_out *)((struct fuse_entry_out *)front_ptr(&f, REPLY) + 1))->fh);
	link.oldnodeid = node;
	change(q, FUSE_LINK, 1, &link, sizeof(link), "second", NULL);
	change(q, FUSE_SYMLINK, 1, "", 0, "third", "target");
	change(q, FUSE_MKDIR, 1, &dir, sizeof(dir), "fourth", NULL);
	change(q, FUSE_RENAME2, 1, &move, sizeof(move), "second", "fifth");
	change(q, FUSE_UNLINK, 1, "", 0, "fifth", NULL);
	change(q, FUSE_UNLINK, 1, "", 0, "third", NULL);
	change(q, FUSE_RMDIR, 1, "", 0, "fourth", NULL);
	change(q, FUSE_UNLINK, 1, "", 0, "new", NULL);
	/* It has no name any more. EACCES: a kernel without fchmodat2(2). */
	err = ask(q, FUSE_SETATTR, node, &mode, sizeof(mode));
	MUST(err == 0 || err == -EACCES);
}

static void serve(const char *program, bool own_front, bool read_write, bool with_file)
{
	const struct fuse_init_in init = { .major = 7, .minor = 31 };
	struct front_queue *urgent, *q;

	memset(&rc, 0, sizeof(rc));
	rc.role = ROLE_FSD;
	rc.own_front = own_front;
	memcpy(rc.name, "fs0", 4);
	rc.fs = (struct fs_config){ .request_queues = 1,
				    .inodes = FSD_MIN_INODES,
				    .open = FSD_MIN_OPEN,
				    .saved = with_file,
				    .read_write = read_write,
				    .max = FSD_MIN_MAX };
	rc.checkpoint = with_file;
	begin(program, ~0ull & ~(1ull << VIRTIO_F_RING_RESET));
	urgent = ring(0);
	q = ring(1);
	MUST(front_queue_enable(urgent, true) && front_queue_enable(q, true));
	MUST(ask(q, FUSE_INIT, 0, &init, sizeof(init)) == 0);
	files(q);
	directories(q);
	if (read_write)
		changes(q);
	if (with_file)
		to_file_and_back();
	break_ring(urgent);
	end();
}

int fsd(const char *program, bool own_front, bool read_write)
{
	if (read_write) {
		map = memfd_create("added", MFD_CLOEXEC);
		MUST(map >= 0 && ftruncate(map, 4096) == 0);
	}
	make_tree();
	atexit(remove_tree);
	serve(program, own_front, read_write, false);
	return 0;
}

int fsd_saved(const char *program)
{
	saved = memfd_create("saved", MFD_CLOEXEC);
	MUST(saved >= 0);
	make_tree();
	atexit(remove_tree);
	serve(program, true, false, true);
	return 0;
}
