/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The file system device over its socket: what a Linux guest sends, and what it gets for it. */
#include <stdio.h>

#include "tests/unit/fsd_rig.h"

static void a_session_is_negotiated(void **state)
{
	struct fuse_init_in in = { .major = 7, .minor = 30 };
	const struct fuse_init_out *out;

	(void)state;
	begin();
	/* Nothing but INIT is served before INIT. */
	assert_int_equal(look(1, "file"), -EIO);
	/* Linux before 5.4 has an older FUSE, and no virtio-fs. */
	assert_int_equal(ask(FUSE_INIT, 0, &in, sizeof(in), 256), -EPROTO);
	in.major = 6;
	assert_int_equal(ask(FUSE_INIT, 0, &in, sizeof(in), 256), -EPROTO);
	/* A client of a later major version gets ours and begins again. */
	in.major = 8;
	assert_int_equal(ask(FUSE_INIT, 0, &in, sizeof(in), 256), 0);
	assert_int_equal(look(1, "file"), -EIO);
	assert_int_equal(init(), 0);
	out = reply();
	assert_int_equal(out->major, 7);
	assert_int_equal(out->minor, 31);
	assert_true(out->flags & FUSE_DO_READDIRPLUS);
	assert_false(out->flags & (FUSE_POSIX_LOCKS | FUSE_WRITEBACK_CACHE | FUSE_SUBMOUNTS | FUSE_POSIX_ACL));
	assert_true(out->max_pages >= 32);
	assert_true(look(1, "file") > 0);
}

static void files_are_read(void **state)
{
	int64_t node, fh;

	(void)state;
	begin();
	assert_int_equal(init(), 0);
	node = look(1, "file");
	assert_true(node > 0);
	assert_int_equal(((const struct fuse_entry_out *)reply())->attr.size, 5);
	fh = open_node(FUSE_OPEN, (uint64_t)node, O_RDONLY);
	assert_true(fh > 0);
	assert_int_equal(read_node(FUSE_READ, (uint64_t)node, (uint64_t)fh, 0, 4096), 0);
	assert_int_equal(reply_len(), 5);
	assert_memory_equal(reply(), "hello", 5);
	assert_int_equal(read_node(FUSE_READ, (uint64_t)node, (uint64_t)fh, 3, 1), 0);
	assert_int_equal(reply_len(), 1);
	assert_memory_equal(reply(), "l", 1);
	assert_int_equal(read_node(FUSE_READ, (uint64_t)node, (uint64_t)fh, 5, 4096), 0);
	assert_int_equal(reply_len(), 0);
	/* The file is what was opened, also when its name is gone. */
	assert_int_equal(unlink(path_of("file")), 0);
	assert_int_equal(read_node(FUSE_READ, (uint64_t)node, (uint64_t)fh, 0, 4096), 0);
	assert_int_equal(reply_len(), 5);
	assert_int_equal(release(FUSE_RELEASE, (uint64_t)node, (uint64_t)fh), 0);
	assert_int_equal(read_node(FUSE_READ, (uint64_t)node, (uint64_t)fh, 0, 4096), -EBADF);
	assert_true(stats().bytes_read == 11);
}

static void large_reads_go_into_many_buffers(void **state)
{
	static char text[300001];
	struct fuse_in_header h = { .len = sizeof(h) + sizeof(struct fuse_read_in), .opcode = FUSE_READ };
	struct fuse_read_in in = { .size = 262144 };
	struct front_buf b[66] = { { IN_AT, h.len, false }, { OUT_AT, sizeof(struct fuse_out_header) + 3, true } };
	uint32_t id, at = 0;
	int64_t node, fh;

	(void)state;
	for (unsigned i = 0; i < sizeof(text) - 1; i++)
		text[i] = (char)('a' + i * 7 / 5 % 26);
	begin();
	put_file("large", text);
	assert_int_equal(init(), 0);
	node = look(1, "large");
	fh = open_node(FUSE_OPEN, (uint64_t)node, O_RDONLY);
	assert_true(fh > 0);
	h.nodeid = (uint64_t)node;
	in.fh = (uint64_t)fh;
	memcpy(front_ptr(&w.f, IN_AT), &h, sizeof(h));
	memcpy(front_ptr(&w.f, IN_AT + sizeof(h)), &in, sizeof(in));
	/* The header shares its buffer with the first three bytes. */
	for (unsigned i = 2; i < 66; i++)
		b[i] = (struct front_buf){ OUT_AT + 0x10000 + i * 8192, 4096, true };
	front_offer(&w.f.q[1], front_chain(&w.f.q[1], b, 66));
	front_kick(&w.f.q[1]);
	assert_true(front_wait_used(&w.f.q[1], &id, &w.got, PATIENCE_MS));
	assert_int_equal(w.got, sizeof(struct fuse_out_header) + 262144);
	assert_memory_equal((const uint8_t *)front_ptr(&w.f, OUT_AT) + sizeof(struct fuse_out_header), text, 3);
	at = 3;
	for (unsigned i = 2; i < 66; i++, at += 4096)
		assert_memory_equal(front_ptr(&w.f, b[i].gpa), text + at, i < 65 ? 4096 : 4093);
}

