/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * stalled-fuse DIR MIB [flush|nostatfs]: mounts a file system on DIR that has one file of zeroes, "image", which
 * can get shorter, and longer again.
 * With "flush" it implements FUSE_FLUSH, so that each close(2) of the file waits for the server.
 * With "nostatfs" it never answers statfs(2).
 * After SIGUSR1 it answers no request: callers wait in the kernel, where no signal interrupts
 * them, until this process ends. For tests; implements the protocol of linux/fuse.h itself.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define IMAGE_INO 2
#define MAX_DATA  65536

static volatile sig_atomic_t stalled;
static char request[MAX_DATA + 4096];
static char *image;
static size_t image_size, image_room;
static int dev;
static bool with_flush, without_statfs;

static void on_stall(int sig)
{
	(void)sig;
	stalled = 1;
}

static void answer(uint64_t unique, int error, const void *data, size_t n)
{
	struct fuse_out_header h = { .len = (uint32_t)(sizeof(h) + n), .error = -error, .unique = unique };
	struct iovec iov[2] = { { &h, sizeof(h) }, { (void *)(uintptr_t)data, n } };

	if (writev(dev, iov, n ? 2 : 1) < 0 && errno != ENOENT)
		perror("stalled-fuse");
}

static struct fuse_attr attributes(uint64_t ino)
{
	struct fuse_attr a = { .ino = ino, .nlink = 1, .blksize = 4096 };

	a.mode = ino == FUSE_ROOT_ID ? S_IFDIR | 0755 : S_IFREG | 0666;
	a.size = ino == FUSE_ROOT_ID ? 0 : image_size;
	return a;
}

static void lookup(const struct fuse_in_header *h, const char *name)
{
	struct fuse_entry_out e = { .nodeid = IMAGE_INO, .entry_valid = 1000 };

	if (strcmp(name, "image") != 0) {
		answer(h->unique, ENOENT, NULL, 0);
		return;
	}
	e.attr = attributes(IMAGE_INO);
	answer(h->unique, 0, &e, sizeof(e));
}

static void transfer(const struct fuse_in_header *h, const void *arg)
{
	const struct fuse_read_in *in = arg; /* fuse_write_in begins with the same fields */
	size_t at = in->offset < image_size ? in->offset : image_size;
	size_t end = h->opcode == FUSE_READ ? image_size : image_room;
	size_t n = in->size < end - at ? in->size : end - at;
	struct fuse_write_out out = { .size = (uint32_t)n };

	if (h->opcode == FUSE_READ) {
		answer(h->unique, 0, image + at, n);
		return;
	}
	if (!n && in->size) {
		answer(h->unique, ENOSPC, NULL, 0);
		return;
	}
	memcpy(image + at, (const char *)arg + sizeof(struct fuse_write_in), n);
	if (at + n > image_size)
		image_size = at + n;
	answer(h->unique, 0, &out, sizeof(out));
}

static void set_size(const struct fuse_setattr_in *in)
{
	if (!(in->valid & FATTR_SIZE))
		return;
	image_size = in->size < image_room ? in->size : image_room;
	memset(image + image_size, 0, image_room - image_size);
}

static void serve(const struct fuse_in_header *h, const void *arg)
{
	static const struct fuse_init_out init = {
		.major = FUSE_KERNEL_VERSION, .minor = 31, .max_write = MAX_DATA, .max_background = 16
	};
	struct fuse_attr_out attr = { .attr_valid = 0 };
	struct fuse_open_out open = { .fh = 1 };
	struct fuse_statfs_out statfs = { .st = { .bsize = 4096, .namelen = 255 } };

	switch (h->opcode) {
	case FUSE_INIT:
		answer(h->unique, 0, &init, sizeof(init));
		break;
	case FUSE_LOOKUP:
		lookup(h, arg);
		break;
	case FUSE_SETATTR:
	case FUSE_GETATTR:
		if (h->opcode == FUSE_SETATTR)
			set_size(arg);
		attr.attr = attributes(h->nodeid);
		answer(h->unique, 0, &attr, sizeof(attr));
		break;
	case FUSE_OPEN:
		answer(h->unique, 0, &open, sizeof(open));
		break;
	case FUSE_READ:
	case FUSE_WRITE:
		transfer(h, arg);
		break;
	case FUSE_STATFS:
		if (!without_statfs)
			answer(h->unique, 0, &statfs, sizeof(statfs));
		break;
	/* Most servers do not implement it; then close(2) sends them no request. */
	case FUSE_FLUSH:
		answer(h->unique, with_flush ? 0 : ENOSYS, NULL, 0);
		break;
	case FUSE_FSYNC:
	case FUSE_RELEASE:
		answer(h->unique, 0, NULL, 0);
		break;
	case FUSE_FORGET:
	case FUSE_BATCH_FORGET:
	case FUSE_INTERRUPT:
		break;
	default:
		answer(h->unique, ENOSYS, NULL, 0);
		break;
	}
}

int main(int argc, char **argv)
{
	struct sigaction sa = { .sa_handler = on_stall };
	char options[96];

	if (argc != 3 && argc != 4)
		return 2;
	with_flush = argc == 4 && !strcmp(argv[3], "flush");
	without_statfs = argc == 4 && !strcmp(argv[3], "nostatfs");
	image_room = image_size = strtoul(argv[2], NULL, 10) << 20;
	image = calloc(1, image_size);
	dev = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	snprintf(options, sizeof(options), "fd=%d,rootmode=40000,user_id=0,group_id=0,allow_other", dev);
	if (!image || dev < 0 || mount("stalled", argv[1], "fuse", 0, options) < 0) {
		perror("stalled-fuse");
		return 1;
	}
	sigaction(SIGUSR1, &sa, NULL);
	for (;;) {
		ssize_t n = read(dev, request, sizeof(request));
		const struct fuse_in_header *h = (const void *)request;

		if (n < 0 && errno != EINTR && errno != ENOENT)
			return 0;
		if (n >= (ssize_t)sizeof(*h) && !stalled)
			serve(h, h + 1);
	}
}
