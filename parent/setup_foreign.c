// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Devices that another program serves (--vhost-user-blk, --vhost-user-net): the
 * connection to it. Runs in the parent, inside the privileged window; the vCPU
 * process gets the connection, and no path.
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "options.h"
#include "setup.h"

static int refused(const char *option, const char *path)
{
	if (errno == ECONNREFUSED)
		return complain(-1, "%s=%s: nobody listens there; start the back-end first", option,
				path);
	if (errno == EPROTOTYPE)
		return complain(-1, "%s=%s: this socket is not of the stream kind", option, path);
	return complain(-1, "%s=%s: cannot connect: %m", option, path);
}

/* A connected socket, or -1 having said why. */
static int open_connection(const char *option, const char *path)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	struct stat st;
	int fd, saved;

	if (strlen(path) >= sizeof(a.sun_path))
		return complain(-1, "%s=%s: a socket's path has %zu characters at most; use a shorter one",
				option, path, sizeof(a.sun_path) - 1);
	if (stat(path, &st) < 0)
		return complain(-1, "%s=%s: %m; start the back-end first", option, path);
	if (!S_ISSOCK(st.st_mode))
		return complain(-1, "%s=%s: this is %s, not the socket of a vhost-user back-end",
				option, path, file_kind(st.st_mode));
	memcpy(a.sun_path, path, strlen(path) + 1);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd >= 0 && connect(fd, (struct sockaddr *)&a, sizeof(a)) == 0)
		return fd;
	saved = errno;
	if (fd >= 0)
		close(fd);
	errno = saved;
	return refused(option, path);
}

int foreign_disk_open(const struct disk_option *o, struct disk_host *d)
{
	d->config.queues = 1;
	d->fd = open_connection("--vhost-user-blk", o->path);
	return d->fd < 0 ? -1 : 0;
}

int foreign_nic_open(const struct net_option *o, struct net_host *n)
{
	n->config.queue_pairs = 1;
	n->config.mtu = 1500;
	n->foreign = open_connection("--vhost-user-net", o->path);
	return n->foreign < 0 ? -1 : 0;
}

bool device_is_foreign(const struct config *c, unsigned d)
{
	unsigned i = c->device[d].index;

	return c->device[d].kind == DEV_BLK ? c->disk[i].vhost_user :
					      c->net[i].kind == NET_VHOST_USER;
}

int foreign_connection(const struct host *h, unsigned d)
{
	unsigned i = h->c->device[d].index;

	return h->c->device[d].kind == DEV_BLK ? h->disk[i].fd : h->net[i].foreign;
}

int foreign_check(const struct host *h)
{
	for (unsigned i = 0; i < h->c->nnets && h->engine == ENGINE_QEMU; i++)
		if (h->c->net[i].kind == NET_VHOST_USER)
			return complain(-1,
					"--vhost-user-net=%s: the qemu engine cannot take it (QEMU's NIC takes no open connection, and no path reaches into its room); use the kvm engine, or --tunnet or --net",
					h->c->net[i].path);
	return 0;
}
