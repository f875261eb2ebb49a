/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Promise: a guest from a file (--save, --from) finds in its share what it knew and had open, under the same numbers, as far as
 * the files are there under the same names. What is gone, or is of another type, is ESTALE; no number leads to another
 * file. The same after a reset, and if the device's process is killed meanwhile.
 */
#define MANY   1000
#define INODES (MANY + 1) /* And the root */
#include "tests/unit/fsd_saved_rig.h"

static void put_content(const char *name, const char *text)
{
	assert_true(unlink(path_of(name)) == 0 || errno == ENOENT);
	put_file(name, text);
}

static void it_goes_on(bool killed)
{
	struct opened file, dir, inner, root = { .node = 1 };
	int64_t link;
	uint64_t at;

	begin_saved();
	for (unsigned i = 0; i < 3; i++)
		assert_true(look(1, "file") > 0);
	/* Entries that are free, of both tables */
	link = look(1, "fifo");
	inner = open_it(1, "file");
	assert_int_equal(release(FUSE_RELEASE, inner.node, inner.fh), 0);
	file = open_it(1, "file");
	dir = open_dir(1, "dir");
	inner = open_it(dir.node, "inner");
	forget((uint64_t)link, 1);
	link = look(1, "link");
	root.fh = (uint64_t)open_node(FUSE_OPENDIR, 1, 0);
	assert_int_equal(read_node(FUSE_READDIR, root.node, root.fh, 0, 40), 0);
	at = ((const struct fuse_dirent *)reply())->off;
	save_it();
	for (unsigned round = 0; round < 3; round++) {
		struct opened other;

		from_it();
		if (killed)
			kill_it();
		assert_int_equal(get(file), 0);
		assert_memory_equal(reply(), "hello", 5);
		/* At a position */
		assert_int_equal(read_node(FUSE_READ, inner.node, inner.fh, 6, 100), 0);
		assert_int_equal(reply_len(), 4);
		assert_memory_equal(reply(), "text", 4);
		assert_int_equal(list(root, at), 0);
		assert_true(reply_len() > 0);
		assert_int_equal(list(dir, 0), 0);
		/* The numbers are those of the saved guest, and others are not. */
		assert_int_equal(look(1, "file"), (int64_t)file.node);
		assert_int_equal(look(1, "link"), link);
		assert_int_equal(look(1, "dir"), (int64_t)dir.node);
		assert_int_equal(look(dir.node, "inner"), (int64_t)inner.node);
		assert_int_equal(entry_of(file.node)->lookups, 6);
		assert_int_equal(entry_of(inner.node)->lookups, 2);
		assert_int_equal(read_node(FUSE_READ, file.node, file.fh + 1, 0, 5), -ESTALE);
		assert_int_equal(read_node(FUSE_READ, file.node, file.fh + (1ull << 32), 0, 5), -ESTALE);
		other = open_it(1, "file");
		assert_true(other.fh != file.fh && other.fh != inner.fh && other.fh != root.fh);
		/* References are what they were. */
		forget(file.node, 5);
		assert_int_equal(get(file), 0);
		assert_int_equal(release(FUSE_RELEASE, file.node, file.fh), 0);
		assert_int_equal(get(file), -ESTALE);
		if (killed)
			kill_it();
		reset();
		assert_int_equal(get(file), 0);
		assert_int_equal(entry_of(file.node)->lookups, 5);
		assert_int_equal(get(other), -ESTALE);
	}
}

static void a_guest_from_the_file_goes_on(void **state)
{
	(void)state;
	it_goes_on(false);
}

static void the_same_if_the_process_is_killed(void **state)
{
	(void)state;
	it_goes_on(true);
}

/* The share can be a copy: other files, which have the same names and types. */
static void a_copy_will_do(void **state)
{
	struct opened file, dir;

	(void)state;
	begin_saved();
	file = open_it(1, "file");
	dir = open_dir(1, "dir");
	save_it();
	put_content("file", "other");
	assert_int_equal(rename(path_of("dir"), path_of("old")), 0);
	assert_int_equal(mkdir(path_of("dir"), 0755), 0);
	from_it();
	assert_int_equal(get(file), 0);
	assert_memory_equal(reply(), "other", 5);
	assert_int_equal(list(dir, 0), 0);
	assert_int_equal(look(dir.node, "inner"), 0);
}

