/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The supervisor's side of the control plane: see control.h. Runs in the supervisor. */
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "common/fmt.h"
#include "parent/setup/notify.h"
#include "parent/supervise/control.h"
#include "parent/supervise/control_io.h"
#include "parent/supervise/end.h"
#include "parent/supervise/hold.h"
#include "parent/supervise/io.h"
#include "parent/supervise/lines.h"
#include "parent/supervise/parts.h"
#include "parent/supervise/steer.h"

/* How long to wait for the counters of a role that does not answer (QEMU never does). */
#define STATS_MS 1000
/* The same for controld, at the end of the guest. */
#define OVER_MS 3000

/* ---- the state ---- */

static enum guest_phase guest_phase(const struct supervisor *s)
{
	if (s->phase >= PHASE_ENDING)
		return sup_reboots(s) ? GUEST_REBOOTING : GUEST_ENDING;
	if (s->stop_status)
		return GUEST_STOPPING;
	if (s->hold == HOLD_DONE)
		return GUEST_PAUSED;
	return sup_guest_runs(s) ? GUEST_RUNNING : GUEST_STARTING;
}

static void describe(const struct supervisor *s, struct guest_state *g)
{
	const char *base = strrchr(s->c->kernel, '/');

	memset(g, 0, sizeof(*g));
	fmt_line(g->name, sizeof(g->name), "%s", s->h->name);
	fmt_line(g->kernel, sizeof(g->kernel), "%s", base ? base + 1 : s->c->kernel);
	g->phase = (uint32_t)guest_phase(s);
	g->engine = (uint32_t)s->h->engine;
	g->smp = s->c->smp;
	g->disks = s->c->ndisks;
	g->nics = s->c->nnets;
	g->shares = s->c->nshares;
	g->ports = s->c->nports - (s->c->run.on ? RUN_PORTS : 0);
	g->starts = s->starts;
	g->restarts = s->restarts - s->control_restarts;
	g->mem_bytes = s->c->mem_bytes;
	g->began_ms = s->began;
	g->memory_max = s->c->limit.memory;
	g->cpus_thousandths = s->c->limit.cpus;
	g->pids_max = s->c->limit.pids;
	g->timeout_ms = s->c->timeout_ms;
	g->cpu_timeout_ms = s->c->cpu_timeout_ms;
}

static void push_state(struct supervisor *s)
{
	struct sup_role *r = sup_control(s);
	struct ctl_msg m = { .type = CTL_STATE };

	if (!r || r->ctl < 0)
		return;
	describe(s, &m.state);
	if (memcmp(&m.state, &s->control_state, sizeof(m.state)) != 0 && ctl_send(r->ctl, &m) == 0)
		s->control_state = m.state;
}

void sup_tell_ready(struct supervisor *s)
{
	char line[sizeof(s->h->name) + 2];
	size_t n;

	if (s->told_ready || !sup_guest_began(s))
		return;
	s->told_ready = true;
	sup_verbose(s, "the guest runs, %llu ms after its start", (unsigned long long)(now_ms() - s->started));
	notify_send(s->h->notify, "READY=1\nSTATUS=The guest runs");
	if (s->h->tell_ready < 0)
		return;
	/* A user who has the line must find the guest running: each command works now. */
	push_state(s);
	n = fmt_line(line, sizeof(line), "%s\n", s->h->name);
	if (write(s->h->tell_ready, line, n) < 0) {
		sup_line(s, "the lguest-sep --detach that started this guest was ended; ending the guest");
		sup_force(s, EXIT_SIGHUP);
	}
	close(s->h->tell_ready);
	s->h->tell_ready = -1;
}

/* ---- answers ---- */

static void answer(struct supervisor *s, const struct ctl_msg *m, enum control_result result, const char *text)
{
	struct ctl_msg a = { .type = CTL_ANSWER, .value = (uint32_t)result, .queue = m->queue };

	/* A client that has its answer must find the new state if it asks for it. */
	push_state(s);
	fmt_line(a.text, sizeof(a.text), "%s", text);
	(void)ctl_send(sup_control(s)->ctl, &a);
}

/* ---- counters ---- */

