// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What roles, spawners and QEMU say, and the lines that the user gets to see.
 * Runs in the supervisor. A role may be the guest's by now: sizes and types are
 * judged by common/ctl.c, text is printable, lines are rate-limited, and one
 * wake-up does a bounded amount of work for each of them.
 */
#include <errno.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/sandbox.h"
#include "supervise.h"

/* Messages of one role that are looked at in one wake-up. */
#define MESSAGE_BUDGET 16

static void put_line(struct supervisor *s, const char *text)
{
	const char *nl = s->h->term.raw && s->h->term.err_tty ? "\r\n" : "\n";
	char line[LOG_LINE_MAX + 64];
	size_t n;

	n = fmt_line(line, sizeof(line), "lguest-sep: %s%s", text, nl);
	if (outbuf_room(&s->err) < n)
		s->err.dropped += n;
	else
		outbuf_put(&s->err, line, n);
	sup_join_lines(s, false);
}

void sup_line(struct supervisor *s, const char *fmt, ...)
{
	char text[LOG_LINE_MAX];
	va_list ap;

	va_start(ap, fmt);
	fmt_vline(text, sizeof(text), fmt, ap);
	va_end(ap);
	put_line(s, text);
}

void sup_verbose(struct supervisor *s, const char *fmt, ...)
{
	char text[LOG_LINE_MAX];
	va_list ap;

	if (!s->c->verbose)
		return;
	va_start(ap, fmt);
	fmt_vline(text, sizeof(text), fmt, ap);
	va_end(ap);
	put_line(s, text);
}

/* A line that a role said; a flood of them is cut, and the cut is said. */
static void role_line(struct supervisor *s, struct sup_role *r, const char *text)
{
	unsigned before = r->limit.suppressed;

	if (!log_allowed(&r->limit))
		return;
	if (before)
		sup_line(s, "%s: (%u lines left out)", r->host->name, before);
	r->limit.suppressed = 0;
	sup_line(s, "%s: %s", r->host->name, text);
}

static void print_stats(struct supervisor *s, const struct sup_role *r)
{
	const struct stats *st = &r->stats;
	const struct {
		const char *text;
		uint64_t value;
	} row[] = {
#define X(name, label) { label, st->name },
		STATS(X)
#undef X
	};
	bool any = false;

	for (unsigned i = 0; i < ARRAY_SIZE(row); i++) {
		if (!row[i].value || !*row[i].text)
			continue;
		sup_line(s, "%-5s %14llu  %s", r->host->name, (unsigned long long)row[i].value, row[i].text);
		any = true;
	}
	if (!any)
		sup_line(s, "%-5s nothing to count", r->host->name);
}

static void role_fault(struct supervisor *s, struct sup_role *r, const struct ctl_msg *m)
{
	char text[LOG_LINE_MAX / 2];

	if (m->value == FAULT_NONE || m->value >= FAULT_COUNT)
		return;
	/* guest_fault() has said the rest, in a line of its own. */
	if (s->c->verbose) {
		fmt_line(text, sizeof(text), "queue %u stops until the guest resets the device", m->queue);
		role_line(s, r, text);
	}
	if (s->c->kill_on_fault && s->status < 0) {
		sup_line(s, "the guest is ended (--on-fault=kill)");
		sup_force(s, EXIT_GUEST_FAULT);
	}
}

void sup_lacks(struct supervisor *s, const char *who, uint32_t missing)
{
	const char *note = s->c->strict ? " (--strict: not started)" : "";
	char text[LOG_LINE_MAX - 96];

	while (missing) {
		uint32_t some = 0;

		/* as many to a line as fit: no name is ever cut */
		for (unsigned l = 0; l < LAYER_COUNT; l++) {
			uint32_t more = some | (missing & LAYER_BIT(l));

			if (sandbox_missing_text(more, text, sizeof(text)) < sizeof(text) - 1)
				some = more;
		}
		sandbox_missing_text(some, text, sizeof(text));
		missing &= ~some;
		sup_line(s, "%s: this host lacks: %s%s", who, text, missing ? "," : note);
	}
}

