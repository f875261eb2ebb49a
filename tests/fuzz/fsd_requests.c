/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Fuzz: streams of FUSE requests to the file system device without its loop, on a small tree. The input determines
 * requests, numbers, names, lengths and directions of buffers. Each taken chain must be answered once, within its room;
 * what is read is the content of the file that was looked up, and no descriptor is lost. If the last byte of the input
 * is odd, the guest may write: then the tree must never have more in it than max= allows, no file but what can be made
 * there, no set-ID bit, and nothing may change beside it.
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/log.h"
#include "fsd/device.h"
#include "fsd/quota.h"
#include "tests/fuzz/fuzz.h"
#include "tests/lib/world.h"

#define REQUEST DATA
#define REPLY	B_GPA
#define STEPS	96
#define INODES	FSD_MIN_INODES
/* Most files with a descriptor: so few that nodes become idle. */
#define NODE_FDS 6
#define NUMBERS	 8

static const char *const names[] = { "file",	"other", "dir", "link", "fifo",	     "inner",	 "deep",
				     "nothing", ".",	 "..",	"",	"../beside", "dir/inner" };

static struct world *w;
static struct fsd device;
static struct backend be;
static unsigned faults, before;
static uint64_t node[NUMBERS], fh[NUMBERS]; /* What replies have given out */
static char above[] = "/tmp/fuzz-fsd.XXXXXX", dir[40];
static uint64_t added; /* device.added */

static unsigned descriptors(void)
{
	DIR *d = opendir("/proc/self/fd");
	unsigned n = 0;

	PROMISE(d);
	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

/*
 * Check each file below @at, which guests may have made, and remove it. Returns the length of all regular files.
 */
static uint64_t take_tree(const char *at)
{
	DIR *d = opendir(at);
	struct dirent *e;
	uint64_t length = 0;

	PROMISE(d);
	while ((e = readdir(d))) {
		char path[600];
		struct stat st;

		if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, ".."))
			continue;
		snprintf(path, sizeof(path), "%s/%s", at, e->d_name);
		PROMISE(lstat(path, &st) == 0 && !(st.st_mode & (S_ISUID | S_ISGID)));
		/* The FIFO is the host's; a guest may only give it other names. */
		PROMISE(S_ISREG(st.st_mode) || S_ISDIR(st.st_mode) || S_ISLNK(st.st_mode) || S_ISFIFO(st.st_mode));
		if (S_ISREG(st.st_mode) && st.st_nlink == 1)
			length += (uint64_t)st.st_size;
		if (S_ISDIR(st.st_mode)) {
			chmod(path, 0700);
			length += take_tree(path);
		}
		PROMISE(remove(path) == 0);
	}
	closedir(d);
	return length;
}

static void remove_all(void)
{
	char path[100];

	snprintf(path, sizeof(path), "%s/beside", above);
	chmod(dir, 0700);
	take_tree(dir);
	rmdir(dir);
	remove(path);
	rmdir(above);
}

/* Every file's content is its name without end, 1000 bytes. */
static void put_file(const char *path, const char *name)
{
	char full[100];
	FILE *f;

	snprintf(full, sizeof(full), "%s/%s", dir, path);
	f = fopen(full, "we");
	PROMISE(f);
	for (unsigned i = 0; i < 1000; i++)
		fputc(name[i % strlen(name)], f);
	fclose(f);
}

static void make_tree(void)
{
	char path[100];

	snprintf(path, sizeof(path), "%s/dir", dir);
	mkdir(path, 0755);
	snprintf(path, sizeof(path), "%s/dir/deep", dir);
	mkdir(path, 0755);
	snprintf(path, sizeof(path), "%s/link", dir);
	PROMISE(symlink("/etc/passwd", path) == 0);
	snprintf(path, sizeof(path), "%s/fifo", dir);
	PROMISE(mkfifo(path, 0644) == 0);
	put_file("file", "file");
	put_file("other", "other");
	put_file("dir/inner", "inner");
	put_file("dir/deep/inner", "inner");
}

static void on_fault(struct vq *vq, enum guest_fault f, uint64_t detail)
{
	(void)vq;
	(void)detail;
	PROMISE(f > FAULT_NONE && f < FAULT_COUNT);
	faults++;
}

