/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Processes that do not end although they were killed, because they wait in the kernel
 * for a disk or file system that does not answer (FUSE, NFS). Runs in the supervisor,
 * which stops waiting for them.
 */
#include <unistd.h>

#include "common/fmt.h"
#include "parent/supervise/lines.h"
#include "parent/supervise/state.h"
#include "parent/supervise/stuck.h"

/* How long after SIGKILL a process counts as stuck. */
#define STUCK_MS 5000

void sup_lock_text(const struct supervisor *s, const struct sup_role *r, char *text, size_t size)
{
	const struct disk_option *d;

	*text = '\0';
	if (r->device < 0 || s->c->device[r->device].kind != DEV_BLK)
		return;
	d = &s->c->disk[s->c->device[r->device].index];
	if (!d->no_lock && d->path)
		fmt_line(text, size, "; %s stays locked until then", d->path);
}

static void count_as_ended(struct supervisor *s, struct sup_role *r)
{
	char lock[LOG_LINE_MAX / 2];
	int pid = (int)spawner_role_pid(&r->host->spawner);

	sup_lock_text(s, r, lock, sizeof(lock));
	sup_line(
		s,
		"%s: process %d%s was killed but cannot end before a disk or file system answers it; no longer waiting for it%s",
		r->host->name, pid > 0 ? pid : (int)r->host->spawner.pid, pid > 0 ? "" : " (or its child)", lock);
	r->live = false;
	if (r->ctl >= 0)
		close(r->ctl);
	r->ctl = -1;
	r->end_told = true;
	r->host->spawner.stuck = true;
	if (s->phase < PHASE_ENDING || (s->have_end && s->end == GUEST_REBOOT))
		sup_force(s, EXIT_ROLE_DIED);
	if (!sup_is_helper(s, r))
		sup_begin_ending(s);
}

static uint64_t due_at(const struct sup_role *r)
{
	return r->live && r->killed_at ? r->killed_at + STUCK_MS : 0;
}

void sup_stuck_due(struct supervisor *s)
{
	uint64_t now = now_ms();

	for (unsigned i = 0; i < s->nroles; i++)
		if (due_at(&s->role[i]) && now >= due_at(&s->role[i]))
			count_as_ended(s, &s->role[i]);
}

uint64_t sup_stuck_deadline(const struct supervisor *s)
{
	uint64_t first = 0;

	for (unsigned i = 0; i < s->nroles; i++) {
		uint64_t at = due_at(&s->role[i]);

		if (at && (!first || at < first))
			first = at;
	}
	return first;
}
