/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A FUSE file system in a child process, whose only file can be opened and closed. It never
 * answers any other request (protocol: linux/fuse.h).
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <signal.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "tests/hostile/hostile.h"

#define FILE_NODE 2

static void answer(int dev, uint64_t unique, int error, const void *body, size_t len)
{
	struct fuse_out_header h = { .len = (uint32_t)(sizeof(h) + len), .error = error, .unique = unique };
	struct iovec iov[2] = { { &h, sizeof(h) }, { (void *)(uintptr_t)body, len } };

	if (writev(dev, iov, 2) < 0)
		return;
}

static void serve(int dev, const struct fuse_in_header *in)
{
	const struct fuse_init_out init = { .major = FUSE_KERNEL_VERSION, .minor = 31, .max_write = 4096 };
	const struct fuse_attr_out root = { .attr_valid = 1000,
					    .attr = { .ino = 1, .mode = S_IFDIR | 0755, .nlink = 2 } };
	/* The attributes expire at once, so that the kernel must ask for them each time. */
	const struct fuse_entry_out file = {
		.nodeid = FILE_NODE,
		.entry_valid = 1000,
		.attr = { .ino = FILE_NODE, .mode = S_IFREG | 0666, .nlink = 1, .size = 1 << 20 }
	};
	const struct fuse_open_out opened = { .fh = 1 };

	switch (in->opcode) {
	case FUSE_INIT:
		answer(dev, in->unique, 0, &init, sizeof(init));
		break;
	case FUSE_LOOKUP:
		answer(dev, in->unique, 0, &file, sizeof(file));
		break;
	case FUSE_OPEN:
		answer(dev, in->unique, 0, &opened, sizeof(opened));
		break;
	case FUSE_FLUSH:
	case FUSE_RELEASE:
		answer(dev, in->unique, 0, NULL, 0);
		break;
	case FUSE_GETATTR:
		if (in->nodeid == FUSE_ROOT_ID)
			answer(dev, in->unique, 0, &root, sizeof(root));
		break;
	case FUSE_ACCESS:
		answer(dev, in->unique, -ENOSYS, NULL, 0);
		break;
	default: /* No answer. */
		break;
	}
}

static NORETURN void file_system(int dev)
{
	static uint8_t buf[1 << 17];
	ssize_t n;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	/* Close all descriptors that the child inherited from the test. */
	dev = dup2(dev, 3);
	close_range(4, ~0u, 0);
	while ((n = read(dev, buf, sizeof(buf))) > 0 || errno == EINTR || errno == ENOENT)
		if (n >= (ssize_t)sizeof(struct fuse_in_header))
			serve(dev, (const struct fuse_in_header *)buf);
	_exit(0);
}

int stall_open(void)
{
	static bool mounted;
	char path[100], options[100];
	int dev;

	snprintf(path, sizeof(path), "%s/stall", work_dir);
	if (!mounted) {
		mkdir(path, 0700);
		dev = open("/dev/fuse", O_RDWR | O_CLOEXEC);
		if (dev < 0)
			return -1;
		snprintf(options, sizeof(options), "fd=%d,rootmode=40000,user_id=0,group_id=0", dev);
		if (mount("stall", path, "fuse", 0, options) != 0) {
			close(dev);
			return -1;
		}
		mounted = true;
		if (fork() == 0)
			file_system(dev);
		/* Unmounted lazily at the end; the child ends with us. */
		close(dev);
	}
	snprintf(path, sizeof(path), "%s/stall/file", work_dir);
	return open(path, O_RDWR | O_CLOEXEC);
}