static void names_and_attributes(void **state)
{
	const struct fuse_entry_out *e;
	struct fuse_getattr_in ga = { 0 };
	int64_t dir, inner;
	struct stat st;

	(void)state;
	begin();
	assert_int_equal(init(), 0);
	dir = look(1, "dir");
	inner = look((uint64_t)dir, "inner");
	assert_true(dir > 0 && inner > 0 && dir != inner);
	e = reply();
	assert_int_equal(stat(path_of("dir/inner"), &st), 0);
	assert_int_equal(e->attr.ino, st.st_ino);
	assert_int_equal(e->attr.mode, st.st_mode);
	assert_int_equal(e->attr.mtime, st.st_mtim.tv_sec);
	assert_int_equal(e->attr.mtimensec, st.st_mtim.tv_nsec);
	assert_int_equal(e->entry_valid, 1);
	/* The same file has the same number. */
	assert_int_equal(look((uint64_t)dir, "inner"), inner);
	/* That there is no file is remembered too. */
	assert_int_equal(look(1, "nothing"), 0);
	assert_int_equal(((const struct fuse_entry_out *)reply())->entry_valid, 1);
	assert_int_equal(look((uint64_t)inner, "x"), -ENOTDIR);
	assert_int_equal(ask(FUSE_GETATTR, 1, &ga, sizeof(ga), sizeof(struct fuse_attr_out)), 0);
	assert_true(S_ISDIR(((const struct fuse_attr_out *)reply())->attr.mode));
	assert_int_equal(ask(FUSE_STATFS, 1, NULL, 0, sizeof(struct fuse_statfs_out)), 0);
	assert_int_equal(((const struct fuse_statfs_out *)reply())->st.namelen, 255);
}

/* Symbolic links are shown, and never followed on the host. */
static void links_are_kept(void **state)
{
	int64_t link, fh;

	(void)state;
	begin();
	assert_int_equal(init(), 0);
	link = look(1, "link");
	assert_true(link > 0 && S_ISLNK(((const struct fuse_entry_out *)reply())->attr.mode));
	assert_int_equal(ask(FUSE_READLINK, (uint64_t)link, NULL, 0, 4096), 0);
	assert_int_equal(reply_len(), strlen("../../../etc/passwd"));
	assert_memory_equal(reply(), "../../../etc/passwd", reply_len());
	assert_int_equal(ask(FUSE_READLINK, 1, NULL, 0, 4096), -EINVAL);
	fh = open_node(FUSE_OPEN, (uint64_t)link, O_RDONLY);
	assert_int_equal(fh, -EOPNOTSUPP);
}

static void data_and_holes_are_found(void **state)
{
	struct fuse_lseek_in in = { .whence = SEEK_HOLE };
	int64_t node;

	(void)state;
	begin();
	assert_int_equal(init(), 0);
	node = look(1, "file");
	in.fh = (uint64_t)open_node(FUSE_OPEN, (uint64_t)node, O_RDONLY);
	assert_int_equal(ask(FUSE_LSEEK, (uint64_t)node, &in, sizeof(in), 8), 0);
	assert_int_equal(((const struct fuse_lseek_out *)reply())->offset, 5);
	in.whence = SEEK_DATA;
	in.offset = 9;
	assert_int_equal(ask(FUSE_LSEEK, (uint64_t)node, &in, sizeof(in), 8), -ENXIO);
	in.whence = SEEK_END;
	assert_int_equal(ask(FUSE_LSEEK, (uint64_t)node, &in, sizeof(in), 8), -EINVAL);
}

