/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Makes the guest's cgroup in the privileged window: see limits.h. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/fmt.h"
#include "common/log.h"
#include "parent/options/util.h"
#include "parent/setup/cgroup.h"
#include "parent/setup/cleaner.h"
#include "parent/setup/limits.h"

/* Length of the period of --cpus, in microseconds. */
#define PERIOD_US 100000
/* How long the supervisor waits for the cleaner, in ms: longer than the cleaner tries while the supervisor runs. */
#define CLEAN_MS 10000

static const char *first_option(const struct limit_option *o)
{
	return o->memory ? "--memory-max" : o->cpus ? "--cpus" : o->pids ? "--pids-max" : "--cgroup-parent";
}

static unsigned controllers(const struct limit_option *o)
{
	return (o->memory ? CG_MEMORY : 0) | (o->cpus ? CG_CPU : 0) | (o->pids ? CG_PIDS : 0);
}

/* Make a directory with a name of its own in @p. Returns its descriptor, or -1 with errno set. */
static int make_group(const struct cgroup_place *p, char *name, size_t size)
{
	for (unsigned i = 0; i < 100; i++) {
		/* A process of another PID namespace, or one whose cleaner was killed, may have taken the name. */
		fmt_line(name, size, i ? "lguest-sep-%d-%u" : "lguest-sep-%d", (int)getpid(), i);
		if (mkdirat(p->dir, name, 0755) == 0)
			return openat(p->dir, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (errno != EEXIST)
			break;
	}
	return -1;
}

/* Set one limit. Returns 0, or -1 with the reason in @why. */
static int set(int group, const char *file, const char *value, char *why, size_t size)
{
	if (cgroup_write(group, file, value) == 0)
		return 0;
	fmt_line(why, size, "cannot write %s to %s of the guest's cgroup: %m", value, file);
	return -1;
}

static int set_all(const struct limit_option *o, int group, char *why, size_t size)
{
	char text[48];

	if (o->memory) {
		fmt_line(text, sizeof(text), "%llu", (unsigned long long)o->memory);
		if (set(group, "memory.max", text, why, size) < 0)
			return -1;
		/* Missing on hosts without swap, or before Linux 4.19: then processes are killed one by one. */
		(void)cgroup_write(group, "memory.swap.max", "0");
		(void)cgroup_write(group, "memory.oom.group", "1");
	}
	if (o->cpus) {
		fmt_line(text, sizeof(text), "%llu %u", (unsigned long long)o->cpus * (PERIOD_US / 1000), PERIOD_US);
		if (set(group, "cpu.max", text, why, size) < 0)
			return -1;
	}
	fmt_line(text, sizeof(text), "%u", o->pids);
	return o->pids ? set(group, "pids.max", text, why, size) : 0;
}

/* Open what the supervisor reads later; a file that this kernel does not have is left out. */
static void open_counters(struct limits_host *l, int group)
{
	for (unsigned i = 0; i < ARRAY_SIZE(l->events); i++)
		l->events[i] = openat(group, "memory.events", O_RDONLY | O_CLOEXEC);
	l->peak = openat(group, "memory.peak", O_RDONLY | O_CLOEXEC);
	l->refused = openat(group, "pids.events", O_RDONLY | O_CLOEXEC);
}

static int make(struct host *h, struct cgroup_place *p, char *why, size_t size)
{
	struct limits_host *l = &h->limits;
	char name[48] = "";
	int group = make_group(p, name, sizeof(name));

	if (group < 0) {
		fmt_line(why, size, "cannot make a cgroup in %s: %m; name another one with --cgroup-parent=DIR",
			 p->path);
		*name = '\0';
	}
	/* From here on the cleaner removes everything, whatever fails. */
	if (cleaner_start(h, p, name, group) < 0) {
		fmt_line(why, size, "cannot start the process that removes the guest's cgroup: %s",
			 errno == ECHILD ? "this host refused its confinement" : strerror(errno));
		if (*name)
			(void)unlinkat(p->dir, name, AT_REMOVEDIR);
		cgroup_move_back(p);
	} else if (group >= 0 && set_all(&h->c->limit, group, why, size) == 0) {
		l->procs = openat(group, "cgroup.procs", O_WRONLY | O_CLOEXEC);
		if (l->procs < 0)
			fmt_line(why, size, "cannot open cgroup.procs of the guest's cgroup: %m");
		else
			open_counters(l, group);
	}
	fmt_line(l->path, sizeof(l->path), "%s/%s", p->path, name);
	if (group >= 0)
		close(group);
	return l->procs < 0 ? -1 : 0;
}

int limits_open(struct host *h)
{
	const struct limit_option *o = &h->c->limit;
	struct cgroup_place p;
	char why[CGROUP_PATH_MAX + 512] = "";
	int result;

	if (!controllers(o) && !o->parent)
		return 0;
	result = cgroup_find(o, controllers(o), h->c->detach, &p, why, sizeof(why));
	if (result == 0)
		result = make(h, &p, why, sizeof(why));
	if (p.dir >= 0)
		close(p.dir);
	if (result == 0) {
		if (h->c->verbose)
			complain(0, "the guest's cgroup is %s", h->limits.path);
		return 0;
	}
	if (h->c->strict)
		return complain(-1, "%s: %s (--strict: not started)", first_option(o), why);
	return complain(0, "%s: %s; starting without limits", first_option(o), why);
}

int limits_add(const struct host *h, pid_t pid)
{
	char text[16];
	size_t n = fmt_line(text, sizeof(text), "%d", (int)pid);

	if (h->limits.procs < 0 || write(h->limits.procs, text, n) == (ssize_t)n)
		return 0;
	return complain(-1, "%s: cannot move a process into the cgroup %s: %m", first_option(&h->c->limit),
			h->limits.path);
}

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

void limits_close(struct host *h)
{
	struct limits_host *l = &h->limits;
	const struct timespec step = { .tv_nsec = 1000000 }, patience = { .tv_sec = 2 };
	struct pollfd err = { .fd = STDERR_FILENO, .events = POLLOUT };
	uint64_t limit = now_ms() + CLEAN_MS;
	int status = 0;
	pid_t got = 0;

	close_fd(&l->procs);
	close_fd(&l->peak);
	close_fd(&l->refused);
	for (unsigned i = 0; i < ARRAY_SIZE(l->events); i++)
		close_fd(&l->events[i]);
	if (l->cleaner <= 0)
		return;
	close_fd(&l->alive);
	while ((got = waitpid(l->cleaner, &status, WNOHANG)) == 0 && now_ms() < limit)
		(void)ppoll(NULL, 0, &step, NULL);
	/* complain() makes a call that the supervisor's filter forbids. */
	if ((got != l->cleaner || status) && ppoll(&err, 1, &patience, NULL) > 0)
		log_line(LOG_WARN,
			 "the guest's cgroup %s is still there; remove it with rmdir when its processes have ended",
			 l->path);
	l->cleaner = 0;
}
