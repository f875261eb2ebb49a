/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Starts passt. Runs in the supervisor, without any privilege: the parent prepared passt's
 * program, room and arguments in the privileged window. passt has no control channel. It writes
 * its process ID to its standard error when it is ready (--pid), and exits when netd closes
 * their connection.
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "parent/supervise/lines.h"
#include "parent/supervise/passt.h"

struct sup_role *sup_partner(const struct supervisor *s, const struct sup_role *r)
{
	if (r->device < 0)
		return NULL;
	for (unsigned i = 0; i < s->nroles; i++)
		if (&s->role[i] != r && s->role[i].device == r->device)
			return (struct sup_role *)(uintptr_t)&s->role[i];
	return NULL;
}

int sup_passt_start(struct supervisor *s, struct sup_role *netd)
{
	struct sup_role *r = sup_partner(s, netd);
	struct role_fds f = { .args = s->h->net[s->c->device[netd->device].index].passt_args };
	int end[2];

	if (!r || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, end) < 0) {
		sup_line(s, "%s: cannot make its connection to passt: %m", netd->host->name);
		return -1;
	}
	role_fds_add(&f, s->h->null, PFD_NULL_IN);
	role_fds_add(&f, s->h->null, PFD_NULL_OUT);
	role_fds_add(&f, end[1], PFD_STREAM);
	sup_role_fresh(r);
	if (spawner_start_role(&r->host->spawner, &f, PFD_LIMIT, 0, 0, 0) < 0) {
		sup_line(s, "%s: cannot start its process: %m%s", r->host->name, spawn_limit_text(errno));
		close(end[0]);
		close(end[1]);
		return -1;
	}
	close(end[1]);
	r->live = true;
	return end[0];
}

bool sup_passt_ready(const struct sup_role *r, const char *line)
{
	return r->host->role == ROLE_PASST && !r->ready && *line && strspn(line, "0123456789") == strlen(line);
}
