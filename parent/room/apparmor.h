/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The AppArmor profiles of a guest's processes (contrib/apparmor/). */
#ifndef PARENT_ROOM_APPARMOR_H
#define PARENT_ROOM_APPARMOR_H

#include "parent/room/spawn.h"

/* Where the calling process finds its own AppArmor files, below attr/. */
#define APPARMOR_SELF "/proc/self"

#define APPARMOR_FAILED \
	"cannot change to its AppArmor profile; load all profiles again (apparmor_parser -r /etc/apparmor.d/*.lguest-sep)"

/* Returns the name of the profile for the spawner and the role of @r. */
const char *apparmor_profile(const struct room *r);
/*
 * Change to the profile @profile: at the next exec if @at_exec, otherwise now. Does nothing unless this process has the
 * profile "lguest-sep", which AppArmor attaches to the installed program. @self is APPARMOR_SELF, or a directory of a
 * test. Returns 1 if the change was made, 0 if nothing is to be done, or -1 with errno set (ENOENT: not loaded).
 */
int apparmor_change(const char *self, const char *profile, bool at_exec);

#endif
