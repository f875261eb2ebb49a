/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Log messages for the user. They are queued, and inserted between the guest's lines
 * if both go to the same terminal or file. Runs in the supervisor; never waits.
 */
#include <stdarg.h>
#include <string.h>

#include "common/fmt.h"
#include "common/sandbox.h"
#include "parent/supervise/control_io.h"
#include "parent/supervise/lines.h"
#include "parent/supervise/state.h"

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
	sup_control_line(s, text);
	sup_join_lines(s, false);
}

void sup_line(struct supervisor *s, const char *fmt, ...)
{
	char text[LOG_LINE_MAX];
	va_list ap;

	va_start(ap, fmt);
	fmt_vline(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (!s->quoting && !s->message_final)
		memcpy(s->message, text, sizeof(s->message));
	put_line(s, text);
}

void sup_note(struct supervisor *s, const char *fmt, ...)
{
	char text[LOG_LINE_MAX];
	va_list ap;

	if (s->c->quiet)
		return;
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

void sup_lacks(struct supervisor *s, const char *who, uint32_t missing)
{
	const char *note = s->c->strict ? " (--strict: not started)" : "";
	char text[LOG_LINE_MAX - 96];

	while (missing) {
		uint32_t some = 0;

		/* Put as many names on a line as fit, so that none is cut. */
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

/* Most process names in the line about a missing layer; the rest is only counted. */
#define MAX_NAMES 6

static void sum_layer(struct supervisor *s, enum layer l)
{
	char who[MAX_NAMES * 20 + 32] = "";
	unsigned ours = 1, lack = 0;
	size_t n = 0;

	for (unsigned i = 0; i <= s->nroles; i++) {
		bool is_role = i < s->nroles;

		if (is_role && s->role[i].host->foreign >= 0)
			continue;
		ours += is_role;
		if (!((is_role ? s->role[i].missing : s->missing) & LAYER_BIT(l)))
			continue;
		if (lack++ < MAX_NAMES)
			n += fmt_line(who + n, sizeof(who) - n, "%s%s", n ? ", " : "",
				      is_role ? s->role[i].host->name : "supervisor");
	}
	if (!lack)
		return;
	if (lack == ours)
		fmt_line(who, sizeof(who), "all %u processes", ours);
	else if (lack > MAX_NAMES)
		fmt_line(who + n, sizeof(who) - n, " and %u more", lack - MAX_NAMES);
	sup_note(s, "this host lacks %s: %s", layer_text(l), who);
}

void sup_sum_lacks(struct supervisor *s)
{
	for (unsigned l = 0; l < LAYER_COUNT; l++)
		sum_layer(s, (enum layer)l);
}

bool sup_lines_join(const struct supervisor *s)
{
	return s->h->term.together && !s->out.gone;
}

void sup_join_lines(struct supervisor *s, bool now)
{
	uint8_t some[512];

	if (!s->err.len || !sup_lines_join(s))
		return;
	if (s->out.mid_line && !now) {
		if (!s->lines_until) {
			s->lines_from = now_ms();
			s->lines_until = s->lines_from + LINE_IDLE_MS;
		}
		if (now_ms() < s->lines_until)
			return;
	}
	if (outbuf_room(&s->out) < s->err.len + 2)
		return;
	if (s->out.mid_line)
		outbuf_put(&s->out, s->h->term.raw ? "\r\n" : "\n", s->h->term.raw ? 2 : 1);
	while (s->err.len)
		outbuf_put(&s->out, some, outbuf_take(&s->err, some, sizeof(some)));
	s->lines_until = 0;
}
