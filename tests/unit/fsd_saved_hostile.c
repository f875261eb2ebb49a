/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Promise: whatever a file of --from contains (fsd/saved.h), with right checksums, fsd refuses it or comes to consistent tables, in
 * which names lead to files of the share only; and whatever order the messages come in, the tables are whole or empty.
 */
#include "tests/unit/fsd_saved_rig.h"

static struct opened file, dir, inner;

/* A file with three nodes (2 is "file", 3 "dir", 4 "inner" below it) and three handles. */
static void good_part(void)
{
	begin_saved();
	file = open_it(1, "file");
	dir = open_dir(1, "dir");
	inner = open_it(dir.node, "inner");
	save_it();
	read_part();
}

/* The part is refused, and the tables are empty. */
static void refused(void)
{
	struct vhu_saved s;

	write_part();
	another();
	s = part_of(VHU_LOAD);
	assert_int_equal(s.state, VHU_SAVED_FAILED);
	assert_int_equal(s.error, 0);
	go(VHU_GO_ON, 0);
	assert_int_equal(init(), 0);
	assert_int_equal(get(file), -ESTALE);
	assert_int_equal(list(dir, 0), -ESTALE);
	assert_int_equal(kept()->handles_fresh, 1);
	assert_true(look(1, "file") > 0);
}

static uint8_t good[SAVED_BLOCK_MAX];

/* The change @how of the @n-th entry of a kind is refused. It is undone. */
#define REFUSED(kind, n, how)                         \
	do {                                          \
		struct saved_entry *e = nth(kind, n); \
                                                      \
		memcpy(good, bytes, bytes_len);       \
		e->how;                               \
		refused();                            \
		memcpy(bytes, good, bytes_len);       \
	} while (0)

static void numbers(void **state)
{
	(void)state;
	good_part();
	/* The root, none, one twice, and beyond the tables */
	REFUSED(SAVED_NODE, 0, index = 0);
	REFUSED(SAVED_NODE, 0, index = 1);
	REFUSED(SAVED_NODE, 2, index = 2; nth(SAVED_HANDLE, 2)->parent = 2);
	REFUSED(SAVED_NODE, 0, index = INODES + 1);
	REFUSED(SAVED_NODE, 0, index = UINT32_MAX);
	REFUSED(SAVED_HANDLE, 0, index = 0);
	REFUSED(SAVED_HANDLE, 1, index = 1);
	REFUSED(SAVED_HANDLE, 2, index = FSD_HANDLES + 1);
	REFUSED(SAVED_HANDLE, 2, index = UINT32_MAX);
	REFUSED(SAVED_NODE, 0, lookups = 1ull << 63);
	REFUSED(SAVED_BEGIN, 0, index = 2);
	REFUSED(SAVED_END, 0, lookups = 6);
	write_part();
	from_it();
	assert_int_equal(get(inner), 0);
}

static void parents(void **state)
{
	(void)state;
	good_part();
	/* Itself, one that comes later, a file, none, and beyond the tables */
	REFUSED(SAVED_NODE, 1, parent = 3);
	REFUSED(SAVED_NODE, 1, parent = 4);
	REFUSED(SAVED_NODE, 2, parent = 2);
	REFUSED(SAVED_NODE, 2, parent = 0);
	REFUSED(SAVED_NODE, 2, parent = INODES + 1);
	REFUSED(SAVED_NODE, 2, parent = UINT32_MAX);
	REFUSED(SAVED_HANDLE, 0, parent = 0);
	REFUSED(SAVED_HANDLE, 0, parent = 5);
	REFUSED(SAVED_HANDLE, 0, parent = UINT32_MAX);
	write_part();
	from_it();
	assert_int_equal(get(inner), 0);
}