static void what_is_gone_or_of_another_type_is_stale(void **state)
{
	struct opened file, dir, inner, kept;
	int64_t link, fifo;

	(void)state;
	begin_saved();
	put_file("kept", "kept.");
	file = open_it(1, "file");
	dir = open_dir(1, "dir");
	inner = open_it(dir.node, "inner");
	kept = open_it(1, "kept");
	link = look(1, "link");
	fifo = look(1, "fifo");
	save_it();
	assert_int_equal(unlink(path_of("file")), 0);
	assert_int_equal(rename(path_of("dir"), path_of("moved")), 0);
	/* A link to it is another type, although it leads there. */
	assert_int_equal(symlink("moved", path_of("dir")), 0);
	assert_int_equal(unlink(path_of("link")), 0);
	put_file("link", "a file");
	assert_int_equal(unlink(path_of("fifo")), 0);
	from_it();
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(get(file), -ESTALE);
		assert_int_equal(list(dir, 0), -ESTALE);
		assert_int_equal(get(inner), -ESTALE);
		assert_int_equal(ask(FUSE_READLINK, (uint64_t)link, NULL, 0, 64), -ESTALE);
		assert_int_equal(ask(FUSE_STATFS, (uint64_t)fifo, NULL, 0, 256), -ESTALE);
		assert_int_equal(get(kept), 0);
		assert_memory_equal(reply(), "kept.", 5);
		/* What has its entry now has another number. */
		for (unsigned n = 0; n < 8; n++) {
			int64_t node = look(1, n % 2 ? "kept" : "moved");

			assert_true(node > 0 && node != (int64_t)file.node && node != (int64_t)dir.node &&
				    node != (int64_t)inner.node);
			forget((uint64_t)node, 1);
		}
		kill_it();
	}
}

/* The guest knows a file that has its name no more: no other file takes its place. */
static void a_file_without_its_name_is_not_written(void **state)
{
	struct opened file, inner, dir;

	(void)state;
	begin_saved();
	file = open_it(1, "file");
	dir = open_dir(1, "dir");
	inner = open_it(dir.node, "inner");
	assert_int_equal(rename(path_of("file"), path_of("old")), 0);
	put_content("file", "other");
	assert_int_equal(rename(path_of("dir"), path_of("moved")), 0);
	assert_int_equal(mkdir(path_of("dir"), 0755), 0);
	put_content("dir/inner", "other");
	assert_int_equal(get(file), 0);
	assert_memory_equal(reply(), "hello", 5);
	assert_int_equal(get(inner), 0);
	save_it();
	/* For the saved guest nothing has changed. */
	assert_int_equal(get(file), 0);
	assert_memory_equal(reply(), "hello", 5);
	from_it();
	assert_int_equal(get(file), -ESTALE);
	assert_int_equal(get(inner), -ESTALE);
	assert_int_equal(list(dir, 0), -ESTALE);
	file = open_it(1, "file");
	assert_int_equal(get(file), 0);
	assert_memory_equal(reply(), "other", 5);
}

/* Two names of the copy lead to one file, which were two: one of the numbers is lost. */
static void a_file_has_one_number(void **state)
{
	struct opened one, two;

	(void)state;
	begin_saved();
	put_file("two", "second");
	one = open_it(1, "file");
	two = open_it(1, "two");
	save_it();
	assert_int_equal(unlink(path_of("two")), 0);
	assert_int_equal(link(path_of("file"), path_of("two")), 0);
	from_it();
	assert_int_equal(get(one), 0);
	assert_int_equal(get(two), -ESTALE);
	assert_int_equal(look(1, "two"), (int64_t)one.node);
}

