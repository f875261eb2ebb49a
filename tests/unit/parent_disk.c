/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Opening a disk: which files are accepted, which are refused and with which message, whole
 * sectors, locks between guests, snapshots that leave nothing behind.
 */
#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "parent/setup/disk.h"
#include "parent/setup/setup.h"
#include "tests/unit/said.h"

static char dir[] = "/tmp/parent-disk-XXXXXX";
static struct disk_host host[4];

/* Open the disks @o one after the other and capture the messages. Returns the last result. */
static int open_all(const struct disk_option *o, unsigned n)
{
	int result = 0;

	said_begin();
	for (unsigned i = 0; i < n && result == 0; i++)
		result = disk_open(o, host, i);
	said_end();
	return result;
}

static void close_all(unsigned n)
{
	while (n)
		disk_close(&host[--n]);
}

static void make_file(const char *name, off_t size)
{
	int fd = open(name, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, size), 0);
	close(fd);
}

static void refused(const struct disk_option *o, unsigned n, const char *text)
{
	assert_int_equal(open_all(o, n), -1);
	said_one_line(text);
	close_all(n - 1);
}

static void capacity_is_in_whole_sectors(void **state)
{
	struct disk_option o = { .path = "d", .queues = 1, .serial = "S" };

	(void)state;
	make_file("d", 1024 * 1024 + 511);
	assert_int_equal(open_all(&o, 1), 0);
	assert_int_equal(host[0].config.capacity, 1024 * 1024);
	said_one_line("--block=d: its size is no multiple of 512 bytes; the guest does not see the last 511");
	assert_string_equal(host[0].config.serial, "S");
	assert_false(host[0].config.is_block_device);
	assert_int_equal(fcntl(host[0].fd, F_GETFL) & O_ACCMODE, O_RDWR);
	assert_int_equal(fcntl(host[0].fd, F_GETFD), FD_CLOEXEC);
	close_all(1);
	assert_int_equal(host[0].fd, -1);
}

static void what_is_no_disk_is_named(void **state)
{
	struct disk_option o = { .queues = 1 };

	(void)state;
	o.path = "nothing";
	refused(&o, 1, "nothing: cannot open it: No such file");
	o.path = "/tmp";
	refused(&o, 1, "/tmp: this is a directory");
	o.path = "/dev/null";
	refused(&o, 1, "/dev/null: this is a character device");
	assert_int_equal(mkfifo("fifo", 0600), 0);
	o.path = "fifo"; /* and it is not waited for */
	refused(&o, 1, "fifo: this is a named pipe");
	make_file("small", 511);
	o.path = "small";
	refused(&o, 1, "small: it has less than one sector");
}

static void the_same_disk_twice_is_refused(void **state)
{
	struct disk_option o[2] = { { .path = "d", .queues = 1 }, { .path = "d", .queues = 1 } };

	(void)state;
	make_file("d", 4096);
	assert_int_equal(link("d", "hard"), 0);
	assert_int_equal(symlink("d", "soft"), 0);
	refused(o, 2, "--block=d: the same file is given twice, also as --block=d");
	o[1].path = "hard";
	refused(o, 2, "--block=hard: the same file is given twice, also as --block=d");
	o[1].path = "soft";
	o[1].no_lock = true;
	refused(o, 2, "--block=soft: the same file is given twice");
	make_file("e", 4096);
	o[1].path = "e";
	assert_int_equal(open_all(o, 2), 0);
	close_all(2);
}

/* Lock @path in another process, as another guest would. Returns its pid; closing *@release ends it. */
static pid_t other_guest(const char *path, short type, int *release)
{
	int go[2], ready[2];
	pid_t pid;
	char c;

	assert_int_equal(pipe(go), 0);
	assert_int_equal(pipe(ready), 0);
	pid = fork();
	if (pid == 0) {
		struct flock l = { .l_type = type, .l_whence = SEEK_SET };
		int fd = open(path, O_RDWR | O_CLOEXEC);

		close(go[1]);
		if (fd < 0 || fcntl(fd, F_OFD_SETLK, &l) < 0 || write(ready[1], "x", 1) != 1)
			_exit(1);
		_exit(read(go[0], &c, 1) != 0);
	}
	close(go[0]);
	close(ready[1]);
	assert_int_equal(read(ready[0], &c, 1), 1);
	close(ready[0]);
	*release = go[1];
	return pid;
}

