/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Finds the kernel modules that a guest needs, in the order of loading. */
#ifndef PARENT_RUN_MODULES_H
#define PARENT_RUN_MODULES_H

#include <limits.h>

#include "parent/options/config.h"

/* Largest modules.dep, and longest path in it, in bytes. */
#define MODULES_TEXT_MAX (4u << 20)
#define MODULE_PATH_MAX	 200

struct module_list {
	char dir[PATH_MAX];		       /* The directory of modules.dep; empty: none. */
	unsigned n;			       /* Number of modules. */
	const char *type;		       /* File system for which modules_add() adds; NULL: for all guests. */
	const char *for_type[RUN_MODULES_MAX]; /* File system that needs the module; NULL: all guests. */
	char path[RUN_MODULES_MAX][MODULE_PATH_MAX]; /* Paths relative to @dir, in the order of loading. */
};

/*
 * Fill @l with the modules for the devices of @c. The directory is --modules=, or is derived from the kernel's file
 * name, vmlinuz-VERSION, or from the version in a bzImage. If there is none, the drivers must be built into the
 * kernel. Returns 0, or -1 after logging the reason.
 */
int modules_find(const struct config *c, struct module_list *l);

/*
 * Add the module @name, after those that it needs, from the @len bytes of a modules.dep at @text. Returns 0, or -1 if
 * there are too many. Public for tests.
 */
int modules_add(struct module_list *l, const char *text, size_t len, const char *name);

#endif
