/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The files that QEMU sees: its program, libraries and firmware, and a /proc of its own
 * processes, bind-mounted into a new root. Runs in the cloned child, in its mount
 * namespace, with the new root as working directory. The caller makes everything
 * read-only afterwards.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/fmt.h"
#include "parent/room/qemu.h"

/* Libraries of every QEMU program. Paths on Debian and Fedora; those that do not exist are skipped. */
static const char *const libraries[] = {
	"/lib", "/lib64", "/usr/lib/x86_64-linux-gnu", "/usr/lib64", "/etc/ld.so.cache",
};

/* Firmware of the x86 machines. The others need at most one file (machine.firmware). */
static const char *const x86_firmware[] = {
	"/usr/lib/ipxe/qemu",
	"/usr/share/qemu",
	"/usr/share/seabios",
	"/usr/share/ipxe",
};

/* Create the parent directories of @path, which begins with a slash, below the working directory. */
static int make_parents(const char *path)
{
	char part[128];

	for (const char *p = strchr(path + 1, '/'); p; p = strchr(p + 1, '/')) {
		fmt_line(part, sizeof(part), "%.*s", (int)(p - path - 1), path + 1);
		if (mkdir(part, 0555) < 0 && errno != EEXIST)
			return -1;
	}
	return 0;
}

/* Show the file or directory @path; a symbolic link is shown as one unless @follow. */
static int show_path(const char *path, bool follow)
{
	const char *here = path + 1;
	char target[128];
	struct stat st;
	ssize_t n;
	int fd;

	if ((follow ? stat(path, &st) : lstat(path, &st)) < 0)
		return errno == ENOENT ? 0 : -1;
	if (make_parents(path) < 0)
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

static int show(const char *path)
{
	return show_path(path, false);
}

static int show_own_processes(void)
{
	static const char *const options[] = { "subset=pid,hidepid=invisible", "hidepid=2", NULL };

	if (mkdir("proc", 0555) < 0)
		return -1;
	for (size_t i = 0; i < ARRAY_SIZE(options); i++)
		if (mount("proc", "proc", "proc", MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC, options[i]) == 0)
			return 0;
	return -1;
}

static int show_all(const char *const *path, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (show(path[i]) < 0)
			return -1;
	return 0;
}

int room_qemu_files(const struct machine *m)
{
	if (show_all(libraries, ARRAY_SIZE(libraries)) < 0 || show(machine_program(m)) < 0)
		return -1;
	if (m->family == FAMILY_X86 && show_all(x86_firmware, ARRAY_SIZE(x86_firmware)) < 0)
		return -1;
	if (m->firmware && show_path(m->firmware, true) < 0)
		return -1;
	return show_own_processes();
}

int room_passt_files(const char *resolv)
{
	size_t len = strlen(resolv);
	int fd;

	if (show_all(libraries, ARRAY_SIZE(libraries)) < 0)
		return -1;
	/* It makes a root of its own over this directory. */
	if (mkdir("tmp", 0555) < 0 || (mkdir("etc", 0555) < 0 && errno != EEXIST))
		return -1;
	fd = open("etc/resolv.conf", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0444);
	if (fd < 0)
		return -1;
	if (write(fd, resolv, len) != (ssize_t)len) {
		close(fd);
		return -1;
	}
	close(fd);
	return show_own_processes();
}

/* Remount each one by itself. A path that was skipped, or is a symbolic link, is no mount point. */
static int seal_all(const char *const *path, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (path[i] &&
		    mount(NULL, path[i], NULL, MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV, NULL) < 0 &&
		    errno != EINVAL && errno != ENOENT)
			return -1;
	return 0;
}

int room_qemu_seal(const struct machine *m)
{
	const char *const own[] = { m ? machine_program(m) : NULL, m ? m->firmware : NULL };

	if (seal_all(libraries, ARRAY_SIZE(libraries)) < 0 || seal_all(x86_firmware, ARRAY_SIZE(x86_firmware)) < 0 ||
	    seal_all(own, ARRAY_SIZE(own)) < 0)
		return -1;
	return mount(NULL, "/", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV, NULL);
}
