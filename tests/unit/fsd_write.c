/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A share that the guest may write to, over its socket: what a Linux guest sends, and what the host then has. */
#include "tests/unit/fsd_write_rig.h"

static void files_are_made_and_written(void **state)
{
	struct opened o, again;
	char text[8] = "";
	int fd;

	(void)state;
	begin_rw(MOST);
	assert_int_equal(create(1, "new", O_RDWR, 0640, &o), 0);
	assert_int_equal(entry()->attr.mode, S_IFREG | 0640);
	assert_int_equal(on_host("new").st_mode, S_IFREG | 0640);
	assert_int_equal(put(o, 0, 5), 5);
	assert_int_equal(put(o, 3, 100000), 100000);
	assert_int_equal(on_host("new").st_size, 100003);
	assert_int_equal(read_node(FUSE_READ, o.node, o.fh, 100001, 4096), 0);
	assert_int_equal(reply_len(), 2);
	fd = open(path_of("new"), O_RDONLY);
	assert_true(pread(fd, text, 3, 0) == 3 && !strcmp(text, "www"));
	close(fd);
	/* It exists: an open, unless the guest wants it new. */
	assert_int_equal(create(1, "new", O_RDWR | O_EXCL, 0600, &again), -EEXIST);
	assert_int_equal(create(1, "new", O_RDWR, 0600, &again), 0);
	assert_true(again.node == o.node && again.fh != o.fh);
	assert_int_equal(create(1, "new", O_WRONLY | O_TRUNC, 0600, &again), 0);
	assert_int_equal(on_host("new").st_size, 0);
	assert_int_equal(create(1, "dir", O_RDWR, 0600, &again), -EISDIR);
	assert_int_equal(create(1, "link", O_RDWR, 0600, &again), -EOPNOTSUPP);
	assert_int_equal(create(1, "fifo", O_RDWR, 0600, &again), -EOPNOTSUPP);
	/* One that cannot be written was not opened for it. */
	again = (struct opened){ o.node, (uint64_t)open_node(FUSE_OPEN, o.node, O_RDONLY) };
	assert_int_equal(put(again, 0, 1), -EBADF);
	assert_true(stats().bytes_written == 100005);
}

static void an_unlinked_file_stays_open(void **state)
{
	struct fuse_getattr_in ga = { 0 };
	struct opened o;

	(void)state;
	begin_rw(MOST);
	assert_int_equal(create(1, "gone", O_RDWR, 0600, &o), 0);
	assert_int_equal(put(o, 0, 50), 50);
	assert_int_equal(remove_file(1, "gone"), 0);
	assert_false(exists("gone"));
	assert_int_equal(put(o, 50, 50), 50);
	assert_int_equal(read_node(FUSE_READ, o.node, o.fh, 0, 4096), 0);
	assert_int_equal(reply_len(), 100);
	assert_int_equal(ask(FUSE_GETATTR, o.node, &ga, sizeof(ga), sizeof(struct fuse_attr_out)), 0);
	assert_int_equal(((const struct fuse_attr_out *)reply())->attr.nlink, 0);
	assert_int_equal(open_node(FUSE_OPEN, o.node, O_RDWR), -ESTALE);
	/* What it had counts until nothing refers to it. */
	assert_int_equal(added(), 100 + FSD_FILE_COST);
	assert_int_equal(release(FUSE_RELEASE, o.node, o.fh), 0);
	assert_int_equal(added(), 100 + FSD_FILE_COST);
	forget(o.node, 1);
	assert_int_equal(added(), 0);
}

