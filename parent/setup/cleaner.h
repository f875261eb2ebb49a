/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The process that removes the guest's cgroup after the end, however the supervisor ends. */
#ifndef PARENT_SETUP_CLEANER_H
#define PARENT_SETUP_CLEANER_H

#include "parent/setup/cgroup.h"
#include "parent/setup/setup.h"

/*
 * Start the cleaner in the privileged window. It has no capability, runs as the owner of the directory @p->dir, which
 * may remove a cgroup there (usually root), waits until the supervisor closes @h->limits.alive or ends, and then removes
 * the cgroup @name ("": none), after killing what is left in it, and undoes what cgroup_find() did. @group: the
 * cgroup's directory. Its filter (policy/cleaner.policy) allows eight calls; no byte of a guest or role reaches it.
 * Returns 0, or -1 with errno set.
 */
int cleaner_start(struct host *h, const struct cgroup_place *p, const char *name, int group);

#endif
