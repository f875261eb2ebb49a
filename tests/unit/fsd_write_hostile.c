/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A share that the guest may write to: what a hostile guest sends, and what the host does behind its back. */
#include <dirent.h>

#include "tests/unit/fsd_write_rig.h"

static char outside[80];

/* The share is w.dir/share from now on, beside the file "outside". */
static void begin_beside(uint64_t max)
{
	char path[100], *end;

	make_tree();
	snprintf(outside, sizeof(outside), "%s/outside", w.dir);
	put_file("outside", "untouched");
	snprintf(path, sizeof(path), "%s/share", w.dir);
	assert_int_equal(mkdir(path, 0755), 0);
	end = w.dir + strlen(w.dir);
	memcpy(end, "/share", 7);
	put_file("file", "hello");
	assert_int_equal(mkdir(path_of("dir"), 0755), 0);
	begin_rw(max);
}

static unsigned entries(const char *path)
{
	DIR *dir = opendir(path);
	unsigned n = 0;

	assert_non_null(dir);
	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

/* Nothing outside the share has changed, and nothing is in it but what the test put there. */
static void nothing_happened(void)
{
	char above[48], text[16] = "";
	struct stat st;
	int fd = open(outside, O_RDONLY);

	assert_true(read(fd, text, sizeof(text)) == 9 && !strcmp(text, "untouched"));
	assert_true(fstat(fd, &st) == 0 && st.st_nlink == 1 && (st.st_mode & 07777) == 0644);
	close(fd);
	memcpy(above, w.dir, sizeof(w.dir));
	*strrchr(above, '/') = '\0';
	/* ".", "..", the tree of the rig, "outside" and "share". */
	assert_int_equal(entries(above), 2 + 4 + 2);
	assert_int_equal(entries(w.dir), 2 + 2);
	assert_int_equal(entries(path_of("dir")), 2);
}

static void clean(void)
{
	/* finish() removes w.dir. */
	*strrchr(w.dir, '/') = '\0';
}

/* All requests that take a name, with a bad name in each place. */
static void names_lead_nowhere_else(void **state)
{
	static const char *const bad[] = { "..", ".", "", "../new", "dir/new", "/tmp/new", "new/" };
	static char longest[400], path[6000];
	struct opened o;
	uint64_t dir;

	(void)state;
	begin_beside(MOST);
	dir = (uint64_t)look(1, "dir");
	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
		assert_int_equal(create(1, bad[i], O_RDWR, 0600, &o), -EINVAL);
		assert_int_equal(make_node(1, bad[i], S_IFREG | 0600), -EINVAL);
		assert_int_equal(make_dir(1, bad[i], 0700), -EINVAL);
		assert_int_equal(ask_names(FUSE_SYMLINK, 1, NULL, 0, bad[i], "target"), -EINVAL);
		assert_int_equal(make_link((uint64_t)look(1, "file"), dir, bad[i]), -EINVAL);
		assert_int_equal(remove_file(dir, bad[i]), -EINVAL);
		assert_int_equal(ask_names(FUSE_RMDIR, dir, NULL, 0, bad[i], NULL), -EINVAL);
		assert_int_equal(move(1, bad[i], dir, "new", 0), -EINVAL);
		assert_int_equal(move(1, "file", dir, bad[i], 0), -EINVAL);
		assert_int_equal(move(1, "file", dir, bad[i], RENAME_EXCHANGE), -EINVAL);
		assert_int_equal(ask_names(FUSE_RENAME, 1, &dir, sizeof(dir), "file", bad[i]), -EINVAL);
	}
	memset(longest, 'x', 256);
	assert_int_equal(create(1, longest, O_RDWR, 0600, &o), -ENAMETOOLONG);
	assert_int_equal(move(1, "file", 1, longest, 0), -ENAMETOOLONG);
	memset(path, 'x', 4096);
	assert_int_equal(ask_names(FUSE_SYMLINK, 1, NULL, 0, "new", path), -ENAMETOOLONG);
	assert_int_equal(ask_names(FUSE_SYMLINK, 1, NULL, 0, "new", ""), -EINVAL);
	/* A second name that is missing, one more than there should be, and one without its end. */
	assert_int_equal(move(1, "file", 1, NULL, 0), -EINVAL);
	assert_int_equal(ask_names(FUSE_UNLINK, 1, NULL, 0, "file", "file"), -EINVAL);
	assert_int_equal(ask(FUSE_UNLINK, 1, "file", 4, 0), -EINVAL);
	assert_int_equal(ask(FUSE_SYMLINK, 1, "new\0target", 10, 512), -EINVAL);
	nothing_happened();
	clean();
}

