/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A process that takes over the tables of one that was killed: what the guest had open stays open. */
#include "tests/unit/fsd_restore_rig.h"

#define MARK_LEN 5

static struct nodes_kept *kept;

/* Begin with tables that outlive the process. */
static void begin_kept(void)
{
	make_tables();
	kept = (void *)tables;
	begin_rw(MOST);
}

/* Numbers of a taken process may have any counter in their upper half. */
static bool is_number(uint64_t v)
{
	return v && v < (uint64_t)-4095;
}

/* As the host does it. */
static int exchange(const char *a, const char *b)
{
	char first[300];

	snprintf(first, sizeof(first), "%s", path_of(a));
	return renameat2(AT_FDCWD, first, AT_FDCWD, path_of(b), RENAME_EXCHANGE);
}

static struct opened open_file(const char *name, uint64_t dir, uint32_t access)
{
	struct opened o = { .node = (uint64_t)look(dir, name) };

	o.fh = (uint64_t)open_node(FUSE_OPEN, o.node, access);
	assert_true(is_number(o.node) && is_number(o.fh));
	return o;
}

static int get(struct opened o)
{
	return read_node(FUSE_READ, o.node, o.fh, 0, MARK_LEN);
}

static void open_files_stay_open(void **state)
{
	struct opened file, inner, gone, moved, dir, mode;
	uint64_t sub;

	(void)state;
	begin_kept();
	put_file("gone", "gone!");
	put_file("moved", "moved");
	put_file("mode", "mode!");
	file = open_file("file", 1, O_RDONLY);
	sub = (uint64_t)look(1, "dir");
	inner = open_file("inner", sub, O_WRONLY);
	dir = (struct opened){ sub, (uint64_t)open_node(FUSE_OPENDIR, sub, 0) };
	gone = open_file("gone", 1, O_RDONLY);
	moved = open_file("moved", 1, O_RDONLY);
	mode = open_file("mode", 1, O_RDONLY);
	/* The guest's own rename is followed; the names below a directory that it moves too. */
	assert_int_equal(move(1, "dir", 1, "new-dir", 0), 0);
	assert_int_equal(move(1, "file", sub, "new-file", 0), 0);
	assert_int_equal(remove_file(1, "gone"), 0);
	end_process();
	assert_int_equal(rename(path_of("moved"), path_of("by-host")), 0);
	begin();
	assert_int_equal(get(file), 0);
	assert_memory_equal(reply(), "hello", MARK_LEN);
	assert_int_equal(put(inner, 0, 10), 10);
	assert_int_equal(get(inner), -EBADF);
	assert_int_equal(read_node(FUSE_READDIR, dir.node, dir.fh, 0, 4096), 0);
	assert_true(reply_len() > 0);
	assert_int_equal(get(mode), 0);
	assert_int_equal(look(sub, "new-file"), (int64_t)file.node);
	/* No name leads to these any more. */
	assert_int_equal(get(gone), -ESTALE);
	assert_int_equal(get(moved), -ESTALE);
	/* New numbers are different from theirs. */
	moved = open_file("by-host", 1, O_RDONLY);
	assert_int_equal(get(moved), 0);
	assert_int_equal(get(gone), -ESTALE);
	/* A second time. */
	end_process();
	begin();
	assert_int_equal(get(file), 0);
	assert_int_equal(get(moved), 0);
	assert_int_equal(put(inner, 10, 10), 10);
}

/* The process was killed when the host had renamed, and before it could store that. */
static void killed_in_a_rename(void **state)
{
	struct opened file, inner;
	uint64_t sub;

	(void)state;
	begin_kept();
	sub = (uint64_t)look(1, "dir");
	file = open_file("file", 1, O_RDONLY);
	inner = open_file("inner", sub, O_RDONLY);
	/* Stores the names, and does nothing. */
	assert_int_equal(move(1, "file", sub, "inner", RENAME_NOREPLACE), -EEXIST);
	end_process();
	assert_int_equal(rename(path_of("file"), path_of("dir/inner")), 0);
	begin();
	assert_int_equal(get(file), 0);
	assert_memory_equal(reply(), "hello", MARK_LEN);
	assert_int_equal(get(inner), -ESTALE);
	/* The request comes again, and was successful. */
	assert_int_equal(move(1, "file", sub, "inner", 0), 0);
	assert_int_equal(move(1, "file", sub, "inner", 0), -ENOENT);
}

