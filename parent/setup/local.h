/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Finds out, without asking any server, that no access to a file can wait for one (FUSE, NFS). */
#ifndef PARENT_SETUP_LOCAL_H
#define PARENT_SETUP_LOCAL_H

#include <stdbool.h>

/*
 * True if @fd is a pipe, a socket, or a file on a file system that is in memory or on a block
 * device. False also if that cannot be found out, as on hosts before Linux 6.8: the caller
 * then takes the way for files whose server may be dead.
 */
bool file_is_local(int fd);

/* The same for @path; false if the kernel would have to look up any part of it outside its cache. */
bool path_is_local(const char *path);

#endif
