/* SPDX-License-Identifier: GPL-2.0-or-later */
/* For tests: the device of a guest that can go back to a checkpoint (fsd/past.h). */
#ifndef TESTS_FSD_PAST_RIG_H
#define TESTS_FSD_PAST_RIG_H

#include <dirent.h>

#include "tests/unit/fsd_restore_rig.h"

/* Where the state of the checkpoint begins in the tables' memory. */
#define PAST_NODES \
	(FSD_KEPT_BYTES + (FSD_HANDLES + 1) * FSD_HANDLE_BYTES + (INODES + 1ull) * (FSD_NODE_BYTES + FSD_NAME_BYTES))

static struct vhu_rings kept_rings;

static inline void hold(void)
{
	struct vhu_msg m;

	assert_true(front_send(&w.f, VHU_HOLD, 0, NULL, 0, NULL, 0) && front_recv(&w.f, &m, PATIENCE_MS));
	assert_int_equal(m.request, VHU_HOLD);
	kept_rings = m.rings;
}

/* The rings go on where they stand: what the requests have left in memory does not matter here. */
static inline void go(enum vhu_go what, uint64_t answer)
{
	hold();
	kept_rings.what = what;
	assert_int_equal(front_ack(&w.f, VHU_GO, &kept_rings, sizeof(kept_rings), NULL, 0), answer);
}

static inline void checkpoint(void)
{
	go(VHU_GO_CHECKPOINT, 0);
}

static inline void reset(void)
{
	go(VHU_GO_RESET, 0);
}

static inline void begin_past(void)
{
	w.checkpoint = true;
	make_tables();
	begin();
	assert_int_equal(init(), 0);
}

/* The process is killed, and its successor has to do what comes next. */
static inline void kill_it(void)
{
	end_process();
	begin();
}

static inline int get(struct opened o)
{
	return read_node(FUSE_READ, o.node, o.fh, 0, 5);
}

/* Numbers of a taken process may have any counter in their upper half. */
static inline bool is_number(uint64_t v)
{
	return v && v < (uint64_t)-4095;
}

static inline struct opened open_it(uint64_t dir, const char *name)
{
	struct opened o = { .node = (uint64_t)look(dir, name) };

	assert_true(is_number(o.node));
	o.fh = (uint64_t)open_node(FUSE_OPEN, o.node, O_RDONLY);
	assert_true(is_number(o.fh));
	return o;
}

static inline struct opened open_dir(uint64_t dir, const char *name)
{
	struct opened o = { .node = (uint64_t)look(dir, name) };

	assert_true(is_number(o.node));
	o.fh = (uint64_t)open_node(FUSE_OPENDIR, o.node, 0);
	assert_true(is_number(o.fh));
	return o;
}

static inline int list(struct opened o, uint64_t at)
{
	return read_node(FUSE_READDIR, o.node, o.fh, at, 4096);
}

static inline unsigned descriptors(void)
{
	char path[40];
	unsigned n = 0;
	DIR *d;

	snprintf(path, sizeof(path), "/proc/%d/fd", w.f.pid);
	d = opendir(path);
	assert_non_null(d);
	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

static inline struct nodes_kept *kept(void)
{
	return (void *)tables;
}

#endif
