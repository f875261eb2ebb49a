/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Errors of the host's image: short transfers, I/O errors, no space, an image that shrinks
 * or is replaced. The guest gets an answer to each request: IOERR if it failed, otherwise
 * the complete data. With io_uring and with preadv2/pwritev2.
 */
#include <fcntl.h>
#include <linux/virtio_blk.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/hostile/hostile.h"

#define HEADER DATA
#define STATUS (DATA + 0x800)
#define BODY   (DATA + 0x1000)

static bool sync_io; /* Use preadv2 and pwritev2 instead of io_uring. */

static struct dev *get(int disk, uint64_t file_limit)
{
	return dev_get(&(struct dev_options){ .kind = BLKD, .disk = disk, .sync = sync_io, .file_limit = file_limit });
}

/* Send one request. Returns its status. */
static uint8_t request(struct dev *d, uint32_t type, uint64_t sector, uint32_t len)
{
	struct virtio_blk_outhdr h = { .type = type, .sector = sector };
	const struct front_buf b[] = { { HEADER, 16, false },
				       { BODY, len, type == VIRTIO_BLK_T_IN },
				       { STATUS, 1, true } };
	uint32_t id, used;

	memcpy(at(d, HEADER), &h, sizeof(h));
	*(uint8_t *)at(d, STATUS) = 0xee;
	front_offer(d->q[d->victim], front_chain(d->q[d->victim], b, 3));
	front_kick(d->q[d->victim]);
	need(front_wait_used(d->q[d->victim], &id, &used, PATIENCE));
	return *(uint8_t *)at(d, STATUS);
}

static void shrunk(const void *arg)
{
	struct dev *d = get(-1, 0);

	(void)arg;
	need(ftruncate(d->disk, SECTORS / 2 * 512) == 0);
	need(request(d, VIRTIO_BLK_T_IN, SECTORS / 2, 4096) == VIRTIO_BLK_S_IOERR);
	/* Only half of it exists: a short read, then end of file. */
	need(request(d, VIRTIO_BLK_T_IN, SECTORS / 2 - 4, 4096) == VIRTIO_BLK_S_IOERR);
	need(request(d, VIRTIO_BLK_T_IN, SECTORS / 2 - 8, 4096) == VIRTIO_BLK_S_OK);
	need(dev_stats(d)->io_errors - d->before.io_errors == 2);
	counted("IOERR");
	dev_judge(d, false);
	dev_end_all();
}

static void replaced(const void *arg)
{
	struct dev *d = get(-1, 0);
	char path[100];
	int fd;

	(void)arg;
	snprintf(path, sizeof(path), "%s/disk", work_dir);
	need(unlink(path) == 0);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	need(fd >= 0 && ftruncate(fd, SECTORS * 512) == 0);
	memset(at(d, BODY), 0xaa, 512);
	need(request(d, VIRTIO_BLK_T_OUT, 5, 512) == VIRTIO_BLK_S_OK);
	/* blkd still uses the first file; the new one is unchanged. */
	need(request(d, VIRTIO_BLK_T_IN, 6, 512) == VIRTIO_BLK_S_OK);
	need(*(uint32_t *)at(d, BODY) == 6);
	need(pread(fd, at(d, BODY), 512, 5 * 512) == 512 && *(uint32_t *)at(d, BODY) == 0);
	close(fd);
	counted("OK");
	dev_judge(d, false);
	dev_end_all();
}

/* A file size limit in the middle of a sector, like a full disk: a short write, then an error. */
static void short_write(const void *arg)
{
	struct dev *d = get(-1, 1000 * 512 + 100);

	(void)arg;
	memset(at(d, BODY), 0xaa, 4096);
	need(request(d, VIRTIO_BLK_T_OUT, 996, 4096) == VIRTIO_BLK_S_IOERR);
	need(request(d, VIRTIO_BLK_T_OUT, 1500, 512) == VIRTIO_BLK_S_IOERR);
	need(request(d, VIRTIO_BLK_T_OUT, 900, 512) == VIRTIO_BLK_S_OK);
	need(request(d, VIRTIO_BLK_T_FLUSH, 0, 512) == VIRTIO_BLK_S_OK);
	need(dev_stats(d)->io_errors - d->before.io_errors == 2);
	counted("IOERR");
	dev_judge(d, false);
	dev_end_all();
}

