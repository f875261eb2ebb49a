/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Promise: whatever a process that the guest has taken over leaves of the checkpoint in the tables' memory (fsd/past.h), its
 * successor finds files by their names, uses no entry twice, loses no descriptor and does not loop.
 */
#include "tests/unit/fsd_past_rig.h"

static void no_reset_without_a_checkpoint(void **state)
{
	(void)state;
	begin_past();
	hold();
	kept_rings.what = VHU_GO_RESET;
	assert_true(front_ack(&w.f, VHU_GO, &kept_rings, sizeof(kept_rings), NULL, 0) != 0);
	end_process();
	begin();
}

static uint32_t random_from(uint32_t *seed)
{
	*seed = *seed * 1664525 + 1013904223;
	return *seed >> 8;
}

/* A process that the guest has taken over can leave anything where the state of the checkpoint is. */
static void tables_of_a_taken_process(void **state)
{
	const uint64_t past = PAST_NODES + (INODES + 1ull) * FSD_PAST_NODE_BYTES,
		       handles = past + (INODES + 1ull) * FSD_PAST_ENTRY_BYTES;
	uint32_t seed = 1;

	(void)state;
	begin_past();
	for (unsigned round = 0; round < 200; round++) {
		struct opened file = open_it(1, "file"), dir = open_dir(1, "dir");

		open_it(dir.node, "inner");
		(void)look(1, "fifo");
		checkpoint();
		(void)look(1, "link");
		forget(file.node, 1);
		(void)release(FUSE_RELEASE, file.node, file.fh);
		end_process();
		for (unsigned i = 0; i < 1 + round / 4; i++) {
			static const uint8_t values[] = { 0, 1, 2, 3, 4, 5, 6, 0xff };
			uint32_t r = random_from(&seed), at = random_from(&seed);
			uint64_t to = r % 5 == 0   ? offsetof(struct nodes_kept, past) + at % sizeof(struct past_tables)
				      : r % 5 == 1 ? PAST_NODES + at % (8 * FSD_PAST_NODE_BYTES)
				      : r % 5 == 2 ? past + at % (8 * FSD_PAST_ENTRY_BYTES)
				      : r % 5 == 3 ? handles + at % (5 * FSD_PAST_ENTRY_BYTES)
						   : FSD_KEPT_BYTES + at % (5 * FSD_HANDLE_BYTES);

			tables[to] = values[r / 5 % ARRAY_SIZE(values)];
		}
		if (round == 199)
			memset(tables + PAST_NODES, 0xff, fs_tables_bytes(INODES, true) - PAST_NODES);
		begin();
		hold();
		kept_rings.what = round & 1 ? VHU_GO_RESET : VHU_GO_CHECKPOINT;
		if (front_ack(&w.f, VHU_GO, &kept_rings, sizeof(kept_rings), NULL, 0)) {
			/* What is left says that there is no checkpoint. */
			end_process();
			begin();
		}
		/* Whatever it finds, a name leads to its file; and everything can be kept and left. */
		assert_int_equal(init(), 0);
		file = open_it(1, "file");
		assert_int_equal(get(file), 0);
		assert_memory_equal(reply(), "hello", 5);
		checkpoint();
		reset();
		assert_int_equal(get(file), 0);
		for (unsigned i = NODE_ROOT + 1; i < kept()->fresh; i++) {
			uint32_t up = i, steps = 0;

			for (; entry_of(i)->type && up != NODE_ROOT; up = entry_of(up)->parent)
				assert_true(steps++ < INODES);
		}
		end_process();
		w.generation = 0;
		begin();
		assert_int_equal(init(), 0);
	}
}

/* Of the directories at the checkpoint, one is below itself; and of a file, the directory is none of them. */
static void past_directories_of_a_taken_process(void **state)
{
	struct past_node *past;
	int64_t outer, middle, late, link;

	(void)state;
	begin_past();
	past = (void *)(tables + PAST_NODES);
	assert_int_equal(mkdir(path_of("dir/middle"), 0755), 0);
	assert_int_equal(mkdir(path_of("new"), 0755), 0);
	link = look(1, "link");
	outer = look(1, "dir");
	middle = look((uint64_t)outer, "middle");
	forget((uint64_t)link, 1);
	checkpoint();
	end_process();
	past[(uint32_t)outer].parent = (uint32_t)middle;
	begin();
	reset();
	assert_true(entry_of((uint64_t)outer)->parent == 1 || entry_of((uint64_t)middle)->parent == 1);
	assert_true(look(1, "dir") > 0 && look((uint64_t)look(1, "dir"), "middle") > 0);
	late = look(1, "new");
	assert_int_equal((uint32_t)late, (uint32_t)link);
	end_process();
	past[(uint32_t)middle].parent = (uint32_t)late;
	begin();
	reset();
	assert_int_equal(entry_of((uint64_t)middle)->parent, 1);
}

static void past_lists_of_a_taken_process(void **state)
{
	struct opened file, late;
	unsigned had;

	(void)state;
	begin_past();
	put_file("other", "hello");
	file = open_it(1, "file");
	forget((uint64_t)look(1, "link"), 1);
	checkpoint();
	had = descriptors();
	late = open_it(1, "other");
	end_process();
	/* What is free at the checkpoint is in use, and a handle that is none of the checkpoint's is closed. */
	kept()->past.free = (uint32_t)file.node;
	kept()->past.handles_free = (uint32_t)file.fh;
	((struct handle *)(tables + FSD_KEPT_BYTES))[(uint32_t)late.fh].closed = 1;
	begin();
	assert_int_equal(descriptors(), had + 1);
	reset();
	assert_int_equal(descriptors(), had);
	late = open_it(1, "other");
	assert_true((uint32_t)late.node != (uint32_t)file.node && (uint32_t)late.fh != (uint32_t)file.fh);
	assert_int_equal(get(file), 0);
	/* The file of a handle is none of the checkpoint's. */
	end_process();
	kept()->past.fresh = 2;
	begin();
	reset();
	assert_int_equal(descriptors(), had - 2);
	assert_int_equal(get(file), -ESTALE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(no_reset_without_a_checkpoint),
		T(tables_of_a_taken_process),
		T(past_directories_of_a_taken_process),
		T(past_lists_of_a_taken_process),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
