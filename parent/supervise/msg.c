/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Messages from roles, spawners and QEMU's monitor, and the lines that the user sees
 * of them. Runs in the supervisor. The guest may have taken over a role, so its
 * messages are hostile: common/ctl.c checks their size and type and makes text
 * printable, lines are rate-limited, and one wake-up handles a bounded number of
 * messages of each role.
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/fmt.h"
#include "parent/supervise/exit_port.h"
#include "parent/supervise/hold.h"
#include "parent/supervise/limits.h"
#include "parent/supervise/lines.h"
#include "parent/supervise/monitor.h"
#include "parent/supervise/msg.h"
#include "parent/supervise/passt.h"
#include "parent/supervise/renew.h"
#include "parent/supervise/restart.h"
#include "parent/supervise/rounds.h"
#include "parent/supervise/state.h"
#include "parent/supervise/steer.h"
#include "parent/supervise/usage.h"

/* Most messages of one role that are handled in one wake-up. */
#define MESSAGE_BUDGET 16

/* Print a line that a role sent, rate-limited; the next line after a gap is preceded by the number of dropped ones. */
static void role_line(struct supervisor *s, struct sup_role *r, const char *text)
{
	unsigned before = r->limit.suppressed;

	if (!log_allowed(&r->limit))
		return;
	s->quoting = true;
	if (before)
		sup_line(s, "%s: (%u lines left out)", r->host->name, before);
	r->limit.suppressed = 0;
	sup_line(s, "%s: %s", r->host->name, text);
	s->quoting = false;
}

static void print_stats(struct supervisor *s, const struct sup_role *r)
{
	const struct stats *st = &r->stats, *before = &r->before;
	const struct {
		const char *text;
		uint64_t value;
	} row[] = {
#define X(name, label) { label, st->name + before->name },
		STATS(X)
#undef X
#define X(name, label) { label, r->resets.name + r->resets_before.name },
			RESET_STATS(X)
#undef X
#define X(name, label) { label, r->resets.name },
				RESET_TIMES(X)
#undef X
					{ "resets a second",
					  resets_a_second(st->resets + before->resets,
							  r->resets.reset_span_us + r->resets_before.reset_span_us) },
	};
	bool any = false;

	s->quoting = true;
	for (unsigned i = 0; i < ARRAY_SIZE(row); i++) {
		if (!row[i].value || !*row[i].text)
			continue;
		sup_line(s, "%-5s %14llu  %s", r->host->name, (unsigned long long)row[i].value, row[i].text);
		any = true;
	}
	if (!any)
		sup_line(s, "%-5s nothing to count", r->host->name);
	s->quoting = false;
}

static void role_fault(struct supervisor *s, struct sup_role *r, const struct ctl_msg *m)
{
	char text[LOG_LINE_MAX / 2];

	if (m->value == FAULT_NONE || m->value >= FAULT_COUNT)
		return;
	r->faults++;
	/* The role's guest_fault() has already sent a line with the details. */
	if (s->c->verbose) {
		fmt_line(text, sizeof(text), "queue %u stops until the guest resets the device", m->queue);
		role_line(s, r, text);
	}
	if (s->c->kill_on_fault && s->status < 0) {
		sup_line(s, "ending the guest (--on-fault=kill)");
		sup_force(s, EXIT_GUEST_FAULT);
	}
}

/*
 * Print how long each part of the first start took, when the guest runs and all processes are ready, whichever comes
 * last; bench/run reads this line. The vCPU process waits for helpers only, so the guest may run before controld or
 * passt is ready: then all of the time until it runs was for starting processes.
 */
static void report_phases(struct supervisor *s)
{
	const struct config *c = s->c;
	uint64_t closed = s->h->window_from_us + s->h->window_us, spawned = MIN(s->ready_us, s->running_us);

	if (s->starts != 1 || !spawned)
		return;
	sup_verbose(
		s,
		"start-up: parse %llu us, programs %llu us, privileged %llu us, spawn and confine %llu us, load %llu us: first instruction after %llu us",
		(unsigned long long)(c->parsed_us - c->began_us),
		(unsigned long long)(s->h->window_from_us - c->parsed_us), (unsigned long long)s->h->window_us,
		(unsigned long long)(spawned - closed), (unsigned long long)(s->running_us - spawned),
		(unsigned long long)(s->running_us - c->began_us));
}

