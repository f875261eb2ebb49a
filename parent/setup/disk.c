/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Opens, locks and measures a disk's image. Runs in the parent, inside the privileged
 * window. Only parent/setup/disk_image.c reads the image's content.
 */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <linux/fs.h>
#include <linux/loop.h>
#include <linux/major.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

#include "common/shm.h"
#include "common/snapmap.h"
#include "parent/options/util.h"
#include "parent/setup/disk.h"
#include "parent/setup/disk_image.h"
#include "parent/setup/files.h"
#include "parent/setup/find_holder.h"
#include "parent/setup/setup.h"

#define SECTOR	     512
#define LOCK_WAIT_MS 1000
#define LOCK_NAP_MS  10

/*
 * Open @o->path with O_PATH and check its type first, because opening some devices has side effects (a tape rewinds).
 * Returns the descriptor, or -1 after logging the reason.
 */
static int look_at(const struct disk_option *o, struct stat *st)
{
	int look = open(o->path, O_PATH | O_CLOEXEC);

	if (look < 0)
		return complain(-1, "%s%s: cannot open it: %m%s", disk_how(o), o->path,
				errno == ENOENT ? " (create one with truncate -s 1G FILE)" : "");
	if (fstat(look, st) == 0 && (S_ISREG(st->st_mode) || S_ISBLK(st->st_mode)))
		return look;
	close(look);
	return complain(-1, "%s%s: this is %s; give a file or a block device (create a file with truncate -s 1G FILE)",
			disk_how(o), o->path, file_kind(st->st_mode));
}

/* Open the very file that look_at() checked. Returns the descriptor, or -1 with errno set. */
static int open_looked_at(const struct disk_option *o, int look, const struct stat *st)
{
	int flags = o->read_only || o->snapshot ? O_RDONLY : O_RDWR;
	char self[40];

	if (o->direct)
		flags |= O_DIRECT;
	/* O_EXCL without O_CREAT: fail if the host has mounted this device. */
	if (S_ISBLK(st->st_mode) && (flags & O_ACCMODE) == O_RDWR && !o->no_lock)
		flags |= O_EXCL;
	snprintf(self, sizeof(self), "/proc/self/fd/%d", look);
	return open(self, flags | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
}

static int open_failed(const struct disk_option *o, const struct stat *st)
{
	if (errno == EBUSY && S_ISBLK(st->st_mode))
		return complain(-1,
				"%s%s: the host is using this device (mounted?); unmount it, or add ,ro or ,snapshot",
				disk_how(o), o->path);
	if (errno == EINVAL && o->direct)
		return complain(-1, "%s%s: its file system cannot do direct I/O; leave out direct=on and cache=none",
				disk_how(o), o->path);
	if ((errno == EACCES || errno == EPERM || errno == EROFS) && !o->read_only && !o->snapshot)
		return complain(-1,
				"%s%s: cannot open it for writing: %m; add ,ro or ,snapshot, or change its permissions",
				disk_how(o), o->path);
	return complain(-1, "%s%s: cannot open it: %m%s", disk_how(o), o->path,
			errno == EACCES ? "; change its permissions" : "");
}

/* Linux before 3.15 has no OFD locks: use flock(2), which also belongs to the open file description. */
static int lock_file(int fd, const struct flock *lock)
{
	if (fcntl(fd, F_OFD_SETLK, lock) == 0)
		return 0;
	return errno == EINVAL ? flock(fd, (lock->l_type == F_RDLCK ? LOCK_SH : LOCK_EX) | LOCK_NB) : -1;
}

/* Lock the whole file, shared or exclusively. The lock lasts until the last copy of the descriptor is closed. */
static int lock_image(const struct disk_option *o, int fd)
{
	bool shared = o->read_only || o->snapshot;
	struct flock lock = {
		.l_type = shared ? F_RDLCK : F_WRLCK,
		.l_whence = SEEK_SET,
	};
	static const struct timespec nap = { .tv_nsec = LOCK_NAP_MS * 1000 * 1000 };
	char holder[80];

	if (o->no_lock)
		return 0;
	/* Retry for a second: the io_uring of a blkd that was just killed may keep the lock for a moment. */
	for (unsigned i = 0; i < LOCK_WAIT_MS / LOCK_NAP_MS; i++) {
		if (lock_file(fd, &lock) == 0)
			return 0;
		if (errno != EAGAIN && errno != EACCES)
			break;
		nanosleep(&nap, NULL);
	}
	if (errno != EAGAIN && errno != EACCES)
		return complain(-1, "%s%s: cannot lock it: %m; add ,lock=off if nothing else writes to it", disk_how(o),
				o->path);
	find_holder(fd, holder, sizeof(holder));
	return complain(-1, "%s%s: it is in use by %s; only one guest can write to a disk (to share it, add %s)",
			disk_how(o), o->path, holder, shared ? ",ro or ,snapshot in every guest" : ",ro or ,snapshot");
}

/* Returns the number in the file @name of the block device's queue below /sys, or 0 if there is none. */
static uint64_t sysfs_number(dev_t dev, const char *name)
{
	char path[128], text[32];

	for (unsigned i = 0; i < 2; i++) {
		ssize_t n;
		int fd;

		/* A partition has no queue directory of its own: use its disk's. */
		snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/%squeue/%s", major(dev), minor(dev), i ? "../" : "",
			 name);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			continue;
		n = read(fd, text, sizeof(text) - 1);
		close(fd);
		if (n <= 0)
			continue;
		text[n] = '\0';
		return strtoull(text, NULL, 10);
	}
	return 0;
}

