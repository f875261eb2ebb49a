/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What QEMU sees of the host: its libraries, its own program, its firmware and
 * a /proc of its own processes, bound into a new root. Runs in the cloned child,
 * in its mount namespace, with the new root as working folder. Everything is
 * made read-only afterwards, with the root.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/log.h"
#include "room.h"

/* Debian's and Fedora's places; what is not there is left out. */
static const char *const shown[] = {
	"/lib",
	"/lib64",
	"/usr/lib/x86_64-linux-gnu",
	"/usr/lib64",
	"/usr/lib/ipxe/qemu",
	"/usr/share/qemu",
	"/usr/share/seabios",
	"/usr/share/ipxe",
	"/etc/ld.so.cache",
	"/usr/bin/qemu-system-x86_64",
};

/* Folders above @path, which begins with a slash, below the working folder. */
static int make_folders(const char *path)
{
	char part[128];

	for (const char *p = strchr(path + 1, '/'); p; p = strchr(p + 1, '/')) {
		fmt_line(part, sizeof(part), "%.*s", (int)(p - path - 1), path + 1);
		if (mkdir(part, 0555) < 0 && errno != EEXIST)
			return -1;
	}
	return 0;
}

static int show(const char *path)
{
	const char *here = path + 1;
	char target[128];
	struct stat st;
	ssize_t n;
	int fd;

	if (lstat(path, &st) < 0)
		return errno == ENOENT ? 0 : -1;
	if (make_folders(path) < 0)
		return -1;
	if (S_ISLNK(st.st_mode)) {
		n = readlink(path, target, sizeof(target) - 1);
		if (n < 0)
			return -1;
		target[n] = '\0';
		return symlink(target, here);
	}
	if (S_ISDIR(st.st_mode)) {
		if (mkdir(here, 0555) < 0 && errno != EEXIST)
			return -1;
	} else {
		fd = open(here, O_WRONLY | O_CREAT | O_CLOEXEC, 0444);
		if (fd < 0)
			return -1;
		close(fd);
	}
	return mount(path, here, NULL, MS_BIND | MS_REC, NULL);
}

int room_qemu_files(void)
{
	static const char *const options[] = { "subset=pid,hidepid=invisible", "hidepid=2", NULL };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(shown); i++)
		if (show(shown[i]) < 0)
			return -1;
	if (mkdir("proc", 0555) < 0)
		return -1;
	for (i = 0; i < ARRAY_SIZE(options); i++)
		if (mount("proc", "proc", "proc", MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC, options[i]) == 0)
			return 0;
	return -1;
}

int room_qemu_seal(void)
{
	/* Each on its own: what was left out, or is a symbolic link, is no mount. */
	for (size_t i = 0; i < ARRAY_SIZE(shown); i++)
		if (mount(NULL, shown[i], NULL, MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV, NULL) < 0 &&
		    errno != EINVAL && errno != ENOENT)
			return -1;
	return mount(NULL, "/", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV, NULL);
}
