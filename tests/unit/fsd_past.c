/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Promise: after a reset (--checkpoint) the guest's files and handles are those of the checkpoint, and nothing newer is
 * left; also if the device's process was killed meanwhile. Nothing is lost by that: no entry, no descriptor.
 */
#include "tests/unit/fsd_past_rig.h"

static void the_guest_has_what_it_had(bool killed)
{
	struct opened file, dir, late, inner;
	uint64_t at;
	uint8_t rest[4096];
	uint32_t rest_len;

	begin_past();
	put_file("new", "newer");
	for (unsigned i = 0; i < 2; i++)
		assert_true(look(1, "file") > 0);
	file = open_it(1, "file");
	dir = open_dir(1, "dir");
	/* One entry has been read. */
	assert_int_equal(read_node(FUSE_READDIR, dir.node, dir.fh, 0, 40), 0);
	at = ((const struct fuse_dirent *)reply())->off;
	assert_int_equal(list(dir, at), 0);
	rest_len = reply_len();
	memcpy(rest, reply(), rest_len);
	checkpoint();
	for (unsigned i = 0; i < 6; i++) {
		/* New ones; an entry is used again and again, each time with another number. */
		for (unsigned n = 0; n < i; n++)
			forget((uint64_t)look(1, "link"), 1);
		if (killed && i % 2)
			kill_it();
		late = open_it(1, "new");
		inner = open_it(dir.node, "inner");
		/* The guest lets go of what it had. */
		assert_int_equal(release(FUSE_RELEASE, file.node, file.fh), 0);
		assert_int_equal(release(FUSE_RELEASEDIR, dir.node, dir.fh), 0);
		assert_true(get(file) == -EBADF || get(file) == -ESTALE);
		forget(file.node, 3);
		forget(dir.node, 1);
		if (i == 3)
			assert_int_equal(ask(FUSE_DESTROY, 0, NULL, 0, 0), 0);
		if (i == 4)
			assert_int_equal(init(), 0);
		if (killed)
			kill_it();
		reset();
		if (killed && i % 2)
			kill_it();
		assert_int_equal(entry_of(file.node)->lookups, 3);
		assert_int_equal(entry_of(dir.node)->lookups, 1);
		assert_int_equal(get(file), 0);
		assert_memory_equal(reply(), "hello", 5);
		assert_int_equal(list(dir, at), 0);
		assert_int_equal(reply_len(), rest_len);
		assert_memory_equal(reply(), rest, rest_len);
		/* Nothing newer */
		assert_true(get(inner) == -ESTALE);
		assert_true(get(late) == -ESTALE);
		assert_true(read_node(FUSE_READ, file.node, late.fh, 0, 5) == (w.generation ? -ESTALE : -EBADF));
		assert_int_equal(look(1, "file"), (int64_t)file.node);
		forget(file.node, 1);
	}
}

static void after_a_reset_the_guest_has_what_it_had(void **state)
{
	(void)state;
	the_guest_has_what_it_had(false);
}

static void the_same_of_a_killed_process(void **state)
{
	(void)state;
	the_guest_has_what_it_had(true);
}

/* The guest may count how often an entry is used: the numbers that it gets are the same after each reset. */
static void numbers_do_not_count_resets(void **state)
{
	struct opened first[3];

	(void)state;
	begin_past();
	/* Some free entries of either table */
	for (unsigned i = 0; i < 5; i++) {
		struct opened a = open_it(1, "file"), b = open_dir(1, "dir");

		assert_int_equal(release(FUSE_RELEASE, a.node, a.fh), 0);
		assert_int_equal(release(FUSE_RELEASEDIR, b.node, b.fh), 0);
		forget(i & 1 ? a.node : b.node, 1);
		forget(i & 1 ? b.node : a.node, 1);
	}
	checkpoint();
	for (unsigned i = 0; i < 5; i++) {
		struct opened now[3] = { open_it(1, "file"), open_dir(1, "dir"), open_dir(1, "dir") };

		if (!i)
			memcpy(first, now, sizeof(now));
		assert_memory_equal(first, now, sizeof(now));
		for (unsigned n = 0; n < i; n++) {
			int64_t id = look(1, "link");

			assert_int_equal(release(FUSE_RELEASE, now[0].node, now[0].fh), 0);
			now[0] = open_it(1, "file");
			forget((uint64_t)id, 1);
		}
		reset();
	}
	/* A process that follows gives out other numbers for entries never used, and the same ones for others. */
	assert_true(open_it(1, "file").fh == first[0].fh);
	kill_it();
	reset();
	assert_true(open_it(1, "file").fh == first[0].fh && look(1, "dir") == (int64_t)first[1].node);
	reset();
	assert_true(open_it(1, "file").fh == first[0].fh && look(1, "dir") == (int64_t)first[1].node);
}