/* The same of a taken process, which has named a queue that does not exist. */
static void a_rename_of_no_queue(void **state)
{
	struct opened file;
	uint64_t sub;

	(void)state;
	begin_kept();
	sub = (uint64_t)look(1, "dir");
	file = open_file("file", 1, O_RDONLY);
	assert_int_equal(move(1, "file", sub, "inner", RENAME_NOREPLACE), -EEXIST);
	end_process();
	assert_int_equal(rename(path_of("file"), path_of("dir/inner")), 0);
	kept->moving.queue = UINT32_MAX;
	begin();
	assert_int_equal(get(file), 0);
}

/* Each queue has one request at most that was under way: a change on another queue does not make the device forget it. */
static void each_queue_has_its_own_request(void **state)
{
	(void)state;
	w.queues = 3;
	begin_kept();
	kept->changing[3] = 77;
	end_process();
	assert_int_equal(mkdir(path_of("again"), 0700), 0);
	begin();
	w.on = 2;
	assert_int_equal(make_dir(1, "again", 0700), -EEXIST);
	/* Killed once more, before the request came again. */
	end_process();
	begin();
	assert_int_equal(make_dir(1, "again", 0700), 0);
	end_process();
	begin();
	assert_int_equal(make_dir(1, "other", 0700), 0);
	w.on = 3;
	assert_int_equal(make_dir(1, "again", 0700), 0);
	assert_int_equal(make_dir(1, "again", 0700), -EEXIST);
}

/* A rename on another queue does not make the device forget that the one that comes again was done. */
static void each_queue_has_its_own_rename(void **state)
{
	uint64_t sub;

	(void)state;
	w.queues = 2;
	begin_kept();
	sub = (uint64_t)look(1, "dir");
	put_file("other", "other");
	assert_true(look(1, "file") > 0 && look(1, "other") > 0);
	w.on = 2;
	assert_int_equal(move(1, "file", sub, "moved", 0), 0);
	for (unsigned i = 0; i < 2; i++) {
		end_process();
		begin();
		w.on = 1;
		assert_int_equal(move(1, i ? "b" : "other", 1, i ? "c" : "b", 0), 0);
	}
	w.on = 2;
	assert_int_equal(move(1, "file", sub, "moved", 0), 0);
	assert_int_equal(move(1, "file", sub, "moved", 0), -ENOENT);
	/* The next one on this queue was begun, but not done. */
	assert_int_equal(move(sub, "moved", sub, "inner", RENAME_NOREPLACE), -EEXIST);
	end_process();
	begin();
	assert_int_equal(move(sub, "moved", sub, "once more", 0), 0);
	assert_int_equal(access(path_of("dir/once more"), F_OK), 0);
}

/* The process was killed when the host had exchanged two files, and before it could store that. */
static void killed_in_an_exchange(void **state)
{
	struct opened file, inner;
	uint64_t sub;

	(void)state;
	begin_kept();
	sub = (uint64_t)look(1, "dir");
	file = open_file("file", 1, O_RDONLY);
	inner = open_file("inner", sub, O_RDONLY);
	/* Stores the names, and does nothing. */
	assert_int_equal(move(1, "file", sub, "inner", RENAME_NOREPLACE), -EEXIST);
	end_process();
	assert_int_equal(exchange("file", "dir/inner"), 0);
	begin();
	assert_int_equal(move(1, "file", sub, "inner", RENAME_EXCHANGE), 0);
	assert_int_equal(look(sub, "inner"), (int64_t)file.node);
	assert_int_equal(look(1, "file"), (int64_t)inner.node);
}

