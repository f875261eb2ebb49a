/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Descriptors of files that the guest has not used lately are closed, and opened again when it uses them (fsd/idle.h): the
 * guest does not notice, unless the host has renamed or removed the file meanwhile.
 */
#include <dirent.h>

#define INODES 8192
#include "tests/unit/fsd_restore_rig.h"

/* Most files with a descriptor, and more files than that. */
#define FEW   16
#define FILES 40
/* Open files, as many as there can be beside the nodes of the last uses and one more; and how deep each of them is. */
#define CHAINS	    (FEW - 6)
#define CHAIN_DEPTH 250

static uint64_t node[FILES];

static const char *file_name(unsigned i)
{
	static char name[16];

	snprintf(name, sizeof(name), "f%02u", i);
	return name;
}

/* Begin with FILES files in the root directory, the file i with i bytes. */
static void begin_few(void)
{
	char text[FILES] = "";

	w.open = FEW;
	begin_rw(MOST);
	for (unsigned i = 0; i < FILES; i++) {
		put_file(file_name(i), text);
		text[i] = 'x';
	}
}

/* The descriptors of the device for files of the share. */
static unsigned descriptors(void)
{
	char path[300], to[100];
	struct dirent *e;
	unsigned n = 0;
	DIR *d;

	snprintf(path, sizeof(path), "/proc/%d/fd", w.f.pid);
	d = opendir(path);
	assert_non_null(d);
	while ((e = readdir(d))) {
		snprintf(path, sizeof(path), "/proc/%d/fd/%s", w.f.pid, e->d_name);
		n += atoi(e->d_name) >= FSD_FD0 && readlink(path, to, sizeof(to)) > 0 &&
		     !strncmp(to, w.dir, strlen(w.dir));
	}
	closedir(d);
	return n;
}

static int attributes(uint64_t nodeid, struct fuse_attr *a)
{
	const struct fuse_getattr_in in = { 0 };
	int err = ask(FUSE_GETATTR, nodeid, &in, sizeof(in), sizeof(struct fuse_attr_out));

	memset(a, 0, sizeof(*a));
	if (!err)
		*a = ((const struct fuse_attr_out *)reply())->attr;
	return err;
}

static int64_t links_of(uint64_t nodeid)
{
	struct fuse_attr a;
	int err = attributes(nodeid, &a);

	return err ? err : (int64_t)a.nlink;
}

/* The guest uses all those files, so that others become idle. Those that are gone do not matter. */
static void use_all(void)
{
	for (unsigned i = 0; i < FILES; i++) {
		int64_t id = look(1, file_name(i));

		if (id > 0 && !node[i])
			node[i] = (uint64_t)id;
		if (id > 0)
			assert_int_equal(links_of((uint64_t)id), on_host(file_name(i)).st_nlink);
	}
}

/* Nothing else than the root was used last. */
static void use_root(void)
{
	for (unsigned i = 0; i < NODES_HELD; i++)
		assert_true(look(1, file_name(0)) > 0);
}

static void more_files_than_descriptors(void **state)
{
	struct fuse_attr a;

	(void)state;
	begin_few();
	use_all();
	assert_true(descriptors() <= FEW);
	for (unsigned turn = 0; turn < 3; turn++)
		for (unsigned i = 0; i < FILES; i++) {
			uint64_t fh;

			assert_int_equal(attributes(node[i], &a), 0);
			assert_int_equal(a.size, i);
			fh = (uint64_t)open_node(FUSE_OPEN, node[i], O_RDONLY);
			assert_int_equal(read_node(FUSE_READ, node[i], fh, 0, 100), 0);
			assert_int_equal(reply_len(), i);
			assert_int_equal(release(FUSE_RELEASE, node[i], fh), 0);
			assert_int_equal(set_mode(node[i], 0600 | i % 8), 0);
			assert_int_equal(on_host(file_name(i)).st_mode & 0777, 0600 | i % 8);
			assert_int_equal(look(1, file_name(i)), (int64_t)node[i]);
		}
	assert_true(descriptors() <= FEW);
	/* Nothing of them is left when the guest forgets them. */
	assert_int_equal(init(), 0);
	assert_int_equal(descriptors(), 1);
}