static void nothing_is_lost(void **state)
{
	unsigned had, before;
	struct opened file;

	(void)state;
	begin_past();
	file = open_it(1, "file");
	checkpoint();
	had = descriptors();
	for (unsigned i = 0; i < 200; i++) {
		struct opened dir = open_dir(1, "dir");

		open_it(dir.node, "inner");
		open_it(1, "file");
		if (i & 1)
			assert_int_equal(release(FUSE_RELEASE, file.node, file.fh), 0);
		reset();
		assert_int_equal(descriptors(), had);
	}
	assert_int_equal(kept()->fresh, kept()->past.fresh);
	/* A checkpoint lets go of what the guest has let go of since the last one. */
	assert_int_equal(release(FUSE_RELEASE, file.node, file.fh), 0);
	forget(file.node, UINT32_MAX);
	before = descriptors();
	assert_int_equal(before, had);
	checkpoint();
	assert_int_equal(descriptors(), had - 2);
	assert_int_equal(get(file), -ESTALE);
	reset();
	assert_int_equal(get(file), -ESTALE);
}

/* A directory is needed as long as the guest knows a file in it, although it has forgotten the directory itself. */
static void a_checkpoint_frees_forgotten_directories(void **state)
{
	int64_t dir, inner;

	(void)state;
	begin_past();
	dir = look(1, "dir");
	inner = look((uint64_t)dir, "inner");
	forget((uint64_t)dir, 1);
	checkpoint();
	/* An unchanged one: the change is its file's. */
	forget((uint64_t)inner, 1);
	assert_true(entry_of((uint64_t)dir)->type && entry_of((uint64_t)inner)->type);
	reset();
	assert_int_equal(entry_of((uint64_t)inner)->lookups, 1);
	forget((uint64_t)inner, 1);
	checkpoint();
	assert_false(entry_of((uint64_t)dir)->type || entry_of((uint64_t)inner)->type);
}

/* It was found under another name since, in a directory that is not known at the checkpoint. */
static void a_file_gets_its_name_back(void **state)
{
	int64_t file, sub;

	(void)state;
	begin_past();
	assert_int_equal(mkdir(path_of("sub"), 0755), 0);
	assert_int_equal(linkat(AT_FDCWD, path_of("file"), AT_FDCWD, path_of("sub/a-name-of-another-length"), 0), 0);
	file = look(1, "file");
	checkpoint();
	for (unsigned i = 0; i < 8; i++) {
		sub = look(1, "sub");
		assert_int_equal(look((uint64_t)sub, "a-name-of-another-length"), file);
		assert_int_equal(entry_of((uint64_t)file)->parent, (uint32_t)sub);
		/* Its place is not used for another name meanwhile. */
		assert_true(look(1, "link") > 0);
		if (i & 1)
			kill_it();
		if (i & 2) {
			/* In the one that follows, the file is only in the other directory. */
			forget((uint64_t)file, UINT32_MAX);
			kill_it();
		}
		reset();
		assert_int_equal(entry_of((uint64_t)file)->parent, 1);
		assert_int_equal(entry_of((uint64_t)file)->lookups, 1);
		assert_false(kept()->fresh > 3);
		assert_true(open_node(FUSE_OPEN, (uint64_t)file, O_RDONLY) > 0);
	}
	/* The next checkpoint has the other name. */
	reset();
	sub = look(1, "sub");
	assert_int_equal(look((uint64_t)sub, "a-name-of-another-length"), file);
	checkpoint();
	assert_int_equal(look(1, "file"), file);
	reset();
	assert_int_equal(entry_of((uint64_t)file)->parent, (uint32_t)sub);
}