/* Count the entries of one reply, @len bytes at @p, and mark each "name-N" in @seen, where it must not be yet. */
static unsigned count(const uint8_t *p, uint32_t len, bool plus, uint64_t seen[64], uint64_t *off)
{
	size_t before = plus ? offsetof(struct fuse_direntplus, dirent) : 0;
	unsigned n = 0;

	for (uint32_t at = 0; at < len; n++) {
		const struct fuse_dirent *e = (const void *)(p + at + before);
		const struct fuse_entry_out *found = (const void *)(p + at);
		char name[256] = "";
		unsigned number;

		memcpy(name, e->name, e->namelen);
		if (sscanf(name, "name-%u", &number) == 1) {
			assert_true(number < 4096 && !(seen[number / 64] >> number % 64 & 1));
			seen[number / 64] |= 1ull << number % 64;
			assert_true(!plus || !found->nodeid || found->attr.ino == e->ino);
		}
		*off = e->off;
		at += (uint32_t)(before + FUSE_DIRENT_ALIGN(FUSE_NAME_OFFSET + e->namelen));
	}
	return n;
}

/* Read the whole directory in pieces of @size bytes. Returns the number of entries. */
static unsigned list(uint64_t node, uint64_t fh, uint32_t size, bool plus)
{
	uint64_t off = 0, seen[64] = { 0 };
	unsigned n = 0;

	do {
		assert_int_equal(read_node(plus ? FUSE_READDIRPLUS : FUSE_READDIR, node, fh, off, size), 0);
		n += count(reply(), reply_len(), plus, seen, &off);
	} while (reply_len());
	return n;
}

static void directories_are_listed(void **state)
{
	char name[32];
	int64_t dir, file, fh;

	(void)state;
	begin();
	for (unsigned i = 0; i < 500; i++) {
		snprintf(name, sizeof(name), "dir/name-%u", i);
		put_file(name, "");
	}
	assert_int_equal(init(), 0);
	file = look(1, "file");
	dir = look(1, "dir");
	fh = open_node(FUSE_OPENDIR, (uint64_t)dir, 0);
	assert_true(fh > 0);
	/* ".", "..", "inner" and 500 more; again from the beginning, and with more nodes than the table has. */
	assert_int_equal(list((uint64_t)dir, (uint64_t)fh, 4096, false), 503);
	assert_int_equal(list((uint64_t)dir, (uint64_t)fh, 200, false), 503);
	assert_int_equal(list((uint64_t)dir, (uint64_t)fh, 4096, true), 503);
	assert_int_equal(read_node(FUSE_READDIR, (uint64_t)dir, (uint64_t)fh, 0, 8), -EINVAL);
	assert_int_equal(read_node(FUSE_READDIR, (uint64_t)dir, (uint64_t)fh, 1ull << 63, 4096), -EINVAL);
	assert_int_equal(release(FUSE_RELEASEDIR, (uint64_t)dir, (uint64_t)fh), 0);
	assert_int_equal(read_node(FUSE_READDIR, (uint64_t)dir, (uint64_t)fh, 0, 4096), -EBADF);
	/* The root can be listed as well. */
	fh = open_node(FUSE_OPENDIR, 1, 0);
	assert_true(fh > 0 && list(1, (uint64_t)fh, 4096, false) == 6);
	assert_int_equal(open_node(FUSE_OPENDIR, (uint64_t)file, 0), -ENOTDIR);
	assert_int_equal(open_node(FUSE_OPEN, 1, O_RDONLY), -EISDIR);
}