/* Numbers of nodes and handles that were never given out, or are another's. */
static void numbers_that_were_never_given_out(void **state)
{
	struct fuse_setattr_in sa = { .valid = FATTR_SIZE | FATTR_FH, .fh = 99 };
	struct fuse_fsync_in sync = { .fh = 99 };
	struct opened file, dir;
	uint64_t other = 5;

	(void)state;
	begin_beside(MOST);
	file = (struct opened){ (uint64_t)look(1, "file"), 0 };
	dir.node = (uint64_t)look(1, "dir");
	dir.fh = (uint64_t)open_node(FUSE_OPENDIR, dir.node, 0);
	file.fh = dir.fh;
	assert_int_equal(put(file, 0, 1), -EBADF);
	assert_int_equal(put((struct opened){ file.node, 99 }, 0, 1), -EBADF);
	assert_int_equal(put((struct opened){ 99, file.fh }, 0, 1), -ESTALE);
	assert_int_equal(allocate((struct opened){ file.node, UINT64_MAX }, 0, 1, 0), -EBADF);
	assert_int_equal(ask(FUSE_FSYNC, file.node, &sync, sizeof(sync), 0), -EBADF);
	assert_int_equal(set(file.node, &sa), -EBADF);
	/* A directory is not written to. */
	assert_int_equal(put(dir, 0, 1), -EINVAL);
	assert_int_equal(allocate(dir, 0, 1, 0), -EINVAL);
	assert_int_equal(make_link(other, 1, "new"), -ESTALE);
	assert_int_equal(move(1, "file", other, "new", 0), -ESTALE);
	assert_int_equal(move(1, "file", file.node, "new", 0), -ENOTDIR);
	assert_int_equal(make_dir(file.node, "new", 0700), -ENOTDIR);
	assert_int_equal(remove_file(file.node, "new"), -ENOTDIR);
	nothing_happened();
	clean();
}

/* Set-user-ID and set-group-ID bits, devices, FIFOs and sockets never come into being. */
static void no_rights_and_no_devices(void **state)
{
	static const uint32_t kinds[] = { S_IFCHR, S_IFBLK, S_IFIFO, S_IFSOCK, S_IFDIR, S_IFLNK };
	static const uint32_t bits[] = { 04755, 02755, 06755, 07777 };
	struct opened o;
	uint64_t file;

	(void)state;
	begin_beside(MOST);
	file = (uint64_t)look(1, "file");
	for (unsigned i = 0; i < ARRAY_SIZE(kinds); i++)
		assert_int_equal(make_node(1, "new", kinds[i] | 0600), -EPERM);
	for (unsigned i = 0; i < ARRAY_SIZE(bits); i++) {
		assert_int_equal(create(1, "new", O_RDWR, bits[i], &o), -EPERM);
		assert_int_equal(make_node(1, "new", S_IFREG | bits[i]), -EPERM);
		assert_int_equal(make_dir(1, "new", bits[i]), -EPERM);
		assert_int_equal(set_mode(file, bits[i]), -EPERM);
	}
	assert_int_equal(on_host("file").st_mode, S_IFREG | 0644);
	nothing_happened();
	clean();
}

/* The host puts links to a file outside in the place of files that the guest knows. */
static void the_host_renames(void **state)
{
	struct opened o;
	uint64_t file, dir, inner, mine;
	int err;

	(void)state;
	begin_beside(MOST);
	file = (uint64_t)look(1, "file");
	dir = (uint64_t)look(1, "dir");
	put_file("dir/inner", "inner");
	inner = (uint64_t)look(dir, "inner");
	assert_int_equal(rename(path_of("file"), path_of("dir/file")), 0);
	assert_int_equal(symlink("../outside", path_of("file")), 0);
	assert_int_equal(open_node(FUSE_OPEN, file, O_RDWR), -ESTALE);
	assert_int_equal(set_size(file, 0), -ESTALE);
	/* The mode is set without a name, where the host can do that (Linux 6.6). */
	err = set_mode(file, 0600);
	assert_true(err == 0 || err == -EACCES);
	assert_int_equal(on_host("dir/file").st_mode, S_IFREG | (err ? 0644 : 0600));
	assert_int_equal(create(1, "file", O_RDWR | O_TRUNC, 0600, &o), -EOPNOTSUPP);
	assert_int_equal(make_link(file, 1, "second"), -ESTALE);
	assert_false(exists("second"));
	/* A directory's node stays the directory that it was. */
	assert_int_equal(rename(path_of("dir"), path_of("moved")), 0);
	assert_int_equal(symlink("..", path_of("dir")), 0);
	assert_int_equal(create(dir, "outside", O_RDWR | O_TRUNC, 0600, &o), 0);
	mine = o.node;
	assert_int_equal(remove_file(dir, "outside"), 0);
	assert_int_equal(move(dir, "inner", dir, "outside", 0), 0);
	assert_true(open_node(FUSE_OPEN, inner, O_RDWR) > 0);
	assert_int_equal(remove_file(dir, "outside"), 0);
	assert_int_equal(ask_names(FUSE_RMDIR, 1, NULL, 0, "dir", NULL), -ENOTDIR);
	assert_int_equal(make_dir((uint64_t)look(1, "dir"), "new", 0700), -ENOTDIR);
	assert_int_equal(open_node(FUSE_OPEN, mine, O_RDWR), -ESTALE);
	/* As it was. */
	assert_int_equal(unlink(path_of("dir")) | unlink(path_of("file")), 0);
	assert_int_equal(rename(path_of("moved/file"), path_of("file")) | rename(path_of("moved"), path_of("dir")), 0);
	nothing_happened();
	clean();
}

