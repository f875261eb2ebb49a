/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Sets up a room, the environment of one role: namespaces and an empty read-only root.
 * Runs in the cloned child, between clone and exec of the spawner; the parent does not
 * change its own namespaces. A namespace that the host refuses is reported as missing. In
 * a mount namespace of its own, a root that cannot be made is an error.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/fmt.h"
#include "parent/room/apparmor.h"
#include "parent/room/mounts.h"
#include "parent/room/qemu.h"
#include "parent/room/room.h"

/* struct mount_attr of linux/mount.h, which conflicts with sys/mount.h on some C libraries. */
struct mount_attributes {
	uint64_t set, clear, propagation, userns_fd;
};
#define ATTR_RDONLY 0x1
#define ATTR_NOSUID 0x2
#define ATTR_NODEV  0x4
#define ALL_BELOW   0x8000 /* AT_RECURSIVE */
#ifndef __NR_mount_setattr
#define __NR_mount_setattr 442
#endif

const char *room_step_text(uint32_t step)
{
	static const char *const text[STEP_COUNT] = {
		[STEP_NONE] = "its process ended",
		[STEP_NAMESPACES] =
			"this program needs a mount namespace of its own: give root CAP_SYS_ADMIN, or let ordinary users make user namespaces",
		[STEP_ROOT] = "cannot make an empty root directory",
		[STEP_QEMU_FILES] = "cannot mount the files of its program",
		[STEP_SHARE] = "cannot make a read-only view of the shared directory, which needs Linux 5.12",
		[STEP_SHARE_WRITABLE] =
			"cannot make a writable view of the shared directory, which needs Linux 5.12 and, for an ordinary user, no other mount below it",
		[STEP_LISTEN] = "cannot make a listening socket",
		[STEP_DESCRIPTORS] = "cannot place descriptors",
		[STEP_IDS] = "cannot give up privileges",
		[STEP_LIMITS] = "cannot set resource limits",
		[STEP_APPARMOR] = APPARMOR_FAILED,
		[STEP_FILTER] = "cannot install the seccomp filter",
		[STEP_EXEC] = "cannot execute lguest-sep-init",
	};

	return step < STEP_COUNT ? text[step] : "?";
}

uint32_t room_namespaces(bool network)
{
	static const int kinds[] = { CLONE_NEWNS, CLONE_NEWIPC, CLONE_NEWUTS, CLONE_NEWCGROUP, CLONE_NEWNET };
	size_t n = ARRAY_SIZE(kinds) - !network;
	uint32_t missing = 0;
	int all = 0;

	for (size_t i = 0; i < n; i++)
		all |= kinds[i];
	if (unshare(all) == 0)
		return 0;
	for (size_t i = 0; i < n; i++)
		if (unshare(kinds[i]) < 0)
			missing |= kinds[i] == CLONE_NEWCGROUP ? LAYER_BIT(LAYER_CGROUP_NS)
				   : kinds[i] == CLONE_NEWNS   ? LAYER_BIT(LAYER_NAMESPACES) | LAYER_BIT(LAYER_ROOT)
							       : LAYER_BIT(LAYER_NAMESPACES);
	return missing;
}

static int write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return -1;
	n = write(fd, text, strlen(text));
	close(fd);
	return n < 0 ? -1 : 0;
}

int room_map_ids(uid_t uid, gid_t gid, uid_t own_uid, gid_t own_gid)
{
	char line[64];

	/* Linux before 3.19 has no such file and does not require it. */
	if (write_file("/proc/self/setgroups", "deny") < 0 && errno != ENOENT)
		return -1;
	fmt_line(line, sizeof(line), "%u %u 1\n", uid, own_uid);
	if (write_file("/proc/self/uid_map", line) < 0)
		return -1;
	fmt_line(line, sizeof(line), "%u %u 1\n", gid, own_gid);
	return write_file("/proc/self/gid_map", line);
}