static void kinds(void **state)
{
	static uint8_t all[SAVED_BLOCK_MAX];

	(void)state;
	good_part();
	memcpy(all, bytes, bytes_len);
	REFUSED(SAVED_NODE, 0, type = 0);
	REFUSED(SAVED_NODE, 0, type = S_IFREG | 1);
	REFUSED(SAVED_NODE, 0, kind = 0);
	REFUSED(SAVED_NODE, 0, kind = 5);
	REFUSED(SAVED_NODE, 0, kind = SAVED_BEGIN);
	REFUSED(SAVED_BEGIN, 0, kind = SAVED_HANDLE);
	REFUSED(SAVED_HANDLE, 2, kind = SAVED_BEGIN; e->index = 1);
	/* An end that is not at the end, and none */
	REFUSED(SAVED_END, 0, kind = SAVED_BEGIN);
	*nth(SAVED_END, 0) = *nth(SAVED_HANDLE, 2);
	REFUSED(SAVED_HANDLE, 2, kind = SAVED_END; e->lookups = 6);
	memcpy(bytes, all, bytes_len);
	/* A link cannot be open. */
	REFUSED(SAVED_NODE, 0, type = S_IFLNK; memcpy(nth(SAVED_NODE, 0) + 1, "link", 4));
}

static void names(void **state)
{
	static const char wrong[][5] = { "..", ".", "a/b", "/", "" };

	(void)state;
	good_part();
	for (unsigned i = 0; i < ARRAY_SIZE(wrong); i++) {
		struct saved_entry *e = nth(SAVED_NODE, 0);

		memset(e + 1, 0, 8);
		memcpy(e + 1, wrong[i], strlen(wrong[i]));
		/* "file" has as many bytes as these with a NUL, or more. */
		e->name_len = (uint8_t)strlen(wrong[i]);
		refused();
		/* A name that ends before its length */
		memset(e + 1, 0, 8);
		memcpy(e + 1, "file", 4);
		e->name_len = 5;
		refused();
		e->name_len = 4;
	}
	/* Up to the share itself and beyond */
	memcpy(nth(SAVED_NODE, 1) + 1, "..\0", 3);
	nth(SAVED_NODE, 1)->name_len = 2;
	refused();
}

static void lengths(void **state)
{
	static uint8_t all[SAVED_BLOCK_MAX];
	struct saved_block *b;
	size_t whole;

	(void)state;
	good_part();
	whole = bytes_len;
	memcpy(all, bytes, whole);
	for (size_t len = 0; len < whole; len += 1 + len / 16) {
		assert_int_equal(ftruncate(w.file, PART_AT + (off_t)len), 0);
		bytes_len = len;
		refused();
	}
	bytes_len = whole;
	b = (void *)bytes;
	b->bytes -= 8;
	refused();
	b->bytes += 16;
	refused();
	b->bytes = 0;
	refused();
	b->bytes = SAVED_BLOCK_MAX + 8;
	refused();
	b->bytes = UINT32_MAX;
	refused();
	/* The file has them all. */
	assert_int_equal(ftruncate(w.file, 64 << 20), 0);
	b->bytes = 32 << 20;
	refused();
	assert_int_equal(ftruncate(w.file, PART_AT + (off_t)whole), 0);
	memcpy(bytes, all, whole);
	write_part();
	from_it();
	/* The last entry is cut, after the whole one has been in the buffer. */
	hold();
	b->bytes -= 8;
	write_part();
	assert_int_equal(part_of(VHU_LOAD).state, VHU_SAVED_FAILED);
	memcpy(bytes, all, whole);
	/* The last name is longer than what is left. */
	nth(SAVED_END, 0)->name_len = 1;
	refused();
}

static void a_wrong_checksum(void **state)
{
	struct vhu_saved s;

	(void)state;
	good_part();
	bytes[20] ^= 1;
	assert_int_equal(pwrite(w.file, bytes, bytes_len, PART_AT), bytes_len);
	another();
	s = part_of(VHU_LOAD);
	assert_int_equal(s.state, VHU_SAVED_FAILED);
	go(VHU_GO_ON, 0);
	assert_int_equal(init(), 0);
	assert_int_equal(get(file), -ESTALE);
}

/* More than a block, so that the messages can come in another order. */
static struct vhu_saved long_part(void)
{
	struct vhu_saved s = { .at = PART_AT };
	char name[NODE_NAME_MAX + 1];

	begin_saved();
	file = open_it(1, "file");
	memset(name, 'x', NODE_NAME_MAX);
	name[NODE_NAME_MAX] = '\0';
	for (unsigned i = 0; i < 60; i++) {
		name[0] = (char)('0' + i);
		put_file(name, "x");
		assert_true(look(1, name) > 0);
	}
	save_it();
	assert_true(parts > 1);
	another();
	s = ask_part(VHU_LOAD, s);
	assert_int_equal(s.state, VHU_SAVED_MORE);
	return s;
}