/* A request that comes again does not fail because its first execution succeeded. */
static void requests_that_come_again(void **state)
{
	struct opened o;
	int64_t file;

	(void)state;
	begin_kept();
	file = look(1, "file");
	for (unsigned i = 0; i < 12; i++) {
		int before = i % 2 ? -EEXIST : 0;

		/* Each once as the request that was under way, and once as another one. */
		kept->changing[1] = i % 2 ? 78 : 77;
		end_process();
		if (i / 2 == 0)
			(void)mkdir(path_of("again"), 0700);
		else if (i / 2 == 2 || i / 2 == 3)
			put_file("again", "");
		else if (i / 2 == 4)
			(void)symlink("x", path_of("again"));
		else if (i / 2 == 5)
			(void)link(path_of("file"), path_of("again"));
		begin();
		switch (i / 2) {
		case 0:
			assert_int_equal(make_dir(1, "again", 0700), before);
			break;
		case 1:
			assert_int_equal(remove_file(1, "missing"), i % 2 ? -ENOENT : 0);
			break;
		case 2:
			assert_int_equal(create(1, "again", O_RDWR | O_EXCL, 0600, &o), before);
			break;
		case 3:
			assert_int_equal(make_node(1, "again", S_IFREG | 0600), before);
			break;
		case 4:
			assert_int_equal(ask_names(FUSE_SYMLINK, 1, NULL, 0, "again", "x"), before);
			break;
		default:
			assert_int_equal(make_link((uint64_t)file, 1, "again"), before);
		}
		if (i % 2) {
			(void)unlink(path_of("again"));
			(void)rmdir(path_of("again"));
		}
	}
}

/* A process that the guest has taken over can leave anything in the tables. */
static void tables_of_a_taken_process(void **state)
{
	uint32_t seed = 1;
	struct opened file;
	uint64_t used = FSD_KEPT_BYTES;

	(void)state;
	begin_kept();
	for (unsigned round = 0; round < 60; round++) {
		file = open_file("file", 1, O_RDONLY);
		open_file("inner", (uint64_t)look(1, "dir"), O_RDONLY);
		end_process();
		for (unsigned i = 0; i < 1 + round * 20; i++) {
			uint32_t at;

			seed = seed * 1664525 + 1013904223;
			/* The entries in use of each table; the names last. */
			at = seed >> 8 & 3;
			at = (uint32_t)(at == 0	  ? seed >> 12 & 0xff
					: at == 1 ? used + (seed >> 12 & 0xff)
					: at == 2 ? used + (FSD_HANDLES + 1) * FSD_HANDLE_BYTES + (seed >> 12 & 0x1ff)
						  : fs_tables_bytes(INODES, true) - 4 - (seed >> 12 & 0xffff) % 20000);
			tables[at] = (uint8_t)(seed >> 24);
		}
		if (round == 58)
			memset(tables + sizeof(kept->made_for), 0xff,
			       fs_tables_bytes(INODES, true) - sizeof(kept->made_for));
		begin();
		/* Whatever it finds, a name still leads to its file. */
		if (init() == 0 && is_number((uint64_t)look(1, "file"))) {
			file = open_file("file", 1, O_RDONLY);
			assert_int_equal(get(file), 0);
			assert_memory_equal(reply(), "hello", MARK_LEN);
		} else {
			assert_true(round == 58);
		}
		/* A new guest begins with empty tables. */
		end_process();
		w.generation = 0;
		begin();
		assert_int_equal(init(), 0);
	}
}

static void a_directory_below_itself_is_forgotten(void **state)
{
	int64_t outer, middle, leaf;

	(void)state;
	begin_kept();
	assert_int_equal(init(), 0);
	assert_int_equal(mkdir(path_of("dir/middle"), 0755), 0);
	put_file("dir/middle/leaf", "leaf");
	outer = look(1, "dir");
	middle = look((uint64_t)outer, "middle");
	leaf = look((uint64_t)middle, "leaf");
	assert_true(is_number((uint64_t)leaf));
	end_process();
	begin();
	assert_int_equal(look((uint64_t)middle, "leaf"), leaf);
	end_process();
	entry_of((uint64_t)outer)->parent = (uint32_t)middle;
	begin();
	assert_int_equal(look((uint64_t)middle, "leaf"), -ESTALE);
	assert_int_equal(look((uint64_t)outer, "middle"), -ESTALE);
	assert_true(is_number((uint64_t)look(1, "dir")));
}