/* A file whose last known name is another's now has its own errors only, and Linux finds it again after ESTALE. */
static void a_name_that_another_file_has(void **state)
{
	struct opened o;

	(void)state;
	begin_rw(MOST);
	assert_int_equal(create(1, "first", O_RDWR, 0600, &o), 0);
	assert_int_equal(make_link(o.node, 1, "second"), 0);
	assert_int_equal(remove_file(1, "second"), 0);
	assert_int_equal(make_dir(1, "second", 0700), 0);
	assert_int_equal(open_node(FUSE_OPEN, o.node, O_RDWR), -ESTALE);
	assert_int_equal(make_link(o.node, 1, "third"), -ESTALE);
	assert_int_equal(look(1, "first"), o.node);
	assert_true(open_node(FUSE_OPEN, o.node, O_RDWR) > 0);
	assert_int_equal(make_link(o.node, 1, "third"), 0);
	assert_int_equal(make_link(o.node, 1, "third"), -EEXIST);
}

static void directories_and_links(void **state)
{
	uint64_t dir, node;
	struct opened o;

	(void)state;
	begin_rw(MOST);
	assert_int_equal(make_dir(1, "made", 0755), 0);
	dir = entry()->nodeid;
	assert_int_equal(on_host("made").st_mode, S_IFDIR | 0755);
	assert_int_equal(make_dir(1, "made", 0755), -EEXIST);
	assert_int_equal(make_node(dir, "node", S_IFREG | 0604), 0);
	node = entry()->nodeid;
	assert_int_equal(on_host("made/node").st_mode, S_IFREG | 0604);
	assert_int_equal(ask_names(FUSE_SYMLINK, dir, NULL, 0, "sym", "../../../etc/passwd"), 0);
	assert_true(S_ISLNK(entry()->attr.mode));
	assert_int_equal(ask(FUSE_READLINK, entry()->nodeid, NULL, 0, 4096), 0);
	assert_memory_equal(reply(), "../../../etc/passwd", reply_len());
	assert_int_equal(make_link(node, 1, "second"), 0);
	assert_int_equal(entry()->nodeid, node);
	assert_int_equal(entry()->attr.nlink, 2);
	/* The last name under which it was found is used. */
	assert_int_equal(remove_file(dir, "node"), 0);
	assert_true(open_node(FUSE_OPEN, node, O_RDWR) > 0);
	assert_int_equal(make_link(dir, 1, "third"), -EPERM);
	assert_int_equal(ask_names(FUSE_RMDIR, 1, NULL, 0, "made", NULL), -ENOTEMPTY);
	assert_int_equal(ask_names(FUSE_UNLINK, 1, NULL, 0, "dir", NULL), -EISDIR);
	assert_int_equal(remove_file(dir, "sym"), 0);
	assert_int_equal(ask_names(FUSE_RMDIR, 1, NULL, 0, "made", NULL), 0);
	assert_false(exists("made"));
	assert_int_equal(create(dir, "in-nothing", O_RDWR, 0600, &o), -ENOENT);
}

static void renames(void **state)
{
	uint64_t file = 0, dir, inner;

	(void)state;
	begin_rw(MOST);
	file = (uint64_t)look(1, "file");
	dir = (uint64_t)look(1, "dir");
	inner = (uint64_t)look(dir, "inner");
	assert_int_equal(move(1, "file", dir, "inner", RENAME_NOREPLACE), -EEXIST);
	assert_int_equal(move(1, "file", dir, "inner", RENAME_EXCHANGE), 0);
	assert_int_equal(on_host("file").st_size, 10);
	/* Both are found under their new names. */
	assert_true(open_node(FUSE_OPEN, file, O_RDWR) > 0);
	assert_true(open_node(FUSE_OPEN, inner, O_RDWR) > 0);
	/* Over another. */
	assert_int_equal(ask_names(FUSE_RENAME, 1, &dir, sizeof(dir), "file", "inner"), 0);
	assert_false(exists("file"));
	assert_int_equal(on_host("dir/inner").st_size, 10);
	assert_true(open_node(FUSE_OPEN, inner, O_RDWR) > 0);
	assert_int_equal(open_node(FUSE_OPEN, file, O_RDWR), -ESTALE);
	/* A whiteout is a device. */
	assert_int_equal(move(dir, "inner", 1, "file", RENAME_WHITEOUT), -EINVAL);
	assert_int_equal(move(1, "dir", dir, "below", 0), -EINVAL);
	assert_int_equal(move(1, "dir", 1, "moved", 0), 0);
	assert_int_equal(look(dir, "inner"), inner);
}

