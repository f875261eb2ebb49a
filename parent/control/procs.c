/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Reads a guest's processes from /proc: see procs.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "parent/control/procs.h"

/* Most children that are read of one process: a supervisor has one for each role. */
#define MAX_CHILDREN 64

struct stat_line {
	pid_t ppid;
	uint64_t ticks; /* utime, stime, cutime, cstime */
	uint64_t rss_pages;
};

/* proc(5): field 4 ppid, 14 to 17 times, 24 resident pages. */
static bool read_stat(pid_t pid, struct stat_line *s)
{
	char path[64], line[1024], *p;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	f = fopen(path, "re");
	if (!f)
		return false;
	p = fgets(line, sizeof(line), f) ? strrchr(line, ')') : NULL;
	fclose(f);
	memset(s, 0, sizeof(*s));
	for (unsigned field = 3; p && field <= 24; field++) {
		p = strchr(p + 1, ' ');
		if (!p)
			return false;
		if (field == 4)
			s->ppid = (pid_t)strtol(p, NULL, 10);
		else if (field >= 14 && field <= 17)
			s->ticks += strtoull(p, NULL, 10);
		else if (field == 24)
			s->rss_pages = strtoull(p, NULL, 10);
	}
	return p != NULL;
}

static unsigned children_of(pid_t pid, pid_t child[MAX_CHILDREN])
{
	char path[96], line[16 * MAX_CHILDREN], *p = line, *end;
	unsigned n = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int)pid, (int)pid);
	f = fopen(path, "re");
	if (!f)
		return 0;
	if (!fgets(line, sizeof(line), f))
		line[0] = '\0';
	fclose(f);
	while (n < MAX_CHILDREN) {
		long value = strtol(p, &end, 10);

		if (end == p || value <= 0)
			break;
		child[n++] = (pid_t)value;
		p = end;
	}
	return n;
}

static void add(struct proc_use *u, const struct stat_line *s)
{
	u->processes++;
	u->cpu_us += s->ticks * 1000000 / (uint64_t)sysconf(_SC_CLK_TCK);
	u->rss_bytes += s->rss_pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

bool procs_role(pid_t supervisor, pid_t spawner, struct proc_use *u)
{
	pid_t child[MAX_CHILDREN];
	struct stat_line s;
	unsigned n;

	memset(u, 0, sizeof(*u));
	if (supervisor <= 0 || spawner <= 0 || !read_stat(spawner, &s) || s.ppid != supervisor)
		return false;
	add(u, &s);
	n = children_of(spawner, child);
	for (unsigned i = 0; i < n; i++) {
		if (!read_stat(child[i], &s))
			continue;
		add(u, &s);
		u->pid = child[i];
	}
	return true;
}

bool procs_guest(pid_t supervisor, struct proc_use *u)
{
	pid_t child[MAX_CHILDREN];
	struct proc_use one;
	struct stat_line s;
	unsigned n;

	memset(u, 0, sizeof(*u));
	if (supervisor <= 0 || !read_stat(supervisor, &s))
		return false;
	u->pid = supervisor;
	add(u, &s);
	n = children_of(supervisor, child);
	for (unsigned i = 0; i < n; i++) {
		if (!procs_role(supervisor, child[i], &one))
			continue;
		u->processes += one.processes;
		u->cpu_us += one.cpu_us;
		u->rss_bytes += one.rss_bytes;
	}
	return true;
}