static void another_guests_disk_is_refused_and_its_holder_named(void **state)
{
	struct disk_option o = { .path = "d", .queues = 1 };
	char who[64];
	int release;
	pid_t pid;

	(void)state;
	make_file("d", 4096);
	pid = other_guest("d", F_WRLCK, &release);
	snprintf(who, sizeof(who), "in use by process %d (", (int)pid);
	refused(&o, 1, who);
	o.read_only = true;
	refused(&o, 1, who);
	o.no_lock = true;
	assert_int_equal(open_all(&o, 1), 0);
	close_all(1);
	close(release);
	waitpid(pid, NULL, 0);

	/* Readers share. */
	pid = other_guest("d", F_RDLCK, &release);
	o = (struct disk_option){ .path = "d", .queues = 1, .read_only = true };
	assert_int_equal(open_all(&o, 1), 0);
	close_all(1);
	o.read_only = false;
	refused(&o, 1, "in use by");
	close(release);
	waitpid(pid, NULL, 0);
	assert_int_equal(open_all(&o, 1), 0);
	close_all(1);
}

static void read_only_images_are_only_opened_to_be_read(void **state)
{
	struct disk_option o = { .path = "d", .queues = 1, .read_only = true };

	(void)state;
	make_file("d", 4096);
	assert_int_equal(open_all(&o, 1), 0);
	assert_int_equal(fcntl(host[0].fd, F_GETFL) & O_ACCMODE, O_RDONLY);
	assert_true(host[0].config.read_only);
	assert_false(host[0].config.discard);
	assert_int_equal(host[0].delta, -1);
	close_all(1);
}

static unsigned count_files(const char *path)
{
	DIR *d = opendir(path);
	unsigned n = 0;

	assert_non_null(d);
	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

static void a_snapshot_has_an_unlinked_file_of_its_size(void **state)
{
	struct disk_option o = { .path = "d", .queues = 1, .snapshot = true };
	unsigned before;
	struct stat st, shm;

	(void)state;
	make_file("d", 1 << 20);
	before = count_files(".");
	assert_int_equal(open_all(&o, 1), 0);
	assert_int_equal(count_files("."), before);
	assert_int_equal(fcntl(host[0].fd, F_GETFL) & O_ACCMODE, O_RDONLY);
	assert_int_equal(fcntl(host[0].delta, F_GETFL) & O_ACCMODE, O_RDWR);
	assert_int_equal(fstat(host[0].delta, &st), 0);
	assert_int_equal(st.st_nlink, 0);
	assert_int_equal(st.st_size, 1 << 20);
	close_all(1);
	/* If the user names a directory, no other one is tried. */
	assert_int_equal(setenv("TMPDIR", "/nowhere", 1), 0);
	refused(&o, 1, "--block=d: cannot make the snapshot's temporary file in TMPDIR=/nowhere: No such file");
	assert_int_equal(setenv("TMPDIR", "/dev/shm", 1), 0);
	assert_int_equal(open_all(&o, 1), 0);
	assert_int_equal(fstat(host[0].delta, &st), 0);
	close_all(1);
	assert_int_equal(stat("/dev/shm", &shm), 0);
	assert_true(st.st_dev == shm.st_dev);
	unsetenv("TMPDIR");
}

static void make_magic(const char *bytes, size_t len, size_t at, off_t size)
{
	int fd;

	make_file("d", size);
	fd = open("d", O_WRONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, bytes, len, (off_t)at), len);
	close(fd);
}

