/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The main program of a *stand-alone* back-end: netd, blkd or fsd started by a user for
 * another front-end (QEMU), without our supervisor. Handles the socket, the descriptor
 * table and signals, and starts one process for each connection. The first process opens
 * the device; it never reads a byte from a front-end and never maps guest memory. The
 * process of a connection has no capability, cannot gain one, and has the resource limits
 * of a role.
 */
#ifndef COMMON_STANDALONE_H
#define COMMON_STANDALONE_H

#include "common/util.h"

struct standalone {
	const char *socket_path; /* Listen on this path; NULL: use @fd */
	int fd;			 /* A connected or a listening stream socket, moved out of the table */
	int first, last;	 /* Range of the device's descriptors in the table (common/fdtab.h) */
	void *device;		 /* Argument of the functions below */

	/*
	 * The functions below run in the process of each connection, in this order. On an
	 * error of the host they call die().
	 */

	/* Open files for this connection, with the privileges of the first process. May be NULL. */
	void (*open)(void *device);
	/*
	 * Prepare without privileges, but before resource limits are set. If it creates an
	 * io_uring, it registers the socket HFD_CTL with it: the next connection waits until
	 * that socket is closed, and so until all I/O of this one has finished. May be NULL.
	 */
	void (*make)(void *device);
	/* Limit of open files, RLIMIT_NOFILE; 0: HFD_LIMIT. */
	unsigned files;
	/* Size limit for files, RLIMIT_FSIZE, in bytes. */
	uint64_t file_bytes;
	/* Install the seccomp filter and serve the front-end at HFD_FRONT. Returns the exit status. */
	int (*serve)(void *device);
};

/*
 * Move @fd, which the user passed as --@option=@fd, out of the table. Returns its new
 * number. If @fd is not open, it logs that and exits with status 1.
 */
int standalone_move_out(int fd, const char *option);
/* Move @fd to @number in the table. On an error it logs the reason and exits with status 1. */
void standalone_place(int fd, int number);

/*
 * If the socket listens, serve one front-end after another until SIGTERM, SIGINT or
 * SIGHUP; if it is connected, serve that front-end. Closes every descriptor except standard
 * error, the socket and the device's. Returns the exit status: that of the process of a
 * connected front-end, otherwise 0; 1 if I/O of a killed process did not finish in time.
 */
int standalone_serve(const struct standalone *s);

#endif