static int measure_device(const struct disk_option *o, int fd, const struct stat *st, struct blk_config *b)
{
	unsigned phys = 0, opt = 0;
	int logical = 0;
	unsigned short rotational = 0;

	b->is_block_device = true;
	if (ioctl(fd, BLKGETSIZE64, &b->capacity) < 0)
		return complain(-1, "%s%s: cannot find out its size: %m", disk_how(o), o->path);
	if (ioctl(fd, BLKSSZGET, &logical) == 0 && logical > 0)
		b->blk_size = (uint64_t)logical;
	if (ioctl(fd, BLKPBSZGET, &phys) == 0)
		b->phys_size = phys;
	if (ioctl(fd, BLKIOOPT, &opt) == 0)
		b->opt_io = opt;
	if (ioctl(fd, BLKROTATIONAL, &rotational) == 0)
		b->rotational = rotational != 0;
	b->discard = sysfs_number(st->st_rdev, "discard_max_bytes") != 0;
	return 0;
}

/* True if the file system of @fd can punch holes. Tries it behind the end of the file, where no data is. */
static bool can_punch(int fd, uint64_t end)
{
	return fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)end, 4096) == 0;
}

static int measure(const struct disk_option *o, int fd, const struct stat *st, struct blk_config *b)
{
	if (S_ISBLK(st->st_mode)) {
		if (measure_device(o, fd, st, b) < 0)
			return -1;
	} else {
		b->capacity = (uint64_t)st->st_size;
		if (is_power_of_two((uint64_t)st->st_blksize) && st->st_blksize <= 65536)
			b->phys_size = (uint64_t)st->st_blksize;
		b->discard = !o->read_only && !o->snapshot && can_punch(fd, b->capacity);
	}
	b->capacity -= b->capacity % SECTOR;
	if (!b->capacity)
		return complain(
			-1, "%s%s: it has less than one sector; a disk has at least 512 bytes (truncate -s 1G FILE)",
			disk_how(o), o->path);
	return S_ISBLK(st->st_mode) ? 0 : disk_check_tail(o, fd, st, b);
}