/* Every request that would change something, and every one that is not there. */
static void nothing_is_written(void **state)
{
	static const uint32_t writes[] = { FUSE_SETATTR, FUSE_SYMLINK,	 FUSE_MKNOD,	      FUSE_MKDIR, FUSE_UNLINK,
					   FUSE_RMDIR,	 FUSE_RENAME,	 FUSE_RENAME2,	      FUSE_LINK,  FUSE_WRITE,
					   FUSE_CREATE,	 FUSE_FALLOCATE, FUSE_COPY_FILE_RANGE };
	static const uint32_t absent[] = {
		FUSE_GETXATTR, FUSE_SETXATTR, FUSE_LISTXATTR,	 FUSE_REMOVEXATTR, FUSE_IOCTL,
		FUSE_ACCESS,   FUSE_FLUSH,    FUSE_FSYNC,	 FUSE_GETLK,	   FUSE_SETLK,
		FUSE_BMAP,     FUSE_POLL,     FUSE_SETUPMAPPING, FUSE_SYNCFS,	   60,
		4096,	       UINT32_MAX
	};
	uint8_t args[128] = { 0 };
	int64_t node;

	(void)state;
	begin();
	assert_int_equal(init(), 0);
	node = look(1, "file");
	for (unsigned i = 0; i < ARRAY_SIZE(writes); i++)
		assert_int_equal(ask(writes[i], (uint64_t)node, args, sizeof(args), 256), -EROFS);
	for (unsigned i = 0; i < ARRAY_SIZE(absent); i++)
		assert_int_equal(ask(absent[i], (uint64_t)node, args, sizeof(args), 256), -ENOSYS);
	assert_int_equal(open_node(FUSE_OPEN, (uint64_t)node, O_WRONLY), -EROFS);
	assert_int_equal(open_node(FUSE_OPEN, (uint64_t)node, O_RDWR), -EROFS);
	assert_int_equal(open_node(FUSE_OPEN, (uint64_t)node, O_TRUNC), -EROFS);
	assert_true(open_node(FUSE_OPEN, (uint64_t)node, O_RDONLY) > 0);
}

/* A process that takes over knows no numbers of the one before it, but serves the root without INIT. */
static void after_a_restart_old_numbers_are_stale(void **state)
{
	int64_t node;

	(void)state;
	w.generation = 3;
	begin();
	assert_int_equal(open_node(FUSE_OPEN, 2, O_RDONLY), -ESTALE);
	node = look(1, "file");
	assert_true(node > 0 && node != 2);
	assert_int_equal(read_node(FUSE_READ, (uint64_t)node, 1, 0, 4096), -ESTALE);
	assert_true(open_node(FUSE_OPEN, (uint64_t)node, O_RDONLY) > 0);
}

/* With cache=@cache: for how many seconds names and attributes are valid, and the flags of an open file. */
static void check_cache(enum fs_cache cache, uint64_t valid, uint32_t flags)
{
	const struct fuse_open_in in = { .flags = O_RDONLY };
	const struct fuse_getattr_in which = { 0 };
	int64_t node;

	w.cache = cache;
	begin();
	assert_int_equal(init(), 0);
	assert_int_equal(look(1, "none"), 0);
	assert_int_equal(((const struct fuse_entry_out *)reply())->entry_valid, valid);
	node = look(1, "file");
	assert_true(node > 0);
	assert_int_equal(((const struct fuse_entry_out *)reply())->entry_valid, valid);
	assert_int_equal(((const struct fuse_entry_out *)reply())->attr_valid, valid);
	assert_int_equal(ask(FUSE_GETATTR, (uint64_t)node, &which, sizeof(which), sizeof(struct fuse_attr_out)), 0);
	assert_int_equal(((const struct fuse_attr_out *)reply())->attr_valid, valid);
	assert_int_equal(ask(FUSE_OPEN, (uint64_t)node, &in, sizeof(in), sizeof(struct fuse_open_out)), 0);
	assert_int_equal(((const struct fuse_open_out *)reply())->open_flags, flags);
}

static void what_is_known_is_valid_for_a_second(void **state)
{
	(void)state;
	check_cache(FS_CACHE_AUTO, 1, FOPEN_KEEP_CACHE);
}

static void without_a_cache_nothing_stays_valid(void **state)
{
	(void)state;
	check_cache(FS_CACHE_NONE, 0, 0);
}

static void what_is_known_can_be_valid_for_a_day(void **state)
{
	(void)state;
	check_cache(FS_CACHE_ALWAYS, 86400, FOPEN_KEEP_CACHE);
}