static void sizes_overflow(void **state)
{
	struct fuse_write_in in = { .size = 4096 };
	struct opened o;

	(void)state;
	begin_beside(MOST);
	o.node = (uint64_t)look(1, "file");
	o.fh = (uint64_t)open_node(FUSE_OPEN, o.node, O_RDWR);
	assert_int_equal(put(o, UINT64_MAX, 1), -EFBIG);
	assert_int_equal(put(o, UINT64_MAX - 10, 11), -EFBIG);
	assert_int_equal(put(o, INT64_MAX, 1), -EFBIG);
	assert_int_equal(put(o, MOST, 1), -EFBIG);
	assert_int_equal(set_size(o.node, UINT64_MAX), -EFBIG);
	assert_int_equal(set_size(o.node, 1ull << 63), -EFBIG);
	assert_int_equal(allocate(o, UINT64_MAX, 2, 0), -EFBIG);
	assert_int_equal(allocate(o, 1, UINT64_MAX, 0), -EFBIG);
	assert_int_equal(allocate(o, UINT64_MAX / 2, UINT64_MAX / 2, FALLOC_FL_ZERO_RANGE), -EFBIG);
	assert_int_equal(allocate(o, UINT64_MAX, 1, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE), -EFBIG);
	/* Less data than the request claims, and none. */
	in.fh = o.fh;
	assert_int_equal(ask(FUSE_WRITE, o.node, &in, sizeof(in), 8), -EINVAL);
	in.size = UINT32_MAX;
	assert_int_equal(ask(FUSE_WRITE, o.node, &in, sizeof(in), 8), -EINVAL);
	in.size = 0;
	assert_int_equal(ask(FUSE_WRITE, o.node, &in, sizeof(in), 8), 0);
	assert_int_equal(ask(FUSE_WRITE, o.node, &in, sizeof(in) - 1, 8), -EINVAL);
	assert_int_equal(added(), 0);
	assert_int_equal(on_host("file").st_size, 5);
	nothing_happened();
	clean();
}

/* A reply that does not fit must not leave a file that the guest does not know of. */
static void too_little_room(void **state)
{
	const struct fuse_create_in c = { .flags = O_RDWR, .mode = 0600 };
	const struct fuse_mkdir_in m = { .mode = 0700 };
	uint8_t args[64];

	(void)state;
	begin_beside(MOST);
	memcpy(args, &c, sizeof(c));
	memcpy(args + sizeof(c), "new", 4);
	assert_int_equal(ask(FUSE_CREATE, 1, args, sizeof(c) + 4, sizeof(struct fuse_entry_out) + 15), -ERANGE);
	memcpy(args, &m, sizeof(m));
	memcpy(args + sizeof(m), "new", 4);
	assert_int_equal(ask(FUSE_MKDIR, 1, args, sizeof(m) + 4, sizeof(struct fuse_entry_out) - 1), -ERANGE);
	assert_int_equal(ask(FUSE_SYMLINK, 1, "new\0x", 6, 0), -ERANGE);
	assert_int_equal(added(), 0);
	nothing_happened();
	clean();
}

/* More files than the table has: an error, and the file is not made again and again without being counted. */
static void full_tables(void **state)
{
	char name[16];
	int err = 0;
	unsigned n;

	(void)state;
	begin_beside(MOST);
	for (n = 0; !err && n < 2 * INODES; n++) {
		snprintf(name, sizeof(name), "many-%u", n);
		err = make_node(1, name, S_IFREG | 0600);
	}
	assert_int_equal(err, -ENFILE);
	assert_int_equal(added(), n * FSD_FILE_COST);
	assert_int_equal(make_dir(1, "more", 0700), -ENFILE);
	assert_int_equal(added(), (n + 1) * FSD_FILE_COST);
	clean();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(names_lead_nowhere_else),
		T(numbers_that_were_never_given_out),
		T(no_rights_and_no_devices),
		T(the_host_renames),
		T(sizes_overflow),
		T(too_little_room),
		T(full_tables),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
