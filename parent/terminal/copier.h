/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Processes that read and write files in our place. read(2) and write(2) on a file system with a server (FUSE, NFS) wait
 * for that server, and no signal ends that wait. A copier passes the bytes on through a pipe: for us, a server that does
 * not answer is then a reader that stopped reading, or a writer that writes nothing.
 */
#ifndef PARENT_TERMINAL_COPIER_H
#define PARENT_TERMINAL_COPIER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/*
 * Start a process that writes to @file what is written to the returned descriptor (non-blocking, owned by the caller);
 * with @replace, it removes the file's contents before the first byte. The process has nothing open but the file and the
 * pipe, and can only read, write and exit (policy/copier.policy). It goes on after our end until all bytes are written.
 * Call it after the privileged window and before our seccomp filter. @file stays open. Returns -1 with errno set if it
 * fails, for example ETIMEDOUT.
 */
int copier_output(int file, bool replace);
/* The same for input: returns a descriptor (non-blocking) to read the contents of @file from its present offset on. */
int copier_input(int file);
/*
 * As write(2). If @fd leads to a copier that has ended because it could not write to its file, errno is the reason of
 * that, not EPIPE. For other descriptors this is write(2).
 */
ssize_t copier_write(int fd, const void *buf, size_t n);
/* Returns the errno value with which the copier behind @fd could not write to its file; 0: none, or no copier. */
int copier_error(int fd);
/* Returns how many bytes that were written to @fd are not in the file yet; 0 if there is no copier behind @fd. */
uint64_t copier_left(int fd);
/* The bytes of copier_left(@fd) were reported as lost: from now on they do not count. */
void copier_forget(int fd);
/* Returns the process ID of the copier behind @fd; 0: there is none. */
pid_t copier_pid(int fd);

#endif