/* A role has confined itself. Once the last one has, the phase changes to PHASE_RUNNING. */
static void role_ready(struct supervisor *s, struct sup_role *r, uint32_t missing)
{
	if (r->ready)
		return;
	r->ready = true;
	r->begins = false;
	r->missing = (missing | r->host->spawner.missing) & (LAYER_BIT(LAYER_COUNT) - 1);
	if (r->missing && s->c->strict && s->starts == 1 && !r->generation) {
		sup_lacks(s, r->host->name, r->missing);
		sup_force(s, EXIT_HOST);
	}
	if (r->generation)
		sup_restarted(s, r);
	for (unsigned i = 0; i < s->nroles; i++)
		if (!s->role[i].ready)
			return;
	if (s->phase != PHASE_STARTING)
		return;
	s->phase = PHASE_RUNNING;
	s->ready_us = now_us();
	if (s->starts == 1 && !s->c->strict)
		sup_sum_lacks(s);
	sup_verbose(s, "all processes confined and running after %llu ms", (unsigned long long)(now_ms() - s->started));
	report_phases(s);
}

static void role_message(struct supervisor *s, struct sup_role *r, const struct ctl_msg *m)
{
	switch (m->type) {
	case CTL_READY:
		role_ready(s, r, m->value);
		break;
	case CTL_LOG:
		role_line(s, r, m->text);
		break;
	case CTL_FAULT:
		role_fault(s, r, m);
		break;
	case CTL_FRONT:
		sup_front_changed(s, r, m->value);
		break;
	case CTL_STATS:
		r->stats = m->stats;
		r->have_stats = true;
		r->control_asked = false;
		if (r->stats_asked)
			print_stats(s, r);
		r->stats_asked = false;
		break;
	case CTL_RESETS:
		if (sup_vcpu(s) == r)
			r->resets = m->resets;
		break;
	case CTL_ROUND:
		if (r == sup_vcpu(s))
			sup_round_over(s, m->value);
		break;
	case CTL_END_HELPERS:
	case CTL_START_HELPERS:
		if (r == sup_vcpu(s))
			sup_renew_asked(s, m->type == CTL_START_HELPERS, m->value);
		break;
	case CTL_GUEST_END:
		if (r == sup_vcpu(s) && m->value == GUEST_REPORTED)
			sup_reported(s, (uint8_t)m->detail);
		else if (r == sup_vcpu(s))
			sup_guest_end(s, (enum guest_end)m->value, m->text);
		break;
	case CTL_RUNNING:
		if (r != sup_vcpu(s) || s->guest_running)
			break;
		s->guest_running = true;
		s->running_us = now_us();
		s->greet_by = now_ms() + GREET_MS;
		if (s->starts == 1 && s->h->engine == ENGINE_QEMU)
			sup_note(s, "vcpu: QEMU emulates the CPU; an emulator is not a security boundary: "
				    "only namespaces, Landlock and a seccomp filter confine it");
		report_phases(s);
		break;
	case CTL_COMMAND:
		/* Other roles may not send requests. */
		if (sup_is_control(r) && s->ncommands < MAX_COMMANDS)
			s->command[s->ncommands++] = *m;
		break;
	default:
		break;
	}
}

void sup_role_ctl(struct supervisor *s, struct sup_role *r)
{
	struct ctl_msg m;
	int got = 0;

	for (unsigned i = 0; i < MESSAGE_BUDGET && r->ctl >= 0; i++) {
		got = ctl_recv(r->ctl, &m);
		if (got <= 0)
			break;
		role_message(s, r, &m);
	}
	if (got >= 0)
		return;
	if (errno == EPROTO && r->live) {
		sup_line(s, "%s: sent an invalid message; killing it", r->host->name);
		sup_kill(r);
	}
	close(r->ctl);
	r->ctl = -1;
}

bool sup_role_spawner(struct supervisor *s, struct sup_role *r)
{
	struct spawn_msg m = { 0 };
	bool ended = false;
	int got;

	while ((got = spawner_recv(&r->host->spawner, &m)) > 0) {
		switch (m.type) {
		case SPAWN_FAILED:
			r->live = false;
			/* A role killed before exec, while the guest is ending, is not a failure. */
			if (s->phase >= PHASE_ENDING)
				break;
			errno = (int)m.value;
			sup_line(s, "%s: cannot start its program: %m%s", r->host->name, spawn_limit_text(errno));
			if (sup_is_control(r) && (s->starts > 1 || r->generation)) {
				ended = true; /* The guest goes on without it. */
				break;
			}
			sup_force(s, s->starts == 1 && !r->generation ? EXIT_HOST : EXIT_ROLE_DIED);
			break;
		case SPAWN_ENDED:
			if (!r->live)
				break;
			/* First handle what the role sent before it ended. */
			if (r->ctl >= 0)
				sup_role_ctl(s, r);
			for (unsigned i = 0; i < MESSAGE_BUDGET && r->host->diag >= 0; i++)
				if (!sup_role_diag(s, r))
					break;
			r->live = false;
			r->end = m;
			sup_usage(s, r, &m);
			if (WIFSIGNALED((int)m.value) && WTERMSIG((int)m.value) == SIGKILL && !r->killed_at)
				sup_limits_check(s);
			ended = true;
			break;
		case SPAWN_USAGE:
			if (r->live)
				sup_usage(s, r, &m);
			break;
		case SPAWN_PAUSED:
			sup_hold_role(s, r, m.value);
			break;
		default:
			break;
		}
	}
	if (got == 0)
		return ended;
	close(r->host->spawner.sock);
	r->host->spawner.sock = -1;
	if (!r->live)
		return ended;
	r->live = false;
	sup_limits_check(s);
	if (!s->out_of_memory)
		sup_line(s, "%s: its spawner process died", r->host->name);
	sup_force(s, EXIT_ROLE_DIED);
	return true;
}

