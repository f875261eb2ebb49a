/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Stand-alone fsd: opens the directory; common/standalone.h serves the front-ends. Runs before confinement; never
 * reads data from a front-end.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "common/closefds.h"
#include "common/log.h"
#include "common/share.h"
#include "common/shm.h"
#include "common/standalone.h"
#include "fsd/standalone.h"

/* A read-only clone where we may make one; otherwise the directory itself, which Landlock keeps from being written. */
static int open_read_only(const char *path)
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

/*
 * What the guest makes belongs to the owner of the directory, also if root started us: the processes of connections are
 * root's then, without its capabilities, so the clone shows the owner as root. Returns a user namespace for the clone,
 * or -1 if none is needed.
 */
static int map_owner(const char *path, struct fs_config *c)
{
	struct stat st;
	int userns;

	if (stat(path, &st) < 0)
		die("--shared-dir=%s: cannot open it: %m", path);
	if (!S_ISDIR(st.st_mode))
		die("--shared-dir=%s: this is not a directory", path);
	c->uid = geteuid();
	c->gid = getegid();
	if (c->uid != 0) {
		if (access(path, W_OK | X_OK) < 0)
			die("--shared-dir=%s: you may not write there: %m", path);
		return -1;
	}
	if ((st.st_mode & 0300) != 0300)
		die("--shared-dir=%s: its owner may not write there (chmod u+wx)", path);
	if (st.st_uid == c->uid)
		return -1;
	c->owner = st.st_uid;
	c->group = st.st_gid;
	c->mapped = true;
	userns = share_owner_namespace(c->owner, c->group, c->uid, c->gid);
	if (userns < 0)
		die("--shared-dir=%s: it belongs to user %u, who cannot be mapped to root: a user namespace cannot be made: "
		    "%m; start this program as that user",
		    path, c->owner);
	return userns;
}

/* A writable clone of one mount: an ordinary user's needs a user namespace. */
static int open_writable(const char *path, struct fs_config *c)
{
	int userns = map_owner(path, c), clone;
	struct statvfs v;

	if (statvfs(path, &v) == 0 && v.f_flag & ST_RDONLY)
		die("--shared-dir=%s: its file system is mounted read-only", path);
	clone = c->uid == 0 ? share_clone_writable(path, userns) : share_clone_as_user(path);
	if (clone < 0 && errno == EINVAL && c->mapped)
		die("--shared-dir=%s: it belongs to user %u, and its file system cannot map that user to root (no ID-mapped "
		    "mounts); start this program as that user",
		    path, c->owner);
	if (clone < 0 && c->uid == 0)
		die("--shared-dir=%s: cannot make a writable view of it, which needs Linux 5.12: %m", path);
	if (clone < 0)
		die("--shared-dir=%s: cannot make a writable view of it, which needs Linux 5.12, user namespaces for "
		    "ordinary users, and no other mount below it: %m",
		    path);
	if (userns >= 0)
		close(userns);
	return clone;
}

/*
 * The count of what guests have added. All connections share it, so that a front-end that connects again gets no second
 * share of --max.
 */
static void make_count(void)
{
	bool sealed;
	int fd = shm_create_named("share", (uint64_t)sysconf(_SC_PAGESIZE), &sealed);

	if (fd < 0)
		die("cannot make memory for the count of what the guest has added: %m");
	standalone_place(fd, HFD_ADDED);
	/* The numbers in between are in the range that standalone_serve() keeps. */
	close_fds(HFD_ROOT + 1, HFD_ADDED - 1, HFD_ADDED);
}

/* In the process of each connection, before it is confined. */
static void begin_connection(void *device)
{
	const struct role_config *role = device;

	/* With SIGXFSZ ignored, a write beyond a lower RLIMIT_FSIZE of the user's is an error instead of a crash. */
	(void)signal(SIGXFSZ, SIG_IGN);
	/* Files in a share have the mode that the guest gives them. */
	if (role->fs.read_write)
		umask(0);
}

/* The hard limit of open files, which a user may not raise, bounds the number of descriptors that are kept open. */
static void check_limit(struct fs_config *c)
{
	struct rlimit l;

	if (getrlimit(RLIMIT_NOFILE, &l) < 0)
		die("cannot read the limit of open files: %m");
	c->open = fs_open_files(c->inodes, l.rlim_max);
	if (!c->open)
		die("the hard limit of open files is %llu; at least %llu are needed (ulimit -Hn)",
		    (unsigned long long)l.rlim_max, (unsigned long long)fs_descriptors(FSD_MIN_OPEN));
}

int fsd_standalone(const struct fsd_options *o, struct role_config *role, void (*make)(void *device),
		   int (*serve)(void *device))
{
	struct standalone s = {
		.socket_path = o->socket_path,
		.fd = o->fd,
		.first = HFD_ROOT,
		.last = o->fs.read_write ? HFD_ADDED : HFD_ROOT,
		.device = role,
		.open = begin_connection,
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
	s.file_bytes = role->fs.max;
	standalone_place(role->fs.read_write ? open_writable(o->directory, &role->fs) : open_read_only(o->directory),
			 HFD_ROOT);
	if (role->fs.read_write)
		make_count();
	check_limit(&role->fs);
	s.files = (unsigned)fs_descriptors(role->fs.open);
	return standalone_serve(&s);
}