static void empty_now(void)
{
	assert_int_equal(init(), 0);
	assert_int_equal(get(file), -ESTALE);
	for (unsigned i = 0; i < INODES - 1; i++) {
		char name[] = { (char)('a' + i / 8), (char)('a' + i % 8), 0 };

		put_file(name, "x");
		assert_true(look(1, name) > 0);
	}
	assert_int_equal(look(1, "file"), -ENFILE);
	forget((uint64_t)look(1, "aa"), 2);
	assert_true(look(1, "file") > 0);
}

static void a_guest_that_goes_on_too_early(void **state)
{
	struct vhu_saved s;

	(void)state;
	s = long_part();
	go(VHU_GO_ON, 0);
	empty_now();
	hold();
	assert_int_equal(ask_part(VHU_LOAD, s).state, VHU_SAVED_FAILED);
	checkpoint();
	reset();
	assert_true(look(1, "file") > 0);
}

static void a_checkpoint_that_comes_too_early(void **state)
{
	(void)state;
	(void)long_part();
	checkpoint();
	reset();
	empty_now();
}

static void writing_in_the_middle_of_reading(void **state)
{
	struct vhu_saved s, begun = { .at = PART_AT };

	(void)state;
	s = long_part();
	begun.at = 1 << 20;
	(void)ask_part(VHU_SAVE, begun);
	assert_int_equal(ask_part(VHU_LOAD, s).state, VHU_SAVED_FAILED);
	/* The tables were empty when they were written. */
	assert_int_equal(ask_part(VHU_LOAD, begun).state, VHU_SAVED_DONE);
	assert_int_equal(part_of(VHU_LOAD).state, VHU_SAVED_DONE);
	go(VHU_GO_ON, 0);
	assert_int_equal(get(file), 0);
}

static void other_places(void **state)
{
	struct vhu_saved s, wrong;

	(void)state;
	s = long_part();
	wrong = s;
	wrong.cluster++;
	assert_int_equal(ask_part(VHU_LOAD, wrong).state, VHU_SAVED_FAILED);
	wrong = s;
	wrong.at = INT64_MAX;
	wrong.cluster = 0;
	assert_int_equal(ask_part(VHU_LOAD, wrong).state, VHU_SAVED_FAILED);
	assert_int_equal(ask_part(VHU_SAVE, wrong).state, VHU_SAVED_FAILED);
	assert_int_equal(part_of(VHU_LOAD).state, VHU_SAVED_DONE);
	wrong = ask_part(VHU_SAVE, (struct vhu_saved){ .at = 1 << 20 });
	assert_int_equal(wrong.state, VHU_SAVED_MORE);
	wrong.cluster++;
	assert_int_equal(ask_part(VHU_SAVE, wrong).state, VHU_SAVED_FAILED);
	go(VHU_GO_ON, 0);
	assert_int_equal(get(file), 0);
}

static void killed_in_the_middle(void **state)
{
	(void)state;
	(void)long_part();
	kill_it();
	hold();
	assert_int_equal(part_of(VHU_LOAD).state, VHU_SAVED_DONE);
	checkpoint();
	kill_it();
	assert_int_equal(get(file), 0);
}

static void without_an_option(void **state)
{
	const struct vhu_saved s = { .at = PART_AT };
	struct vhu_msg m;

	(void)state;
	begin_past();
	hold();
	/* An empty reply refuses it. */
	for (uint32_t request = VHU_SAVE; request <= VHU_LOAD; request++) {
		assert_true(front_send(&w.f, request, 0, &s, sizeof(s), NULL, 0) && front_recv(&w.f, &m, PATIENCE_MS));
		assert_int_equal(m.size, 0);
	}
	checkpoint();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(numbers),
		T(parents),
		T(kinds),
		T(names),
		T(lengths),
		T(a_wrong_checksum),
		T(a_guest_that_goes_on_too_early),
		T(a_checkpoint_that_comes_too_early),
		T(writing_in_the_middle_of_reading),
		T(other_places),
		T(killed_in_the_middle),
		T(without_an_option),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