static int listen_at(const char *name, uid_t uid, gid_t gid)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return -1;
	fmt_line(a.sun_path, sizeof(a.sun_path), "%s", name);
	if (bind(fd, (struct sockaddr *)&a, sizeof(a)) == 0 && chmod(name, 0600) == 0 &&
	    (uid == (uid_t)-1 || chown(name, uid, gid) == 0) && listen(fd, 1) == 0)
		return fd;
	close(fd);
	return -1;
}

/* Make the root and all mounts below it read-only, without set-user-ID programs and device files. */
static int seal_root(bool files, const struct machine *m)
{
	struct mount_attributes a = { .set = ATTR_RDONLY | ATTR_NOSUID | ATTR_NODEV };

	if (!files)
		return mount(NULL, "/", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC,
			     NULL);
	if (syscall(__NR_mount_setattr, AT_FDCWD, "/", ALL_BELOW, &a, sizeof(a)) == 0)
		return 0;
	return errno == ENOSYS ? room_qemu_seal(m) : -1;
}

/* Mount the new root, a tmpfs, over a directory that every host has. The caller pivots to it. */
static int enter_tmpfs(bool qemu)
{
	static const char *const places[] = { "/tmp", "/run", "/mnt", "/dev" };
	size_t i;

	if (room_private() < 0)
		return -1;
	for (i = 0; i < ARRAY_SIZE(places); i++)
		if (mount("none", places[i], "tmpfs", MS_NOSUID | MS_NODEV | (qemu ? 0 : MS_NOEXEC),
			  "size=64k,nr_inodes=128,mode=0555") == 0)
			return chdir(places[i]);
	return -1;
}

/* True if the kernel lacks execveat(2) (before Linux 3.19), so that programs need a path. */
bool room_needs_paths(void)
{
	char name[] = "lguest-sep-init", *argv[] = { name, NULL }, *envp[] = { NULL };

	/* Pass arguments: the kernel logs a warning about exec without any, even if it fails. */
	return syscall(__NR_execveat, -1, "", argv, envp, AT_EMPTY_PATH) < 0 && errno == ENOSYS;
}

/*
 * Bind-mount the file of @fd read-only as @name in the working directory. Its path has
 * to be looked up again, because @fd refers to a mount of the old namespace.
 */
static int show_program(int fd, const char *name)
{
	int at = open(name, O_CREAT | O_EXCL | O_RDONLY | O_CLOEXEC, 0400);
	char self[40], path[PATH_MAX];
	struct stat meant, shown;
	ssize_t n;

	if (at < 0)
		return -1;
	close(at);
	fmt_line(self, sizeof(self), "/proc/self/fd/%d", fd);
	n = readlink(self, path, sizeof(path) - 1);
	if (n < 0)
		return -1;
	path[n] = '\0';
	if (mount(path, name, NULL, MS_BIND, NULL) < 0 || fstat(fd, &meant) < 0 || stat(name, &shown) < 0)
		return -1;
	if (meant.st_dev != shown.st_dev || meant.st_ino != shown.st_ino) {
		errno = ESTALE;
		return -1;
	}
	return mount(NULL, name, NULL, MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV, NULL);
}

int room_root(const struct room *r, uid_t uid, gid_t gid, int *listen_fd, uint32_t *step)
{
	*step = STEP_ROOT;
	if (enter_tmpfs(r->qemu || r->resolv) < 0)
		return -1;
	*step = STEP_QEMU_FILES;
	if ((r->qemu && room_qemu_files(r->qemu) < 0) || (r->resolv && room_passt_files(r->resolv) < 0))
		return -1;
	*step = STEP_LISTEN;
	for (unsigned i = 0; i < r->nlisten; i++) {
		listen_fd[i] = listen_at(r->listen[i], uid, gid);
		if (listen_fd[i] < 0)
			return -1;
	}
	*step = STEP_ROOT;
	if (room_needs_paths() &&
	    (show_program(r->init_exe, &SPAWN_INIT_PATH[1]) < 0 || show_program(r->exe, &SPAWN_ROLE_PATH[1]) < 0))
		return -1;
	if (room_leave_old_root() < 0 || seal_root(r->qemu || r->resolv, r->qemu) < 0)
		return -1;
	*step = STEP_NONE;
	return 0;
}
