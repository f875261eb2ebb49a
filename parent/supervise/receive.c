/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Reads a socket without waiting: see receive.h. Runs in the supervisor. */
#include <sys/socket.h>

#include "parent/supervise/receive.h"

ssize_t sup_receive(int fd, void *buf, size_t size)
{
	struct iovec iov = { buf, size };
	struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1 };

	return recvmsg(fd, &mh, MSG_DONTWAIT);
}