static void prepare(void)
{
	const struct fs_config c = { .request_queues = 1, .inodes = INODES, .open = NODE_FDS };
	char why[LOG_LINE_MAX];
	int root;

	symbolizer_first();
	log_to_fd(fcntl(open("/dev/null", O_WRONLY), F_DUPFD_CLOEXEC, 400), "fuzz", LOG_ERROR);
	w = world_new();
	PROMISE(mkdtemp(above));
	atexit(remove_all);
	snprintf(dir, sizeof(dir), "%s/share", above);
	PROMISE(mkdir(dir, 0700) == 0);
	put_file("../beside", "beside");
	make_tree();
	root = open(dir, O_PATH | O_CLOEXEC);
	PROMISE(root >= 0);
	PROMISE(root == HFD_ROOT || dup2(root, HFD_ROOT) == HFD_ROOT);
	PROMISE(fsd_init(&device, &c, 0, why, sizeof(why)) == 0);
	fsd_backend(&device, "fuzz0", &be.c);
	device.added = &added;
	device.cfg.max = FSD_MIN_MAX;
	before = descriptors();
}

/* After guests that may write: check what they have left, and make the tree that the next one gets. */
static void renew_tree(void)
{
	char path[100];
	struct stat st;
	DIR *d = opendir(above);
	unsigned n = 0;

	snprintf(path, sizeof(path), "%s/beside", above);
	PROMISE(stat(path, &st) == 0 && st.st_size == 1000 && st.st_nlink == 1 && (st.st_mode & 0777) == 0644);
	PROMISE(d);
	while (readdir(d))
		n++;
	closedir(d);
	PROMISE(n == 4);
	chmod(dir, 0700);
	PROMISE(take_tree(dir) <= 4000 + FSD_MIN_MAX);
	make_tree();
	added = 0;
}

static void start(void)
{
	const struct vq_setup s = { .size = WORLD_SIZE, .desc = DESC, .avail = AVAIL, .used = USED };

	memset(w->room[0], 0, A_LEN);
	be.vq[0] = (struct vq){ .name = "fuzz0", .on_fault = on_fault };
	PROMISE(vq_start(&be.vq[0], &w->mem, &s) == VQ_START_OK);
}

static uint64_t any_node(struct input *in)
{
	uint8_t what = take8(in);

	return what & 0x80 ? take64(in) : what & 0x40 ? FUSE_ROOT_ID : node[what % NUMBERS];
}

/* Arguments of the requests that change the tree, with @size bytes before the names. */
static uint32_t changes(struct input *in, uint32_t opcode, uint8_t *args, uint32_t size, const char *name)
{
	const char *second = names[take8(in) % ARRAY_SIZE(names)];
	uint32_t mode = take16(in);
	struct fuse_rename2_in move = { .newdir = node[take8(in) % NUMBERS], .flags = mode % 4 };
	struct fuse_link_in link = { .oldnodeid = move.newdir };
	struct fuse_create_in create = { .flags = mode % 4 | (mode & 0x80 ? O_EXCL : 0) | (mode & 0x40 ? O_TRUNC : 0),
					 .mode = mode };

	memset(args, 0, size);
	if (opcode == FUSE_CREATE)
		memcpy(args, &create, sizeof(create));
	else if (opcode == FUSE_LINK)
		memcpy(args, &link, sizeof(link));
	else if (opcode == FUSE_RENAME || opcode == FUSE_RENAME2)
		memcpy(args, &move, size);
	else if (size)
		memcpy(args, &mode, sizeof(mode));
	memcpy(args + size, name, strlen(name) + 1);
	size += (uint32_t)strlen(name) + 1;
	if (opcode == FUSE_RENAME || opcode == FUSE_RENAME2 || opcode == FUSE_SYMLINK) {
		memcpy(args + size, second, strlen(second) + 1);
		size += (uint32_t)strlen(second) + 1;
	}
	return size;
}

/* Arguments of the requests that change a file's content or attributes. */
static uint32_t content(struct input *in, uint32_t opcode, uint8_t *args)
{
	struct fuse_write_in put = { .fh = fh[take8(in) % NUMBERS],
				     .size = take8(in) % 80,
				     .offset = take32(in) % 70000 };
	struct fuse_fallocate_in allocate = {
		.fh = put.fh, .offset = put.offset, .length = put.size, .mode = take8(in)
	};
	struct fuse_setattr_in set = { .fh = put.fh, .size = put.offset };

	switch (opcode) {
	case FUSE_WRITE:
		memcpy(args, &put, sizeof(put));
		memset(args + sizeof(put), 'f', put.size);
		return (uint32_t)sizeof(put) + put.size;
	case FUSE_FALLOCATE:
		allocate.length = take16(in);
		memcpy(args, &allocate, sizeof(allocate));
		return sizeof(allocate);
	case FUSE_SETATTR:
		set.valid = take16(in);
		set.mode = take16(in);
		set.mtimensec = take32(in);
		memcpy(args, &set, sizeof(set));
		return sizeof(set);
	default:
		memcpy(args, &put.fh, sizeof(put.fh));
		memset(args + 8, 0, 8);
		return sizeof(struct fuse_fsync_in);
	}
}

