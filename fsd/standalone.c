/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Stand-alone fsd: opens the directory; common/standalone.h serves the front-ends. Runs before confinement; never
 * reads data from a front-end.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "common/log.h"
#include "common/share.h"
#include "common/standalone.h"
#include "fsd/standalone.h"

/* A read-only clone where we may make one; otherwise the directory itself, which Landlock keeps from being written. */
static int open_directory(const char *path)
{
	int plain = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC), clone;

	if (plain < 0)
		die("--shared-dir=%s: cannot open it: %m", path);
	clone = geteuid() == 0 ? share_clone(path) : -1;
	if (clone < 0 && geteuid() == 0)
		log_line(LOG_WARN,
			 "--shared-dir=%s: cannot make a read-only clone of its mounts: %m; only Landlock and the "
			 "seccomp filter keep it from being written",
			 path);
	if (clone < 0)
		return plain;
	close(plain);
	return clone;
}

/* The hard limit of open files, which a user may not raise, bounds the number of files. */
static void check_limit(struct fs_config *c)
{
	struct rlimit l;
	uint64_t need = fs_descriptors(c->inodes);

	if (getrlimit(RLIMIT_NOFILE, &l) < 0)
		die("cannot read the limit of open files: %m");
	if (l.rlim_max >= need)
		return;
	if (l.rlim_max < fs_descriptors(FSD_MIN_INODES))
		die("the hard limit of open files is %llu; at least %llu are needed (ulimit -Hn)",
		    (unsigned long long)l.rlim_max, (unsigned long long)fs_descriptors(FSD_MIN_INODES));
	c->inodes -= (uint32_t)(need - l.rlim_max);
	log_line(LOG_WARN,
		 "the hard limit of open files is %llu, so a guest can hold only %u files at a time (ulimit -Hn)",
		 (unsigned long long)l.rlim_max, c->inodes);
}

int fsd_standalone(const struct fsd_options *o, struct role_config *role, void (*make)(void *device),
		   int (*serve)(void *device))
{
	struct standalone s = {
		.socket_path = o->socket_path,
		.fd = o->fd,
		.first = HFD_ROOT,
		.last = HFD_ROOT,
		.device = role,
		.make = make,
		.serve = serve,
	};

	/* Move an inherited descriptor away before others are opened at the table's numbers. */
	if (o->fd >= 0)
		s.fd = standalone_move_out(o->fd, "fd");
	role->fs = o->fs;
	role->poll_us = o->poll_us;
	role->mem_unsealed = o->allow_unsealed;
	memcpy(role->name, "fs", sizeof("fs"));
	check_limit(&role->fs);
	s.files = (unsigned)fs_descriptors(role->fs.inodes);
	standalone_place(open_directory(o->directory), HFD_ROOT);
	return standalone_serve(&s);
}