/* The directories above an idle file are idle too, and one of them was renamed by the guest. */
static void idle_directories_are_found(void **state)
{
	uint64_t dir[FILES], leaf;
	struct fuse_attr a;

	(void)state;
	begin_few();
	for (unsigned i = 0; i < FILES; i++) {
		assert_int_equal(make_dir(i ? dir[i - 1] : 1, "d", 0700), 0);
		dir[i] = entry()->nodeid;
	}
	assert_int_equal(make_node(dir[FILES - 1], "leaf", S_IFREG | 0600), 0);
	leaf = entry()->nodeid;
	use_all();
	assert_int_equal(links_of(leaf), 1);
	use_all();
	assert_int_equal(move(dir[3], "d", 1, "moved", 0), 0);
	use_all();
	assert_int_equal(links_of(leaf), 1);
	assert_int_equal(make_dir(dir[20], "new", 0700), 0);
	use_all();
	assert_int_equal(set_size(leaf, 5), 0);
	assert_int_equal(attributes(leaf, &a), 0);
	assert_int_equal(a.size, 5);
	use_all();
	/* Both directories of the request are idle, and so is what it replaces. */
	assert_int_equal(make_node(dir[30], "other", S_IFREG | 0600), 0);
	use_all();
	assert_int_equal(move(dir[30], "other", dir[FILES - 1], "leaf", 0), 0);
	assert_int_equal(links_of(leaf), 0);
	use_all();
	assert_int_equal(make_link(node[5], dir[10], "link"), 0);
	assert_int_equal(links_of(node[5]), 2);
	assert_true(descriptors() <= FEW);
}

/* The host gives the name of an idle file to another one: the guest does not get that one. */
static void another_file_is_not_taken(void **state)
{
	uint64_t sub, inner, link;

	(void)state;
	begin_few();
	sub = (uint64_t)look(1, "dir");
	inner = (uint64_t)look(sub, "inner");
	link = (uint64_t)look(1, "link");
	assert_int_equal(links_of(inner), 1);
	use_all();
	assert_int_equal(rename(path_of(file_name(0)), path_of("dir/inner")), 0);
	assert_int_equal(links_of(inner), -ESTALE);
	assert_int_equal(open_node(FUSE_OPEN, inner, O_RDONLY), -ESTALE);
	/* The directory's place is taken by a symbolic link to it, and to one with the same names. */
	inner = (uint64_t)look(sub, "inner");
	use_all();
	assert_int_equal(rename(path_of("dir"), path_of("away")), 0);
	assert_int_equal(symlink("away", path_of("dir")), 0);
	assert_int_equal(links_of(inner), -ESTALE);
	assert_int_equal(look(sub, "inner"), -ESTALE);
	assert_int_equal(make_dir(sub, "new", 0700), -ESTALE);
	/* Found again under its name now. */
	assert_int_equal(look(1, "away"), (int64_t)sub);
	assert_int_equal(links_of(inner), 1);
	use_all();
	assert_int_equal(unlink(path_of("link")), 0);
	assert_int_equal(mkfifo(path_of("link"), 0600), 0);
	assert_int_equal(ask(FUSE_READLINK, link, NULL, 0, 100), -ESTALE);
}

static void files_without_a_name_stay(void **state)
{
	uint64_t dir, by_host, open, fh;

	(void)state;
	begin_few();
	assert_int_equal(make_dir(1, "removed", 0700), 0);
	dir = entry()->nodeid;
	put_file("by-host", "");
	by_host = (uint64_t)look(1, "by-host");
	open = (uint64_t)look(1, "file");
	use_all();
	/* By the guest itself, while they are idle. */
	fh = (uint64_t)open_node(FUSE_OPEN, open, O_RDONLY);
	use_all();
	assert_int_equal(ask_names(FUSE_RMDIR, 1, NULL, 0, "removed", NULL), 0);
	assert_int_equal(move(1, "f01", 1, "f02", 0), 0);
	assert_int_equal(remove_file(1, file_name(3)), 0);
	/* By the host, while it has a descriptor. */
	assert_int_equal(links_of(by_host), 1);
	assert_int_equal(unlink(path_of("by-host")), 0);
	assert_int_equal(unlink(path_of("file")), 0);
	for (unsigned i = 0; i < 3; i++) {
		use_all();
		assert_int_equal(links_of(node[2]), 0);
		assert_int_equal(links_of(node[3]), 0);
		assert_int_equal(links_of(by_host), 0);
		assert_int_equal(links_of(open), 0);
		assert_true(links_of(dir) >= 0);
	}
	assert_int_equal(read_node(FUSE_READ, open, fh, 0, 5), 0);
	assert_memory_equal(reply(), "hello", 5);
	assert_true(descriptors() <= FEW + 1);
}

/* What is open keeps its descriptors. A guest that opens too many files gets an error, and can go on. */
static void a_limit_of_open_files(void **state)
{
	struct opened o[FILES];
	uint64_t from, to;
	unsigned n;

	(void)state;
	begin_few();
	from = (uint64_t)look(1, "dir");
	assert_int_equal(make_dir(1, "to", 0700), 0);
	to = entry()->nodeid;
	use_all();
	for (n = 0; n < FILES; n++) {
		int64_t fh = open_node(FUSE_OPEN, node[n], O_RDONLY);

		if (fh < 0) {
			assert_int_equal(fh, -ENFILE);
			break;
		}
		o[n] = (struct opened){ node[n], (uint64_t)fh };
		use_root();
	}
	/* All but the root's. */
	assert_int_equal(n, FEW - 1);
	assert_int_equal(links_of(node[FILES - 1]), -ENFILE);
	assert_int_equal(look(1, "file"), -ENFILE);
	for (unsigned i = 0; i < n; i++) {
		assert_int_equal(read_node(FUSE_READ, o[i].node, o[i].fh, 0, 100), 0);
		assert_int_equal(reply_len(), i);
	}
	assert_int_equal(release(FUSE_RELEASE, o[0].node, o[0].fh), 0);
	use_root();
	/* One is free, but this needs two: the first directory's is not taken for the second. */
	assert_int_equal(move(from, "inner", to, "inner", 0), -ENFILE);
	use_root();
	assert_true(look(1, "file") > 0);
	assert_int_equal(links_of(node[FILES - 1]), 1);
}

