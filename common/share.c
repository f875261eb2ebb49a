/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A private view of a directory tree for fsd: see share.h. Runs before confinement, in the parent's child that makes
 * fsd's room, and in stand-alone fsd.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/fdpass.h"
#include "common/fmt.h"
#include "common/share.h"

/* linux/mount.h conflicts with sys/mount.h on some C libraries, and Debian 12's lacks some of these. */
#define OPEN_TREE_CLONE_ 1
#define AT_RECURSIVE_	 0x8000
#define ATTR_RDONLY	 0x1
#define ATTR_NOSUID	 0x2
#define ATTR_NODEV	 0x4
#define ATTR_NOEXEC	 0x8
#define ATTR_IDMAP	 0x00100000
#define MS_PRIVATE_	 (1u << 18)
#ifndef __NR_open_tree
#define __NR_open_tree 428
#endif
#ifndef __NR_mount_setattr
#define __NR_mount_setattr 442
#endif

struct mount_attributes {
	uint64_t set, clear, propagation, userns_fd;
};

/* @recursive: AT_RECURSIVE_ or 0 */
static int clone_with(const char *path, unsigned recursive, const struct mount_attributes *a)
{
	int fd = (int)syscall(__NR_open_tree, AT_FDCWD, path, OPEN_TREE_CLONE_ | O_CLOEXEC | recursive), err;

	if (fd < 0)
		return -1;
	if (syscall(__NR_mount_setattr, fd, "", AT_EMPTY_PATH | recursive, a, sizeof(*a)) == 0)
		return fd;
	err = errno;
	close(fd);
	errno = err;
	return -1;
}

int share_clone(const char *path)
{
	const struct mount_attributes a = { .set = ATTR_RDONLY | ATTR_NOSUID | ATTR_NODEV, .propagation = MS_PRIVATE_ };

	return clone_with(path, AT_RECURSIVE_, &a);
}

int share_clone_writable(const char *path, int userns)
{
	struct mount_attributes a = { .set = ATTR_NOSUID | ATTR_NODEV | ATTR_NOEXEC, .propagation = MS_PRIVATE_ };

	if (userns >= 0) {
		a.set |= ATTR_IDMAP;
		a.userns_fd = (uint64_t)userns;
	}
	return clone_with(path, 0, &a);
}

/* Map the ID @inside to @outside in /proc/PID/@file. Returns 0, or -1 with errno set. */
static int write_map(pid_t pid, const char *file, uint32_t inside, uint32_t outside)
{
	char path[64], line[64];
	size_t len = fmt_line(line, sizeof(line), "%u %u 1", inside, outside);
	ssize_t wrote;
	int fd;

	fmt_line(path, sizeof(path), "/proc/%d/%s", (int)pid, file);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	wrote = write(fd, line, len);
	close(fd);
	return wrote == (ssize_t)len ? 0 : -1;
}

int share_owner_namespace(uint32_t owner, uint32_t group, uint32_t uid, uint32_t gid)
{
	int ready[2], done[2], fd = -1, err;
	uint8_t byte = 0;
	char path[64];
	pid_t pid;

	if (pipe2(ready, O_CLOEXEC) < 0)
		return -1;
	if (pipe2(done, O_CLOEXEC) < 0) {
		close(ready[0]);
		close(ready[1]);
		return -1;
	}
	pid = fork();
	if (pid == 0) {
		close(done[1]);
		byte = unshare(CLONE_NEWUSER) < 0 ? (uint8_t)errno : 0;
		if (write(ready[1], &byte, 1) == 1)
			(void)!read(done[0], &byte, 1); /* Until the parent has closed its end. */
		_exit(0);
	}
	close(ready[1]);
	close(done[0]);
	if (pid > 0 && read(ready[0], &byte, 1) == 1 && byte == 0) {
		fmt_line(path, sizeof(path), "/proc/%d/ns/user", (int)pid);
		if (write_map(pid, "uid_map", owner, uid) == 0 && write_map(pid, "gid_map", group, gid) == 0)
			fd = open(path, O_RDONLY | O_CLOEXEC);
	} else if (byte) {
		errno = byte;
	}
	err = errno;
	close(ready[0]);
	close(done[1]);
	if (pid > 0)
		waitpid(pid, NULL, 0);
	errno = err;
	return fd;
}

/* Body of a child that has no privilege: clone the mount in namespaces of its own and send it over @sock. */
static NORETURN void clone_in_namespace(const char *path, int sock)
{
	int fd = unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0 ? -1 : share_clone_writable(path, -1);

	_exit(fd < 0 || fdpass_send(sock, "", 1, &fd, 1, 0) < 0 ? errno : 0);
}

int share_clone_as_user(const char *path)
{
	int pair[2], fd = -1, status = 0, err = 0;
	unsigned n = 1;
	char byte;
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return -1;
	pid = fork();
	if (pid == 0)
		clone_in_namespace(path, pair[1]);
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		err = errno;
	else if (!WIFEXITED(status) || WEXITSTATUS(status))
		err = WIFEXITED(status) ? WEXITSTATUS(status) : EINTR;
	else if (fdpass_recv(pair[0], &byte, 1, &fd, &n) != 1 || n != 1)
		err = EPROTO;
	close(pair[0]);
	close(pair[1]);
	errno = err;
	return err ? -1 : fd;
}