static void attributes(void **state)
{
	struct fuse_setattr_in in = {
		.valid = FATTR_ATIME | FATTR_MTIME, .atime = 1000, .mtime = 2000, .mtimensec = 7
	};
	uint64_t node, link;
	struct stat st;

	(void)state;
	begin_rw(MOST);
	node = (uint64_t)look(1, "file");
	link = (uint64_t)look(1, "link");
	assert_int_equal(set(node, &in), 0);
	st = on_host("file");
	assert_true(st.st_atim.tv_sec == 1000 && st.st_mtim.tv_sec == 2000 && st.st_mtim.tv_nsec == 7);
	assert_int_equal(((const struct fuse_attr_out *)reply())->attr.mtime, 2000);
	assert_int_equal(set(link, &in), 0);
	assert_int_equal(on_host("link").st_mtim.tv_sec, 2000);
	in = (struct fuse_setattr_in){ .valid = FATTR_MTIME | FATTR_MTIME_NOW };
	assert_int_equal(set(node, &in), 0);
	st = on_host("file");
	assert_true(st.st_atim.tv_sec == 1000 && st.st_mtim.tv_sec > 100000);
	in = (struct fuse_setattr_in){ .valid = FATTR_MTIME, .mtimensec = UTIME_NOW };
	assert_int_equal(set(node, &in), -EINVAL);
	assert_int_equal(set_mode(node, 0), 0);
	assert_int_equal(on_host("file").st_mode, S_IFREG);
	assert_int_equal(set_mode(node, 01640), 0);
	assert_int_equal(on_host("file").st_mode, S_IFREG | 01640);
	assert_int_equal(set_mode(link, 0777), -EOPNOTSUPP);
	assert_int_equal(set_mode((uint64_t)look(1, "fifo"), 0600), 0);
	/* Its owner is kept. */
	in = (struct fuse_setattr_in){ .valid = FATTR_UID | FATTR_GID, .uid = geteuid(), .gid = getegid() };
	assert_int_equal(set(node, &in), 0);
	in.uid = geteuid() + 1;
	assert_int_equal(set(node, &in), -EPERM);
	in = (struct fuse_setattr_in){ .valid = FATTR_GID, .gid = getegid() + 1 };
	assert_int_equal(set(node, &in), -EPERM);
	assert_int_equal(set_size(node, 3), 0);
	assert_int_equal(on_host("file").st_size, 3);
	assert_int_equal(set_size((uint64_t)look(1, "dir"), 3), -EISDIR);
}

/* A file without a name still has a mode, if the host can set it. */
static void mode_of_a_file_without_name(void **state)
{
	struct fuse_getattr_in ga = { 0 };
	struct opened o;
	int err;

	(void)state;
	begin_rw(MOST);
	assert_int_equal(create(1, "gone", O_RDWR, 0600, &o), 0);
	assert_int_equal(remove_file(1, "gone"), 0);
	err = set_mode(o.node, 0644);
	if (err == -EACCES) {
		print_message("[   SKIP   ] fchmodat2(2) is not in this kernel (Linux 6.6)\n");
		return;
	}
	assert_int_equal(err, 0);
	assert_int_equal(ask(FUSE_GETATTR, o.node, &ga, sizeof(ga), sizeof(struct fuse_attr_out)), 0);
	assert_int_equal(((const struct fuse_attr_out *)reply())->attr.mode, S_IFREG | 0644);
}

