/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Finds a place for the guest's cgroup: see cgroup.h. Runs in the privileged window. A
 * cgroup with processes cannot enable controllers for its children, except for the root, and
 * a limit that somebody has set for the cgroup that we are in must also hold for the guest.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "common/fmt.h"
#include "parent/setup/cgroup.h"

#define MAGIC_CGROUP2 0x63677270
#define TEXT_MAX      4096
#define ADVICE                                                                                                 \
	"start lguest-sep with systemd-run --scope -p Delegate=yes (systemd-run --user as an ordinary user), " \
	"or name a cgroup without processes with --cgroup-parent=DIR"

static const struct {
	unsigned bit;
	const char *name;
} controller[] = { { CG_MEMORY, "memory" }, { CG_CPU, "cpu" }, { CG_PIDS, "pids" } };

const char *cgroup_names(unsigned controllers, const char *sign, char *text, size_t size)
{
	size_t n = 0;

	*text = '\0';
	for (unsigned i = 0; i < ARRAY_SIZE(controller); i++)
		if (controllers & controller[i].bit)
			n += fmt_line(text + n, size - n, "%s%s%s", n ? " " : "", sign, controller[i].name);
	return text;
}

int cgroup_read(int dir, const char *name, char *text, size_t size)
{
	int fd = openat(dir, name, O_RDONLY | O_CLOEXEC), e;
	size_t len = 0;
	ssize_t n;

	*text = '\0';
	if (fd < 0)
		return -1;
	while ((n = read(fd, text + len, size - 1 - len)) > 0)
		len += (size_t)n;
	e = errno;
	close(fd);
	text[len] = '\0';
	errno = e;
	return n < 0 ? -1 : 0;
}

int cgroup_write(int dir, const char *name, const char *value)
{
	int fd = openat(dir, name, O_WRONLY | O_CLOEXEC), e;
	ssize_t n;

	if (fd < 0)
		return -1;
	n = write(fd, value, strlen(value));
	e = errno;
	close(fd);
	errno = e;
	return n < 0 ? -1 : 0;
}

/* The controllers that the file @name of @dir lists. */
static unsigned listed(int dir, const char *name)
{
	char text[TEXT_MAX], *word, *save = NULL;
	unsigned found = 0;

	if (cgroup_read(dir, name, text, sizeof(text)) < 0)
		return 0;
	for (word = strtok_r(text, " \n", &save); word; word = strtok_r(NULL, " \n", &save))
		for (unsigned i = 0; i < ARRAY_SIZE(controller); i++)
			if (!strcmp(word, controller[i].name))
				found |= controller[i].bit;
	return found;
}

int cgroup_own_path(const char *cgroup, const char *mountinfo, char *path, char *top)
{
	const char *own = !strncmp(cgroup, "0::/", 4) ? cgroup + 3 : strstr(cgroup, "\n0::/"), *line, *next;
	int len, best = -1;

	if (!own)
		return -1;
	own += *own == '\n' ? 4 : 0;
	len = (int)strcspn(own, "\n");
	for (line = mountinfo; line && *line; line = next ? next + 1 : NULL) {
		char root[CGROUP_PATH_MAX], at[CGROUP_PATH_MAX];
		const char *type = strstr(line, " - cgroup2 ");
		int n;

		next = strchr(line, '\n');
		if (!type || (next && type > next) || sscanf(line, "%*s %*s %*s %1023s %1023s", root, at) != 2)
			continue;
		n = strcmp(root, "/") ? (int)strlen(root) : 0;
		/* The mount whose root is nearest shows most of the path; of several, take the first. */
		if (n <= best || n > len || strncmp(own, root, (size_t)n) != 0 || (own[n] != '/' && n != len) ||
		    strchr(at, '\\'))
			continue;
		best = n;
		fmt_line(top, CGROUP_PATH_MAX, "%s", at);
		fmt_line(path, CGROUP_PATH_MAX, "%s%.*s", at, len - n > 1 ? len - n : 0, own + n);
	}
	return best < 0 ? -1 : 0;
}

