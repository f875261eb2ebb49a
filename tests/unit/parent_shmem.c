/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Promise: --shmem opens a regular file of a size that a PCI device can have, or makes an empty one of size=; no other
 * file is changed, and each mistake is one line.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "parent/setup/setup.h"
#include "parent/setup/shmem.h"
#include "tests/unit/parent_options_rig.h"

static char dir[] = "/tmp/parent-shmem-XXXXXX";
static struct host h;

static int open_one(const char *path, uint64_t size, bool ro)
{
	int rc;

	memset(&c, 0, sizeof(c));
	memset(&h, 0, sizeof(h));
	h.c = &c;
	h.shmem = -1;
	c.shmem = (struct shmem_option){ .path = path, .size = size, .read_only = ro };
	said_begin();
	rc = shmem_open(&h);
	said_end();
	return rc;
}

static void make_file(const char *name, off_t size)
{
	int fd = open(name, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, size), 0);
	close(fd);
}

static off_t size_of(const char *name)
{
	struct stat st;

	return stat(name, &st) == 0 ? st.st_size : -1;
}

static void refused(const char *path, uint64_t size, bool ro, const char *text)
{
	assert_int_equal(open_one(path, size, ro), -1);
	said_one_line(text);
	assert_int_equal(h.shmem, -1);
	assert_int_equal(h.shmem_bytes, 0);
}

static void opens(const char *path, uint64_t size, bool ro, uint64_t bytes)
{
	assert_int_equal(open_one(path, size, ro), 0);
	assert_true(h.shmem >= 0);
	assert_int_equal(h.shmem_bytes, bytes);
	assert_int_equal(fcntl(h.shmem, F_GETFL) & O_ACCMODE, ro ? O_RDONLY : O_RDWR);
	assert_int_equal(size_of(path), bytes);
	close(h.shmem);
}

static void a_file_as_it_is(void **state)
{
	(void)state;
	assert_int_equal(open_one(NULL, 0, false), 0);
	assert_int_equal(h.shmem, -1);
	make_file("page", 4096);
	opens("page", 0, false, 4096);
	opens("page", 4096, false, 4096);
	opens("page", 0, true, 4096);
	make_file("large", SHMEM_MAX);
	opens("large", 0, false, SHMEM_MAX);
	refused("page", 8192, false, "it has 4096 bytes, not the 8192 of size=");
	assert_int_equal(size_of("page"), 4096);
}

static void a_file_is_made(void **state)
{
	struct stat st;

	(void)state;
	refused("new", 0, false, "add ,size=SIZE to create it");
	assert_int_equal(size_of("new"), -1);
	opens("new", 65536, false, 65536);
	assert_int_equal(stat("new", &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	opens("new-ro", 4096, true, 4096);
	make_file("empty", 0);
	opens("empty", 8192, false, 8192);
	refused("none/new", 4096, false, "cannot open it: No such file or directory");
	assert_int_equal(symlink("nowhere", "link"), 0);
	refused("link", 4096, false, "cannot open it: File exists; is it a symbolic link that leads nowhere?");
	assert_int_equal(size_of("nowhere"), -1);
	assert_int_equal(unlink("link"), 0);
}

static void other_sizes_and_kinds_are_refused(void **state)
{
	static const off_t sizes[] = { 0, 1, 2048, 4095, 4097, 12288, SHMEM_MAX - 4096, SHMEM_MAX * 2 };

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(sizes); i++) {
		make_file("odd", sizes[i]);
		refused("odd", 0, false, "has a power of two of them, from 4k to 256M");
		assert_int_equal(size_of("odd"), sizes[i]);
	}
	assert_int_equal(mkfifo("pipe", 0600), 0);
	refused("pipe", 0, false, "this is a named pipe; give a regular file");
	refused("/dev/null", 4096, false, "this is a character device");
	refused(".", 4096, false, "this is a directory");
}

static void a_sealed_memory_file_needs_ro(void **state)
{
	int fd = memfd_create("sealed", MFD_ALLOW_SEALING | MFD_CLOEXEC);
	char path[40];

	(void)state;
	assert_int_equal(ftruncate(fd, 4096), 0);
	assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW), 0);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	opens(path, 0, false, 4096);
	assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), 0);
	refused(path, 0, false, "it is sealed against writing; add ,ro");
	opens(path, 0, true, 4096);
	close(fd);
}

static void the_option_is_parsed(void **state)
{
	static const struct bad bad[] = {
		{ { "--shmem=", "64", "k" }, "the name of a file is missing" },
		{ { "--shmem=f,size=5k", "64", "k" }, "size= must be a power of two" },
		{ { "--shmem=f,size=2k", "64", "k" }, "from 4096 to 268435456" },
		{ { "--shmem=f,size=512M", "64", "k" }, "from 4096 to 268435456" },
		{ { "--shmem=f,rw", "64", "k" }, "rw: there is no such setting" },
		{ { "--shmem=f", "--shmem=g", "64", "k" }, "--shmem" },
		{ { "--shmem=f", "--engine=qemu", "64", "k" },
		  "--shmem=f: only the kvm engine has this device; leave --engine" },
		{ { "--shmem=f", "--engine=lguest", "64", "k" }, "--shmem=f: only the kvm engine" },
		{ { "--shmem=f", "--machine=arm", "64", "k" }, "leave --machine out" },
		{ { "--shmem=f", "--cpu=max", "64", "k" }, "leave --cpu out" },
		{ { "--shmem=f", "--boot-disk=d", "64" }, "leave --boot-disk and --cdrom out" },
	};

	(void)state;
	assert_int_equal(WITH("--shmem=a,,b,size=1M,ro"), -1);
	assert_string_equal(c.shmem.path, "a,b");
	assert_int_equal(c.shmem.size, 1 << 20);
	assert_true(c.shmem.read_only);
	assert_int_equal(c.engine, ENGINE_KVM);
	assert_int_equal(WITH("--shmem=f", "--checkpoint"), -1);
	assert_int_equal(c.shmem.size, 0);
	assert_false(c.shmem.read_only);
	expect_refused(bad, ARRAY_SIZE(bad));
}

static int begin(void **state)
{
	(void)state;
	return mkdtemp(dir) && chdir(dir) == 0 ? 0 : -1;
}

static int end(void **state)
{
	static const char *const names[] = { "page", "large", "new", "new-ro", "empty", "odd", "pipe" };

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(names); i++)
		unlink(names[i]);
	return chdir("/") == 0 ? rmdir(dir) : -1;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_file_as_it_is),
		cmocka_unit_test(a_file_is_made),
		cmocka_unit_test(other_sizes_and_kinds_are_refused),
		cmocka_unit_test(a_sealed_memory_file_needs_ro),
		cmocka_unit_test(the_option_is_parsed),
	};

	return cmocka_run_group_tests(tests, begin, end);
}
