/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Helpers that each reset starts again: see renew.h. Runs in the supervisor; never waits. A helper may be in the
 * guest's hands: it is asked to end, so that it can send its counters, and killed if it does not. All of its I/O has
 * completed when its control channel closes (restart.c), so nothing of it reaches guest memory after CTL_HELPERS_GONE.
 */
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "parent/supervise/disks.h"
#include "parent/supervise/lines.h"
#include "parent/supervise/memory.h"
#include "parent/supervise/passt.h"
#include "parent/supervise/renew.h"
#include "parent/supervise/restart.h"
#include "parent/supervise/start.h"

#define STOP_MS	 1000  /* How long helpers may take to end when they are asked to. */
#define LIMIT_MS 20000 /* How long each step may take. */

/* True for helpers whose processes are started by this supervisor, and for passt. */
static bool is_ours(const struct supervisor *s, const struct sup_role *r)
{
	return sup_is_helper(s, r) && !sup_is_control(r) && r->host->foreign < 0;
}

static void begin(struct supervisor *s, enum renew step)
{
	s->renew = step;
	s->renew_until = now_ms() + LIMIT_MS;
	s->renew_kill_at = now_ms() + STOP_MS;
}

static void end_helpers(struct supervisor *s)
{
	const struct ctl_msg stop = { .type = CTL_STOP };

	begin(s, RENEW_ENDING);
	for (unsigned i = 0; i < s->nroles; i++) {
		struct sup_role *r = &s->role[i];

		if (!is_ours(s, r))
			continue;
		/* One that has just ended by itself needs no start of its own. */
		if (r->restart_at)
			(void)sup_restart_counts(s, r);
		r->down_since = now_ms();
		/* passt ends with its netd. */
		if (!r->live || r->host->role == ROLE_PASST)
			continue;
		if (!r->ready || r->ctl < 0 || ctl_send(r->ctl, &stop) < 0)
			sup_kill(r);
	}
}

void sup_renew_asked(struct supervisor *s, bool start, bool keeps)
{
	bool may = start ? s->renew == RENEW_GONE : s->renew == RENEW_NONE || s->renew == RENEW_STARTING;

	if (s->phase >= PHASE_ENDING || s->status >= 0)
		return;
	if (!s->c->fresh || !may) {
		sup_line(s, "vcpu: asked for other helpers although no reset needs them; killing it");
		sup_kill(sup_vcpu(s));
	} else if (start) {
		begin(s, RENEW_WANTED);
	} else {
		s->renew_keeps = keeps;
		end_helpers(s);
	}
}

/* True if the process of @r crashed or gave up instead of ending when it was asked to. passt fails without its netd. */
static bool failed(const struct sup_role *r)
{
	int status = (int)r->end.value;

	if (WIFSIGNALED(status))
		return !r->killed_at || WTERMSIG(status) != SIGKILL;
	return r->host->role != ROLE_PASST && !sup_ended_well(r);
}

bool sup_renew_ends(struct supervisor *s, struct sup_role *r)
{
	if (s->renew < RENEW_ENDING || s->renew >= RENEW_STARTING || s->phase >= PHASE_ENDING || !is_ours(s, r))
		return false;
	/* With --max-restarts=0 the caller ends the guest, as after any failure. */
	if (failed(r) && !s->c->max_restarts)
		return false;
	if (failed(r))
		(void)sup_restart_counts(s, r);
	return true;
}

static void give_up(struct supervisor *s, const struct sup_role *r, const char *what)
{
	sup_line(s, "%s: %s within %d s, for a reset; ending the guest", r->host->name, what, LIMIT_MS / 1000);
	s->renew = RENEW_NONE;
	sup_force(s, EXIT_ROLE_DIED);
}