/* Otherwise one of them would have another name, or none that ends, when the other's place is used again. */
static void names_do_not_overlap(void **state)
{
	static const char longer[] = "0123456789abcdeffile";
	int64_t first, second;

	(void)state;
	begin_kept();
	assert_int_equal(init(), 0);
	put_file(longer, "x");
	first = look(1, longer);
	second = look(1, "file");
	assert_true(is_number((uint64_t)first) && is_number((uint64_t)second));
	end_process();
	/* The end of the first name, which is in the second unit of its place, is "file". */
	entry_of((uint64_t)second)->name = ((entry_of((uint64_t)first)->name >> 3) + 1) << 3;
	begin();
	assert_int_equal(open_node(FUSE_OPEN, (uint64_t)second, O_RDONLY), -ESTALE);
	assert_true(open_node(FUSE_OPEN, (uint64_t)first, O_RDONLY) > 0);
	assert_true(is_number((uint64_t)look(1, "file")));
}

/* Places that are free are found again: each restart would otherwise cost some. */
static void free_places_are_used_again(void **state)
{
	uint32_t fresh = 0;

	(void)state;
	begin_kept();
	assert_int_equal(init(), 0);
	put_file("b", "b");
	for (unsigned round = 0; round < 5; round++) {
		uint64_t file = (uint64_t)look(1, "file");

		assert_true(is_number(file) && is_number((uint64_t)look(1, "b")));
		if (round)
			assert_int_equal(kept->names_fresh, fresh);
		fresh = kept->names_fresh;
		/* Its place lies before that of the other, and is free when the next process begins. */
		forget(file, 1);
		end_process();
		begin();
	}
}

/* The guest starts again, with the same memory for the tables: numbers of the start before lead nowhere. */
static void nothing_is_left_after_a_reboot(void **state)
{
	const struct fuse_getattr_in in = { 0 };
	uint64_t file, first, fh, dir;

	(void)state;
	begin_kept();
	assert_int_equal(init(), 0);
	dir = (uint64_t)look(1, "dir");
	file = (uint64_t)look(1, "file");
	first = (uint64_t)open_node(FUSE_OPEN, file, O_RDONLY);
	fh = (uint64_t)open_node(FUSE_OPEN, file, O_RDONLY);
	assert_true(is_number(dir) && is_number(file) && is_number(first) && is_number(fh));
	end_process();
	w.generation = 0;
	begin();
	assert_int_equal(init(), 0);
	assert_int_equal(ask(FUSE_GETATTR, file, &in, sizeof(in), sizeof(struct fuse_attr_out)), -ESTALE);
	assert_int_equal(read_node(FUSE_READ, file, fh, 0, 5), -ESTALE);
	forget(file, 1);
	/* The same number is that of a file now, which is not open. */
	assert_int_equal(look(1, "dir"), (int64_t)dir);
	assert_int_equal(look(1, "file"), (int64_t)file);
	/* The next file that is opened gets the descriptor that this handle had. */
	assert_true(look(1, "link") > 0);
	assert_int_equal(open_node(FUSE_OPEN, file, O_RDONLY), (int64_t)first);
	assert_int_equal(read_node(FUSE_READ, file, first, 0, 5), 0);
	assert_int_equal(read_node(FUSE_READ, file, fh, 0, 5), -EBADF);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(open_files_stay_open),
		T(killed_in_a_rename),
		T(killed_in_an_exchange),
		T(a_rename_of_no_queue),
		T(requests_that_come_again),
		T(each_queue_has_its_own_request),
		T(each_queue_has_its_own_rename),
		T(tables_of_a_taken_process),
		T(a_directory_below_itself_is_forgotten),
		T(names_do_not_overlap),
		T(free_places_are_used_again),
		T(nothing_is_left_after_a_reboot),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