/* A directory can have a higher number than what is in it. */
static void directories_come_first(void **state)
{
	struct opened file, dir, deep;

	(void)state;
	begin_saved();
	file = open_it(1, "file");
	assert_int_equal(mkdir(path_of("deep"), 0755), 0);
	deep = open_dir(1, "deep");
	dir = open_dir(1, "dir");
	assert_true(file.node < deep.node && deep.node < dir.node);
	assert_int_equal(rename(path_of("deep"), path_of("dir/deep")), 0);
	assert_int_equal(look(dir.node, "deep"), (int64_t)deep.node);
	assert_int_equal(rename(path_of("file"), path_of("dir/deep/file")), 0);
	assert_int_equal(look(deep.node, "file"), (int64_t)file.node);
	save_it();
	from_it();
	assert_int_equal(get(file), 0);
	assert_memory_equal(reply(), "hello", 5);
	assert_int_equal(look(dir.node, "deep"), (int64_t)deep.node);
	assert_int_equal(look(deep.node, "file"), (int64_t)file.node);
}

/* What the guest has closed or forgotten since a checkpoint is not in the file of a later one. */
static void entries_that_only_a_reset_needs_are_not_there(void **state)
{
	struct opened file, dir;

	(void)state;
	begin_saved();
	file = open_it(1, "file");
	dir = open_dir(1, "dir");
	(void)look(dir.node, "inner");
	checkpoint();
	assert_int_equal(release(FUSE_RELEASE, file.node, file.fh), 0);
	forget(file.node, 1);
	save_it();
	from_it();
	assert_int_equal(get(file), -ESTALE);
	assert_int_equal(entry_of(file.node)->type, 0);
	assert_int_equal(list(dir, 0), 0);
	/* INIT was received. */
	assert_int_equal(look(1, "dir"), (int64_t)dir.node);
}

static void a_share_that_is_not_mounted_is_not_ready(void **state)
{
	(void)state;
	w.file = memfd_create("saved", MFD_CLOEXEC);
	w.checkpoint = true;
	make_tables();
	begin();
	save_it();
	from_it();
	assert_true(ask(FUSE_STATFS, 1, NULL, 0, 256) < 0);
	assert_int_equal(init(), 0);
	assert_true(look(1, "file") > 0);
}

/* Of every second one, the name has the greatest length. */
static const char *many(unsigned i)
{
	static char name[256];

	memset(name, 'n', sizeof(name));
	name[i % 2 ? 255 : 8] = '\0';
	snprintf(name, 5, "%04u", i);
	name[4] = '_';
	return name;
}

/* More than fits into one block, and more than may be open. */
static void many_files(void **state)
{
	static int64_t number[MANY];
	unsigned calls;

	(void)state;
	w.open = FSD_MIN_OPEN;
	begin_saved();
	for (unsigned i = 0; i < MANY; i++) {
		put_file(many(i), "x");
		number[i] = look(1, many(i));
		assert_true(number[i] > 0);
	}
	/* Half of the entries are free. */
	for (unsigned i = 0; i < MANY; i += 2)
		forget((uint64_t)number[i], 1);
	save_it();
	calls = parts;
	assert_true(calls > 5);
	from_it();
	assert_int_equal(parts, calls);
	for (unsigned i = 1; i < MANY; i += 2)
		assert_int_equal(look(1, many(i)), number[i]);
	/* None of them is lost: all files have room. */
	for (unsigned i = 0; i < MANY; i += 2)
		assert_true(look(1, many(i)) > 0);
	assert_int_equal(look(1, "file"), -ENFILE);
	for (unsigned i = 1; i < MANY; i += 2)
		forget((uint64_t)number[i], 2);
	reset();
	for (unsigned i = 1; i < MANY; i += 2)
		assert_int_equal(ask(FUSE_GETATTR, (uint64_t)number[i], &(struct fuse_getattr_in){ 0 },
				     sizeof(struct fuse_getattr_in), sizeof(struct fuse_attr_out)),
				 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_guest_from_the_file_goes_on),
		T(the_same_if_the_process_is_killed),
		T(a_copy_will_do),
		T(what_is_gone_or_of_another_type_is_stale),
		T(a_file_without_its_name_is_not_written),
		T(a_file_has_one_number),
		T(directories_come_first),
		T(entries_that_only_a_reset_needs_are_not_there),
		T(a_share_that_is_not_mounted_is_not_ready),
		T(many_files),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
