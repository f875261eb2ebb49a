/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Sends the spawner's messages to the supervisor. Runs in the spawner, and in its
 * child before it executes the role.
 */
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/ctl.h"
#include "common/fdtab.h"
#include "parent/init/tell.h"

void tell(const struct spawn_msg *m)
{
	struct iovec iov = { (void *)(uintptr_t)m, sizeof(*m) };
	struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1 };

	/* Waiting for the supervisor is harmless: the spawner has nothing else to do. */
	while (sendmsg(IFD_CMD, &mh, MSG_NOSIGNAL) < 0)
		if (errno != EINTR)
			_exit(0);
}

void tell_value(enum spawn_type type, uint32_t value)
{
	struct spawn_msg m = { .type = type, .value = value };

	tell(&m);
}

void tell_untraced(void)
{
	struct spawn_msg m = { .type = SPAWN_STARTED, .value = (uint32_t)getpid(), .missing = LAYER_BIT(LAYER_TRACE) };

	tell(&m);
}
