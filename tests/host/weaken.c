/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Preloaded into lguest-sep by tests/integration/audit.bats: what a broken or
 * taken supervisor would tell a spawner. WEAKEN=descriptor gives the disk's
 * process one more descriptor, WEAKEN=processes leaves its limit of processes.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/ctl.h"
#include "common/spawn_proto.h"

ssize_t sendmsg(int sock, const struct msghdr *mh, int flags)
{
	static ssize_t (*real)(int, const struct msghdr *, int);
	static struct spawn_msg copy;
	static union {
		char buf[CMSG_SPACE(SPAWN_MAX_FDS * sizeof(int))];
		struct cmsghdr align;
	} control;
	const char *how = getenv("WEAKEN");
	struct iovec iov = { &copy, sizeof(copy) };
	struct msghdr mine = *mh;
	struct cmsghdr *c;
	int extra = 1; /* the supervisor's standard output */

	if (!real)
		*(void **)&real = dlsym(RTLD_NEXT, "sendmsg");
	if (!how || mh->msg_iovlen != 1 || mh->msg_iov[0].iov_len != sizeof(copy))
		return real(sock, mh, flags);
	memcpy(&copy, mh->msg_iov[0].iov_base, sizeof(copy));
	if (copy.type != SPAWN_START || copy.role != ROLE_BLKD)
		return real(sock, mh, flags);
	mine.msg_iov = &iov;
	if (!strcmp(how, "processes")) {
		copy.threads = 1;
	} else {
		memcpy(&control, mh->msg_control, mh->msg_controllen);
		mine.msg_control = &control;
		c = CMSG_FIRSTHDR(&mine);
		memcpy(control.buf + CMSG_LEN(copy.nfds * sizeof(int)), &extra, sizeof(extra));
		c->cmsg_len += sizeof(int);
		mine.msg_controllen = CMSG_SPACE((copy.nfds + 1) * sizeof(int));
		copy.number[copy.nfds++] = HFD_TAP0;
	}
	return real(sock, &mine, flags);
}
