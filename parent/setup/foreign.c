/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Connects to the programs that serve devices of --vhost-user-blk, --vhost-user-net and --vhost-user-fs.
 * Runs in the parent, inside the privileged window. The vCPU process gets the connected
 * socket, not its path.
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "parent/options/util.h"
#include "parent/setup/files.h"
#include "parent/setup/foreign.h"
#include "parent/setup/mac.h"
#include "parent/setup/setup.h"

/* How long to wait for a program that listens and does not accept, in seconds. */
#define CONNECT_S 5

static int refused(const char *option, const char *path)
{
	if (errno == ECONNREFUSED)
		return complain(-1, "%s=%s: no program listens there; start the back-end first", option, path);
	if (errno == EAGAIN)
		return complain(
			-1, "%s=%s: the program that listens there accepts no connection; does it serve another guest?",
			option, path);
	if (errno == EPROTOTYPE)
		return complain(-1, "%s=%s: this is not a stream socket", option, path);
	return complain(-1, "%s=%s: cannot connect: %m", option, path);
}

/* Returns a connected socket, or -1 after logging the reason. */
static int open_connection(const char *option, const char *path)
{
	const struct timeval limit = { .tv_sec = CONNECT_S }, none = { 0 };
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	struct stat st;
	int fd, saved;

	if (strlen(path) >= sizeof(a.sun_path))
		return complain(-1, "%s=%s: a socket's path can have at most %zu characters; use a shorter one", option,
				path, sizeof(a.sun_path) - 1);
	if (stat(path, &st) < 0)
		return complain(-1, "%s=%s: cannot find it: %m%s", option, path,
				errno == ENOENT ? "; start the back-end first" : "");
	if (!S_ISSOCK(st.st_mode))
		return complain(-1, "%s=%s: this is %s, not the socket of a vhost-user back-end", option, path,
				file_kind(st.st_mode));
	memcpy(a.sun_path, path, strlen(path) + 1);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	/* SO_SNDTIMEO also limits how long connect(2) waits for room in the backlog (unix(7)). */
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)) < 0)
		return complain(-1, "%s=%s: cannot make a socket: %m", option, path);
	if (connect(fd, (struct sockaddr *)&a, sizeof(a)) == 0 &&
	    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &none, sizeof(none)) == 0)
		return fd;
	saved = errno;
	close(fd);
	errno = saved;
	return refused(option, path);
}

bool device_is_foreign(const struct config *c, unsigned d)
{
	unsigned i = c->device[d].index;

	if (c->device[d].kind == DEV_FS)
		return c->share[i].vhost_user;
	return c->device[d].kind == DEV_BLK ? c->disk[i].vhost_user : c->net[i].kind == NET_VHOST_USER;
}

static int open_nic(struct host *h, struct role_host *r, unsigned i)
{
	struct net_config *n = &h->net[i].config;

	if (h->engine == ENGINE_QEMU)
		return complain(
			-1,
			"--vhost-user-net=%s: the qemu engine does not support it (QEMU would have to open the socket's path, which its root directory does not contain); use --engine=kvm, or --tunnet or --net",
			h->c->net[i].path);
	if (mac_choose(&h->c->net[i], n->mac) < 0)
		return -1;
	n->queue_pairs = 1;
	n->mtu = 1500;
	r->foreign = open_connection("--vhost-user-net", h->c->net[i].path);
	return r->foreign < 0 ? -1 : 0;
}

static int open_share(struct host *h, struct role_host *r, const char *path)
{
	if (h->engine == ENGINE_LGUEST)
		return complain(-1,
				"--vhost-user-fs=%s: guests of the lguest engine have no driver for shared directories "
				"(virtio-fs); use --engine=kvm or --engine=qemu",
				path);
	r->foreign = open_connection("--vhost-user-fs", path);
	return r->foreign < 0 ? -1 : 0;
}

int foreign_open(struct host *h, unsigned d)
{
	struct role_host *r = &h->role[d];
	unsigned i = h->c->device[d].index;

	if (h->c->device[d].kind == DEV_NET)
		return open_nic(h, r, i);
	if (h->c->device[d].kind == DEV_FS)
		return open_share(h, r, h->c->share[i].path);
	h->disk[i].config.queues = 1;
	r->foreign = open_connection("--vhost-user-blk", h->c->disk[i].path);
	return r->foreign < 0 ? -1 : 0;
}
