/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Finds and mounts the root disk of --root=DISK: see guest_disk.h. The disk has a serial that only
 * lguest-sep gives, so it is found however the kernel names and orders its disks. The kernel of the
 * guest reads the file system, and the host never does.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <time.h>
#include <unistd.h>

#include "guest/guest_disk.h"

#define BLOCKS "/sys/block"
/* How long the disk may take to appear, even on a busy host, in milliseconds. */
#define DISK_WITHIN_MS 20000
#define DISK_STEP_MS   5

struct magic {
	const char *name; /* As the kernel names the file system */
	size_t at, len;
	const char *bytes;
};

/* From the kernel's uapi/linux/magic.h and the headers of each file system. */
static const struct magic magics[] = {
	{ "ext4", 1080, 2, "\x53\xef" },
	{ "xfs", 0, 4, "XFSB" },
	{ "squashfs", 0, 4, "hsqs" },
	{ "erofs", 1024, 4, "\xe2\xe1\xf5\xe0" },
	{ "vfat", 82, 5, "FAT32" },
	{ "vfat", 54, 4, "FAT1" },
	{ "iso9660", 32769, 5, "CD001" },
	{ "btrfs", 65600, 8, "_BHRfS_M" },
	{ "f2fs", 1024, 4, "\x10\x20\xf5\xf2" },
	/* Last: the boot sector of a vfat file system ends with the same two bytes. */
	{ "partitions", 512, 8, "EFI PART" },
	{ "partitions", 510, 2, "\x55\xaa" },
};

const char *disk_contents(const uint8_t *head, size_t len)
{
	for (size_t i = 0; i < sizeof(magics) / sizeof(magics[0]); i++) {
		const struct magic *m = &magics[i];

		if (m->at + m->len <= len && !memcmp(head + m->at, m->bytes, m->len))
			return m->name;
	}
	return NULL;
}

static int failed(struct run_result *r, const char *what, const char *which, const char *why)
{
	r->end = RUN_NOT_STARTED;
	snprintf(r->text, sizeof(r->text), "--root: %.24s%.24s%.39s", what, which, why);
	return -1;
}

/* True if the disk @name of /sys/block has the serial of the root disk. */
static bool is_root_disk(const char *name)
{
	char path[300], serial[32] = "";
	ssize_t n = -1;
	int fd;

	snprintf(path, sizeof(path), BLOCKS "/%s/serial", name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		n = read(fd, serial, sizeof(serial) - 1);
		close(fd);
	}
	serial[n > 0 ? n : 0] = '\0';
	serial[strcspn(serial, "\n")] = '\0';
	return !strcmp(serial, RUN_DISK_SERIAL);
}

/* Write the name of the root disk to @name. Returns false if there is none (yet). */
static bool find_disk(char *name, size_t size)
{
	DIR *dir = opendir(BLOCKS);
	struct dirent *e;
	bool found = false;

	while (dir && !found && (e = readdir(dir)))
		if (!strncmp(e->d_name, "vd", 2) && strlen(e->d_name) < size && is_root_disk(e->d_name)) {
			memcpy(name, e->d_name, strlen(e->d_name) + 1);
			found = true;
		}
	if (dir)
		closedir(dir);
	return found;
}

static void load_for(const struct instructions *in, const char *type)
{
	size_t len = strlen(type);

	for (unsigned i = 0; i < in->nfs_modules; i++)
		if (!strncmp(in->fs_module[i], type, len) && in->fs_module[i][len] == ':')
			load_module(in->fs_module[i] + len + 1);
}

/* Read the start of the disk or partition @path into @head. Returns the number of bytes, or -1 with errno set. */
static ssize_t read_head(const char *path, uint8_t *head)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return -1;
	n = pread(fd, head, DISK_HEAD, 0);
	close(fd);
	return n;
}

static int mount_type(const struct instructions *in, const char *path, const char *type, const char *to,
		      struct run_result *r)
{
	load_for(in, type);
	if (mount(path, to, type, in->disk == RUN_DISK_READ_ONLY ? MS_RDONLY : 0, NULL) == 0)
		return 0;
	if (errno == ENODEV)
		return failed(r, "a file system of type ", type, ", which this kernel lacks");
	if (errno == EROFS && in->disk == RUN_DISK_READ_ONLY)
		return failed(r, type, " was not unmounted", ": replay needs snapshot or rw");
	return failed(r, "mount of ", type, strerror(errno));
}

int mount_disk(const struct instructions *in, const char *to, struct run_result *r)
{
	const struct timespec step = { .tv_nsec = DISK_STEP_MS * 1000000L };
	static uint8_t head[DISK_HEAD];
	char name[16], path[40];
	const char *type;
	ssize_t n;

	for (unsigned waited = 0; !find_disk(name, sizeof(name)); waited += DISK_STEP_MS) {
		if (waited >= DISK_WITHIN_MS)
			return failed(r, "no disk; this kernel", " needs virtio_blk", ", built in or with --modules=");
		nanosleep(&step, NULL);
	}
	snprintf(path, sizeof(path), "/dev/%s%s", name, in->part ? in->part : "");
	n = read_head(path, head);
	if (n < 0 && errno == ENOENT)
		return failed(r, "no such partition: part=", in->part ? in->part : "", "");
	if (n < 0)
		return failed(r, "cannot read ", path, strerror(errno));
	type = disk_contents(head, (size_t)n);
	if (!type)
		return failed(r, "no file system found", in->part ? " in part=" : "", in->part ? in->part : "");
	if (!strcmp(type, "partitions"))
		return failed(r, "the disk has partitions", "", in->part ? " in part=" : "; give part=N");
	return mount_type(in, path, type, to, r);
}