/* Files without a name may not take all descriptors: then the guest loses the first of them. */
static void too_many_files_without_a_name(void **state)
{
	unsigned lost = 0;

	(void)state;
	begin_few();
	for (unsigned i = 0; i < FILES; i++) {
		node[i] = (uint64_t)look(1, file_name(i));
		assert_int_equal(links_of(node[i]), 1);
		assert_int_equal(unlink(path_of(file_name(i))), 0);
	}
	assert_true(look(1, "file") > 0);
	for (unsigned i = 0; i < FILES; i++) {
		int64_t links = links_of(node[i]);

		assert_true(links == 0 || links == -ESTALE);
		lost += links != 0;
	}
	assert_true(lost >= FILES - FEW && lost < FILES);
	assert_true(descriptors() <= FEW);
}

static void begin_kept(void)
{
	make_tables();
	begin_few();
}

/* As if the host had removed a directory and then made this file, which has got the directory's inode number. */
static void an_inode_number_that_is_used_again(void **state)
{
	int64_t again;

	(void)state;
	begin_kept();
	use_all();
	while (entry_of(node[7])->fd != NODE_IDLE)
		use_all();
	entry_of(node[7])->type = S_IFDIR;
	again = look(1, file_name(7));
	assert_true(again > 0 && again != (int64_t)node[7]);
	assert_int_equal(links_of((uint64_t)again), 1);
	assert_int_equal(links_of(node[7]), -ESTALE);
	forget(node[7], 100);
	assert_int_equal(look(1, file_name(7)), again);
}

static void idle_files_survive_a_restart(void **state)
{
	struct fuse_attr a;

	(void)state;
	begin_kept();
	use_all();
	for (unsigned turn = 0; turn < 2; turn++) {
		end_process();
		begin();
		assert_true(descriptors() <= FEW);
		for (unsigned i = 0; i < FILES; i++) {
			assert_int_equal(attributes(node[i], &a), 0);
			assert_int_equal(a.size, i);
		}
		assert_true(descriptors() <= FEW);
	}
}

/* Make a chain of @depth directories in the root, and a file in the last. Returns the number of the file. */
static uint64_t make_chain(const char *name, unsigned depth)
{
	uint64_t at = 1;

	for (unsigned i = 0; i < depth; i++) {
		assert_int_equal(make_dir(at, i ? "d" : name, 0700), 0);
		at = entry()->nodeid;
	}
	assert_int_equal(make_node(at, "leaf", S_IFREG | 0600), 0);
	return entry()->nodeid;
}

/* Together, more directories are opened for them than for one request. */
static void open_files_survive_a_restart(void **state)
{
	struct opened o[CHAINS], first;
	char name[16];

	(void)state;
	share_in_memory();
	w.open = 512;
	make_tables();
	begin_rw(32 * MOST);
	assert_int_equal(create(1, "first", 0, 0600, &first), 0);
	for (unsigned i = 0; i < CHAINS; i++) {
		snprintf(name, sizeof(name), "chain%u", i);
		o[i].node = make_chain(name, CHAIN_DEPTH);
		o[i].fh = (uint64_t)open_node(FUSE_OPEN, o[i].node, O_RDONLY);
		assert_true((int64_t)o[i].fh > 0);
	}
	end_process();
	w.open = FEW;
	begin();
	/* Its node has a descriptor again, although nobody has used it since. */
	assert_int_equal(unlink(path_of("first")), 0);
	assert_int_equal(links_of(first.node), 0);
	for (unsigned i = 0; i < CHAINS; i++)
		assert_int_equal(read_node(FUSE_READ, o[i].node, o[i].fh, 0, 5), 0);
	assert_true(descriptors() <= FEW + CHAINS + 1);
}

static int begin_again(void **state)
{
	memset(node, 0, sizeof(node));
	return fresh(state);
}

#define IDLE(f) cmocka_unit_test_setup_teardown(f, begin_again, finish)

int main(void)
{
	const struct CMUnitTest tests[] = {
		IDLE(more_files_than_descriptors),
		IDLE(idle_directories_are_found),
		IDLE(another_file_is_not_taken),
		IDLE(files_without_a_name_stay),
		IDLE(a_limit_of_open_files),
		IDLE(too_many_files_without_a_name),
		IDLE(an_inode_number_that_is_used_again),
		IDLE(idle_files_survive_a_restart),
		IDLE(open_files_survive_a_restart),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
