/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Clients of control sockets: see guest.h. Runs as the user who called the command; nothing is trusted. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

#include "parent/control/guest.h"
#include "parent/options/util.h"

#ifndef __NR_pidfd_open
#define __NR_pidfd_open 434
#endif

/* A listener's flag in /proc/net/unix (__SO_ACCEPTCON). */
#define LISTENS 0x10000
/* How long a full queue of connections may take (s). */
#define CONNECT_S 5

/* "Num: RefCount Protocol Flags Type St Inode Path" */
static bool parse_line(char *line, struct guest *g)
{
	char *word, *save = NULL;
	unsigned long flags = 0;

	word = strtok_r(line, " \n", &save);
	for (unsigned i = 1; word && i < 8; i++) {
		word = strtok_r(NULL, " \n", &save);
		if (word && i == 3)
			flags = strtoul(word, NULL, 16);
	}
	return word && (flags & LISTENS) && control_parse(word, &g->uid, g->name);
}

static int by_name(const void *a, const void *b)
{
	const struct guest *x = a, *y = b;

	if (x->uid != y->uid)
		return x->uid < y->uid ? -1 : 1;
	return strcmp(x->name, y->name);
}

int guest_list(struct guest *list, bool of_all)
{
	FILE *f = fopen("/proc/net/unix", "re");
	uid_t own = getuid();
	char *line = NULL;
	size_t size = 0;
	int n = 0;

	if (!f)
		return complain(-1, "cannot read /proc/net/unix: %m (is /proc mounted?)");
	while (n < MAX_GUESTS && getline(&line, &size, f) > 0) {
		struct guest *g = &list[n];

		*g = (struct guest){ .fd = -1, .pidfd = -1 };
		if (parse_line(line, g) && (of_all || own == 0 || g->uid == own))
			n++;
	}
	free(line);
	fclose(f);
	qsort(list, (size_t)n, sizeof(*list), by_name);
	return n;
}

/* "UID/NAME" */
static bool parse_full(struct guest *g, const char *which)
{
	char text[128];

	snprintf(text, sizeof(text), "@" CONTROL_PREFIX "%.100s", which);
	return strchr(which, '/') && control_parse(text, &g->uid, g->name);
}

int guest_find(struct guest *g, const char *which)
{
	static struct guest list[MAX_GUESTS];
	const struct guest *found = NULL;
	uid_t own = getuid();
	int n;

	*g = (struct guest){ .fd = -1, .pidfd = -1 };
	if (!parse_full(g, which) && !control_name_ok(which))
		return complain(-1, "%s: not a valid name of a guest (see lguest-sep ps)", which);
	n = guest_list(list, true);
	if (n < 0)
		return -1;
	if (strchr(which, '/'))
		return 0;
	for (int i = 0; i < n; i++) {
		if (strcmp(list[i].name, which) != 0)
			continue;
		if (found && found->uid != own && own == 0 && list[i].uid != own)
			return complain(-1, "%s: several users have a guest of that name; give %u/%s or %u/%s", which,
					found->uid, which, list[i].uid, which);
		if (!found || list[i].uid == own)
			found = &list[i];
	}
	if (!found)
		return complain(
			-1,
			"%s: no guest of that name runs here (lguest-sep ps lists those started with --name, --control or --detach)",
			which);
	if (own != 0 && found->uid != own)
		return complain(
			-1,
			"%s: no guest of yours has that name; that of user %u can be controlled by this user and by root only",
			which, found->uid);
	*g = *found;
	return 0;
}

/* Root connects with the owner's user ID: a guest in its own user namespace may have no mapping for root. */
static int connect_as(struct guest *g, const struct sockaddr_un *a, socklen_t len)
{
	bool other = geteuid() == 0 && g->uid != 0;
	int result, error;

	if (other && seteuid(g->uid) < 0)
		return -1;
	result = connect(g->fd, (const struct sockaddr *)a, len);
	error = errno;
	if (other && seteuid(0) < 0)
		return -1;
	errno = error;
	return result;
}

int guest_connect(struct guest *g)
{
	const struct timeval limit = { .tv_sec = CONNECT_S };
	struct sockaddr_un a;
	socklen_t len = control_address(&a, g->uid, g->name);
	struct ucred peer = { 0 };
	socklen_t peer_len = sizeof(peer);

	g->fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (g->fd < 0)
		return -1;
	if (setsockopt(g->fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)) < 0 || connect_as(g, &a, len) < 0 ||
	    getsockopt(g->fd, SOL_SOCKET, SO_PEERCRED, &peer, &peer_len) < 0) {
		int error = errno;

		guest_close(g);
		errno = error;
		return -1;
	}
	/* Anybody may bind any abstract address: the listener must be the guest's user or root. */
	if (peer.uid != 0 && peer.uid != g->uid) {
		guest_close(g);
		errno = EPERM;
		return -1;
	}
	g->pid = peer.pid;
	g->pidfd = peer.pid > 0 ? (int)syscall(__NR_pidfd_open, peer.pid, 0) : -1;
	return 0;
}

void guest_close(struct guest *g)
{
	if (g->fd >= 0)
		close(g->fd);
	if (g->pidfd >= 0)
		close(g->pidfd);
	g->fd = g->pidfd = -1;
}

int guest_ask(struct guest *g, enum control_command command, uint64_t detail)
{
	const struct ctl_msg m = { .type = CTL_COMMAND, .value = (uint32_t)command, .detail = detail };

	/* A listener that rejects us may have closed the connection already; its answer can still be read. */
	return ctl_send(g->fd, &m) < 0 && errno != EPIPE && errno != ECONNRESET ? -1 : 0;
}

int guest_recv(struct guest *g, struct ctl_msg *m, int ms)
{
	struct pollfd p = { .fd = g->fd, .events = POLLIN };
	int got;

	got = poll(&p, 1, ms);
	if (got <= 0)
		return got < 0 && errno != EINTR ? -1 : 0;
	got = ctl_recv(g->fd, m);
	/* The listener closed a connection without reading our request: its own message comes after this error. */
	if (got < 0 && errno == ECONNRESET)
		got = ctl_recv(g->fd, m);
	return got;
}

bool guest_wait_gone(const struct guest *g, int ms)
{
	struct pollfd p = { .fd = g->pidfd, .events = POLLIN };

	return g->pidfd < 0 || poll(&p, 1, ms) != 0;
}

void guest_clean_name(char *name)
{
	for (; *name; name++)
		if (!strchr(GUEST_NAME_CHARS, *name))
			*name = '_';
}
