/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Reads a socket without waiting. */
#ifndef PARENT_SUPERVISE_RECEIVE_H
#define PARENT_SUPERVISE_RECEIVE_H

#include <sys/types.h>

/*
 * Like read(2) from the socket @fd, but never waits: -1 with errno EAGAIN if nothing is there. For sockets that are
 * read in more than one place, where poll(2) may have reported what another place has taken since. Descriptors that
 * come along are not installed.
 */
ssize_t sup_receive(int fd, void *buf, size_t size);

#endif