/* Both ways of reading the first bytes: by what the page cache has, and past it. */
static void what_is_no_raw_disk_is_refused(void **state)
{
	static const struct {
		const char *bytes;
		size_t len, at;
		const char *name, *advice;
	} files[] = {
		{ "QFI\xfb\0\0\0\3", 8, 0, "this file is a qcow2 image", "qemu-img convert -O raw" },
		{ "QFI\xfb\0\0\0\1", 8, 0, "this file is a qcow image", "--vhost-user-blk" },
		{ "QED", 4, 0, "this file is a QED image", "format=raw" },
		{ "KDMV", 4, 0, "this file is a VMDK image", "format=raw" },
		{ "\x7f\x10\xda\xbe", 4, 64, "this file is a VDI image", "format=raw" },
		{ "vhdxfile", 8, 0, "this file is a VHDX image", "format=raw" },
		{ "conectix", 8, 0, "this file is a VHD image", "format=raw" },
		{ "\x1f\x8b\x08", 3, 0, "this file is compressed by gzip", "unpack it (gzip -d)" },
		{ "\xfd"
		  "7zXZ",
		  6, 0, "this file is compressed by xz", "unpack it (xz -d)" },
		{ "\x28\xb5\x2f\xfd", 4, 0, "this file is compressed by zstd", "unpack it (zstd -d)" },
		{ "BZh91AY&SY", 10, 0, "this file is compressed by bzip2", "unpack it (bzip2 -d)" },
	};

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(files); i++) {
		struct disk_option o = { .path = "d", .queues = 1 };

		make_magic(files[i].bytes, files[i].len, files[i].at, 1 << 20);
		refused(&o, 1, files[i].name);
		said_one_line(files[i].advice);
		o.direct = true;
		refused(&o, 1, files[i].name);
		o.direct = false;
		o.snapshot = true;
		refused(&o, 1, files[i].name);
		o.snapshot = false;
		o.read_only = true;
		refused(&o, 1, files[i].name);
		/* With format=raw the disk is the whole file. */
		o.read_only = false;
		o.format_raw = true;
		assert_int_equal(open_all(&o, 1), 0);
		assert_int_equal(host[0].config.capacity, 1 << 20);
		assert_string_equal(said, "");
		close_all(1);
	}
}

static void a_disk_that_only_looks_alike_is_served(void **state)
{
	struct disk_option o = { .path = "d", .queues = 1 };

	(void)state;
	make_magic("QFI\xfa", 4, 0, 1 << 20);
	assert_int_equal(open_all(&o, 1), 0);
	close_all(1);
	make_magic("QFI\xfb", 4, 512, 1 << 20);
	assert_int_equal(open_all(&o, 1), 0);
	close_all(1);
	/* An encrypted disk is the guest's own business. */
	make_magic("LUKS\xba\xbe", 6, 0, 512);
	assert_int_equal(open_all(&o, 1), 0);
	close_all(1);
}

/* A file system that does not say how direct I/O is aligned is asked for one sector. */
static void direct_alignment_is_tried_where_it_is_not_said(void **state)
{
	int fd = memfd_create("disk", MFD_CLOEXEC);
	char name[40];
	struct disk_option o = { .path = name, .queues = 1, .direct = true };

	(void)state;
	assert_true(fd >= 0);
	snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
	assert_int_equal(ftruncate(fd, (1 << 20) + 512), 0);
	if (open_all(&o, 1) != 0 && strstr(said, "cannot do direct I/O")) {
		print_message("skipped: this kernel's tmpfs has no direct I/O\n");
		close(fd);
		skip();
	}
	assert_string_equal(said, "");
	assert_int_equal(host[0].config.capacity, (1 << 20) + 512);
	assert_int_equal(host[0].config.blk_size, 512);
	close_all(1);
	close(fd);
}

static int setup(void **state)
{
	(void)state;
	unsetenv("TMPDIR");
	return mkdtemp(dir) && chdir(dir) == 0 ? 0 : -1;
}

static int teardown(void **state)
{
	static const char *const name[] = { "d", "e", "fifo", "small", "hard", "soft" };

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(name); i++)
		unlink(name[i]);
	return chdir("/") || rmdir(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(capacity_is_in_whole_sectors),
		cmocka_unit_test(what_is_no_disk_is_named),
		cmocka_unit_test(the_same_disk_twice_is_refused),
		cmocka_unit_test(another_guests_disk_is_refused_and_its_holder_named),
		cmocka_unit_test(read_only_images_are_only_opened_to_be_read),
		cmocka_unit_test(a_snapshot_has_an_unlinked_file_of_its_size),
		cmocka_unit_test(what_is_no_raw_disk_is_refused),
		cmocka_unit_test(a_disk_that_only_looks_alike_is_served),
		cmocka_unit_test(direct_alignment_is_tried_where_it_is_not_said),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