void sup_let_out(struct supervisor *s, struct sup_role *r)
{
	/* While a helper restarts, QEMU complains at length about a connection that is about to come back. */
	if (r->said_at && (s->c->verbose || r != sup_vcpu(s) || !sup_restart_recent(s)))
		role_line(s, r, r->said);
	r->said_at = 0;
}

bool sup_role_diag(struct supervisor *s, struct sup_role *r)
{
	char buf[512];
	ssize_t n = read(r->host->diag, buf, sizeof(buf));

	if (n <= 0) {
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return false;
		close(r->host->diag);
		r->host->diag = -1;
		return false;
	}
	for (ssize_t i = 0; i < n; i++) {
		if (buf[i] != '\n') {
			if (r->diag_len < sizeof(r->diag) - 1 && buf[i] != '\r')
				r->diag[r->diag_len++] = buf[i];
			continue;
		}
		make_printable(r->diag, r->diag_len);
		r->diag[r->diag_len] = '\0';
		if (sup_passt_ready(r, r->diag)) {
			role_ready(s, r, 0);
		} else if (r->diag_len) {
			sup_let_out(s, r);
			memcpy(r->said, r->diag, r->diag_len + 1);
			r->said_at = now_ms();
		}
		r->diag_len = 0;
	}
	return true;
}

static void monitor_news(struct supervisor *s, enum qmp_news news)
{
	/* What the guest reported before its end is in the socket by now, and counts first. */
	if (s->exit_port >= 0 && (news == QMP_GUEST_RESET || news == QMP_GUEST_OFF || news == QMP_GUEST_PANIC))
		sup_read_exit_port(s);
	switch (news) {
	case QMP_GREETING:
		/* QEMU emits no event before the first of these commands, so the guest runs only from the second. */
		if (!s->qmp_ready && sup_command(s, QMP_CAPABILITIES QMP_CONT) < 0)
			sup_line(s, "vcpu: cannot start the guest through QEMU's monitor: %m");
		s->qmp_ready = true;
		break;
	case QMP_CONSOLE_OPEN:
		s->virtio_open = true;
		break;
	case QMP_STOPPED:
		sup_hold_monitor(s);
		break;
	case QMP_BREAK_SENT:
	case QMP_BREAK_FAILED:
		sup_break_sent(s, news == QMP_BREAK_SENT);
		break;
	case QMP_HOST_END:
		s->qemu_ended_itself = true;
		break;
	case QMP_NMI_SENT:
	case QMP_NMI_FAILED:
		sup_nmi_sent(s, news == QMP_NMI_SENT);
		break;
	case QMP_GUEST_RESET:
		sup_guest_end(s, GUEST_REBOOT, "");
		break;
	case QMP_GUEST_OFF:
		sup_guest_end(s, GUEST_POWEROFF, "");
		break;
	case QMP_GUEST_PANIC:
		sup_guest_end(s, GUEST_PANIC, "");
		break;
	default:
		break;
	}
}

void sup_monitor(struct supervisor *s)
{
	uint8_t buf[1024];
	ssize_t n = read(s->monitor, buf, sizeof(buf));

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		close(s->monitor);
		s->monitor = -1;
		return;
	}
	for (ssize_t i = 0; i < n && s->monitor >= 0; i++)
		monitor_news(s, qmp_feed(&s->qmp, buf[i]));
}

void sup_ask_stats(struct supervisor *s)
{
	const struct ctl_msg m = { .type = CTL_GET_STATS };

	if (s->hold) {
		sup_line(s, "SIGUSR1: the guest is paused, and its processes report no counters");
		return;
	}
	for (unsigned i = 0; i < s->nroles; i++)
		if (s->role[i].live && s->role[i].ctl >= 0 && !sup_is_control(&s->role[i]))
			s->role[i].stats_asked = ctl_send(s->role[i].ctl, &m) == 0;
}

void sup_print_stats(struct supervisor *s)
{
	static const struct stats none;

	for (unsigned i = 0; i < s->nroles; i++)
		if (s->role[i].have_stats || memcmp(&s->role[i].before, &none, sizeof(none)) != 0)
			print_stats(s, &s->role[i]);
}