/* Write arguments for @opcode to @args. Returns their length. */
static uint32_t arguments(struct input *in, uint32_t opcode, uint8_t *args)
{
	const char *name = names[take8(in) % ARRAY_SIZE(names)];
	struct fuse_init_in init = { .major = 7, .minor = 31 + take8(in) % 10, .flags = ~0u };
	struct fuse_read_in r = { .fh = fh[take8(in) % NUMBERS], .offset = take16(in) % 2000, .size = take16(in) };
	struct fuse_forget_in forget = { .nlookup = take8(in) % 4 };

	switch (opcode) {
	case FUSE_INIT:
		memcpy(args, &init, sizeof(init));
		return sizeof(init);
	case FUSE_LOOKUP:
		memcpy(args, name, strlen(name) + 1);
		return (uint32_t)strlen(name) + 1;
	case FUSE_CREATE:
	case FUSE_MKNOD:
		return changes(in, opcode, args, 16, name);
	case FUSE_MKDIR:
	case FUSE_RENAME:
	case FUSE_LINK:
		return changes(in, opcode, args, 8, name);
	case FUSE_RENAME2:
		return changes(in, opcode, args, sizeof(struct fuse_rename2_in), name);
	case FUSE_UNLINK:
	case FUSE_RMDIR:
	case FUSE_SYMLINK:
		return changes(in, opcode, args, 0, name);
	case FUSE_WRITE:
	case FUSE_FALLOCATE:
	case FUSE_SETATTR:
	case FUSE_FSYNC:
	case FUSE_FSYNCDIR:
		return content(in, opcode, args);
	case FUSE_FORGET:
		memcpy(args, &forget, sizeof(forget));
		return sizeof(forget);
	case FUSE_OPEN:
	case FUSE_OPENDIR:
		memset(args, 0, sizeof(struct fuse_open_in));
		if (device.cfg.read_write)
			args[0] = take8(in) % 3;
		return sizeof(struct fuse_open_in);
	case FUSE_READ:
	case FUSE_READDIR:
	case FUSE_READDIRPLUS:
	case FUSE_RELEASE:
	case FUSE_RELEASEDIR:
		memcpy(args, &r, sizeof(r));
		return sizeof(r);
	default:
		take(in, args, 64);
		return 64;
	}
}

/* Offer one request. Returns the number of bytes that its reply may have. */
static uint32_t offer(struct input *in, struct fuse_in_header *h)
{
	static const uint8_t usual[] = { FUSE_LOOKUP,  FUSE_OPEN,     FUSE_READ,	FUSE_FORGET,	  FUSE_OPENDIR,
					 FUSE_READDIR, FUSE_RELEASE,  FUSE_READDIRPLUS, FUSE_RELEASEDIR,  FUSE_INIT,
					 FUSE_GETATTR, FUSE_READLINK, FUSE_LSEEK,	FUSE_BATCH_FORGET };
	static const uint8_t writing[] = { FUSE_CREATE,	 FUSE_MKNOD, FUSE_MKDIR,    FUSE_SYMLINK, FUSE_LINK,
					   FUSE_UNLINK,	 FUSE_RMDIR, FUSE_RENAME,   FUSE_RENAME2, FUSE_WRITE,
					   FUSE_SETATTR, FUSE_FSYNC, FUSE_FALLOCATE };
	uint8_t what = take8(in), opcode = take8(in);
	uint8_t *at = shm_ptr(&w->mem, REQUEST, 256);
	uint32_t len, room = what & 1 ? take16(in) % (uint32_t)B_LEN : (uint32_t)B_LEN;

	*h = (struct fuse_in_header){ .opcode = opcode & 0x80 ? opcode & 0x7f : usual[opcode % ARRAY_SIZE(usual)],
				      .unique = what,
				      .nodeid = any_node(in) };
	if (device.cfg.read_write && !(opcode & 0x80) && opcode & 0x40)
		h->opcode = writing[opcode % ARRAY_SIZE(writing)];
	len = (uint32_t)sizeof(*h) + arguments(in, h->opcode, at + sizeof(*h));
	h->len = what & 2 ? take16(in) : len;
	memcpy(at, h, sizeof(*h));
	if (what & 4)
		len = MIN(take8(in), len);
	/* In two pieces each. */
	world_put(w, DESC, 0, (struct vring_desc){ REQUEST, MAX(len / 2, 1), VRING_DESC_F_NEXT, 1 });
	world_put(w, DESC, 1,
		  (struct vring_desc){ REQUEST + MAX(len / 2, 1), MAX(len - len / 2, 1), room ? VRING_DESC_F_NEXT : 0,
				       2 });
	world_put(
		w, DESC, 2,
		(struct vring_desc){ REPLY, MAX(room / 3, 1), (uint16_t)(VRING_DESC_F_WRITE | VRING_DESC_F_NEXT), 3 });
	world_put(w, DESC, 3,
		  (struct vring_desc){ REPLY + MAX(room / 3, 1), MAX(room - room / 3, 1), VRING_DESC_F_WRITE, 0 });
	be.vq[0].avail->ring[be.vq[0].avail->idx % WORLD_SIZE] = 0;
	be.vq[0].avail->idx++;
	return room ? MAX(room / 3, 1) + MAX(room - room / 3, 1) : 0;
}

