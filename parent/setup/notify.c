/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The protocol of sd_notify(3) (see notify.h): one datagram for each report. Our own few lines
 * instead of libsystemd, which would be the largest library of this program, for one write(2) to a
 * non-blocking socket.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/fmt.h"
#include "parent/options/util.h"
#include "parent/setup/notify.h"

int notify_open(void)
{
	const char *name = getenv("NOTIFY_SOCKET");
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	size_t len = name ? strlen(name) : 0;
	int fd;

	/* The text of the variable stays readable. */
	(void)unsetenv("NOTIFY_SOCKET");
	if (!len)
		return -1;
	if ((*name != '/' && *name != '@') || len >= sizeof(a.sun_path)) {
		complain(0, "NOTIFY_SOCKET=%s: expected the path of a socket, or @ and an abstract name", name);
		return -1;
	}
	memcpy(a.sun_path, name, len);
	if (*name == '@')
		a.sun_path[0] = '\0';
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd >= 0 &&
	    connect(fd, (struct sockaddr *)&a, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len)) < 0) {
		int e = errno;

		close(fd);
		fd = -1;
		errno = e;
	}
	if (fd < 0)
		complain(0, "NOTIFY_SOCKET=%s: cannot connect to the service manager: %m", name);
	return fd;
}

void notify_send(int fd, const char *text)
{
	if (fd >= 0)
		(void)!write(fd, text, strlen(text));
}

void notify_status(int fd, const char *why)
{
	char text[1024];

	if (fd < 0 || !why)
		return;
	fmt_line(text, sizeof(text), "STOPPING=1\nSTATUS=%s", why);
	notify_send(fd, text);
}
