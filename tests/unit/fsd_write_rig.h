/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Requests that change a share, for tests. */
#ifndef TESTS_FSD_WRITE_RIG_H
#define TESTS_FSD_WRITE_RIG_H

#include <linux/falloc.h>
#include <linux/fs.h>

#include "fsd/quota.h"
#include "tests/unit/fsd_rig.h"

#define MOST (1u << 20)

/* Begin with a share that the guest may write to, by @max bytes. */
static inline void begin_rw(uint64_t max)
{
	w.max = max;
	begin();
	assert_int_equal(init(), 0);
}

/* A request whose arguments are @fixed and then up to two names, each with its NUL (NULL: none). Returns its error. */
static inline int ask_names(uint32_t opcode, uint64_t dir, const void *fixed, uint32_t len, const char *a,
			    const char *b)
{
	static uint8_t args[8192];

	if (len)
		memcpy(args, fixed, len);
	for (unsigned i = 0; i < 2; i++) {
		const char *name = i ? b : a;

		if (!name)
			continue;
		memcpy(args + len, name, strlen(name) + 1);
		len += (uint32_t)strlen(name) + 1;
	}
	return ask(opcode, dir, args, len, 512);
}

static inline const struct fuse_entry_out *entry(void)
{
	return reply();
}

struct opened {
	uint64_t node, fh;
};

/* Returns the error. */
static inline int create(uint64_t dir, const char *name, uint32_t flags, uint32_t mode, struct opened *o)
{
	const struct fuse_create_in in = { .flags = flags, .mode = mode };
	int err = ask_names(FUSE_CREATE, dir, &in, sizeof(in), name, NULL);

	*o = (struct opened){ 0 };
	if (!err)
		*o = (struct opened){ entry()->nodeid, ((const struct fuse_open_out *)(entry() + 1))->fh };
	return err;
}

static inline int make_dir(uint64_t dir, const char *name, uint32_t mode)
{
	const struct fuse_mkdir_in in = { .mode = mode };

	return ask_names(FUSE_MKDIR, dir, &in, sizeof(in), name, NULL);
}

static inline int make_node(uint64_t dir, const char *name, uint32_t mode)
{
	const struct fuse_mknod_in in = { .mode = mode, .rdev = 0x103 };

	return ask_names(FUSE_MKNOD, dir, &in, sizeof(in), name, NULL);
}

static inline int move(uint64_t dir, const char *name, uint64_t to, const char *new_name, uint32_t flags)
{
	const struct fuse_rename2_in in = { .newdir = to, .flags = flags };

	return ask_names(FUSE_RENAME2, dir, &in, sizeof(in), name, new_name);
}

static inline int make_link(uint64_t node, uint64_t dir, const char *name)
{
	const struct fuse_link_in in = { .oldnodeid = node };

	return ask_names(FUSE_LINK, dir, &in, sizeof(in), name, NULL);
}

static inline int remove_file(uint64_t dir, const char *name)
{
	return ask_names(FUSE_UNLINK, dir, NULL, 0, name, NULL);
}

/* Write @size bytes 'w' at @off, as one request. Returns the number written or a negative error. */
static inline int put(struct opened o, uint64_t off, uint32_t size)
{
	static uint8_t args[sizeof(struct fuse_write_in) + 262144];
	const struct fuse_write_in in = { .fh = o.fh, .offset = off, .size = size };
	int err;

	assert_true(size <= 262144);
	memcpy(args, &in, sizeof(in));
	memset(args + sizeof(in), 'w', size);
	err = ask(FUSE_WRITE, o.node, args, (uint32_t)sizeof(in) + size, sizeof(struct fuse_write_out));
	return err ? err : (int)((const struct fuse_write_out *)reply())->size;
}

static inline int set(uint64_t node, const struct fuse_setattr_in *in)
{
	return ask(FUSE_SETATTR, node, in, sizeof(*in), sizeof(struct fuse_attr_out));
}

static inline int set_size(uint64_t node, uint64_t size)
{
	const struct fuse_setattr_in in = { .valid = FATTR_SIZE, .size = size };

	return set(node, &in);
}

static inline int set_mode(uint64_t node, uint32_t mode)
{
	const struct fuse_setattr_in in = { .valid = FATTR_MODE, .mode = mode };

	return set(node, &in);
}

static inline int allocate(struct opened o, uint64_t off, uint64_t len, uint32_t mode)
{
	const struct fuse_fallocate_in in = { .fh = o.fh, .offset = off, .length = len, .mode = mode };

	return ask(FUSE_FALLOCATE, o.node, &in, sizeof(in), 0);
}

/* What the guest has added, as the count says. */
static inline uint64_t added(void)
{
	uint64_t n;

	assert_int_equal(pread(w.added, &n, sizeof(n), 0), sizeof(n));
	return n;
}

/* The file's attributes on the host. */
static inline struct stat on_host(const char *name)
{
	struct stat st;

	assert_int_equal(lstat(path_of(name), &st), 0);
	return st;
}

static inline bool exists(const char *name)
{
	struct stat st;

	return lstat(path_of(name), &st) == 0;
}

#endif
