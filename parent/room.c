/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Furnishing a room: namespaces and an empty read-only root. Runs in the cloned
 * child, between clone and exec of the spawner; the parent itself never changes
 * its own namespaces. A namespace that the host refuses is reported and done
 * without; a root that cannot be made in an own mount namespace is an error.
 */
#include <errno.h>
#include <limits.h>
#include <fcntl.h>
#include <sched.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/log.h"
#include "room.h"

/* linux/mount.h and sys/mount.h do not go together on every libc. */
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
		[STEP_NONE] = "ended",
		[STEP_NAMESPACES] =
			"QEMU's room needs a mount namespace of its own: give root CAP_SYS_ADMIN, or let ordinary users make user namespaces",
		[STEP_ROOT] = "empty root folder",
		[STEP_QEMU_FILES] = "showing QEMU's files",
		[STEP_LISTEN] = "listening socket",
		[STEP_DESCRIPTORS] = "placing descriptors",
		[STEP_IDS] = "giving up privileges",
		[STEP_LIMITS] = "limits",
		[STEP_FILTER] = "filter",
		[STEP_EXEC] = "executing lguest-sep-init",
	};

	return step < STEP_COUNT ? text[step] : "?";
}

uint32_t room_namespaces(void)
{
	static const int kinds[] = { CLONE_NEWNS, CLONE_NEWNET, CLONE_NEWIPC, CLONE_NEWUTS, CLONE_NEWCGROUP };
	uint32_t missing = 0;
	int all = 0;

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		all |= kinds[i];
	if (unshare(all) == 0)
		return 0;
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
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

int room_map_ids(uid_t uid, gid_t gid)
{
	char line[64];

	/* Before Linux 3.19 there is no such file, and no need for it. */
	if (write_file("/proc/self/setgroups", "deny") < 0 && errno != ENOENT)
		return -1;
	fmt_line(line, sizeof(line), "%u %u 1\n", uid, uid);
	if (write_file("/proc/self/uid_map", line) < 0)
		return -1;
	fmt_line(line, sizeof(line), "%u %u 1\n", gid, gid);
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

/* Read-only, and no set-user-id file or device means anything, on the root and all that is bound
 * below it. */
static int seal_root(bool qemu)
{
	struct mount_attributes a = { .set = ATTR_RDONLY | ATTR_NOSUID | ATTR_NODEV };

	if (!qemu)
		return mount(NULL, "/", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC,
			     NULL);
	if (syscall(__NR_mount_setattr, AT_FDCWD, "/", ALL_BELOW, &a, sizeof(a)) == 0)
		return 0;
	return errno == ENOSYS ? room_qemu_seal() : -1;
}

/* The tmpfs goes over a folder that every host has; the old root vanishes with all below it. */
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

/* Linux 3.19 has execveat(2), which needs no path. */
bool room_needs_paths(void)
{
	return syscall(__NR_execveat, -1, "", NULL, NULL, AT_EMPTY_PATH) < 0 && errno == ENOSYS;
}

/*
 * The file that @fd is, read-only, as @name in the folder that we are in. It is
 * found again by its path, since the descriptor is of the old namespace's mount.
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
	if (enter_tmpfs(r->qemu) < 0)
		return -1;
	*step = STEP_QEMU_FILES;
	if (r->qemu && room_qemu_files() < 0)
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
	if (room_leave_old_root() < 0 || seal_root(r->qemu) < 0)
		return -1;
	*step = STEP_NONE;
	return 0;
}
