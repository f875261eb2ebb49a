/* SPDX-License-Identifier: GPL-2.0-or-later */
/* For the fuzz targets of fsd's tables: a small tree, a process that shares it, and what must be right in its tables. */
#ifndef TESTS_FUZZ_FSD_TABLES_H
#define TESTS_FUZZ_FSD_TABLES_H

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
#include "fsd/past.h"
#include "fsd/places.h"
#include "fsd/restore.h"
#include "tests/fuzz/fuzz.h"

#define INODES FSD_MIN_INODES
/* Most files with a descriptor: so few that some are idle after a restart. */
#define NODE_FDS 5

static struct fsd device;
static unsigned before;
static char dir[] = "/tmp/fuzz-fsd.XXXXXX";

static inline unsigned descriptors(void)
{
	DIR *d = opendir("/proc/self/fd");
	unsigned n = 0;

	PROMISE(d);
	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

static inline void remove_all(void)
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

static inline void make_tree(void)
{
	int root = open(dir, O_PATH | O_CLOEXEC), fd;

	PROMISE(root >= 0 && mkdirat(root, "dir", 0700) == 0 && mkdirat(root, "dir/deep", 0700) == 0);
	PROMISE(symlinkat("dir/inner", root, "link") == 0);
	PROMISE((fd = openat(root, "file", O_WRONLY | O_CREAT, 0600)) >= 0 && close(fd) == 0);
	PROMISE((fd = openat(root, "dir/inner", O_WRONLY | O_CREAT, 0600)) >= 0 && close(fd) == 0);
	PROMISE((fd = openat(root, "dir/deep/leaf", O_WRONLY | O_CREAT, 0600)) >= 0 && close(fd) == 0);
	PROMISE(root == HFD_ROOT || (dup2(root, HFD_ROOT) == HFD_ROOT && close(root) == 0));
}

static inline void prepare(void)
{
	int tables = memfd_create("tables", MFD_CLOEXEC);

	symbolizer_first();
	log_to_fd(fcntl(open("/dev/null", O_WRONLY), F_DUPFD_CLOEXEC, 400), "fuzz", LOG_ERROR);
	PROMISE(ftruncate(tables, (off_t)fs_tables_bytes(INODES, true)) == 0);
	PROMISE(dup2(tables, HFD_NODES) == HFD_NODES && close(tables) == 0);
	PROMISE(mkdtemp(dir));
	atexit(remove_all);
	make_tree();
	before = descriptors();
}

/* Begin a process of the share, as number @generation. */
static inline void begin(uint32_t generation)
{
	const struct fs_config c = { .request_queues = 1,
				     .inodes = INODES,
				     .open = NODE_FDS,
				     .tables_lent = true,
				     .checkpoint = true,
				     .saved = true };
	char why[LOG_LINE_MAX];

	PROMISE(fsd_init(&device, &c, generation, why, sizeof(why)) == 0);
	device.ready = true;
}

/* What the kernel does when a process dies. */
static inline void end(void)
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
	munmap(device.file.mark, (INODES + 1ull) * sizeof(device.file.mark[0]));
	munmap(t->changed, (INODES + 1ull) * sizeof(t->changed[0]));
	munmap(t->is_changed, INODES / 8 + 1);
	munmap(t->kept, fs_tables_bytes(INODES, true));
}

static inline void check_node(const struct nodes *t, uint32_t index)
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

/* Mark the place of @name, which nothing else may use. */
static inline void use_place(uint8_t *used, uint32_t name)
{
	for (uint32_t unit = name >> 3; unit < (name >> 3) + (1u << (name & 7)); unit++) {
		PROMISE(!used[unit]);
		used[unit] = 1;
	}
}

/* No place for a name is used twice: by a node now, by one with another name at the checkpoint, or as a free place. */
static inline void check_places(const struct nodes *t)
{
	static uint8_t used[(INODES + 1) * FSD_NAME_BYTES / FSD_NAME_UNIT + 1];
	const struct nodes_kept *k = t->kept;

	memset(used, 0, sizeof(used));
	for (uint32_t i = NODE_ROOT + 1; i < k->fresh; i++) {
		if (t->node[i].type)
			use_place(used, t->node[i].name);
		if (node_is_past(t, i) && t->past_node[i].name != t->node[i].name)
			use_place(used, t->past_node[i].name);
	}
	for (unsigned c = 0; c < NAME_CLASSES; c++)
		for (uint32_t place = k->names_free[c]; place;
		     memcpy(&place, t->names + (size_t)place * FSD_NAME_UNIT, sizeof(place)))
			use_place(used, place << 3 | c);
}

static inline void check(void)
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
	check_places(t);
}

#endif
