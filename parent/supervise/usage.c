/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Processor time and memory of the roles: see usage.h. Runs in the supervisor. The
 * spawners read the numbers from the kernel; a role cannot change them.
 */
#include "parent/supervise/lines.h"
#include "parent/supervise/usage.h"

/* Shortest time between two requests to the spawners (ms). */
#define LEAST_MS 20

uint64_t sup_cpu_us(const struct sup_role *r)
{
	return r->cpu_ended_us + r->cpu_now_us;
}

static uint64_t total_us(const struct supervisor *s)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < s->nroles; i++)
		sum += sup_cpu_us(&s->role[i]);
	return sum;
}

static bool may_end(const struct supervisor *s)
{
	return s->c->cpu_timeout_ms && s->status < 0 && s->hold != HOLD_DONE && s->phase < PHASE_ENDING;
}

static void check_limit(struct supervisor *s)
{
	unsigned long long ms = s->c->cpu_timeout_ms;

	if (!may_end(s) || total_us(s) < ms * 1000)
		return;
	sup_line(s, "the guest's processes have used %llu.%03llu s of processor time (--cpu-timeout); ending the guest",
		 ms / 1000, ms % 1000);
	s->cpu_timed_out = true;
	sup_force(s, EXIT_TIMEOUT);
}

void sup_usage(struct supervisor *s, struct sup_role *r, const struct spawn_msg *m)
{
	if (m->type == SPAWN_ENDED) {
		r->cpu_ended_us += m->cpu_us;
		r->cpu_now_us = 0;
		r->peak_rss_kib = MAX(r->peak_rss_kib, m->peak_rss_kib);
	} else {
		r->cpu_now_us = m->cpu_us;
	}
	check_limit(s);
}

void sup_usage_due(struct supervisor *s, uint64_t now)
{
	uint64_t limit = s->c->cpu_timeout_ms * 1000, used = total_us(s);

	if (!may_end(s) || now < s->usage_at)
		return;
	for (unsigned i = 0; i < s->nroles; i++)
		if (s->role[i].live && s->role[i].host->spawner.sock >= 0)
			(void)spawner_get_usage(&s->role[i].host->spawner);
	/* Ask again at the earliest time at which all processors together could have used up the rest. */
	s->usage_at = now + MAX((limit - MIN(limit, used)) / 1000 / s->processors, LEAST_MS);
}

uint64_t sup_usage_deadline(const struct supervisor *s)
{
	return may_end(s) ? MAX(s->usage_at, 1) : 0;
}
