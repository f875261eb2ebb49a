/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Files of the user on file systems with a server: they are read and written by processes of their own (copier.h). */
#ifndef PARENT_SUPERVISE_COPIERS_H
#define PARENT_SUPERVISE_COPIERS_H

#include "parent/supervise/state.h"

/*
 * Start a copier for each file of s->h->served, and use its pipe from now on. Call it before the supervisor's seccomp
 * filter. If one cannot be started, a line says so and the file is used as it is.
 */
void sup_copiers_start(struct supervisor *s);
/*
 * No more output follows: wait for a limited time until the files of the console, the ports and --result= have all of
 * it. A line names each file that has not.
 */
void sup_copiers_end(struct supervisor *s);
/* The same for standard output and error, which have no place for a line then. The last call. */
void sup_copiers_last(struct supervisor *s);

#endif
