/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Opens the file of --shmem=: see shmem.h. Runs in the parent, inside the privileged window. Nothing of ours reads or
 * writes its content: the vCPU process maps it for the guest.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "parent/options/util.h"
#include "parent/setup/files.h"
#include "parent/setup/keeper.h"
#include "parent/setup/shmem.h"

/* Not in the headers of Debian 12's libc. */
#ifndef F_SEAL_FUTURE_WRITE
#define F_SEAL_FUTURE_WRITE 0x0010
#endif

static int refuse(const struct shmem_option *o, const char *why)
{
	return complain(-1, "--shmem=%s: %s", o->path, why);
}

/* Find the file, or create it with access for its owner only. Returns a descriptor, or -1 after logging the reason. */
static int find(const struct shmem_option *o)
{
	int fd = open(o->path, O_PATH | O_CLOEXEC);

	if (fd < 0 && errno == ENOENT && o->size)
		fd = open(o->path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOCTTY, 0600);
	if (fd < 0)
		return complain(-1, "--shmem=%s: cannot open it: %m%s", o->path,
				errno == ENOENT && !o->size ? "; add ,size=SIZE to create it"
				: errno == EEXIST	    ? "; is it a symbolic link that leads nowhere?"
							    : "");
	return fd;
}

/* Open the file that find() has found, for @flags. */
static int open_found(const struct shmem_option *o, int look, int flags)
{
	char self[40];
	int fd;

	snprintf(self, sizeof(self), "/proc/self/fd/%d", look);
	fd = open(self, flags | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd < 0)
		return complain(-1, "--shmem=%s: cannot open it for %s: %m%s", o->path,
				flags == O_RDWR ? "writing" : "reading",
				flags != O_RDWR || o->size ? "" : "; add ,ro, or change its permissions");
	return fd;
}

/* Give an empty file the size that the user wants. */
static int set_size(const struct shmem_option *o, int look, uint64_t *bytes)
{
	int fd = open_found(o, look, O_RDWR), failed;

	if (fd < 0)
		return -1;
	failed = ftruncate(fd, (off_t)o->size);
	if (failed)
		complain(-1, "--shmem=%s: cannot make it %llu bytes long: %m%s", o->path, (unsigned long long)o->size,
			 errno == EFBIG ? " (ulimit -f)" : "");
	close(fd);
	*bytes = o->size;
	return failed ? -1 : 0;
}

static int judge_size(const struct shmem_option *o, uint64_t bytes)
{
	if (o->size && bytes != o->size)
		return complain(
			-1, "--shmem=%s: it has %llu bytes, not the %llu of size=; remove the file, or leave size= out",
			o->path, (unsigned long long)bytes, (unsigned long long)o->size);
	if (!is_power_of_two(bytes) || bytes < SHMEM_MIN || bytes > SHMEM_MAX)
		return complain(
			-1,
			"--shmem=%s: it has %llu bytes; a PCI device's memory has a power of two of them, from 4k to 256M (truncate -s 1M FILE)",
			o->path, (unsigned long long)bytes);
	return 0;
}

/* Files that no device can have as its memory, or that the guest's processors would wait for. */
static int judge_kind(const struct shmem_option *o, int look, uint64_t *bytes)
{
	struct stat st;

	if (fstat(look, &st) < 0)
		return complain(-1, "--shmem=%s: cannot find out its size: %m", o->path);
	if (!S_ISREG(st.st_mode))
		return complain(-1, "--shmem=%s: this is %s; give a regular file, such as one in /dev/shm", o->path,
				file_kind(st.st_mode));
	if (file_has_server(look))
		return refuse(o, "a file on a file server (NFS, FUSE) could make the guest wait for it without end; "
				 "use one in /dev/shm");
	*bytes = (uint64_t)st.st_size;
	return 0;
}

static int judge_seals(const struct shmem_option *o, int fd)
{
	int seals = fcntl(fd, F_GET_SEALS);

	if (!o->read_only && seals > 0 && (seals & (F_SEAL_WRITE | F_SEAL_FUTURE_WRITE)))
		return refuse(o, "it is sealed against writing; add ,ro");
	return 0;
}

int shmem_open(struct host *h)
{
	const struct shmem_option *o = &h->c->shmem;
	uint64_t bytes = 0;
	int look, fd = -1;

	if (!o->path)
		return 0;
	look = find(o);
	if (look < 0)
		return -1;
	if (judge_kind(o, look, &bytes) == 0 && (bytes || !o->size || set_size(o, look, &bytes) == 0) &&
	    judge_size(o, bytes) == 0)
		fd = open_found(o, look, o->read_only ? O_RDONLY : O_RDWR);
	close(look);
	if (fd < 0)
		return -1;
	if (judge_seals(o, fd) < 0) {
		close(fd);
		return -1;
	}
	h->shmem = fd;
	h->shmem_bytes = bytes;
	return 0;
}
