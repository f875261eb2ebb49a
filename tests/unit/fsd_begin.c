/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Promise: with --reset=fresh each process of fsd begins with what the guest knew and had open at the checkpoint, with
 * the same numbers each time, whatever the one before has done; only with tables that nobody can change any more.
 */
#include "common/shm.h"
#include "fsd/begin.h"
#include "tests/unit/fsd_past_rig.h"

#define BYTES ((off_t)fs_tables_bytes(INODES, false))

static int new_tables(void)
{
	int fd = shm_create_to_freeze("tables", (uint64_t)BYTES);

	assert_true(fd >= 0);
	return fd;
}

static void begin_fresh(void)
{
	w.fresh = true;
	w.begins = false;
	w.generation = 0;
	w.nodes = new_tables();
	begin();
}

/* The process ends at a checkpoint. */
static void keep(void)
{
	end_process();
	assert_int_equal(shm_freeze(w.nodes), 0);
	w.kept_nodes = w.nodes;
	w.begins = true;
	w.nodes = new_tables();
	begin();
}

/* It ends at a reset. */
static void next(void)
{
	end_process();
	close(w.nodes);
	w.nodes = new_tables();
	w.begins = true;
	begin();
}

/* It is killed. */
static void successor(void)
{
	end_process();
	w.begins = false;
	begin();
}

static void the_guest_has_what_it_had(void **state)
{
	struct opened file, dir, late, first = { 0 };

	(void)state;
	begin_fresh();
	assert_int_equal(init(), 0);
	put_file("new", "newer");
	file = open_it(1, "file");
	dir = open_dir(1, "dir");
	keep();
	for (unsigned i = 0; i < 6; i++) {
		assert_int_equal(get(file), 0);
		assert_memory_equal(reply(), "hello", 5);
		assert_int_equal(list(dir, 0), 0);
		/* Nothing newer is left, and a number does not say how often the guest went back. */
		if (i)
			assert_int_equal(get(first), -ESTALE);
		late = open_it(1, "new");
		if (!i)
			first = late;
		assert_int_equal(late.node, first.node);
		assert_int_equal(late.fh, first.fh);
		/* The guest lets go of what it had. */
		assert_int_equal(release(FUSE_RELEASE, file.node, file.fh), 0);
		forget(file.node, 1);
		if (i == 2)
			assert_int_equal(ask(FUSE_DESTROY, 0, NULL, 0, 0), 0);
		if (i == 3) {
			/* One that is killed keeps what is newer. */
			successor();
			assert_int_equal(get(late), 0);
			assert_true(get(file) < 0);
		}
		next();
	}
}

static void a_guest_that_had_not_mounted_has_not(void **state)
{
	(void)state;
	begin_fresh();
	assert_true(look(1, "file") < 0);
	keep();
	for (unsigned i = 0; i < 3; i++) {
		assert_true(look(1, "file") < 0);
		assert_int_equal(init(), 0);
		assert_true(look(1, "file") > 0);
		successor();
		assert_true(look(1, "file") > 0);
		next();
	}
}

/* The checkpoint may be that of a taken process. */
static void any_tables_are_taken(void **state)
{
	uint8_t bytes[4096];

	(void)state;
	srandom(3);
	for (unsigned i = 0; i < 20; i++) {
		if (i)
			end_process();
		begin_fresh();
		assert_int_equal(init(), 0);
		open_it(1, "file");
		open_dir(1, "dir");
		for (unsigned n = 0; n < 40; n++) {
			off_t at = random() % (BYTES - (off_t)sizeof(bytes));

			memset(bytes, (int)random(), sizeof(bytes));
			/* Not the limit that they were made for */
			at = MAX(at, 4);
			assert_true(pwrite(w.nodes, bytes, (size_t)(random() % 64), at) >= 0);
		}
		keep();
		(void)init();
		assert_true(look(1, "file") > 0);
		close(w.nodes);
		close(w.kept_nodes);
	}
}

static void tables_that_could_change_are_refused(void **state)
{
	int open_one = new_tables(), kept = new_tables(), to = new_tables(), small = shm_create_to_freeze("t", 4096);

	(void)state;
	assert_int_equal(shm_freeze(kept) + shm_freeze(small), 0);
	assert_int_equal(nodes_begin(kept, to, INODES), 0);
	assert_int_equal(nodes_begin(open_one, to, INODES), -1);
	assert_int_equal(nodes_begin(small, to, INODES), -1);
	assert_int_equal(nodes_begin(kept, small, INODES), -1);
	assert_int_equal(nodes_begin(-1, to, INODES), -1);
	assert_int_equal(nodes_begin(kept, -1, INODES), -1);
	close(open_one);
	close(kept);
	close(to);
	close(small);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(the_guest_has_what_it_had),
		T(a_guest_that_had_not_mounted_has_not),
		T(any_tables_are_taken),
		cmocka_unit_test(tables_that_could_change_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
