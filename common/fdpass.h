/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One message with descriptors over a SOCK_SEQPACKET socket. Used between the supervisor and the spawners. */
#ifndef COMMON_FDPASS_H
#define COMMON_FDPASS_H

#include "common/util.h"

/* Most descriptors in one message. */
#define FDPASS_MAX 128

/*
 * Send @len bytes and @n descriptors, which stay open in this process. @flags as for
 * sendmsg(2). Returns 0, or -1 with errno set; E2BIG for more than FDPASS_MAX descriptors.
 */
int fdpass_send(int sock, const void *data, size_t len, const int *fds, unsigned n, int flags);
/*
 * Receive a message of exactly @len bytes into @data, without blocking, and its descriptors
 * (close-on-exec) into @fds, which has room for *@n and is NULL when none is expected;
 * *@n becomes their number, and they are the caller's to close in every case. Returns 1; 0
 * when nothing has come; or -1 with errno set: EPIPE when the peer is gone, EPROTO when the
 * message has another length or more descriptors than fit.
 */
int fdpass_recv(int sock, void *data, size_t len, int *fds, unsigned *n);

#endif
