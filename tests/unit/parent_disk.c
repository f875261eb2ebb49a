// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Opening a disk: what is taken, what is refused and with which words, whole
 * sectors, locks between guests, snapshots that leave nothing behind.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "parent/setup.h"
#include "tests/unit/said.h"

static char dir[] = "/tmp/parent-disk-XXXXXX";
static struct disk_host host[4];

/* The disks of @o, one after the other; what is said is caught. The last result. */
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
	refused(&o, 1, "/tmp: this is a folder");
	o.path = "/dev/null";
	refused(&o, 1, "/dev/null: this is a character device");
	assert_int_equal(mkfifo("fifo", 0600), 0);
	o.path = "fifo"; /* and it is not waited for */
	refused(&o, 1, "fifo: this is a named pipe");
	make_file("small", 511);
	o.path = "small";
	refused(&o, 1, "small: it has no sector");
}

static void the_same_disk_twice_is_refused(void **state)
{
	struct disk_option o[2] = { { .path = "d", .queues = 1 }, { .path = "d", .queues = 1 } };

	(void)state;
	make_file("d", 4096);
	assert_int_equal(link("d", "hard"), 0);
	assert_int_equal(symlink("d", "soft"), 0);
	refused(o, 2, "--block=d: this disk is there already, as --block=d");
	o[1].path = "hard";
	refused(o, 2, "--block=hard: this disk is there already, as --block=d");
	o[1].path = "soft";
	o[1].no_lock = true;
	refused(o, 2, "--block=soft: this disk is there already");
	make_file("e", 4096);
	o[1].path = "e";
	assert_int_equal(open_all(o, 2), 0);
	close_all(2);
}

/* Hold @path as another guest would, in another process, until told. Its pid; *@release ends it. */
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
	struct stat st;

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
	assert_int_equal(setenv("TMPDIR", "/nowhere", 1), 0);
	assert_int_equal(open_all(&o, 1), 0); /* /var/tmp or /tmp */
	close_all(1);
	unsetenv("TMPDIR");
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
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
