// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Helpers that end while the guest runs: each is started again, confined and
 * attached as the first one was, as often as --max-restarts allows. Runs in the
 * supervisor, without any privilege. It must never start one while an operation
 * of its predecessor may still be under way.
 */
#include <string.h>

#include "supervise.h"

#define WINDOW_MS 60000
#define RECENT_MS 3000

bool sup_restart_later(struct supervisor *s, struct sup_role *r, bool ended_well)
{
	if (!s->c->max_restarts)
		return false;
	r->down_since = now_ms();
	/*
	 * A helper ends well when its front-end goes: then the end of the vCPU process
	 * is about to be seen, and there is nothing to start again.
	 */
	r->restart_at = r->down_since + (ended_well ? 2 * BLAME_MS : 0);
	return true;
}

/* How many were started again in the last minute. */
static unsigned recent(const struct supervisor *s, uint64_t now)
{
	unsigned n = 0;

	while (n < s->restarts && n < MAX_RESTARTS &&
	       now - s->restarted_at[(s->restarts - 1 - n) % MAX_RESTARTS] < WINDOW_MS)
		n++;
	return n;
}

static void again(struct supervisor *s, struct sup_role *r, uint64_t now)
{
	unsigned n = recent(s, now);
	char text[LOG_LINE_MAX / 2];

	r->restart_at = 0;
	sup_end_text(r, text, sizeof(text));
	if (n >= s->c->max_restarts) {
		sup_line(
			s,
			"%s: its process %s, after %u restarts within a minute (--max-restarts=%u); the guest is ended",
			r->host->name, text, n, s->c->max_restarts);
		sup_force(s, EXIT_RESTARTS);
		return;
	}
	sup_line(s, "%s: its process %s; it is started again (%u of %u in a minute)", r->host->name, text, n + 1,
		 s->c->max_restarts);
	s->restarted_at[s->restarts++ % MAX_RESTARTS] = now;
	r->generation++;
	if (sup_start_again(s, r) < 0)
		sup_force(s, EXIT_ROLE_DIED);
}

/* The end of the control channel is that of the last operation too: blkd's ring holds it. */
static bool is_gone(const struct sup_role *r)
{
	return !r->live && r->ctl < 0;
}

void sup_restart_due(struct supervisor *s)
{
	uint64_t now = now_ms();

	for (unsigned i = 0; i + 1 < s->nroles && s->status < 0; i++)
		if (s->role[i].restart_at && now >= s->role[i].restart_at && is_gone(&s->role[i]))
			again(s, &s->role[i], now);
}

uint64_t sup_restart_deadline(const struct supervisor *s)
{
	uint64_t first = 0;

	for (unsigned i = 0; i + 1 < s->nroles; i++) {
		const struct sup_role *r = &s->role[i];

		if (r->restart_at && is_gone(r) && (!first || r->restart_at < first))
			first = r->restart_at;
	}
	return first;
}

bool sup_restart_recent(const struct supervisor *s)
{
	for (unsigned i = 0; i + 1 < s->nroles; i++)
		if (s->role[i].down_since || (!s->role[i].live && s->role[i].host->foreign < 0))
			return true;
	return s->restarts && now_ms() - s->restarted_at[(s->restarts - 1) % MAX_RESTARTS] < RECENT_MS;
}

void sup_restarted(struct supervisor *s, struct sup_role *r)
{
	sup_verbose(s, "%s: serves again, %llu ms after its end", r->host->name,
		    (unsigned long long)(now_ms() - r->down_since));
	r->down_since = 0;
}
