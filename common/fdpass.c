/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Passing descriptors over a socket (unix(7), SCM_RIGHTS). Linked into the parent and
 * the spawner. It closes no descriptor of the caller, and returns every descriptor that
 * it received to the caller.
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "common/fdpass.h"

union control {
	char buf[CMSG_SPACE(FDPASS_MAX * sizeof(int))];
	struct cmsghdr align;
};

int fdpass_send(int sock, const void *data, size_t len, const int *fds, unsigned n, int flags)
{
	union control control = { .buf = { 0 } };
	struct iovec iov = { (void *)(uintptr_t)data, len };
	struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct cmsghdr *c;

	if (n > FDPASS_MAX) {
		errno = E2BIG;
		return -1;
	}
	if (n) {
		mh.msg_control = &control;
		mh.msg_controllen = CMSG_SPACE(n * sizeof(int));
		c = CMSG_FIRSTHDR(&mh);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(n * sizeof(int));
		memcpy(CMSG_DATA(c), fds, n * sizeof(int));
	}
	return sendmsg(sock, &mh, flags | MSG_NOSIGNAL) < 0 ? -1 : 0;
}

int fdpass_recv(int sock, void *data, size_t len, int *fds, unsigned *n)
{
	union control control;
	struct iovec iov = { data, len };
	struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct cmsghdr *c;
	ssize_t got;

	if (fds) {
		mh.msg_control = &control;
		mh.msg_controllen = CMSG_LEN(MIN(*n, (unsigned)FDPASS_MAX) * sizeof(int));
		*n = 0;
	}
	do
		got = recvmsg(sock, &mh, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	while (got < 0 && errno == EINTR);
	if (got < 0)
		return errno == EAGAIN ? 0 : -1;
	c = fds ? CMSG_FIRSTHDR(&mh) : NULL;
	if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS) {
		*n = (unsigned)((c->cmsg_len - CMSG_LEN(0)) / sizeof(int));
		memcpy(fds, CMSG_DATA(c), *n * sizeof(int));
	}
	if ((size_t)got != len || (mh.msg_flags & (MSG_TRUNC | MSG_CTRUNC))) {
		errno = got == 0 ? EPIPE : EPROTO;
		return -1;
	}
	return 1;
}