static void sync_allocate_and_the_rest(void **state)
{
	struct fuse_fsync_in sync = { 0 };
	struct opened o;

	(void)state;
	begin_rw(MOST);
	assert_int_equal(create(1, "new", O_RDWR, 0600, &o), 0);
	assert_int_equal(allocate(o, 0, 8192, 0), 0);
	assert_int_equal(on_host("new").st_size, 8192);
	assert_int_equal(put(o, 0, 8192), 8192);
	assert_int_equal(allocate(o, 0, 4096, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE), 0);
	assert_int_equal(read_node(FUSE_READ, o.node, o.fh, 0, 1), 0);
	assert_int_equal(*(const uint8_t *)reply(), 0);
	assert_int_equal(allocate(o, 0, 4096, FALLOC_FL_COLLAPSE_RANGE), -EOPNOTSUPP);
	assert_int_equal(allocate(o, 8192, 4096, FALLOC_FL_KEEP_SIZE), -EOPNOTSUPP);
	sync.fh = o.fh;
	assert_int_equal(ask(FUSE_FSYNC, o.node, &sync, sizeof(sync), 0), 0);
	sync.fh = (uint64_t)open_node(FUSE_OPENDIR, 1, 0);
	assert_int_equal(ask(FUSE_FSYNCDIR, 1, &sync, sizeof(sync), 0), 0);
	assert_true(stats().flushes == 2);
	assert_int_equal(ask(FUSE_COPY_FILE_RANGE, 1, NULL, 0, 8), -ENOSYS);
	assert_int_equal(ask(FUSE_FLUSH, o.node, &sync, sizeof(sync), 0), -ENOSYS);
}

/* The reply before a request that may wait for the disk gets its interrupt first. */
static void sync_holds_no_reply_back(void **state)
{
	struct fuse_in_header h[2] = {
		{ .len = sizeof(h[0]) + sizeof(struct fuse_getattr_in), .opcode = FUSE_GETATTR, .nodeid = 1 },
		{ .len = sizeof(h[0]) + sizeof(struct fuse_fsync_in), .opcode = FUSE_FSYNC, .nodeid = 1 },
	};
	struct front_queue *q = &w.f.q[1];
	struct stats before, after;
	uint16_t head[2];
	uint32_t id, len;

	(void)state;
	begin_rw(MOST);
	before = stats();
	for (unsigned i = 0; i < 2; i++) {
		const struct front_buf b[2] = { { IN_AT + i * 4096, h[i].len, false },
						{ OUT_AT + i * 4096, 4096, true } };

		memset(front_ptr(&w.f, b[0].gpa), 0, 4096);
		memcpy(front_ptr(&w.f, b[0].gpa), &h[i], sizeof(h[i]));
		head[i] = front_chain(q, b, 2);
	}
	front_offer(q, head[0]);
	front_offer(q, head[1]);
	front_kick(q);
	for (unsigned i = 0; i < 2; i++)
		assert_true(front_wait_used(q, &id, &len, PATIENCE_MS));
	after = stats();
	assert_true(after.calls + after.calls_suppressed >= before.calls + before.calls_suppressed + 2);
}