/* Tables that the guest has not used take no memory. */
static void unused_tables_take_no_memory(void **state)
{
	static struct nodes t;
	size_t page = (size_t)sysconf(_SC_PAGESIZE), pages, used = 0;
	uintptr_t from, end;
	uint8_t in[FSD_HANDLES];

	(void)state;
	assert_int_equal(nodes_make(&t, FSD_DEFAULT_INODES, false, 0, -1), 0);
	from = (uintptr_t)&t.handle[0] / page * page;
	end = (uintptr_t)&t.handle[FSD_HANDLES + 1];
	pages = (end - from + page - 1) / page;
	assert_true(pages <= sizeof(in));
	assert_int_equal(mincore((void *)from, end - from, in), 0);
	for (size_t i = 0; i < pages; i++)
		used += in[i] & 1;
	assert_int_equal(used, 0);
}

/* Offer a request for the attributes of the root with the number @unique on queue @q, at places of its own. */
static void offer_getattr(unsigned q, uint64_t unique)
{
	const struct {
		struct fuse_in_header h;
		struct fuse_getattr_in in;
	} r = { { .len = sizeof(r), .opcode = FUSE_GETATTR, .unique = unique, .nodeid = 1 }, { 0 } };
	uint32_t at = q * 4096;
	struct front_buf b[2] = { { IN_AT + at, sizeof(r), false }, { OUT_AT + at, 256, true } };

	memcpy(front_ptr(&w.f, IN_AT + at), &r, sizeof(r));
	memset(front_ptr(&w.f, OUT_AT + at), 0xee, 256);
	front_offer(&w.f.q[q], front_chain(&w.f.q[q], b, 2));
	front_kick(&w.f.q[q]);
}

/* Each queue answers what was asked on it, also if all are asked at the same time. */
static void every_queue_answers(void **state)
{
	uint32_t id, len;
	int64_t fh;

	(void)state;
	w.queues = FS_MAX_REQUEST_QUEUES;
	begin();
	assert_int_equal(front_get(&w.f, VHU_GET_QUEUE_NUM), MAX_QUEUES);
	/* What was learnt on one queue is known on the others. */
	w.on = MAX_QUEUES - 1;
	assert_int_equal(init(), 0);
	for (w.on = 1; w.on < MAX_QUEUES; w.on++) {
		int64_t file = look(1, "file");

		assert_true(file > 1);
		fh = open_node(FUSE_OPEN, (uint64_t)file, O_RDONLY);
		assert_true(fh > 0);
		w.on = MAX_QUEUES - w.on;
		assert_int_equal(read_node(FUSE_READ, (uint64_t)file, (uint64_t)fh, 0, 5), 0);
		assert_memory_equal(reply(), "hello", 5);
		w.on = MAX_QUEUES - w.on;
		assert_int_equal(release(FUSE_RELEASE, (uint64_t)file, (uint64_t)fh), 0);
		forget((uint64_t)file, 1);
	}
	for (unsigned round = 0; round < 20; round++) {
		for (unsigned q = 0; q < MAX_QUEUES; q++)
			offer_getattr(q, 1000 * round + q);
		for (unsigned q = 0; q < MAX_QUEUES; q++) {
			const struct fuse_out_header *out = front_ptr(&w.f, OUT_AT + q * 4096);

			assert_true(front_wait_used(&w.f.q[q], &id, &len, PATIENCE_MS));
			assert_true(out->unique == 1000 * round + q && out->error == 0);
			assert_int_equal(len, sizeof(*out) + sizeof(struct fuse_attr_out));
		}
	}
	assert_int_equal(stats().requests, 1 + (MAX_QUEUES - 1) * 5 + 20 * MAX_QUEUES);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_session_is_negotiated),
		T(files_are_read),
		T(large_reads_go_into_many_buffers),
		T(names_and_attributes),
		T(links_are_kept),
		T(data_and_holes_are_found),
		T(directories_are_listed),
		T(nothing_is_written),
		T(after_a_restart_old_numbers_are_stale),
		T(unused_tables_take_no_memory),
		T(what_is_known_is_valid_for_a_second),
		T(without_a_cache_nothing_stays_valid),
		T(what_is_known_can_be_valid_for_a_day),
		T(every_queue_answers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