/* The last role that was waited for makes the guest a running one. */
static void role_ready(struct supervisor *s, struct sup_role *r, uint32_t missing)
{
	if (r->ready)
		return;
	r->ready = true;
	r->missing = (missing | r->host->spawner.missing) & (LAYER_BIT(LAYER_COUNT) - 1);
	if (r->missing && s->starts == 1 && !r->generation) {
		sup_lacks(s, r->host->name, r->missing);
		if (s->c->strict)
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
	sup_verbose(s, "all processes confined and running after %llu ms", (unsigned long long)(now_ms() - s->started));
}

/* Where the time of the first start went; bench/run reads it. */
static void say_phases(struct supervisor *s)
{
	const struct config *c = s->c;
	uint64_t now = now_us(), closed = s->h->window_from_us + s->h->window_us;

	if (s->starts == 1)
		sup_verbose(
			s,
			"start-up: parse %llu us, programs %llu us, privileged %llu us, spawn and confine %llu us, load %llu us: first instruction after %llu us",
			(unsigned long long)(c->parsed_us - c->began_us),
			(unsigned long long)(s->h->window_from_us - c->parsed_us), (unsigned long long)s->h->window_us,
			(unsigned long long)(s->ready_us - closed), (unsigned long long)(now - s->ready_us),
			(unsigned long long)(now - c->began_us));
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
	case CTL_STATS:
		r->stats = m->stats;
		r->have_stats = true;
		if (r->stats_asked)
			print_stats(s, r);
		r->stats_asked = false;
		break;
	case CTL_GUEST_END:
		if (r == sup_vcpu(s))
			sup_guest_end(s, (enum guest_end)m->value, m->text);
		break;
	case CTL_RUNNING:
		if (r != sup_vcpu(s) || s->ran)
			break;
		s->ran = true;
		if (s->starts == 1 && s->h->engine == ENGINE_QEMU)
			sup_line(s, "vcpu: QEMU emulates the CPU; an emulator is not a security boundary: "
				    "namespaces, Landlock and a filter around it are what holds");
		sup_verbose(s, "the guest runs, %llu ms after its start", (unsigned long long)(now_ms() - s->started));
		say_phases(s);
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
		sup_line(s, "%s: said something that is no message; it is ended", r->host->name);
		spawner_kill_role(&r->host->spawner);
	}
	close(r->ctl);
	r->ctl = -1;
}

void sup_role_spawner(struct supervisor *s, struct sup_role *r)
{
	struct spawn_msg m = { 0 };
	int got;

	while ((got = spawner_recv(&r->host->spawner, &m)) > 0) {
		switch (m.type) {
		case SPAWN_FAILED:
			r->live = false;
			/* One that is ended before it is executed has not failed. */
			if (s->phase >= PHASE_ENDING)
				break;
			errno = (int)m.value;
			sup_line(s, "%s: its program cannot be started: %m", r->host->name);
			sup_force(s, s->starts == 1 && !r->generation ? EXIT_HOST : EXIT_ROLE_DIED);
			break;
		case SPAWN_ENDED:
			if (!r->live)
				break;
			/* What it said before it ended comes first. */
			if (r->ctl >= 0)
				sup_role_ctl(s, r);
			for (unsigned i = 0; i < MESSAGE_BUDGET && r->host->diag >= 0; i++)
				if (!sup_role_diag(s, r))
					break;
			r->live = false;
			r->end = m;
			sup_role_ended(s, r);
			break;
		default:
			break;
		}
	}
	if (got == 0)
		return;
	close(r->host->spawner.sock);
	r->host->spawner.sock = -1;
	if (!r->live)
		return;
	r->live = false;
	sup_line(s, "%s: its spawner is gone", r->host->name);
	sup_force(s, EXIT_ROLE_DIED);
	sup_role_ended(s, r);
}

void sup_let_out(struct supervisor *s, struct sup_role *r)
{
	/* QEMU says much about a connection that is about to be there again. */
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
		if (r->diag_len) {
			sup_let_out(s, r);
			memcpy(r->said, r->diag, r->diag_len + 1);
			r->said_at = now_ms();
		}
		r->diag_len = 0;
	}
	return true;
}

int sup_command(struct supervisor *s, const char *command)
{
	struct iovec iov = { (void *)(uintptr_t)command, strlen(command) };
	struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1 };

	return sendmsg(s->monitor, &mh, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 ? -1 : 0;
}

static void monitor_news(struct supervisor *s, enum qmp_news news)
{
	switch (news) {
	case QMP_GREETING:
		if (!s->greeted && sup_command(s, QMP_CAPABILITIES) < 0)
			sup_verbose(s, "vcpu: QEMU's monitor takes no command: %m");
		s->greeted = true;
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

	for (unsigned i = 0; i < s->nroles; i++)
		if (s->role[i].live && s->role[i].ctl >= 0)
			s->role[i].stats_asked = ctl_send(s->role[i].ctl, &m) == 0;
}

void sup_print_stats(struct supervisor *s)
{
	for (unsigned i = 0; i < s->nroles; i++)
		if (s->role[i].have_stats)
			print_stats(s, &s->role[i]);
}