static bool has_counters(const struct supervisor *s, const struct sup_role *r)
{
	return !sup_is_control(r) && r->host->foreign < 0 && (s->h->engine != ENGINE_QEMU || sup_is_helper(s, r));
}

static void ask_counters(struct supervisor *s)
{
	const struct ctl_msg m = { .type = CTL_GET_STATS };

	if (s->stats_until)
		return;
	s->stats_until = now_ms() + STATS_MS;
	for (unsigned i = 0; i < s->nroles; i++) {
		struct sup_role *r = &s->role[i];

		/* A role that is paused answers nothing: the client gets the last counters that it sent. */
		r->control_asked =
			!s->hold && r->live && r->ctl >= 0 && has_counters(s, r) && ctl_send(r->ctl, &m) == 0;
	}
}

/*
 * Send what resets took, if there were any, before message @n of the list, and as one that is not the last. An older
 * client refuses it.
 */
static void send_resets(struct supervisor *s, const struct sup_role *r, unsigned n)
{
	struct ctl_msg m = { .type = CTL_ROLE_RESETS, .queue = n, .count = n + 2, .resets = r->resets };

	if (r->have_stats && r->resets.reset_span_us)
		(void)ctl_send(sup_control(s)->ctl, &m);
}

/* Send one message for each role, devices first; also for roles that have no counters. */
static void send_counters(struct supervisor *s)
{
	unsigned total = 0, n = 0;

	for (unsigned i = 0; i < s->nroles; i++)
		total += !sup_is_control(&s->role[i]) && s->role[i].host->foreign < 0;
	for (unsigned i = 0; i < s->nroles; i++) {
		const struct sup_role *r = &s->role[i];
		struct ctl_msg m = { .type = CTL_ROLE_STATS, .queue = n, .count = total };

		if (sup_is_control(r) || r->host->foreign >= 0)
			continue;
		fmt_line(m.role_stats.name, sizeof(m.role_stats.name), "%s", r->host->name);
		m.role_stats.spawner_pid = r->host->spawner.pid > 0 ? (uint32_t)r->host->spawner.pid : 0;
		m.role_stats.counted = r->have_stats;
		if (r->have_stats)
			m.role_stats.stats = r->stats;
		send_resets(s, r, n++);
		(void)ctl_send(sup_control(s)->ctl, &m);
	}
}

static void counters_due(struct supervisor *s)
{
	bool waits = false;

	if (!s->stats_until)
		return;
	for (unsigned i = 0; i < s->nroles; i++)
		waits |= s->role[i].control_asked && s->role[i].live;
	if (waits && now_ms() < s->stats_until)
		return;
	s->stats_until = 0;
	send_counters(s);
}

/* ---- commands ---- */

static void stop(struct supervisor *s, const struct ctl_msg *m)
{
	unsigned grace_s = m->detail && m->detail <= 100000000 ? (unsigned)m->detail : s->c->stop_timeout_s;

	answer(s, m, CONTROL_DONE, "");
	/* A second stop can only shorten the time of the first. */
	if (s->stop_status && s->button_until && m->detail && now_ms() + grace_s * 1000ull < s->button_until) {
		s->button_until = now_ms() + grace_s * 1000ull;
		s->button_said = true;
	}
	if (s->stop_status || s->status >= 0)
		return;
	/* The init of lguest-sep run does not listen to a power button. */
	if (s->c->run.on || s->phase != PHASE_RUNNING) {
		sup_line(s, "lguest-sep stop: ending the guest");
		sup_force(s, EXIT_SIGTERM);
	} else {
		s->button_said = m->detail != 0;
		sup_power_button(s, EXIT_SIGTERM, grace_s);
	}
}

/* Answer a command that failed for @reason, or has been done (NULL) unless its result comes later. */
static void reply(struct supervisor *s, const struct ctl_msg *m, const char *reason, bool later)
{
	if (reason)
		answer(s, m, CONTROL_FAILED, reason);
	else if (!later)
		answer(s, m, CONTROL_DONE, "");
}

/* Send the results that have become known. */
static void late_answers(struct supervisor *s)
{
	for (unsigned i = 0; i < LATE_ANSWERS; i++) {
		struct late_answer *l = &s->late[i];
		const struct ctl_msg m = { .queue = l->ticket };

		if (l->waits && l->known)
			answer(s, &m, l->result, l->text);
		l->waits &= !l->known;
	}
}

