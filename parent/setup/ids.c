/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Gives the roles user IDs of their own. Runs before the first spawner is cloned: after each clone(2), every page that
 * the parent writes to is copied, and reading a file writes to about six.
 */
#include <string.h>

#include "parent/room/confine.h"
#include "parent/setup/ids.h"
#include "parent/setup/setup.h"

/* Find the subordinate ID number @i of the target user. */
static bool nth(const struct config *c, const char *file, unsigned i, uid_t *which)
{
	return subid_nth(file, c->user, c->uid, i, which) == 0;
}

void ids_assign(struct host *h)
{
	const struct config *c = h->c;
	uid_t last;
	bool users = c->change_user && nth(c, "/etc/subuid", h->nroles - 1, &last);
	bool groups = users && !strchr(c->drop_name, ':') && nth(c, "/etc/subgid", h->nroles - 1, &last);

	for (unsigned i = 0; i < h->nroles; i++) {
		struct role_host *r = &h->role[i];

		r->uid = c->change_user ? c->uid : (uid_t)-1;
		r->gid = c->change_user ? c->gid : (gid_t)-1;
		/* The user that --drop-to names decides which files fsd can read. */
		r->own_ids = r->role == ROLE_FSD;
		if (r->own_ids || !users || !nth(c, "/etc/subuid", i, &r->uid))
			continue;
		r->own_ids = true;
		if (groups)
			(void)nth(c, "/etc/subgid", i, &r->gid);
	}
}
