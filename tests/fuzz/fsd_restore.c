/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Fuzz: the tables that a killed fsd leaves for its successor (fsd/restore.h), on a small tree. Each four bytes of the
 * input change one byte of the tables: a place in one of their parts, and the value. Afterwards each file and handle that
 * the successor has kept must be what it says, each count must be right, and no descriptor is lost.
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/log.h"
#include "fsd/device.h"
#include "fsd/files.h"
#include "fsd/places.h"
#include "fsd/restore.h"
#include "tests/fuzz/fuzz.h"

#define INODES FSD_MIN_INODES
/* Most files with a descriptor: so few that some are idle after a restart. */
#define NODE_FDS  5
#define POKES_MAX 64

static struct fsd device;
static unsigned before;
static char dir[] = "/tmp/fuzz-fsd-restore.XXXXXX";

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

static void remove_all(void)
{
	static const char *const names[] = {
		"/dir/deep/leaf", "/dir/deep", "/dir/inner", "/dir", "/file", "/link", ""
	};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		char path[80];

		snprintf(path, sizeof(path), "%s%s", dir, names[i]);
		remove(path);
	}
}

static void make_tree(void)
{
	int root = open(dir, O_PATH | O_CLOEXEC), fd;

	PROMISE(root >= 0 && mkdirat(root, "dir", 0700) == 0 && mkdirat(root, "dir/deep", 0700) == 0);
	PROMISE(symlinkat("dir/inner", root, "link") == 0);
	PROMISE((fd = openat(root, "file", O_WRONLY | O_CREAT, 0600)) >= 0 && close(fd) == 0);
	PROMISE((fd = openat(root, "dir/inner", O_WRONLY | O_CREAT, 0600)) >= 0 && close(fd) == 0);
	PROMISE((fd = openat(root, "dir/deep/leaf", O_WRONLY | O_CREAT, 0600)) >= 0 && close(fd) == 0);
	PROMISE(root == HFD_ROOT || (dup2(root, HFD_ROOT) == HFD_ROOT && close(root) == 0));
}

static void prepare(void)
{
	int tables = memfd_create("tables", MFD_CLOEXEC);

	symbolizer_first();
	log_to_fd(fcntl(open("/dev/null", O_WRONLY), F_DUPFD_CLOEXEC, 400), "fuzz", LOG_ERROR);
	PROMISE(ftruncate(tables, (off_t)fs_tables_bytes(INODES)) == 0);
	PROMISE(dup2(tables, HFD_NODES) == HFD_NODES && close(tables) == 0);
	PROMISE(mkdtemp(dir));
	atexit(remove_all);
	make_tree();
	before = descriptors();
}

/* Begin a process of the share, as number @generation. */
static void begin(uint32_t generation)
{
	const struct fs_config c = { .request_queues = 1, .inodes = INODES, .open = NODE_FDS, .tables_lent = true };
	char why[LOG_LINE_MAX];

	PROMISE(fsd_init(&device, &c, generation, why, sizeof(why)) == 0);
	device.ready = true;
}

/* What the kernel does when a process dies. */
static void end(void)
{
	struct nodes *t = &device.nodes;

	for (uint32_t i = 1; i < t->kept->handles_fresh; i++)
		if (t->handle[i].node && t->handle[i].fd >= 0)
			close(t->handle[i].fd);
	for (uint32_t i = NODE_ROOT; i < t->kept->fresh; i++)
		if (t->node[i].type && t->node[i].fd >= 0)
			close(t->node[i].fd);
	munmap(t->bucket, t->most_buckets * sizeof(t->bucket[0]));
	munmap(t->claimed, places_bitmap_bytes(INODES));
	munmap(t->kept, fs_tables_bytes(INODES));
}

static struct node *know(struct node *parent, const char *name)
{
	struct fuse_entry_out e;
	struct node *n;

	PROMISE(fsd_lookup(&device, parent, name, &e) == 0);
	n = node_get(&device.nodes, e.nodeid);
	PROMISE(n);
	return n;
}

static void open_it(struct node *n)
{
	int fd = fsd_open(&device, n, O_RDONLY);

	PROMISE(fd >= 0 && handle_add(&device.nodes, n, fd, O_RDONLY));
}

