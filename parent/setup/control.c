/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The control socket of a guest. Created first in the privileged window, so that a name that
 * is in use is reported before anything else is opened. The kernel records which user called
 * listen(2); a client checks that this is root or the guest's owner.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "common/control_name.h"
#include "common/fmt.h"
#include "parent/options/util.h"
#include "parent/setup/control.h"

/* Connections that wait to be accepted. */
#define BACKLOG 64
/* Longest part of the kernel's file name in a generated name. */
#define MADE_MAX 40
/* How many generated names to try. */
#define MADE_TRIES 100

/* Without --name: KERNELFILE-PID, and after that KERNELFILE-PID-N, for PID namespaces that share a network. */
static void make_name(struct host *h, unsigned try)
{
	const char *base = strrchr(h->c->kernel, '/');
	size_t n = fmt_line(h->name, MADE_MAX + 1, "%s", base ? base + 1 : h->c->kernel);

	for (size_t i = 0; i < n; i++)
		if (!strchr(GUEST_NAME_CHARS, h->name[i]))
			h->name[i] = '_';
	n += fmt_line(h->name + n, sizeof(h->name) - n, "-%d", (int)getpid());
	if (try)
		fmt_line(h->name + n, sizeof(h->name) - n, "-%u", try);
}

int control_open(struct host *h)
{
	struct sockaddr_un a;
	socklen_t len;
	int fd, bound = -1;

	if (!h->c->control)
		return 0;
	h->owner = getuid();
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return complain(-1, "cannot make the guest's control socket: %m");
	for (unsigned try = 0; bound < 0 && try < (h->c->name ? 1u : MADE_TRIES); try++) {
		if (h->c->name)
			fmt_line(h->name, sizeof(h->name), "%s", h->c->name);
		else
			make_name(h, try);
		len = control_address(&a, h->owner, h->name);
		bound = bind(fd, (struct sockaddr *)&a, len);
		if (bound < 0 && errno != EADDRINUSE)
			break;
	}
	if (bound == 0 && listen(fd, BACKLOG) == 0) {
		h->control = fd;
		return 0;
	}
	h->name_taken = bound < 0 && errno == EADDRINUSE;
	if (h->name_taken)
		complain(
			-1,
			"--name=%s: a guest of that name runs already (see lguest-sep ps); stop it, or choose another name",
			h->name);
	else
		complain(-1, "cannot bind the guest's control socket %s: %m", h->name);
	close(fd);
	return -1;
}
