/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Pauses a guest: see hold.h. Runs in the supervisor. With QEMU its monitor stops the
 * guest first, so that the guest's clock stands still and no I/O is in flight. Then
 * the spawners stop the processes, whose own cooperation is not needed: SIGSTOP also
 * holds one that the guest has taken over. Threads that are in a system call then may
 * finish it, but do not return to their program (parent/init/trace.h). Controld and the
 * spawners go on.
 */
#include "common/fmt.h"
#include "parent/supervise/hold.h"
#include "parent/supervise/lines.h"
#include "parent/supervise/monitor.h"

/* How long QEMU may take to stop its guest; it waits for I/O. Then its process is stopped in any case. */
#define MONITOR_MS 2000
/* How long the processes may take to stop. One whose first thread waits for a disk stops when that answers. */
#define STOP_MS 5000

/* True if SIGSTOP can hold the process of @r now. */
static bool can_stop(const struct sup_role *r)
{
	return r->live && r->ready && !sup_is_control(r);
}

/* Returns the first helper that is just being started again, or NULL. */
static const struct sup_role *starting_role(const struct supervisor *s)
{
	for (unsigned i = 0; i < s->nroles; i++)
		if (s->role[i].live && !s->role[i].ready && !sup_is_control(&s->role[i]))
			return &s->role[i];
	return NULL;
}

static const char *why_not(const struct supervisor *s)
{
	if (s->hold == HOLD_DONE)
		return "it is paused already";
	if (s->hold != HOLD_NONE)
		return "another command is just pausing it";
	if (s->phase >= PHASE_ENDING || s->have_end || s->status >= 0)
		return "it is just ending";
	if (s->stop_status)
		return "it was asked to power off, and cannot be paused any more";
	/* QEMU could not confirm it any more. */
	if (s->sysrq_key)
		return "a key of sysrq is being sent; try again";
	if (s->nmi_until)
		return "a non-maskable interrupt is being sent; try again";
	if (!sup_guest_runs(s))
		return "it is still starting; try again";
	return starting_role(s) ? "one of its processes is just being started again; try again" : NULL;
}

static void hold_roles(struct supervisor *s)
{
	s->hold = HOLD_ROLES;
	s->hold_until = now_ms() + STOP_MS;
	s->hold_number++;
	/* The vCPU process is the last role, and the first to be stopped. */
	for (unsigned i = s->nroles; i-- > 0;) {
		struct sup_role *r = &s->role[i];

		r->hold_asked = can_stop(r);
		r->hold_unsent = r->hold_asked && spawner_pause_role(&r->host->spawner, s->hold_number) < 0;
	}
}

const char *sup_pause(struct supervisor *s, uint32_t ticket)
{
	const char *reason = why_not(s);

	if (reason)
		return reason;
	s->late[LATE_PAUSE] = (struct late_answer){ .waits = true, .ticket = ticket };
	s->held_at = now_ms();
	if (s->monitor >= 0 && sup_command(s, QMP_STOP) == 0) {
		s->hold = HOLD_MONITOR;
		s->hold_until = s->held_at + MONITOR_MS;
	} else {
		hold_roles(s);
	}
	return NULL;
}

void sup_hold_monitor(struct supervisor *s)
{
	if (s->hold == HOLD_MONITOR)
		hold_roles(s);
}

void sup_hold_role(struct supervisor *s, struct sup_role *r, uint32_t number)
{
	if (number == s->hold_number)
		r->hold_asked = false;
}

static void give_up(struct supervisor *s, const struct sup_role *r, const char *why)
{
	char text[sizeof(s->late[0].text)];

	fmt_line(text, sizeof(text), "the process of %s %s; not paused", r->host->name, why);
	sup_answer_later(&s->late[LATE_PAUSE], CONTROL_FAILED, text);
	sup_let_run(s);
}

void sup_hold_due(struct supervisor *s, uint64_t now)
{
	const struct sup_role *slow = NULL, *unsent = NULL;

	if (s->hold == HOLD_MONITOR && now >= s->hold_until)
		hold_roles(s);
	if (s->hold != HOLD_ROLES)
		return;
	for (unsigned i = 0; i < s->nroles; i++) {
		if (s->role[i].live && s->role[i].hold_asked)
			slow = &s->role[i];
		if (s->role[i].live && s->role[i].hold_unsent)
			unsent = &s->role[i];
	}
	if (unsent) {
		give_up(s, unsent, "cannot be stopped, because its spawner takes no messages");
	} else if (!slow) {
		s->hold = HOLD_DONE;
		sup_note(s, "lguest-sep pause: the guest is paused");
		sup_answer_later(&s->late[LATE_PAUSE], CONTROL_DONE, "");
	} else if (now >= s->hold_until) {
		give_up(s, slow, "does not stop, because a disk or file system does not answer it");
	}
}

uint64_t sup_hold_deadline(const struct supervisor *s)
{
	return s->hold == HOLD_MONITOR || s->hold == HOLD_ROLES ? s->hold_until : 0;
}

const char *sup_resume(struct supervisor *s)
{
	if (s->hold == HOLD_NONE)
		return "it is not paused";
	sup_note(s, "lguest-sep resume: the guest continues");
	sup_let_run(s);
	return NULL;
}