static void command(struct supervisor *s, const struct ctl_msg *m)
{
	const char *reason;
	bool later;

	switch (m->value) {
	case CONTROL_STOP:
		stop(s, m);
		break;
	case CONTROL_KILL:
		answer(s, m, CONTROL_DONE, "");
		if (s->status < 0)
			sup_line(s, "lguest-sep kill: ending the guest");
		s->hurried = true;
		sup_force(s, EXIT_KILL);
		break;
	case CONTROL_STATS:
		ask_counters(s);
		break;
	case CONTROL_PARTS:
		s->parts_asked = true;
		break;
	case CONTROL_PAUSE:
		reply(s, m, sup_pause(s, m->queue), true);
		break;
	case CONTROL_RESUME:
		reply(s, m, sup_resume(s), false);
		sup_window_size(s);
		break;
	case CONTROL_NMI:
		reason = sup_nmi(s, m->queue, &later);
		reply(s, m, reason, later);
		break;
	case CONTROL_SYSRQ:
		reason = sup_sysrq(s, m->detail, m->queue, &later);
		reply(s, m, reason, later);
		break;
	case CONTROL_CHECKPOINT:
	case CONTROL_RESET:
		reply(s, m, sup_checkpoint(s, m->value == CONTROL_RESET), false);
		break;
	default:
		answer(s, m, CONTROL_FAILED, "the supervisor has no such command");
		break;
	}
}

void sup_control_turn(struct supervisor *s)
{
	struct sup_role *r = sup_control(s);

	if (!r || s->over)
		return;
	sup_control_stall_due(s);
	for (unsigned i = 0; i < s->ncommands && r->ctl >= 0; i++) {
		/* A command takes the place of an earlier one whose result is known: that one's client comes first. */
		late_answers(s);
		command(s, &s->command[i]);
	}
	s->ncommands = 0;
	if (r->ctl < 0)
		return;
	late_answers(s);
	counters_due(s);
	/* Once for all clients that asked in this turn. */
	if (s->parts_asked)
		sup_send_parts(s, r->ctl);
	s->parts_asked = false;
	push_state(s);
}

/* Returns the earlier one of two deadlines (ms; 0: none). */
static uint64_t earlier(uint64_t a, uint64_t b)
{
	return a && b ? MIN(a, b) : MAX(a, b);
}

uint64_t sup_control_deadline(const struct supervisor *s, uint64_t other)
{
	for (unsigned i = 0; i < LATE_ANSWERS && !s->over; i++)
		if (s->late[i].waits && s->late[i].known)
			return 1;
	/* After the end sup_control_turn() does nothing, so no deadline of its may wake us. */
	return s->over ? other : earlier(other, earlier(s->stats_until, sup_control_stall(s)));
}

/* ---- the end ---- */

static void wait_for(int fd, short events, uint64_t until)
{
	struct pollfd p = { .fd = fd, .events = events };
	uint64_t now = now_ms(), ms = until > now ? until - now : 0;
	struct timespec t = { (time_t)(ms / 1000), (long)(ms % 1000) * 1000000 };

	(void)ppoll(&p, 1, &t, NULL);
}

void sup_control_over(struct supervisor *s, int status)
{
	struct sup_role *r = sup_control(s);
	struct ctl_msg m = { .type = CTL_OVER, .value = (uint32_t)status };
	uint64_t until = now_ms() + OVER_MS;

	s->over = true;
	/* Release the guest's name: another guest can use it once controld has closed its copy too. */
	if (s->h->control >= 0)
		close(s->h->control);
	s->h->control = -1;
	if (!r || r->ctl < 0)
		return;
	while (s->control_console >= 0 && s->control_out.len && !s->control_stalled && now_ms() < until) {
		wait_for(s->control_console, POLLOUT, MIN(until, sup_control_stall(s)));
		sup_control_ready(s, POLLOUT);
		sup_control_stall_due(s);
	}
	if (ctl_send(r->ctl, &m) < 0)
		return;
	while (now_ms() < until) {
		wait_for(r->ctl, POLLIN, until);
		if (ctl_recv(r->ctl, &m) < 0)
			break;
	}
}
