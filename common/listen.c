/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The listening socket of a stand-alone back-end. Runs in netd and blkd before
 * confinement. It replaces nothing but a socket on which no program listens.
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/listen.h"
#include "common/log.h"

/* Remove a socket at a->sun_path that a killed program left behind. Dies if the path is in use. */
static void remove_stale(const struct sockaddr_un *a)
{
	struct stat st;
	int fd, answered;

	if (lstat(a->sun_path, &st) < 0)
		return; /* bind() will report the error, if there is one */
	if (!S_ISSOCK(st.st_mode))
		die("--socket-path=%s: this file exists and is not a socket; choose another path", a->sun_path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		die("socket: %m");
	answered = connect(fd, (const struct sockaddr *)a, sizeof(*a));
	if (answered == 0)
		die("--socket-path=%s: another program listens on this socket; choose another path", a->sun_path);
	/* ECONNREFUSED: no program has it open any more. */
	if (errno == ECONNREFUSED)
		unlink(a->sun_path);
	close(fd);
}

int vhu_listen(const char *path)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd;

	if (strlen(path) >= sizeof(a.sun_path))
		die("--socket-path=%s: a socket's path can have at most %zu characters", path, sizeof(a.sun_path) - 1);
	memcpy(a.sun_path, path, strlen(path) + 1);
	remove_stale(&a);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0 || listen(fd, 1) < 0)
		die("--socket-path=%s: cannot create a socket there: %m", path);
	return fd;
}
