/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Commands to QEMU's monitor: see monitor.h. Runs in the supervisor. */
#include <string.h>
#include <sys/socket.h>

#include "parent/supervise/monitor.h"

int sup_command(struct supervisor *s, const char *command)
{
	struct iovec iov = { (void *)(uintptr_t)command, strlen(command) };
	struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1 };

	return sendmsg(s->monitor, &mh, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 ? -1 : 0;
}