/* Create an unlinked file in @dir. Returns its descriptor, or -1 with errno set. */
static int unlinked_file(const char *dir)
{
	char name[PATH_MAX];
	int fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	if (fd >= 0 || (errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL))
		return fd;
	if ((size_t)snprintf(name, sizeof(name), "%s/.lguest-sep-XXXXXX", dir) >= sizeof(name)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	fd = mkostemp(name, O_CLOEXEC);
	if (fd >= 0)
		unlink(name);
	return fd;
}

/* Create an unlinked file of @capacity bytes in @dir. Returns its descriptor, or -1 with errno set. */
static int delta_in(const char *dir, uint64_t capacity)
{
	int fd = unlinked_file(dir), saved;

	if (fd < 0 || ftruncate(fd, (off_t)capacity) == 0)
		return fd;
	saved = errno;
	close(fd);
	errno = saved;
	return -1;
}

/*
 * Create the file that the guest's writes to a snapshot go to: in TMPDIR if that is set, otherwise beside the image, in
 * /var/tmp or in /tmp.
 */
static int open_delta(const struct disk_option *o, const struct stat *st, uint64_t capacity)
{
	const char *set = getenv("TMPDIR");
	char copy[PATH_MAX];
	const char *dir[3];
	unsigned n = 0;
	int fd;

	if (set && *set) {
		fd = delta_in(set, capacity);
		return fd >= 0 ? fd
			       : complain(
					 -1,
					 "%s%s: cannot make the snapshot's temporary file in TMPDIR=%s: %m; set it to a directory with enough space, or unset it",
					 disk_how(o), o->path, set);
	}
	if (strlen(o->path) >= sizeof(copy))
		return complain(-1, "%s%s: the name of the file is too long", disk_how(o), o->path);
	memcpy(copy, o->path, strlen(o->path) + 1);
	if (S_ISREG(st->st_mode))
		dir[n++] = dirname(copy);
	dir[n++] = "/var/tmp";
	dir[n++] = "/tmp";
	for (unsigned i = 0; i < n; i++) {
		fd = delta_in(dir[i], capacity);
		if (fd >= 0)
			return fd;
	}
	return complain(
		-1, "%s%s: cannot make the snapshot's temporary file in any directory (last tried %s: %m); set TMPDIR",
		disk_how(o), o->path, dir[n - 1]);
}

/* --reset=fresh: open what blkd needs after the checkpoint. Returns 0, or -1 after logging the reason. */
static int open_levels(const struct disk_option *o, struct disk_host *d, const struct stat *st, uint64_t capacity)
{
	char self[40];

	snprintf(self, sizeof(self), "/proc/self/fd/%d", d->delta);
	d->lower = open(self, O_RDONLY | O_CLOEXEC);
	if (d->lower < 0)
		return complain(-1, "%s%s: cannot open the snapshot's temporary file a second time: %m", disk_how(o),
				o->path);
	d->upper = open_delta(o, st, capacity);
	return d->upper < 0 ? -1 : 0;
}

static int fill(const struct disk_option *o, struct disk_host *d, const struct stat *st)
{
	struct blk_config *b = &d->config;
	bool sealed;

	if (measure(o, d->fd, st, b) < 0)
		return -1;
	memcpy(b->serial, o->serial, sizeof(b->serial));
	b->read_only = o->read_only;
	b->snapshot = o->snapshot;
	b->direct = o->direct;
	b->cache = (uint8_t)o->cache;
	d->written_at = S_ISREG(st->st_mode) ? (uint64_t)st->st_mtime : 0;
	b->queues = (uint8_t)o->queues;
	b->nbd = o->bus == BUS_IDE;
	b->io = b->nbd ? BLK_IO_SYNC : (uint8_t)o->io;
	b->rate_ops = o->rate_ops;
	b->rate_bytes = o->rate_bytes;
	if (!o->snapshot)
		return 0;
	b->levels = o->levels;
	d->delta = open_delta(o, st, snapmap_delta_bytes(b->capacity, b->levels));
	if (d->delta < 0)
		return -1;
	if (o->fresh && open_levels(o, d, st, b->capacity) < 0)
		return -1;
	d->map = o->fresh ? shm_create_to_freeze("snapshot", snapmap_map(b->capacity))
			  : shm_create_named("snapshot", snapmap_map(b->capacity), &sealed);
	if (d->map >= 0 && b->levels)
		d->levels = shm_create_named("snapshot", snapmap_levels_bytes(b->capacity), &sealed);
	if (d->map < 0 || (b->levels && d->levels < 0))
		return complain(-1, "%s%s: cannot allocate memory for the snapshot's map: %m", disk_how(o), o->path);
	b->discard = can_punch(d->delta, snapmap_delta_bytes(b->capacity, b->levels));
	return 0;
}

/* Set d->dev and d->ino, which identify the disk: the file, the device, or the file behind a loop device. */
static void identify(int look, const struct stat *st, struct disk_host *d)
{
	struct loop_info64 loop;
	char self[40];
	int fd;

	d->dev = S_ISBLK(st->st_mode) ? st->st_rdev : st->st_dev;
	d->ino = S_ISBLK(st->st_mode) ? 0 : st->st_ino;
	if (!S_ISBLK(st->st_mode) || major(st->st_rdev) != LOOP_MAJOR)
		return;
	snprintf(self, sizeof(self), "/proc/self/fd/%d", look);
	fd = open(self, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return; /* open_looked_at() will report the reason. */
	if (ioctl(fd, LOOP_GET_STATUS64, &loop) == 0) {
		d->dev = loop.lo_rdevice ? loop.lo_rdevice : loop.lo_device;
		d->ino = loop.lo_rdevice ? 0 : loop.lo_inode;
	}
	close(fd);
}

/* Returns the index of an earlier disk that is the same file or device as disk[@i], or -1. */
static int disk_same(const struct disk_host *disk, unsigned i)
{
	for (unsigned k = 0; k < i; k++)
		if (disk[k].fd >= 0 && disk[k].dev == disk[i].dev && disk[k].ino == disk[i].ino)
			return (int)k;
	return -1;
}

void disk_clear(struct disk_host *d)
{
	*d = (struct disk_host){
		.fd = -1, .delta = -1, .map = -1, .levels = -1, .lower = -1, .upper = -1, .low_map = -1, .listener = -1
	};
}

int disk_open(const struct disk_option *option, struct disk_host *disk, unsigned i)
{
	const struct disk_option *o = &option[i];
	struct disk_host *d = &disk[i];
	struct stat st = { 0 };
	int look, same, saved;

	disk_clear(d);
	look = look_at(o, &st);
	if (look < 0)
		return -1;
	identify(look, &st, d);
	same = disk_same(disk, i);
	if (same >= 0) {
		close(look);
		return complain(-1, "%s%s: the same file is given twice, also as %s%s", disk_how(o), o->path,
				disk_how(&option[same]), option[same].path);
	}
	d->fd = open_looked_at(o, look, &st);
	saved = errno;
	close(look);
	errno = saved;
	if (d->fd < 0)
		return open_failed(o, &st);
	if (lock_image(o, d->fd) < 0 || disk_check_format(o, d->fd, &st) < 0 || fill(o, d, &st) < 0) {
		disk_close(d);
		return -1;
	}
	return 0;
}

void disk_close(struct disk_host *d)
{
	int *fd[] = { &d->fd, &d->delta, &d->map, &d->levels, &d->lower, &d->upper, &d->low_map, &d->listener };

	for (unsigned i = 0; i < ARRAY_SIZE(fd); i++) {
		if (*fd[i] >= 0)
			close(*fd[i]);
		*fd[i] = -1;
	}
}
