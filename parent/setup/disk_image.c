/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reads the few bytes of a disk's image that the parent needs inside the privileged
 * window: to refuse a file that is not a raw disk, and to find out which alignment direct
 * I/O needs. The bytes are only compared with fixed ones; nothing is parsed.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/image_format.h"
#include "parent/options/util.h"
#include "parent/setup/disk_image.h"
#include "parent/setup/local.h"

#define SECTOR	      512
#define READ_WAIT_MS  5000
#define DIRECT_ALIGN  4096 /* blkd's default if the file system does not report the value (image_probe()). */
#define CHILD_WAIT_MS 100

static uint8_t buffer[IMAGE_HEAD] __attribute__((aligned(DIRECT_ALIGN)));

static ssize_t read_at(int fd, size_t len, off_t off, int flags)
{
	struct iovec v = { buffer, len };
	ssize_t got;

	do
		got = flags ? preadv2(fd, &v, 1, off, flags) : preadv(fd, &v, 1, off);
	while (got < 0 && errno == EINTR);
	return got;
}

/* In the child: read, then send the result (length, or negative errno) and the bytes. Does not return. */
static void send_outcome(int to, int fd, size_t len, off_t off)
{
	ssize_t got = read_at(fd, len, off, 0);
	struct iovec v[2] = { { &got, sizeof(got) }, { buffer, got > 0 ? (size_t)got : 0 } };

	if (got < 0)
		got = -errno;
	_exit(writev(to, v, 2) < 0);
}

/* Reap @pid, which was killed. If it does not end soon, the end of our own process will get rid of it. */
static void reap(pid_t pid)
{
	uint64_t until = now_ms() + CHILD_WAIT_MS;

	while (waitpid(pid, NULL, WNOHANG) == 0 && now_ms() < until)
		usleep(1000);
}

/* Read in a child process, which can be abandoned: the server of the file system (FUSE, NFS) may never answer. */
static ssize_t read_in_child(int fd, size_t len, off_t off)
{
	struct pollfd p = { .events = POLLIN };
	struct iovec v[2];
	ssize_t got = -ETIMEDOUT;
	int pipe_fd[2];
	pid_t pid;

	if (pipe2(pipe_fd, O_CLOEXEC) < 0)
		return -1;
	pid = fork();
	if (pid == 0)
		send_outcome(pipe_fd[1], fd, len, off);
	close(pipe_fd[1]);
	p.fd = pipe_fd[0];
	v[0] = (struct iovec){ &got, sizeof(got) };
	v[1] = (struct iovec){ buffer, len };
	if (pid < 0)
		got = -errno;
	else if (poll(&p, 1, READ_WAIT_MS) > 0 && readv(pipe_fd[0], v, 2) < (ssize_t)sizeof(got))
		got = -EIO;
	close(pipe_fd[0]);
	if (pid > 0) {
		kill(pid, SIGKILL);
		reap(pid);
	}
	if (got < 0)
		errno = (int)-got;
	return got < 0 ? -1 : got;
}

/*
 * Read @len bytes at offset @off into buffer. Returns the number of bytes (fewer at the end
 * of the file), or -1 with errno set. Data in the page cache is available at once. Reading
 * from a disk or the memory of this host has no time limit, like any access to it; other
 * file systems have READ_WAIT_MS.
 */
static ssize_t read_image(int fd, const struct stat *st, size_t len, off_t off)
{
	ssize_t got = read_at(fd, len, off, RWF_NOWAIT);

	if (got >= 0)
		return got;
	if (S_ISBLK(st->st_mode) || major(st->st_dev) || file_is_local(fd))
		return read_at(fd, len, off, 0);
	return read_in_child(fd, len, off);
}

static int read_failed(const struct disk_option *o)
{
	if (errno == ETIMEDOUT)
		return complain(-1, "%s%s: reading it took longer than %u s; its file system does not answer",
				disk_how(o), o->path, READ_WAIT_MS / 1000);
	return complain(-1, "%s%s: cannot read it: %m", disk_how(o), o->path);
}

int disk_check_format(const struct disk_option *o, int fd, const struct stat *st)
{
	const struct image_format *f;
	ssize_t got;

	if (o->format_raw)
		return 0;
	got = read_image(fd, st, sizeof(buffer), 0);
	if (got < 0)
		return read_failed(o);
	f = image_format(buffer, (size_t)got);
	if (!f)
		return 0;
	if (f->unpack)
		return complain(
			-1,
			"%s%s: this file is %s, and lguest-sep serves files byte for byte; unpack it (%s), or add ,format=raw if a guest wrote these bytes",
			disk_how(o), o->path, f->name, f->unpack);
	return complain(
		-1,
		"%s%s: this file is %s, and lguest-sep serves files byte for byte; convert it (qemu-img convert -O raw), let qemu-storage-daemon serve it (--vhost-user-blk=SOCKET), or add ,format=raw if a guest wrote these bytes",
		disk_how(o), o->path, f->name);
}

/* Returns the alignment in bytes that direct I/O on @fd needs, or 0 if the file system does not report it. */
static unsigned reported_alignment(int fd)
{
#ifdef STATX_DIOALIGN
	struct statx sx;

	if (statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_DIOALIGN, &sx) == 0 &&
	    (sx.stx_mask & STATX_DIOALIGN))
		return sx.stx_dio_offset_align;
#else
	(void)fd;
#endif
	return 0;
}

int disk_check_tail(const struct disk_option *o, int fd, const struct stat *st, struct blk_config *b)
{
	unsigned cut = (unsigned)((uint64_t)st->st_size % SECTOR), align;

	if (cut)
		complain(
			0,
			"%s%s: its size is no multiple of 512 bytes; the guest does not see the last %u (truncate -s %%512 FILE extends it)",
			disk_how(o), o->path, cut);
	if (!o->direct || o->read_only || o->snapshot || b->capacity % DIRECT_ALIGN == 0)
		return 0;
	align = reported_alignment(fd);
	if (!align) {
		errno = 0;
		/* If a write of 512 bytes fails later, blkd falls back to DIRECT_ALIGN. */
		if (read_image(fd, st, SECTOR, (off_t)(b->capacity - SECTOR)) == SECTOR)
			b->blk_size = align = SECTOR;
		else if (errno == ETIMEDOUT)
			return read_failed(o);
		else
			align = DIRECT_ALIGN;
	}
	if (b->capacity % align == 0)
		return 0;
	return complain(
		-1,
		"%s%s: direct=on needs blocks of %u bytes here, and its size is no multiple of that; extend it (truncate -s %%%u FILE), or leave out direct=on and cache=none",
		disk_how(o), o->path, align, align);
}
