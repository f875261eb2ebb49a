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
		return complain(-1, "%s=%s: nobody listens there; start the back-end first", option, path);
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
		return complain(-1, "%s=%s: a socket's path has %zu characters at most; use a shorter one", option,
				path, sizeof(a.sun_path) - 1);
	if (stat(path, &st) < 0)
		return complain(-1, "%s=%s: %m; start the back-end first", option, path);
	if (!S_ISSOCK(st.st_mode))
		return complain(-1, "%s=%s: this is %s, not the socket of a vhost-user back-end", option, path,
				file_kind(st.st_mode));
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

bool device_is_foreign(const struct config *c, unsigned d)
{
	unsigned i = c->device[d].index;

	return c->device[d].kind == DEV_BLK ? c->disk[i].vhost_user : c->net[i].kind == NET_VHOST_USER;
}

static int open_nic(struct host *h, struct role_host *r, unsigned i)
{
	struct net_config *n = &h->net[i].config;

	if (h->engine == ENGINE_QEMU)
		return complain(
			-1,
			"--vhost-user-net=%s: the qemu engine cannot take it (its NIC takes no open connection, and the path is not in its room); use --engine=kvm, or --tunnet or --net",
			h->c->net[i].path);
	if (random_mac(n->mac) < 0)
		return -1;
	n->queue_pairs = 1;
	n->mtu = 1500;
	r->foreign = open_connection("--vhost-user-net", h->c->net[i].path);
	return r->foreign < 0 ? -1 : 0;
}

int foreign_open(struct host *h, unsigned d)
{
	struct role_host *r = &h->role[d];
	unsigned i = h->c->device[d].index;

	if (h->c->device[d].kind == DEV_NET)
		return open_nic(h, r, i);
	h->disk[i].config.queues = 1;
	r->foreign = open_connection("--vhost-user-blk", h->c->disk[i].path);
	return r->foreign < 0 ? -1 : 0;
}