/* Returns the first helper that has not ended, or whose last I/O has not completed. Kills those that are due. */
static const struct sup_role *still_there(struct supervisor *s, uint64_t now)
{
	const struct sup_role *first = NULL;

	for (unsigned i = 0; i < s->nroles; i++) {
		struct sup_role *r = &s->role[i];
		const struct sup_role *netd = r->host->role == ROLE_PASST ? sup_partner(s, r) : NULL;

		if (!is_ours(s, r) || (!r->live && r->ctl < 0))
			continue;
		if (r->live && !r->killed_at && (now >= s->renew_kill_at || (netd && !netd->live)))
			sup_kill(r);
		first = first ? first : r;
	}
	return first;
}

static void ending(struct supervisor *s, uint64_t now)
{
	static const struct ctl_msg gone = { .type = CTL_HELPERS_GONE };
	const struct sup_role *left = still_there(s, now);

	if (!left) {
		begin(s, RENEW_GONE);
		/* If it cannot be sent, the vCPU process does not go on. */
		if (sup_vcpu(s)->ctl >= 0)
			(void)ctl_send(sup_vcpu(s)->ctl, &gone);
	} else if (now >= s->renew_until) {
		give_up(s, left, left->live ? "its process did not end" : "its last I/O did not complete");
	}
}

/* The requests that the last process has not finished are of the time before the reset. */
static int forget_requests(struct supervisor *s, struct sup_role *r)
{
	unsigned i = s->c->device[r->device].index;

	if (r->inflight < 0)
		return 0;
	close(r->inflight);
	r->inflight = -1;
	return sup_fresh_notes(s, r,
			       s->c->device[r->device].kind == DEV_FS ? FS_ALL_QUEUES(&s->h->share[i].config)
								      : s->h->disk[i].config.queues);
}

static void start_helpers(struct supervisor *s)
{
	begin(s, RENEW_STARTING);
	if (sup_disks_renew(s, s->renew_keeps) < 0) {
		sup_force(s, EXIT_ROLE_DIED);
		return;
	}
	for (unsigned i = 0; i < s->nroles; i++) {
		struct sup_role *r = &s->role[i];

		if (!is_ours(s, r))
			continue;
		r->generation++;
		r->begins = true;
		/* netd starts its passt. */
		if (r->host->role != ROLE_PASST && (forget_requests(s, r) < 0 || sup_start_again(s, r) < 0)) {
			sup_force(s, EXIT_ROLE_DIED);
			return;
		}
	}
}

static void starting(struct supervisor *s, uint64_t now)
{
	bool late = now >= s->renew_until;

	for (unsigned i = 0; i < s->nroles; i++)
		if (is_ours(s, &s->role[i]) && !s->role[i].ready) {
			if (late)
				give_up(s, &s->role[i], "no other process took its place");
			return;
		}
	s->renew = RENEW_NONE;
}

void sup_renew_turn(struct supervisor *s)
{
	uint64_t now = now_ms();

	if (s->renew == RENEW_NONE || s->phase >= PHASE_ENDING || s->status >= 0)
		return;
	/* Nothing runs while the guest is paused, which does not count. */
	if (s->hold)
		begin(s, s->renew);
	else if (s->renew == RENEW_ENDING)
		ending(s, now);
	else if (s->renew == RENEW_WANTED)
		start_helpers(s);
	else if (s->renew == RENEW_STARTING)
		starting(s, now);
	else if (now >= s->renew_until)
		give_up(s, sup_vcpu(s), "it did not go on");
}

uint64_t sup_renew_deadline(const struct supervisor *s, uint64_t other)
{
	uint64_t at = s->renew == RENEW_ENDING ? MIN(s->renew_kill_at, s->renew_until) : s->renew_until;

	if (s->renew == RENEW_NONE || s->phase >= PHASE_ENDING || s->status >= 0)
		return other;
	/* Those that are due were killed: they have ended soon, or count as stuck. */
	if (s->renew == RENEW_ENDING && now_ms() >= s->renew_kill_at)
		at = s->renew_until;
	return other ? MIN(at, other) : at;
}