static void first_process(void)
{
	struct node *inner, *deep, *sub;

	begin(0);
	sub = know(&device.nodes.node[NODE_ROOT], "dir");
	inner = know(sub, "inner");
	deep = know(sub, "deep");
	open_it(know(deep, "leaf"));
	open_it(know(&device.nodes.node[NODE_ROOT], "file"));
	know(&device.nodes.node[NODE_ROOT], "link");
	open_it(inner);
	open_it(sub);
	end();
}

/* Change the tables as @in says. */
static void poke(struct input *in)
{
	uint8_t *at = mmap(NULL, fs_tables_bytes(INODES), PROT_READ | PROT_WRITE, MAP_SHARED, HFD_NODES, 0);
	const uint32_t handles = FSD_KEPT_BYTES, nodes = handles + (FSD_HANDLES + 1) * FSD_HANDLE_BYTES,
		       names = nodes + (INODES + 1) * FSD_NODE_BYTES;
	const struct {
		uint32_t from, bytes;
	} part[] = { { 0, sizeof(struct nodes_kept) },
		     { handles, 8 * FSD_HANDLE_BYTES },
		     { nodes, (INODES + 1) * FSD_NODE_BYTES },
		     { names, (INODES + 1) * FSD_NAME_BYTES } };

	PROMISE(at != MAP_FAILED);
	for (unsigned n = 0; n < POKES_MAX && left(in) >= 4; n++) {
		unsigned which = take8(in) % ARRAY_SIZE(part);
		uint32_t place = take16(in) % part[which].bytes;

		at[part[which].from + place] = take8(in);
	}
	munmap(at, fs_tables_bytes(INODES));
}

static void check_node(const struct nodes *t, uint32_t index)
{
	const struct node *n = &t->node[index];
	uint32_t up = n->parent, steps = 0;
	struct stat st;

	PROMISE(n->fd >= 0 || n->fd == NODE_IDLE);
	if (n->fd >= 0) {
		PROMISE(fstat(n->fd, &st) == 0);
		PROMISE(st.st_dev == n->dev && st.st_ino == n->ino && (st.st_mode & S_IFMT) == n->type);
	}
	PROMISE(node_name_valid(t, n));
	PROMISE(up >= NODE_ROOT && up < t->kept->fresh && t->node[up].type == S_IFDIR);
	for (; up != NODE_ROOT; up = t->node[up].parent)
		PROMISE(steps++ < INODES);
}

static void check(void)
{
	const struct nodes *t = &device.nodes;
	uint32_t have = 1, uses[INODES + 1] = { 0 }, used = 1;

	PROMISE(t->kept->fresh <= INODES + 1 && t->kept->handles_fresh <= FSD_HANDLES + 1);
	for (uint32_t i = NODE_ROOT + 1; i < t->kept->fresh; i++)
		if (t->node[i].type) {
			check_node(t, i);
			uses[t->node[i].parent]++;
			used++;
			have += t->node[i].fd >= 0;
		}
	for (uint32_t i = 1; i < t->kept->handles_fresh; i++) {
		const struct handle *h = &t->handle[i];

		if (!h->node)
			continue;
		PROMISE(h->node < t->kept->fresh && t->node[h->node].type && h->fd >= 0);
		PROMISE((fcntl(h->fd, F_GETFL) & O_ACCMODE) == O_RDONLY);
		uses[h->node]++;
	}
	PROMISE(t->used == used && t->open == have && t->idle == used - have && have <= NODE_FDS);
	for (uint32_t i = NODE_ROOT; i < t->kept->fresh; i++)
		PROMISE(!t->node[i].type || t->node[i].uses == uses[i]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, data + size };
	struct fuse_entry_out e;

	if (!before)
		prepare();
	first_process();
	poke(&in);
	begin(1);
	fsd_restore(&device);
	check();
	/* The guest goes on. */
	if (fsd_lookup(&device, &device.nodes.node[NODE_ROOT], "file", &e) == 0)
		PROMISE(node_get(&device.nodes, e.nodeid) && S_ISREG(e.attr.mode));
	check();
	nodes_clear(&device.nodes);
	PROMISE(device.nodes.used == 1);
	end();
	PROMISE(descriptors() == before);
	return 0;
}
