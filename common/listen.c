/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where a back-end that was started by hand listens. Runs in netd and blkd
 * before anything of a front-end is read. It takes the place of nothing but a
 * socket that nobody listens on.
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "log.h"
#include "vhost_user.h"

/* Makes room for a socket at a->sun_path. */
static void remove_stale(const struct sockaddr_un *a)
{
	struct stat st;
	int fd, answered;

	if (lstat(a->sun_path, &st) < 0)
		return; /* bind() says why */
	if (!S_ISSOCK(st.st_mode))
		die("--socket-path=%s: something that is no socket has that name; take another", a->sun_path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		die("socket: %m");
	answered = connect(fd, (const struct sockaddr *)a, sizeof(*a));
	if (answered == 0)
		die("--socket-path=%s: another program listens there; take another name", a->sun_path);
	/* One that a killed program left behind answers nobody. */
	if (errno == ECONNREFUSED)
		unlink(a->sun_path);
	close(fd);
}

int vhu_listen(const char *path)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd;

	if (strlen(path) >= sizeof(a.sun_path))
		die("--socket-path=%s: longer than the %zu characters that a socket's name can have", path,
		    sizeof(a.sun_path) - 1);
	memcpy(a.sun_path, path, strlen(path) + 1);
	remove_stale(&a);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0 || listen(fd, 1) < 0)
		die("--socket-path=%s: cannot listen there: %m", path);
	return fd;
}
