/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Mounts the shared directory or the disk of --root=, and the shared directory of --in=. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "guest/guest_disk.h"

#define LOWER "/" RUN_DIR "/lower"
#define SPACE "/" RUN_DIR "/space" /* A tmpfs with what the guest writes */
#define NEW   SPACE "/root"

/* Write what failed to the result. Returns -1. */
static int failed(struct run_result *r, const char *what, const char *why)
{
	r->end = RUN_NOT_STARTED;
	snprintf(r->text, sizeof(r->text), "%.30s: %.30s%.30s", what, strerror(errno), why);
	return -1;
}

/* Mount @from over the directory @to, which is made if it is missing. Returns 0, or -1 with errno set. */
static int mount_at(const char *from, const char *to, const char *type, unsigned long flags, const char *data)
{
	if (mkdir(to, 0755) < 0 && errno != EEXIST)
		return -1;
	return mount(from, to, type, flags, data);
}

/* Mount what is beneath: the share, or the disk if nothing is written to it. */
static int mount_lower(const struct instructions *in, struct run_result *r)
{
	if (in->disk)
		return mkdir(LOWER, 0755) < 0 && errno != EEXIST ? failed(r, "--root: mkdir", "")
								 : mount_disk(in, LOWER, r);
	if (mount_at(RUN_ROOT_TAG, LOWER, "virtiofs", MS_RDONLY, NULL) < 0)
		return failed(r, "--root: mount of virtiofs", errno == ENODEV ? " (not in this kernel)" : "");
	return 0;
}

/* Mount the new root directory at NEW: a writable disk, or a writable layer in memory above the share or disk. */
static int mount_root(const struct instructions *in, struct run_result *r)
{
	if (mount_at("space", SPACE, "tmpfs", 0, "mode=755") < 0 || mkdir(NEW, 0755) < 0)
		return failed(r, "--root: mount of tmpfs", "");
	if (in->disk == RUN_DISK_WRITABLE)
		return mount_disk(in, NEW, r);
	if (mount_lower(in, r) < 0)
		return -1;
	if (mkdir(SPACE "/upper", 0755) < 0 || mkdir(SPACE "/work", 0755) < 0)
		return failed(r, "--root: mkdir", "");
	if (mount_at("root", NEW, "overlay", 0, "lowerdir=" LOWER ",upperdir=" SPACE "/upper,workdir=" SPACE "/work") <
	    0)
		return failed(r, "--root: mount of overlay", errno == ENODEV ? " (not in this kernel)" : "");
	return 0;
}

/* Make the share or disk the root directory. */
static int enter_root(const struct instructions *in, struct run_result *r)
{
	static const char *const kept[] = { "/proc", "/sys", "/dev" };
	static const char *const empty[] = { "/run", "/tmp" };
	/* A disk keeps its own /tmp. What a share of the host has there belongs to processes of the host. */
	unsigned empties = in->disk ? 1 : 2;
	char to[64];

	if (mount_root(in, r) < 0)
		return -1;
	for (unsigned i = 0; i < sizeof(kept) / sizeof(kept[0]); i++) {
		snprintf(to, sizeof(to), NEW "%s", kept[i]);
		if (mount_at(kept[i], to, NULL, MS_MOVE, NULL) < 0)
			return failed(r, "--root: move of /proc, /sys, /dev", "");
	}
	for (unsigned i = 0; i < empties; i++) {
		snprintf(to, sizeof(to), NEW "%s", empty[i]);
		if (mount_at("none", to, "tmpfs", MS_NOSUID | MS_NODEV, i ? "mode=1777" : "mode=755") < 0)
			return failed(r, "--root: mount of /run and /tmp", "");
	}
	if (chdir(NEW) < 0 || mount(".", "/", NULL, MS_MOVE, NULL) < 0 || chroot(".") < 0 || chdir("/") < 0)
		return failed(r, "--root: change of the root directory", "");
	return 0;
}

int mount_roots(const struct instructions *in, struct run_result *r)
{
	if ((in->root || in->disk) && enter_root(in, r) < 0)
		return -1;
	if (in->in && mount_at(RUN_IN_TAG, "/in", "virtiofs", MS_RDONLY, NULL) < 0)
		return failed(r, "--in: mount of virtiofs", errno == ENODEV ? " (not in this kernel)" : "");
	if (in->out && mount_at(RUN_OUT_TAG, "/out", "virtiofs", MS_NOSUID | MS_NODEV, NULL) < 0)
		return failed(r, "--out: mount of virtiofs", errno == ENODEV ? " (not in this kernel)" : "");
	return 0;
}

/* How long processes of the command may take to end, in steps of 10 ms. */
#define END_STEPS 500

void leave_disk(const struct instructions *in)
{
	const struct timespec step = { .tv_nsec = 10000000 };

	if (in->disk != RUN_DISK_WRITABLE)
		return;
	kill(-1, SIGKILL);
	for (unsigned i = 0; i < END_STEPS; i++) {
		pid_t pid = waitpid(-1, NULL, WNOHANG);

		if (pid < 0 && errno == ECHILD)
			break;
		if (pid == 0)
			nanosleep(&step, NULL);
	}
	sync();
	if (mount(NULL, "/", NULL, MS_REMOUNT | MS_RDONLY, NULL) < 0)
		say("cannot mount the root disk read-only before power-off", "", errno);
}
