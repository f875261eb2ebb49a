/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Finds a cgroup (version 2) below which a guest's own can be made. */
#ifndef PARENT_SETUP_CGROUP_H
#define PARENT_SETUP_CGROUP_H

#include "parent/options/config.h"

#define CGROUP_PATH_MAX 1024

/* Controllers, as bits. */
enum { CG_MEMORY = 1, CG_CPU = 2, CG_PIDS = 4, CG_ALL = 7 };

struct cgroup_place {
	int dir; /* The directory; -1: none. */
	char path[CGROUP_PATH_MAX];
	char own[32]; /* A cgroup in it that we made and moved ourselves to, so that @dir has no processes; "": none. */
	unsigned enabled; /* Controllers that we enabled in it because of that. */
	pid_t launcher;	  /* With --detach, the process that waits for the start and moved with us; 0: none. */
};

/* Write the names of @controllers to @text (@size bytes), each after @sign: "+memory +cpu". Returns @text. */
const char *cgroup_names(unsigned controllers, const char *sign, char *text, size_t size);

/* Open @name in @dir, and read it whole to @text (@size bytes) or write @value. Return 0, or -1 with errno set. */
int cgroup_read(int dir, const char *name, char *text, size_t size);
int cgroup_write(int dir, const char *name, const char *value);

/*
 * Find the directory of the cgroup that a process is in, from the texts of its /proc/PID/cgroup and mountinfo. Writes it
 * to @path, and the directory where that hierarchy is mounted to @top (CGROUP_PATH_MAX bytes each). Returns 0, or -1 if
 * there is no version 2 or its mount does not show that cgroup.
 */
int cgroup_own_path(const char *cgroup, const char *mountinfo, char *path, char *top);

/* Undo what cgroup_find() did if no cleaner will: return ourselves to the cgroup of the start, and remove p->own. */
void cgroup_move_back(struct cgroup_place *p);
/*
 * Find the place for the guest's cgroup: @o->parent; or the cgroup that we are in, if it has no other process; or the
 * nearest one above it, if those below it have no limits. Enables @controllers there. Returns 0, or -1 with the reason
 * and an advice in @why (@size bytes). The caller owns @p->dir.
 */
int cgroup_find(const struct limit_option *o, unsigned controllers, bool detached, struct cgroup_place *p, char *why,
		size_t size);

#endif
