/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A process that closes, in our place, files whose close(2) may block. */
#ifndef PARENT_SETUP_KEEPER_H
#define PARENT_SETUP_KEEPER_H

#include "parent/setup/setup.h"

/* The files that the supervisor reads and writes: those of --port=, then these. */
enum output {
	OUTPUT_CONSOLE = MAX_PORTS,
	OUTPUT_RESULT,
	OUTPUT_IN, /* Standard input, the only one that is read. The next two have this order, too: */
	OUTPUT_OUT,
	OUTPUT_ERR,
	OUTPUT_COUNT
};

/*
 * True if the open file @fd lies on a file system with a server behind it, as far as its kind is known. Asks that
 * server: call it only after files_answer() has done the same. @fd may be an O_PATH descriptor.
 */
bool file_has_server(int fd);

/*
 * Find the files of @h that lie on a file system with a server behind it (FUSE, NFS, SMB, 9P, Ceph, AFS, Coda), or
 * of which that could not be found out in time: h->served gets a bit (1 << enum output) for each file that the
 * supervisor reads or writes. Returns true if there is any such file, also among those that the user named
 * for others: there close(2), also the one in exit(2), waits for the server, and no signal ends that wait.
 */
bool keeper_wanted(struct host *h);

/*
 * Start a child that shares the descriptor table of this process (CLONE_FILES) and does nothing until this process has
 * ended; then the child is killed and closes the files, because it is the last one to use the table. So our own exit
 * closes no file and cannot block. Call it in the Landlock domain of this process, if it has one, and before its
 * seccomp filter.
 *
 * The child can only read, write and exit (SECCOMP_MODE_STRICT). Returns 0, or -1 with errno set and without a child,
 * for example EINVAL if we already run under the seccomp filter of another program.
 */
int keeper_start(void);

#endif