static bool has_limits(int dir)
{
	/* Files that have "max", or nothing in them, if there is no limit. */
	static const char *const file[] = { "memory.max",  "memory.high", "memory.swap.max", "cpu.max",
					    "cpuset.cpus", "cpuset.mems", "pids.max",	     "io.max" };
	char text[TEXT_MAX];

	for (unsigned i = 0; i < ARRAY_SIZE(file); i++)
		if (cgroup_read(dir, file[i], text, sizeof(text)) == 0 && *text && *text != '\n' &&
		    strncmp(text, "max", 3) != 0)
			return true;
	return false;
}

/*
 * True if the only processes in @dir are this one and, with --detach, its parent, which waits for the start. Writes the
 * parent's process ID to *@launcher if it is there, otherwise 0.
 */
static bool only_we(int dir, bool detached, pid_t *launcher)
{
	char text[TEXT_MAX], *word, *save = NULL;
	pid_t parent = detached ? getppid() : 0;

	*launcher = 0;
	if (cgroup_read(dir, "cgroup.procs", text, sizeof(text)) < 0)
		return false;
	for (word = strtok_r(text, "\n", &save); word; word = strtok_r(NULL, "\n", &save)) {
		long pid = strtol(word, NULL, 10);

		if (pid == parent && parent > 1)
			*launcher = parent;
		else if (pid != getpid())
			return false;
	}
	return true;
}

/*
 * Enable @controllers for the children of @dir. Returns 0, or -1 with errno set; EBUSY if it has processes and is not
 * the root. The kernel itself refuses that only for some controllers, and then no process can enter the children.
 */
static int enable(int dir, unsigned controllers)
{
	char text[TEXT_MAX];

	controllers &= ~listed(dir, "cgroup.subtree_control");
	if (faccessat(dir, "cgroup.type", F_OK, 0) == 0 && cgroup_read(dir, "cgroup.procs", text, sizeof(text)) == 0 &&
	    *text) {
		errno = EBUSY;
		return -1;
	}
	return controllers
		       ? cgroup_write(dir, "cgroup.subtree_control", cgroup_names(controllers, "+", text, sizeof(text)))
		       : 0;
}

/* Make a cgroup for ourselves in p->dir. A cleaner that was killed may have left one of that name. */
static int make_own(struct cgroup_place *p)
{
	for (unsigned i = 0; i < 100; i++) {
		fmt_line(p->own, sizeof(p->own), i ? "lguest-sep-%d-own-%u" : "lguest-sep-%d-own", (int)getpid(), i);
		if (mkdirat(p->dir, p->own, 0755) == 0)
			return 0;
		if (errno != EEXIST)
			break;
	}
	p->own[0] = '\0';
	return -1;
}

void cgroup_move_back(struct cgroup_place *p)
{
	char text[64];

	if (!p->own[0])
		return;
	(void)cgroup_write(p->dir, "cgroup.subtree_control", cgroup_names(p->enabled, "-", text, sizeof(text)));
	fmt_line(text, sizeof(text), "%d", (int)p->launcher);
	if (p->launcher)
		(void)cgroup_write(p->dir, "cgroup.procs", text);
	(void)cgroup_write(p->dir, "cgroup.procs", "0");
	(void)unlinkat(p->dir, p->own, AT_REMOVEDIR);
	p->own[0] = '\0';
}

/*
 * Move this process, and p->launcher if that is not 0, from p->dir to a new cgroup in it. Returns 0, or -1 with errno
 * set and everything as before.
 */
static int move_down(struct cgroup_place *p, unsigned controllers)
{
	char file[64], pid[16];
	unsigned before = listed(p->dir, "cgroup.subtree_control");
	int e;

	if (make_own(p) < 0)
		return -1;
	fmt_line(file, sizeof(file), "%s/cgroup.procs", p->own);
	fmt_line(pid, sizeof(pid), "%d", (int)p->launcher);
	if ((!p->launcher || cgroup_write(p->dir, file, pid) == 0) && cgroup_write(p->dir, file, "0") == 0 &&
	    enable(p->dir, controllers) == 0) {
		p->enabled = controllers & ~before;
		return 0;
	}
	e = errno;
	cgroup_move_back(p);
	errno = e;
	return -1;
}

