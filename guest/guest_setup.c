/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Prepares the guest for a command: file systems, kernel modules, busybox's commands, ports. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "guest/guest.h"

#ifndef MODULE_INIT_COMPRESSED_FILE
#define MODULE_INIT_COMPRESSED_FILE 4
#endif
#define PORTS_DIR "/sys/class/virtio-ports"
/* How long the ports may take to appear, even on a busy host, in milliseconds. */
#define PORTS_WITHIN_MS 20000
#define PORTS_STEP_MS	5

static void mount_one(const char *type, const char *to, unsigned long flags)
{
	mkdir(to, 0755);
	/* EBUSY: the kernel has mounted it already (CONFIG_DEVTMPFS_MOUNT). */
	if (mount(type, to, type, flags, NULL) < 0 && errno != EBUSY)
		say("cannot mount ", to, errno);
}

static bool is_compressed(const char *name)
{
	const char *dot = strrchr(name, '.');

	return dot && strcmp(dot, ".ko") != 0;
}

void load_module(const char *name)
{
	char path[256];
	int fd;

	snprintf(path, sizeof(path), "/" RUN_DIR "/modules/%s", name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || (syscall(SYS_finit_module, fd, "", is_compressed(name) ? MODULE_INIT_COMPRESSED_FILE : 0) < 0 &&
		       errno != EEXIST))
		say("cannot load module ", name, errno);
	if (fd >= 0)
		close(fd);
}

static void make_links(void)
{
	static char busybox[] = "/bin/busybox", install[] = "--install", soft[] = "-s", bin[] = "/bin";
	char *const argv[] = { busybox, install, soft, bin, NULL };
	char *const env[] = { NULL };
	pid_t pid = fork();

	if (pid == 0) {
		execve(busybox, argv, env);
		_exit(127);
	}
	if (pid < 0 || waitpid(pid, NULL, 0) < 0)
		say("cannot make links to ", busybox, errno);
}

/* Add to /dev what programs expect there. */
static void make_dev(void)
{
	static const char *const links[][2] = { { "/proc/self/fd", "/dev/fd" },
						{ "/proc/self/fd/0", "/dev/stdin" },
						{ "/proc/self/fd/1", "/dev/stdout" },
						{ "/proc/self/fd/2", "/dev/stderr" } };

	for (size_t i = 0; i < sizeof(links) / sizeof(links[0]); i++)
		if (symlink(links[i][0], links[i][1]) < 0 && errno != EEXIST)
			say("cannot make ", links[i][1], errno);
	mount_one("devpts", "/dev/pts", MS_NOSUID | MS_NOEXEC);
	mount_one("tmpfs", "/dev/shm", MS_NOSUID | MS_NODEV);
}

void set_up(const struct instructions *in)
{
	umask(0022);
	mount_one("proc", "/proc", MS_NOSUID | MS_NODEV | MS_NOEXEC);
	mount_one("sysfs", "/sys", MS_NOSUID | MS_NODEV | MS_NOEXEC);
	mount_one("devtmpfs", "/dev", MS_NOSUID);
	make_dev();
	mkdir("/tmp", 01777);
	chmod("/tmp", 01777);
	for (unsigned i = 0; i < in->nmodules; i++)
		load_module(in->module[i]);
	if (in->busybox)
		make_links();
}

/* Open the port named @name. Returns its descriptor, or -1 if it does not exist (yet). */
static int open_port(const char *name)
{
	DIR *dir = opendir(PORTS_DIR);
	struct dirent *e;
	int fd = -1;

	while (dir && fd < 0 && (e = readdir(dir))) {
		char path[300], got[PORT_NAME_MAX + 1] = "";
		FILE *f;

		snprintf(path, sizeof(path), PORTS_DIR "/%s/name", e->d_name);
		f = fopen(path, "re");
		if (!f)
			continue;
		if (fgets(got, sizeof(got), f))
			got[strcspn(got, "\n")] = '\0';
		fclose(f);
		if (strcmp(got, name) != 0)
			continue;
		snprintf(path, sizeof(path), "/dev/%s", e->d_name);
		fd = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
	}
	if (dir)
		closedir(dir);
	return fd;
}

int open_ports(int fd[RUN_PORTS])
{
	static const char *const name[RUN_PORTS] = { RUN_PORT_NAMES };
	const struct timespec step = { .tv_nsec = PORTS_STEP_MS * 1000000L };
	unsigned waited = 0;

	for (unsigned i = 0; i < RUN_PORTS; i++) {
		while ((fd[i] = open_port(name[i])) < 0 && waited < PORTS_WITHIN_MS) {
			nanosleep(&step, NULL);
			waited += PORTS_STEP_MS;
		}
		if (fd[i] < 0) {
			say("no port named ", name[i], 0);
			say("this kernel needs virtio_pci and virtio_console, built in or as modules (--modules=DIR)",
			    "", 0);
			return -1;
		}
	}
	return 0;
}
