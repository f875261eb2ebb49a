/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Output whose reader is slow or has stopped reading. While the guest runs, its output
 * waits for the reader without a limit. Once the guest has to end, the reader gets a
 * limited time, and output that is left after it is dropped. Runs in the supervisor;
 * never waits.
 */
#include <errno.h>

#include "parent/supervise/console_out.h"
#include "parent/supervise/drain.h"
#include "parent/supervise/end.h"
#include "parent/supervise/lines.h"
#include "parent/supervise/state.h"
#include "parent/terminal/copier.h"

/* How long the reader may take nothing before the rest of the output is dropped. */
#define PATIENCE_MS	   10000 /* The guest ended by itself. */
#define PATIENCE_FORCED_MS 2000	 /* The supervisor ends the guest. */
#define PATIENCE_HURRY_MS  200	 /* The user wants the end at once. */
/* The limits for a reader that takes a byte now and then. */
#define TOTAL_MS       60000
#define TOTAL_HURRY_MS 1000

/* True if the guest runs, or is about to be started again. */
static bool runs(const struct supervisor *s)
{
	return s->phase < PHASE_ENDING || (s->phase == PHASE_ENDING && sup_reboots(s));
}

unsigned sup_patience_ms(const struct supervisor *s)
{
	if (s->hurried)
		return PATIENCE_HURRY_MS;
	if (s->status >= 0 || s->stop_status)
		return PATIENCE_FORCED_MS;
	if (runs(s))
		return 0;
	return PATIENCE_MS;
}

static bool has_output(const struct supervisor *s, bool last)
{
	return sup_output_waits(s) || (last && s->err.len);
}

uint64_t sup_output_deadline(const struct supervisor *s, bool last)
{
	unsigned ms = sup_patience_ms(s), total = s->hurried ? TOTAL_HURRY_MS : TOTAL_MS;

	if (!ms || !s->drain_from || !has_output(s, last))
		return 0;
	return MIN(MAX(s->drain_from, s->taken_at) + ms, s->drain_from + total);
}

static void drop(struct outbuf *o)
{
	o->gone = true;
	o->error = ETIMEDOUT;
	o->dropped += o->len;
	o->head = o->len = 0;
}

void sup_output_due(struct supervisor *s, bool last)
{
	uint64_t now = now_ms(), deadline;

	/* The reader's time starts when there is output to read. */
	if (!sup_patience_ms(s) || !has_output(s, last)) {
		s->drain_from = 0;
		return;
	}
	if (!s->drain_from)
		s->drain_from = now;
	deadline = sup_output_deadline(s, last);
	if (!deadline || now < deadline)
		return;
	if (sup_output_waits(s))
		sup_console_drop(s, ETIMEDOUT);
	else
		drop(&s->err);
	/* Log messages that waited behind that output now go to standard error, and get a new time limit. */
	s->drain_from = now;
}

void sup_output_closed(struct supervisor *s)
{
	int error = copier_error(s->h->console.fd);

	if (s->h->console.tty || s->out_closed)
		return;
	if (error) {
		if (!s->out.gone)
			sup_console_drop(s, error);
		return;
	}
	s->out_closed = true;
	sup_console_drop(s, EPIPE);
	/* The guest may still be useful without the reader of its log, but not without that of standard output. */
	if (s->c->console.path) {
		sup_line(s, "--console=%s: its reader has closed it; dropping the guest's output", s->c->console.path);
		return;
	}
	if (!runs(s) || s->status >= 0 || s->stop_status)
		return;
	sup_line(s, "standard output was closed by its reader; the guest is stopped");
	sup_force(s, EXIT_SIGHUP);
}

void sup_report_lost(struct supervisor *s)
{
	const char *option = s->c->console.path ? "--console=" : "";
	const char *name = s->c->console.path ? s->c->console.path : "standard output";
	int error = copier_error(s->h->console.fd);
	unsigned long long lost;

	if (error) {
		s->out.dropped += copier_left(s->h->console.fd);
		s->out.error = error;
		copier_forget(s->h->console.fd);
	}
	lost = s->out.dropped;
	s->console.dropped += lost;
	s->out.dropped = 0;
	/* The user chose a reader that leaves early (a pipe to head), or no reader at all: do not report a loss. */
	if (!lost || !s->out.error || s->out.error == EPIPE || s->out.error == EBADF)
		return;
	if (s->out.error == ETIMEDOUT) {
		sup_line(s, "%s%s: its reader stopped reading; %llu bytes that the guest wrote are lost", option, name,
			 lost);
		return;
	}
	errno = s->out.error;
	sup_line(s, "%s%s: %m; %llu bytes that the guest wrote are lost", option, name, lost);
}