static int open_place(struct cgroup_place *p)
{
	struct statfs f;

	if (p->dir >= 0)
		close(p->dir);
	p->dir = open(p->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (p->dir < 0)
		return -1;
	if (fstatfs(p->dir, &f) == 0 && (uint32_t)f.f_type == MAGIC_CGROUP2)
		return 0;
	errno = ENOTSUP;
	return -1;
}

static int fail(char *why, size_t size, const struct cgroup_place *p)
{
	if (errno == ENOTSUP)
		fmt_line(why, size, "%s is not in a cgroup version 2 hierarchy", p->path);
	else if (errno == EBUSY)
		fmt_line(why, size, "the cgroup %s contains processes; " ADVICE, p->path);
	else
		fmt_line(why, size, "cgroup %s: %m; " ADVICE, p->path);
	return -1;
}

/* Check that @p has the controllers at all. Returns 0, or -1 with the reason in @why. */
static int check_controllers(const struct cgroup_place *p, unsigned controllers, char *why, size_t size)
{
	char text[64];
	unsigned lacks = controllers & ~listed(p->dir, "cgroup.controllers");

	if (!lacks)
		return 0;
	cgroup_names(lacks, "", text, sizeof(text));
	/* Only the root has no type. */
	if (faccessat(p->dir, "cgroup.type", F_OK, 0) < 0)
		fmt_line(
			why, size,
			"cgroup version 2 of this host does not have the controllers %s; version 1 may use them (boot with "
			"cgroup_no_v1=all, or systemd.unified_cgroup_hierarchy=1)",
			text);
	else
		fmt_line(why, size, "the cgroup %s does not have the controllers %s; " ADVICE, p->path, text);
	return -1;
}

static int find_named(const char *parent, unsigned controllers, struct cgroup_place *p, char *why, size_t size)
{
	fmt_line(p->path, sizeof(p->path), "%s", parent);
	if (open_place(p) < 0)
		return fail(why, size, p);
	if (check_controllers(p, controllers, why, size) < 0)
		return -1;
	return enable(p->dir, controllers) < 0 ? fail(why, size, p) : 0;
}

static int find_near(unsigned controllers, bool detached, struct cgroup_place *p, const char *top, char *why,
		     size_t size)
{
	for (bool first = true;; first = false) {
		char *slash;
		bool have;

		if (open_place(p) < 0)
			return fail(why, size, p);
		have = (controllers & ~listed(p->dir, "cgroup.controllers")) == 0;
		/* Succeeds in the root, and in a cgroup without processes. */
		if (have && enable(p->dir, controllers) == 0)
			return 0;
		if (first && have && only_we(p->dir, detached, &p->launcher))
			return move_down(p, controllers) < 0 ? fail(why, size, p) : 0;
		if (has_limits(p->dir)) {
			fmt_line(why, size, "the cgroup %s contains other processes and has limits; " ADVICE, p->path);
			return -1;
		}
		slash = strrchr(p->path, '/');
		if (strlen(p->path) <= strlen(top) || !slash) {
			errno = EBUSY;
			return check_controllers(p, controllers, why, size) < 0 ? -1 : fail(why, size, p);
		}
		*slash = '\0';
	}
}

int cgroup_find(const struct limit_option *o, unsigned controllers, bool detached, struct cgroup_place *p, char *why,
		size_t size)
{
	static char cgroup[TEXT_MAX], mounts[1 << 17];
	char top[CGROUP_PATH_MAX];

	*p = (struct cgroup_place){ .dir = -1 };
	if (o->parent)
		return find_named(o->parent, controllers, p, why, size);
	if (cgroup_read(AT_FDCWD, "/proc/self/cgroup", cgroup, sizeof(cgroup)) < 0 ||
	    cgroup_read(AT_FDCWD, "/proc/self/mountinfo", mounts, sizeof(mounts)) < 0 ||
	    cgroup_own_path(cgroup, mounts, p->path, top) < 0) {
		fmt_line(
			why, size,
			"this host does not have cgroup version 2 mounted; mount it (mount -t cgroup2 none /sys/fs/cgroup), or "
			"name a cgroup with --cgroup-parent=DIR");
		return -1;
	}
	return find_near(controllers, detached, p, top, why, size);
}
