/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How a pause ends, and how the end of a guest begins: the only file that sets the phase to PHASE_ENDING.
 * Runs in the supervisor. It prints nothing; end.c decides what the end means.
 */
#include <signal.h>
#include <string.h>
#include <sys/wait.h>

#include "common/fmt.h"
#include "parent/supervise/monitor.h"
#include "parent/supervise/state.h"

#define STOP_GRACE_MS 5000 /* How long blkd may take to finish its I/O before it is killed. */
#define NIC_GRACE_MS  500  /* The same for netd, which has no I/O to finish. */

bool sup_all_ended(const struct supervisor *s)
{
	for (unsigned i = 0; i < s->nroles; i++)
		if (s->role[i].live && !sup_is_control(&s->role[i]))
			return false;
	return true;
}

bool sup_is_helper(const struct supervisor *s, const struct sup_role *r)
{
	return r != &s->role[s->nroles - 1];
}

void sup_end_text(struct sup_role *r, char *text, size_t size)
{
	int status = (int)r->end.value;
	bool ours = r->killed_at && r->end.type == SPAWN_ENDED && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
	/* The text for a signal names who may have sent it, and that was not us. */
	size_t n = ours ? fmt_line(text, size, "killed by lguest-sep") : spawn_end_text(&r->end, text, size);

	if (r->said_at)
		fmt_line(text + n, size - n, ": %s", r->said);
	r->said_at = 0;
	r->end_told = true;
}

void sup_kill(struct sup_role *r)
{
	if (!r->killed_at)
		r->killed_at = now_ms();
	spawner_kill_role(&r->host->spawner);
}

void sup_answer_later(struct late_answer *l, enum control_result result, const char *text)
{
	if (!l->waits || l->known)
		return;
	l->known = true;
	l->result = result;
	fmt_line(l->text, sizeof(l->text), "%s", text);
}

static void later(uint64_t *time, uint64_t ms)
{
	if (*time)
		*time += ms;
}

void sup_let_run(struct supervisor *s)
{
	uint64_t ms = now_ms() - s->held_at;

	if (s->hold == HOLD_NONE)
		return;
	s->hold = HOLD_NONE;
	/* Helpers first, so that the vCPU process finds them running. */
	for (unsigned i = 0; i < s->nroles; i++) {
		struct sup_role *r = &s->role[i];
		bool runs = r->hold_unsent; /* It was never asked to stop. */

		r->hold_asked = r->hold_unsent = false;
		if (r->live && !runs && !sup_is_control(r) && spawner_resume_role(&r->host->spawner) < 0)
			sup_kill(r);
	}
	/* A guest that is being ended need not run. */
	if (s->monitor >= 0 && s->phase == PHASE_RUNNING && s->status < 0)
		(void)sup_command(s, QMP_CONT);
	s->held_ms += ms;
	later(&s->first_output, ms);
	later(&s->last_output, ms);
	later(&s->panic_at, ms);
	later(&s->reported_at, ms);
	sup_answer_later(&s->late[LATE_PAUSE], CONTROL_FAILED, "it was resumed or ended meanwhile");
}

bool sup_guest_began(const struct supervisor *s)
{
	return s->phase > PHASE_STARTING && s->guest_running && (s->monitor < 0 || s->qmp_ready);
}

bool sup_guest_runs(const struct supervisor *s)
{
	return s->phase == PHASE_RUNNING && sup_guest_began(s);
}

/* The vCPU process has ended, or was never started: stop the helpers. */
void sup_begin_ending(struct supervisor *s)
{
	const struct ctl_msg stop = { .type = CTL_STOP };

	if (s->phase >= PHASE_ENDING)
		return;
	s->phase = PHASE_ENDING;
	sup_let_run(s); /* A process that is stopped could not finish its I/O. */
	s->stop_by = now_ms() + STOP_GRACE_MS;
	s->nics_stop_by = now_ms() + NIC_GRACE_MS;
	s->blame_at = s->button_until = 0;
	for (unsigned i = 0; i < s->nroles; i++) {
		struct sup_role *r = &s->role[i];

		/* Controld serves its clients until the end of the last start. */
		if (!r->live || sup_is_control(r))
			continue;
		if (!sup_is_helper(s, r) || !r->ready)
			sup_kill(r);
		else if (r->ctl < 0 || ctl_send(r->ctl, &stop) < 0)
			sup_kill(r);
	}
}

void sup_force(struct supervisor *s, int status)
{
	if (s->status < 0)
		s->status = status;
	if (sup_vcpu(s)->live)
		sup_kill(sup_vcpu(s));
	else
		sup_begin_ending(s);
}

void sup_guest_end(struct supervisor *s, enum guest_end end, const char *text)
{
	/* QEMU resets a guest after its panic: keep the panic. What a guest reported came before its reset, too. */
	if (s->have_end && (s->end == GUEST_PANIC || s->end == GUEST_REPORTED))
		return;
	s->have_end = true;
	s->ended_at = now_ms();
	s->end = end;
	fmt_line(s->end_text, sizeof(s->end_text), "%s", text);
}

bool sup_ended_well(const struct sup_role *r)
{
	return WIFEXITED((int)r->end.value) && WEXITSTATUS((int)r->end.value) == 0;
}

/* Add the counters of the process that has ended to those of its predecessors. */
static void sum_stats(struct sup_role *r)
{
	if (!r->have_stats)
		return;
#define X(name, text) r->before.name += r->stats.name;
	STATS(X)
#undef X
#define X(name, text) r->resets_before.name += r->resets.name;
	RESET_STATS(X)
#undef X
	memset(&r->stats, 0, sizeof(r->stats));
	memset(&r->resets, 0, sizeof(r->resets));
}

void sup_role_fresh(struct sup_role *r)
{
	sum_stats(r);
	r->ready = false;
	r->live = false;
	r->front_idle = false;
	r->front_by = 0;
	r->killed_at = 0;
	r->diag_len = 0;
	r->said_at = 0;
	r->end_told = false;
	r->have_stats = r->stats_asked = false;
	memset(&r->end, 0, sizeof(r->end));
}