/* The reply to a request that succeeded: remember numbers, compare what was read. */
static void learn(const struct fuse_in_header *h, const struct fuse_out_header *out, uint8_t slot)
{
	const void *data = out + 1;
	const char *text = data;

	if ((h->opcode == FUSE_LOOKUP || h->opcode == FUSE_CREATE || h->opcode == FUSE_MKNOD ||
	     h->opcode == FUSE_MKDIR || h->opcode == FUSE_SYMLINK || h->opcode == FUSE_LINK) &&
	    ((const struct fuse_entry_out *)data)->nodeid)
		node[slot % NUMBERS] = ((const struct fuse_entry_out *)data)->nodeid;
	if (h->opcode == FUSE_CREATE)
		fh[slot % NUMBERS] =
			((const struct fuse_open_out *)((const uint8_t *)data + sizeof(struct fuse_entry_out)))->fh;
	if (h->opcode == FUSE_OPEN || h->opcode == FUSE_OPENDIR)
		fh[slot % NUMBERS] = ((const struct fuse_open_out *)data)->fh;
	if (h->opcode == FUSE_READ)
		for (uint32_t i = 0; i < out->len - sizeof(*out); i++)
			PROMISE(text[i] ? strchr("fileothrn", text[i]) != NULL : device.cfg.read_write);
}

static void work(const struct fuse_in_header *h, uint32_t room, uint8_t slot)
{
	struct vq *vq = &be.vq[0];
	const struct fuse_out_header *out = shm_ptr(&w->mem, REPLY, B_LEN);
	uint16_t used = vq->used->idx;
	unsigned earlier = faults;
	uint32_t len;

	be.c.ops->queue_work(&be, vq, 8);
	if (faults != earlier) {
		PROMISE(faults == earlier + 1 && !vq->running);
		return;
	}
	PROMISE(vq->in_flight == 0 && (uint16_t)(vq->used->idx - used) == 1);
	len = vq->used->ring[used % WORLD_SIZE].len;
	PROMISE(len <= room);
	if (!len)
		return;
	PROMISE(out->len == len && out->unique == h->unique && out->error <= 0 && out->error > -512);
	if (!out->error)
		learn(h, out, slot);
}

/* The table knows which nodes have descriptors, and these are few. */
static void check_descriptors(const struct nodes *t)
{
	uint32_t have = 0, idle = 0;

	for (uint32_t i = NODE_ROOT; i < t->kept->fresh; i++) {
		have += t->node[i].type && t->node[i].fd >= 0;
		idle += t->node[i].type && t->node[i].fd == NODE_IDLE;
		PROMISE(!t->node[i].type || t->node[i].fd > NODE_PENDING);
	}
	PROMISE(have == t->open && idle == t->idle && have <= NODE_FDS);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, data + size };
	unsigned steps = 0;

	if (!w)
		prepare();
	be.c.device = &device;
	device.ready = true;
	device.cfg.read_write = size && data[size - 1] & 1;
	memset(node, 0, sizeof(node));
	memset(fh, 0, sizeof(fh));
	start();
	while (left(&in) && steps++ < STEPS) {
		struct fuse_in_header h;
		uint8_t slot = take8(&in);
		uint32_t room = offer(&in, &h);

		work(&h, room, slot);
		PROMISE(device.nodes.used <= INODES && added <= FSD_MIN_MAX);
		check_descriptors(&device.nodes);
		if (!be.vq[0].running)
			start();
	}
	be.c.ops->reset(&be);
	PROMISE(device.nodes.used == 1 && descriptors() == before);
	if (device.cfg.read_write)
		renew_tree();
	device.cfg.read_write = false;
	return 0;
}