/* The limit: by writing, by lengthening, by allocating, and by many small files. */
static void no_more_than_max(void **state)
{
	struct fuse_statfs_out s;
	struct opened o, host;
	char name[16];
	unsigned n = 0;
	int err = 0, left;

	(void)state;
	begin_rw(MOST);
	assert_int_equal(create(1, "new", O_RDWR, 0600, &o), 0);
	assert_int_equal(put(o, MOST - 10, 11), -EFBIG);
	assert_int_equal(put(o, MOST - 10, 10), -ENOSPC);
	assert_int_equal(set_size(o.node, MOST + 1), -EFBIG);
	assert_int_equal(set_size(o.node, MOST), -ENOSPC);
	assert_int_equal(allocate(o, 0, MOST, 0), -ENOSPC);
	assert_int_equal(allocate(o, MOST, 1, 0), -EFBIG);
	assert_int_equal(set_size(o.node, MOST / 2), 0);
	assert_int_equal(added(), MOST / 2 + FSD_FILE_COST);
	/* Holes were counted; what is in them is not counted again. */
	assert_int_equal(put(o, 100, 100000), 100000);
	assert_int_equal(added(), MOST / 2 + FSD_FILE_COST);
	assert_int_equal(set_size(o.node, 10), 0);
	assert_int_equal(added(), 10 + FSD_FILE_COST);
	/* Those of a file of the host are. */
	assert_int_equal(truncate(path_of("file"), 200000), 0);
	host.node = (uint64_t)look(1, "file");
	host.fh = (uint64_t)open_node(FUSE_OPEN, host.node, O_RDWR);
	assert_int_equal(put(host, 100000, 5000), 5000);
	assert_int_equal(added(), 10 + FSD_FILE_COST + 5000);
	assert_int_equal(allocate(host, 150000, 9000, FALLOC_FL_KEEP_SIZE), 0);
	assert_true(added() >= 10 + FSD_FILE_COST + 5000 + 9000 - 4096);
	/* What the host had does not count back. */
	assert_int_equal(set_size(host.node, 0), 0);
	assert_true(added() >= 10 + FSD_FILE_COST + 5000 + 9000 - 4096);
	for (; !err && n < 1000; n++) {
		snprintf(name, sizeof(name), "many-%u", n);
		err = make_node(1, name, S_IFREG | 0600);
		if (!err)
			forget(entry()->nodeid, 1);
	}
	assert_int_equal(err, -ENOSPC);
	assert_true(n < MOST / FSD_FILE_COST && n > MOST / FSD_FILE_COST - 10);
	/* A write near the limit is cut. */
	left = (int)(MOST - added());
	assert_true(left > 0 && left < FSD_FILE_COST);
	assert_int_equal(put(o, 10, 8192), left);
	assert_int_equal(added(), MOST);
	assert_int_equal(put(o, (uint64_t)on_host("new").st_size, 1), -ENOSPC);
	assert_int_equal(put(o, 0, 10), 10);
	assert_int_equal(make_dir(1, "more", 0700), -ENOSPC);
	assert_int_equal(ask_names(FUSE_SYMLINK, 1, NULL, 0, "more", "x"), -ENOSPC);
	assert_int_equal(make_link(o.node, 1, "more"), -ENOSPC);
	assert_false(exists("more"));
	assert_int_equal(ask(FUSE_STATFS, 1, NULL, 0, sizeof(s)), 0);
	memcpy(&s, reply(), sizeof(s));
	assert_true(s.st.bavail == 0 && s.st.ffree == 0 && s.st.blocks == MOST / s.st.frsize);
	/* Room again. */
	assert_int_equal(set_size(o.node, 0), 0);
	assert_int_equal(put(o, 0, 10), 10);
}

/* A successor continues the count, and handles of its predecessor are stale. */
static void a_restart(void **state)
{
	struct opened o;
	int status;

	(void)state;
	begin_rw(MOST);
	assert_int_equal(create(1, "new", O_RDWR, 0600, &o), 0);
	assert_int_equal(put(o, 0, 1000), 1000);
	status = front_close(&w.f);
	assert_int_equal(status, 0);
	close(w.ctl[0]);
	w.generation = 1;
	begin();
	assert_int_equal(put(o, 1000, 1000), -ESTALE);
	o.node = (uint64_t)look(1, "new");
	o.fh = (uint64_t)open_node(FUSE_OPEN, o.node, O_RDWR);
	assert_int_equal(put(o, 1000, 1000), 1000);
	assert_int_equal(added(), 2000 + FSD_FILE_COST);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(files_are_made_and_written),
		T(an_unlinked_file_stays_open),
		T(a_name_that_another_file_has),
		T(directories_and_links),
		T(renames),
		T(attributes),
		T(mode_of_a_file_without_name),
		T(sync_allocate_and_the_rest),
		T(sync_holds_no_reply_back),
		T(no_more_than_max),
		T(a_restart),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