static void a_checkpoint_before_init(void **state)
{
	struct opened file;

	(void)state;
	w.checkpoint = true;
	make_tables();
	begin();
	checkpoint();
	for (unsigned i = 0; i < 4; i++) {
		assert_int_equal(look(1, "file"), -EIO);
		assert_int_equal(init(), 0);
		file = open_it(1, "file");
		if (i & 1)
			kill_it();
		reset();
	}
	assert_int_equal(init(), 0);
	assert_int_equal(get(file), -ESTALE);
}

/* Files that have no descriptor when the guest goes back. */
static void idle_files(void **state)
{
	int64_t id[40];
	char name[16];

	(void)state;
	w.open = 16;
	begin_past();
	for (unsigned i = 0; i < ARRAY_SIZE(id); i++) {
		snprintf(name, sizeof(name), "f%u", i);
		put_file(name, "hello");
		if (i < 20)
			id[i] = look(1, name);
	}
	checkpoint();
	for (unsigned round = 0; round < 6; round++) {
		for (unsigned i = 20; i < ARRAY_SIZE(id); i++) {
			snprintf(name, sizeof(name), "f%u", i);
			assert_true(look(1, name) > 0);
		}
		for (unsigned i = 0; i < 20; i += 2)
			forget((uint64_t)id[i], 1);
		if (round & 1)
			kill_it();
		reset();
		for (unsigned i = 0; i < 20; i++) {
			struct opened o = { (uint64_t)id[i],
					    (uint64_t)open_node(FUSE_OPEN, (uint64_t)id[i], O_RDONLY) };

			assert_int_equal(get(o), 0);
			assert_int_equal(release(FUSE_RELEASE, o.node, o.fh), 0);
			assert_int_equal(entry_of(o.node)->lookups, 1);
		}
	}
}

/* Handles of the checkpoint that the guest has closed count, so there is a bound. */
static void handles_have_a_limit(void **state)
{
	uint64_t fh[FSD_HANDLES];
	int64_t file;

	(void)state;
	begin_past();
	file = look(1, "file");
	for (unsigned i = 0; i < FSD_HANDLES; i++)
		fh[i] = (uint64_t)open_node(FUSE_OPEN, (uint64_t)file, O_RDONLY);
	checkpoint();
	for (unsigned i = 0; i < FSD_HANDLES; i++)
		assert_int_equal(release(FUSE_RELEASE, (uint64_t)file, fh[i]), 0);
	assert_int_equal(open_node(FUSE_OPEN, (uint64_t)file, O_RDONLY), -ENFILE);
	reset();
	for (unsigned i = 0; i < FSD_HANDLES; i++)
		assert_int_equal(get((struct opened){ (uint64_t)file, fh[i] }), 0);
}

/* The host's file lost its name, and the process that knew it was killed: the guest gets ESTALE, and that stays so. */
static void a_lost_file_stays_lost(void **state)
{
	struct opened file, again;

	(void)state;
	begin_past();
	put_file("lost", "hello");
	file = open_it(1, "lost");
	checkpoint();
	assert_int_equal(unlink(path_of("lost")), 0);
	reset();
	assert_int_equal(get(file), 0);
	kill_it();
	for (unsigned i = 0; i < 3; i++) {
		reset();
		assert_int_equal(get(file), -ESTALE);
		put_file("lost", "other");
		again = open_it(1, "lost");
		assert_true(again.node != file.node && again.fh != file.fh);
		/* Its entries are free. */
		assert_true((uint32_t)again.node == (uint32_t)file.node && (uint32_t)again.fh == (uint32_t)file.fh);
		assert_int_equal(get(again), 0);
		assert_int_equal(unlink(path_of("lost")), 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(after_a_reset_the_guest_has_what_it_had),
		T(the_same_of_a_killed_process),
		T(numbers_do_not_count_resets),
		T(nothing_is_lost),
		T(a_checkpoint_frees_forgotten_directories),
		T(a_file_gets_its_name_back),
		T(a_checkpoint_before_init),
		T(idle_files),
		T(handles_have_a_limit),
		T(a_lost_file_stays_lost),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