/* A sparse image on a file system of 64 KiB. */
static void no_space(const void *arg)
{
	static uint32_t sector[128];
	char path[100];
	unsigned good = 0, bad = 0;
	struct dev *d;
	int fd;

	(void)arg;
	snprintf(path, sizeof(path), "%s/full", work_dir);
	mkdir(path, 0700);
	if (mount("none", path, "tmpfs", 0, "size=64k") != 0)
		skipped("no mount on this host");
	snprintf(path, sizeof(path), "%s/full/disk", work_dir);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	need(fd >= 0 && ftruncate(fd, SECTORS * 512) == 0);
	for (unsigned i = 70; i < 72; i++) {
		for (unsigned k = 0; k < 128; k++)
			sector[k] = i;
		need(pwrite(fd, sector, 512, i * 512) == 512);
	}
	d = get(fd, 0);
	memset(at(d, BODY), 0xaa, 4096);
	for (unsigned i = 0; i < 32; i++) {
		uint8_t s = request(d, VIRTIO_BLK_T_OUT, 512 + i * 8, 4096);

		need(s == VIRTIO_BLK_S_OK || s == VIRTIO_BLK_S_IOERR);
		/* Once full it stays full; acknowledged data is there. */
		need(s == VIRTIO_BLK_S_IOERR || !bad);
		s == VIRTIO_BLK_S_OK ? good++ : bad++;
		if (s == VIRTIO_BLK_S_OK)
			need(pread(fd, sector, 512, (512 + i * 8) * 512l) == 512 && sector[0] == 0xaaaaaaaa);
	}
	need(good && bad);
	need(request(d, VIRTIO_BLK_T_WRITE_ZEROES, 0, 16) != 0xee);
	need(dev_stats(d)->io_errors - d->before.io_errors >= bad);
	counted("IOERR");
	dev_judge(d, false);
	dev_end_all();
	close(fd);
	snprintf(path, sizeof(path), "%s/full", work_dir);
	umount2(path, MNT_DETACH);
}

/* /proc/PID/mem fails with EIO at unmapped addresses, such as the lowest ones. */
static void input_error(const void *arg)
{
	int fd = open("/proc/self/mem", O_RDWR | O_CLOEXEC);
	struct dev *d;

	(void)arg;
	need(fd >= 0);
	d = get(fd, 0);
	for (unsigned i = 0; i < 8; i++)
		need(request(d, VIRTIO_BLK_T_IN, i, 4096) == VIRTIO_BLK_S_IOERR);
	need(request(d, VIRTIO_BLK_T_OUT, 1, 4096) == VIRTIO_BLK_S_IOERR);
	need(request(d, VIRTIO_BLK_T_GET_ID, 0, 20) != 0xee);
	need(dev_stats(d)->io_errors - d->before.io_errors == 9);
	counted("IOERR");
	report.alive = d->faults ? NO : YES;
	dev_end_all();
	close(fd);
}

static void one_plane(bool sync, const char *title)
{
	sync_io = sync;
	group(title);
	play("the image has shrunk", "IOERR", shrunk, NULL);
	play("the image was replaced by its name", "OK", replaced, NULL);
	play("short write, then no more room", "IOERR", short_write, NULL);
	play("ENOSPC in the middle", "IOERR", no_space, NULL);
	play("EIO from the image", "IOERR", input_error, NULL);
}

void block_host_group(void)
{
	one_plane(false, "host's errors, blkd");
	one_plane(true, "host's errors, blkd without a ring");
}
